"""Whether two directions move the same features of an autoencoder: Jaccard indices, and what they are by chance."""

from itertools import combinations

import numpy as np
import scipy
import torch
from torch import Tensor

from spectraledge.arrays import Bools, Float
from spectraledge.controls.autoencoder import Autoencoder
from spectraledge.errors import InputError
from spectraledge.statistics import two_sided_p

MOVED = 20
"""Features that count as moved by a direction (Xu 2026, §5)."""

_ROWS = 1024
"""Inputs encoded at a time: so many stay in cache."""


def moved_features(autoencoder: Autoencoder, residual_ND: Tensor, shift_KND: Tensor, *, count: int = MOVED) -> Bools:
    """Features that a small move of the weights changes most: largest mean |z(x + shift) − z(x)| over the inputs.

    Definition: Xu 2026, §5. Features that do not change at all never count.

    Args:
        autoencoder: The autoencoder.
        residual_ND: Residual stream of every input.
        shift_KND: What K moves of the weights add to it.
        count: How many features at most.

    Returns:
        Which features, shape (K, F), at most `count` in each row.

    Raises:
        InputError: if a move changes no feature.
    """
    change_KF = torch.zeros(len(shift_KND), len(autoencoder.encoder_FD), dtype=torch.float64, device="cpu")
    for still, moved_K in zip(torch.split(residual_ND, _ROWS), torch.split(shift_KND, _ROWS, dim=1), strict=True):
        before = autoencoder.encode(still)
        for change_F, shift in zip(change_KF, moved_K, strict=True):
            change_F += (autoencoder.encode(still + shift) - before).abs_().sum(0).cpu()
    if not (change_KF > 0).any(dim=1).all():
        raise InputError("a move of the weights that changes no feature cannot be compared: make the move larger")
    largest = change_KF.topk(min(count, change_KF.shape[1]), dim=1)
    found = torch.zeros_like(change_KF, dtype=torch.bool).scatter_(1, largest.indices, largest.values > 0)
    return found.numpy()


def jaccard(sets_KF: Bools) -> Float:
    """Jaccard index |A ∩ B| / |A ∪ B| of all pairs of non-empty sets, shape (K, K); 1 on the diagonal."""
    members = sets_KF.astype(np.float64)
    both_KK = members @ members.T
    sizes_K = members.sum(axis=1)
    index: Float = both_KK / (sizes_K[:, None] + sizes_K - both_KK)
    return index


def chance_jaccard(features: int, count: int = MOVED) -> float:
    """Expected Jaccard index of two independent random sets of `count` out of `features` (.02 for 20 of 512).

    It is the published combinatorial null (Xu 2026, §5), and not one to rest on: features that are never active can be
    in no set, and whichever are most active move most along any direction. See `pair_p`.

    Args:
        features: Features to choose from.
        count: Members of each set, at most as many.

    Returns:
        The expectation.
    """
    shared = np.arange(count + 1)
    return float(scipy.stats.hypergeom(features, count, count).pmf(shared) @ (shared / (2 * count - shared)))


def pair_p(index_KK: Float, pair: tuple[int, int], null: list[int]) -> float:
    """Two-sided p-value of the index of one pair of directions among all pairs of them and random ones.

    Null: the two directions and the random ones, all orthogonal, are exchangeable. The observed pair is then any one of
    the pairs of all of them, so the rank among these is exact, though pairs that share a direction depend on each
    other. Leaving out the pairs of an observed with a random direction would make p too small.

    Args:
        index_KK: The index of all pairs.
        pair: The observed pair.
        null: The random directions.

    Returns:
        The p-value; with B random directions no less than 4/((B + 2)(B + 1)).
    """
    others = [index_KK[two] for two in combinations([*pair, *null], 2) if two != pair]
    return two_sided_p(float(index_KK[pair]), others)


def tilted(shift_KND: Tensor) -> Tensor:
    """Moves at 45° to given ones, (s_k + s_(k+1))/√2, cyclically: the published null pairs are each with its own.

    Published for comparison only (Xu 2026, §5): pairs at 45° have half of their variance in common, so that they move
    the same features by construction and any pair of orthogonal directions looks different beside them.

    Args:
        shift_KND: Moves along orthogonal random directions, at least two.

    Returns:
        Shape (K, N, D); to first order the moves along directions at 45°.
    """
    return (shift_KND + shift_KND.roll(-1, dims=0)) / 2**0.5
