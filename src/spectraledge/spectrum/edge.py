"""What is read off the eigenvalues of a window: gaps, trace, and the position of the spectral edge."""

from dataclasses import dataclass

import torch
from torch import Tensor

EDGE_SEARCH = 10
"""k* is sought among the first ten positions (Xu 2026, scripts)."""


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues of the Gram matrix of trailing windows of updates.

    Attributes:
        eigenvalues_TW: float64, shape (windows, W), descending, never negative, squared units of the parameters. Values
            that cannot be told from rounding are exactly 0.
        window: Updates per window, W.
        center: Whether the window's mean update was removed first.
    """

    eigenvalues_TW: Tensor
    window: int
    center: bool

    @classmethod
    def of(cls, eigenvalues_K: Tensor, window: int, *, center: bool) -> "Spectrum":
        """Make that of one window from the eigenvalues of its directions; all others are 0."""
        eigenvalues_1W = torch.zeros(1, window, dtype=torch.float64, device="cpu")
        eigenvalues_1W[0, : len(eigenvalues_K)] = eigenvalues_K
        return cls(eigenvalues_1W, window, center)

    @property
    def singular_values_TW(self) -> Tensor:
        """Square roots of the eigenvalues: singular values of the W×P matrix of updates; units of the parameters."""
        return self.eigenvalues_TW.sqrt()

    @property
    def gaps_TW(self) -> Tensor:
        """g_k,k+1 = eigenvalue_k − eigenvalue_k+1, shape (windows, W − 1); g_23 is column 1 (Xu 2026, §2.3)."""
        return self.eigenvalues_TW[:, :-1] - self.eigenvalues_TW[:, 1:]

    @property
    def trace_T(self) -> Tensor:
        """Sum of the eigenvalues: total squared length of the (centred) updates in the window."""
        return self.eigenvalues_TW.sum(-1)

    @property
    def shares_TW(self) -> Tensor:
        """Each eigenvalue over the trace; 0 where the trace is 0."""
        trace = self.trace_T[:, None]
        return torch.where(trace > 0, self.eigenvalues_TW / trace, 0.0)

    @property
    def k_star_T(self) -> Tensor:
        """Edge position k* of every window, 1-based int64; 0 where there is none (see `edge_position`)."""
        return edge_position(self.singular_values_TW, rank=self.window - 1 if self.center else self.window)


def edge_position(singular_values_TW: Tensor, *, rank: int | None = None) -> Tensor:
    """Edge position k*: where a large singular value is followed by a large drop.

    Definition: argmax over k ≤ 10 of (s_k / Σs)·(s_k / s_k+1), on singular values (Xu 2026, scripts).
    Laws: scaling all values changes nothing; r equal values and zeros behind them give k* = r, for r up to 10.

    Args:
        singular_values_TW: Shape (..., W), descending, not negative.
        rank: The largest rank the updates can have. Centring takes one away: the last value is then zero by
            construction, so the drop to it says nothing and is left out. Default W.

    Returns:
        int64 tensor (...), 1-based; 0 ("no edge") where all values are zero.
    """
    limit = singular_values_TW.shape[-1] if rank is None else rank
    last = max(1, min(EDGE_SEARCH, limit - 1))
    here = singular_values_TW[..., :last]
    after = singular_values_TW[..., 1 : last + 1]
    score = torch.where(here > 0, here * here / after, 0.0)
    exists = singular_values_TW[..., 0] > 0
    return torch.where(exists, score.argmax(-1) + 1, 0)
