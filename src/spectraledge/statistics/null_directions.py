"""Null directions in parameter space: where a statistic of a direction is computed without the effect."""

from collections.abc import Sequence

import torch
from torch import Tensor

from spectraledge.errors import InputError


def random_directions(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Isotropic random unit vectors in the whole space of watched parameters.

    Args:
        count: How many, K.
        size: Length P.
        generator: Source of randomness.

    Returns:
        float64 tensor (K, P), unit rows.
    """
    return torch.nn.functional.normalize(
        torch.randn(count, size, dtype=torch.float64, device="cpu", generator=generator), dim=-1
    )


def span_directions(vectors_KP: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Isotropic random unit vectors in the span of a window's directions: where the weights moved, with no preference.

    Args:
        vectors_KP: Orthonormal rows, shape (K, P), K ≥ 1.
        count: How many.
        generator: Source of randomness.

    Returns:
        float64 tensor (count, P), unit rows.

    Raises:
        InputError: if there are no directions to mix.
    """
    if len(vectors_KP) == 0:
        raise InputError("a window without directions has no span: choose a step where the weights move")
    mixing = random_directions(count, len(vectors_KP), generator)
    return mixing.to(vectors_KP) @ vectors_KP


def block_matched_directions(
    vectors_KP: Tensor, block_sizes: Sequence[int], count: int, generator: torch.Generator
) -> Tensor:
    """Random vectors that put as much of their squared norm into every block as given directions do, and nothing more.

    Blocks are consecutive stretches of the flat vector, one per tensor for instance.
    Null: of a direction only the norms of its blocks matter. Our choice beside `random_directions`, because a window's
    directions differ from isotropic ones in those norms already.

    Args:
        vectors_KP: The directions to match, shape (K, P), K ≥ 1, unit rows.
        block_sizes: Length of every block, in the order of the flat vector.
        count: How many; the i-th matches direction i mod K.
        generator: Source of randomness.

    Returns:
        float64 tensor (count, P), of the same norm in every block as their models, so unit rows.

    Raises:
        InputError: if there are no directions to match, or the blocks do not cover them exactly.
    """
    if len(vectors_KP) == 0:
        raise InputError("a window without directions has no block norms: choose a step where the weights move")
    if min(block_sizes, default=0) < 1 or sum(block_sizes) != vectors_KP.shape[1]:
        raise InputError(
            f"block sizes must be positive and add up to {vectors_KP.shape[1]}, the length of a direction, got "
            f"{list(block_sizes)}, which add up to {sum(block_sizes)}"
        )
    models = torch.arange(count, device=vectors_KP.device) % len(vectors_KP)
    drawn = [
        random_directions(count, size, generator).to(vectors_KP.device)
        * block.double().norm(dim=1, keepdim=True)[models]
        for size, block in zip(block_sizes, torch.split(vectors_KP, list(block_sizes), dim=1), strict=True)
    ]
    return torch.cat(drawn, dim=1)
