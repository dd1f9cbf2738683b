"""In which attention heads and matrices a direction lies: shares of its squared norm by block, and head purity."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.models import Attention
from spectraledge.trajectory import Layout

MATRICES = ("query", "key", "value", "output")
"""The four matrices of an attention head."""

Grain = Literal["head", "head_matrix", "matrix"]
"""How finely the watched weights are cut: by layer and head (8 blocks of the paper's network; Xu 2026, scripts), by
layer, head and matrix (32; Xu 2026, §5), or by matrix alone (4)."""

GRAINS: tuple[Grain, ...] = get_args(Grain)


@dataclass(frozen=True)
class BlockShares:
    """Shares of directions' squared norm.

    Attributes:
        shares_KLHM: Share of every layer, head and matrix (see `MATRICES`), shape (K, layers, heads, 4); those of a
            direction sum to 1.
        block_size: Parameters in each of them, the same number in all.
    """

    shares_KLHM: Float
    block_size: int

    def blocks(self, grain: Grain) -> Float:
        """Shares of the blocks of a grain, shape (K, B)."""
        if grain not in GRAINS:
            raise InputError(f"unknown grain {grain!r}: expected {', '.join(GRAINS)}")
        if grain == "matrix":
            by_matrix: Float = self.shares_KLHM.sum(axis=(1, 2))
            return by_matrix
        shares = self.shares_KLHM.sum(axis=3) if grain == "head" else self.shares_KLHM
        return shares.reshape(len(shares), -1)

    def purity(self, grain: Grain) -> Float:
        """Head purity: the largest share of one block.

        Definition: Xu 2026, §5. Null: see `isotropic_purity`; a random direction's is a little above one over the
        number of blocks. Law: 1 for a direction within one block.

        Args:
            grain: How finely the weights are cut.

        Returns:
            Shape (K,).
        """
        purity_K: Float = self.blocks(grain).max(axis=1)
        return purity_K

    def isotropic_purity(self, grain: Grain, *, generator: np.random.Generator, count: int = 9_999) -> Float:
        """Head purity of isotropic random directions, drawn from its exact law.

        The shares of an isotropic direction's blocks have a Dirichlet distribution whose parameters are half the
        sizes of the blocks, so that no direction needs to be drawn.

        Args:
            grain: How finely the weights are cut.
            generator: Source of randomness.
            count: Number of draws. Default 9,999 (ours): p-values down to 1e-4.

        Returns:
            Shape (count,).
        """
        blocks = self.blocks(grain).shape[1]
        parameters = self.block_size * self.shares_KLHM[0].size / blocks
        drawn: Float = generator.dirichlet(np.full(blocks, parameters / 2), count).max(axis=1)
        return drawn


def block_shares(vectors_KP: Tensor, layout: Layout, attention: Attention) -> BlockShares:
    """Split the squared norm of directions among layers, heads and matrices.

    Args:
        vectors_KP: Directions, shape (K, P), of any length but 0.
        layout: How the watched weights lie in them: attention's matrices of some layers, nothing else.
        attention: Which parameters these are.

    Returns:
        The shares.

    Raises:
        InputError: if other weights are watched, or a direction has length 0.
    """
    heads, width = attention.heads, attention.width
    parts = layout.split(vectors_KP.double())
    found = []
    for layer in _layers(layout, attention):
        qkv, output = (parts[names[layer]].square() for names in (attention.qkv, attention.output))
        by_head_K3H = qkv.reshape(len(qkv), 3, heads, width // heads * width).sum(-1)
        by_head_KH = output.reshape(len(output), width, heads, width // heads).sum((1, 3))
        found.append(torch.cat([by_head_K3H, by_head_KH[:, None]], dim=1).transpose(1, 2))
    squares_KLHM = torch.stack(found, dim=1)
    total_K = squares_KLHM.sum((1, 2, 3))
    if not (total_K > 0).all():
        raise InputError("a direction of length 0 has no shares: leave it out")
    shares = (squares_KLHM / total_K[:, None, None, None]).cpu().numpy()
    return BlockShares(shares, layout.size // shares[0].size)


def _layers(layout: Layout, attention: Attention) -> list[int]:
    """Numbers of the layers whose attention matrices are all that is watched."""
    pairs = list(zip(attention.qkv, attention.output, strict=True))
    layers = [layer for layer, names in enumerate(pairs) if set(names) <= set(layout.shapes)]
    if not layers or {name for layer in layers for name in pairs[layer]} != set(layout.shapes):
        raise InputError(
            "shares of heads need directions along attention's matrices of whole layers, nothing else, got "
            f"{', '.join(layout.shapes)}: watch {', '.join(name for names in pairs for name in names)}"
        )
    return layers
