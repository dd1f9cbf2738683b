"""Subspaces of parameter space as orthonormal rows: spans, the leading directions of a trailing window, weighing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.products import combined_rows
from spectraledge.spectrum.band import band
from spectraledge.spectrum.directions import spectral_weights

_LONG = 64
"""Length of rows over their number from which directions at random are as good as orthogonal (our choice)."""

_ROUNDINGS = 16
"""Up to so many roundings of a vector's length, or √P if that is more, projecting leaves of a vector that lies inside
(our choice; measured: 5 of 57 numbers, 30 of 131,072)."""


@dataclass(frozen=True)
class Frame:
    """A subspace.

    Attributes:
        rows_KP: Orthonormal rows that span it, shape (K, P); K = 0 is the subspace of nothing, or of everything.
        everything: Whether it is the whole space, whatever the rows are: its projector is then the identity, exactly.
    """

    rows_KP: Tensor
    everything: bool = False

    @classmethod
    def of(cls, orthonormal_KP: Tensor) -> "Frame":
        """Make a frame of orthonormal rows; P of them are the whole space."""
        return cls(orthonormal_KP, everything=len(orthonormal_KP) >= orthonormal_KP.shape[1])

    @property
    def rank(self) -> int:
        """Its dimension."""
        return self.rows_KP.shape[1] if self.everything else len(self.rows_KP)


def spanned(vectors_KP: Tensor) -> Frame:
    """Span of given vectors.

    Args:
        vectors_KP: Any vectors, shape (K, P), in the precision of the result. Their lengths do not count.

    Returns:
        Its rank is that of the vectors scaled to length 1: singular values up to max(K, P)·eps of the largest are
        rounding.

    Raises:
        InputError: if there are no vectors, one is not finite, or one is zero.
    """
    if vectors_KP.dim() != 2 or 0 in vectors_KP.shape:
        raise InputError(f"a subspace needs vectors of shape (K ≥ 1, P ≥ 1), got {tuple(vectors_KP.shape)}")
    longest_K1 = vectors_KP.abs().amax(1, keepdim=True)
    if not bool(torch.isfinite(longest_K1).all()):
        raise InputError("a vector that spans a subspace has values that are not finite: leave it out")
    if not bool((longest_K1 > 0).all()):
        raise InputError("a vector that spans a subspace is zero: leave it out")
    unit_KP = torch.nn.functional.normalize(vectors_KP / longest_K1, dim=1)
    orthonormal_PR, triangle = torch.linalg.qr(unit_KP.T)
    left, values, _ = torch.linalg.svd(triangle, full_matrices=False)
    rank = int((values > max(vectors_KP.shape) * torch.finfo(values.dtype).eps * values[0]).sum())
    return Frame.of((orthonormal_PR @ left[:, :rank]).T.contiguous())


def orthonormal_rows(vectors_KP: Tensor) -> Tensor:
    """Orthonormal basis of the rows of a matrix of full rank, in its precision.

    Many times longer than they are many, rows come from the Cholesky factor of their Gram matrix, which loses twice as
    many digits as QR where they are nearly dependent; ours are nearly orthogonal then.

    Args:
        vectors_KP: Shape (K, P), K ≤ P.

    Returns:
        Shape (K, P).
    """
    count, size = vectors_KP.shape
    if size < _LONG * count:
        orthonormal_PK: Tensor = torch.linalg.qr(vectors_KP.T)[0]
        return orthonormal_PK.T.contiguous()
    triangle = torch.linalg.cholesky((vectors_KP @ vectors_KP.T).double())
    turning_KK: Tensor = torch.linalg.inv(triangle)
    return turning_KK.to(vectors_KP.dtype) @ vectors_KP


class Weighed(NamedTuple):
    """Vectors with other weights inside and outside of a subspace.

    Attributes:
        vectors_NP: The vectors.
        share: How much of the first one's squared length lay inside, a 0-dimensional float64 tensor; NaN of zero.
    """

    vectors_NP: Tensor
    share: Tensor


def weigh(vectors_NP: Tensor, frame: Frame, *, inside: float, outside: float, restore: bool = False) -> Weighed:
    """Multiply what vectors have inside a subspace by one number, and what they have outside by another.

    Definition: x → s·(inside·Πx + outside·(x − Πx)), Π the orthogonal projector, s = 1 or, with `restore`, what gives
    the first vector its length back. Keeping a subspace is (1, 0), removing it (0, 1), scaling it (c, 1).
    Laws: (1, 1) changes nothing, bit for bit, and so does (1, anything) with the whole space; what is kept and what is
    removed sum to the whole; what is removed has nothing inside; with `restore` the first vector's length stays, unless
    nothing of it is left but rounding. All vectors are mapped alike, so a sum is mapped to the sum.

    Args:
        vectors_NP: Shape (N, P).
        frame: The subspace, in the vectors' precision.
        inside: Factor inside.
        outside: Factor outside.
        restore: Whether the first vector keeps its length, and the others share its s.

    Returns:
        The vectors, and how much of the first lay inside.

    Cost: O(N·K·P).
    """
    first_P = vectors_NP[0]
    squared = torch.linalg.vector_norm(first_P, dtype=torch.float64).square()
    if frame.everything:
        share = squared / squared
        if inside == 1:
            return Weighed(vectors_NP, share)
        weighed_NP = inside * vectors_NP
    else:
        coefficients_NK = vectors_NP @ frame.rows_KP.T
        share = coefficients_NK[0].double().square().sum() / squared
        if inside == outside == 1:
            return Weighed(vectors_NP, share)
        projected_NP = coefficients_NK @ frame.rows_KP
        if outside:
            scaled_NP = vectors_NP if outside == 1 else outside * vectors_NP
            weighed_NP = torch.add(scaled_NP, projected_NP, alpha=inside - outside)
        else:
            weighed_NP = inside * projected_NP
    if restore:
        left = torch.linalg.vector_norm(weighed_NP[0], dtype=torch.float64)
        least = max(_ROUNDINGS, frame.rows_KP.shape[1] ** 0.5) * torch.finfo(vectors_NP.dtype).eps
        something = left > least * max(abs(inside), abs(outside)) * squared.sqrt()
        factor = torch.where(something, squared.sqrt() / left, 1.0)
        weighed_NP = weighed_NP * factor.to(weighed_NP.dtype)
    return Weighed(weighed_NP, share)


class TrailingWindow:
    """The last W vectors of a stream, and the leading directions of their Gram matrix.

    Args:
        window: How many vectors, W, at least 1.
    """

    def __init__(self, window: int) -> None:
        if window < 1:
            raise InputError(f"window must be at least 1, got {window}")
        self._window = window
        self._count = 0
        # A ring: the next vector takes row count % W, with its row and column of the Gram matrix.
        self._rows_WP = torch.empty(0, 0, dtype=torch.float32, device="cpu")
        self._gram_WW = torch.zeros(window, window, dtype=torch.float64, device="cpu")
        self._noise_W = torch.zeros(window, dtype=torch.float64, device="cpu")

    @property
    def full(self) -> bool:
        """Whether W vectors have come since the last one that was not finite."""
        return self._count >= self._window

    def append(self, vector_P: Tensor, *, noise: float = 0.0) -> None:
        """Add the next vector; one that is not finite empties the window.

        Args:
            vector_P: It is copied. All have one length, precision and device.
            noise: Largest squared length that rounding of what it was made from can give it.

        Cost: O(W·P) time and memory.
        """
        # Of numbers that are all finite the sum is, but for ones so large that no window holds their squares either.
        if not bool(torch.isfinite(vector_P.sum())):
            self._count = 0
            return
        if not self._count:
            self._rows_WP = vector_P.new_zeros(self._window, len(vector_P))
            self._gram_WW = self._gram_WW.new_zeros(self._window, self._window)
        place = self._count % self._window
        lags_W = band(vector_P[None], self._window, self._rows_WP, self._count)[0].cpu()
        # Row `place` leaves: it is the one W vectors back.
        lags_W[-1] = lags_W[0]
        earlier_W = (place - torch.arange(1, self._window + 1, device="cpu")) % self._window
        self._gram_WW[place, earlier_W] = lags_W[1:]
        self._gram_WW[earlier_W, place] = lags_W[1:]
        self._rows_WP[place] = vector_P
        self._noise_W[place] = noise
        self._count += 1

    def leading(self, *, skip: int = 0, count: int | None = None, center: bool = False) -> Frame:
        """Return the span of leading directions of the window: right singular vectors of its matrix.

        Definition: as `window_directions`, rounded to the vectors' precision at the end.

        Args:
            skip: How many of the largest to leave out.
            count: How many follow at most. Default: all.
            center: Whether to remove the window's mean first.

        Returns:
            A frame in the vectors' precision; of rank 0 where the window has no such directions.

        Cost: O(W·K·P).
        """
        kept = min(self._count, self._window)
        rows_WP, gram_WW = self._rows_WP[:kept], self._gram_WW[:kept, :kept]
        if not kept:
            return Frame(rows_WP)
        noise = float(self._noise_W[:kept].sum())
        values_R, weights_WR = spectral_weights(gram_WW, center=center, storage_noise=noise)
        chosen = slice(skip, None if count is None else skip + count)
        weights_WK = weights_WR[:, chosen] / values_R[chosen].sqrt()
        if center:
            weights_WK = weights_WK - weights_WK.mean(0)
        if not weights_WK.shape[1]:
            return Frame(rows_WP[:0])
        raw_KP = combined_rows(weights_WK.T, rows_WP)
        return Frame.of(orthonormal_rows(raw_KP))

    def state(self) -> tuple[dict[str, Tensor], int]:
        """Return all that later directions depend on: tensors, and how many vectors have come."""
        return {"rows": self._rows_WP, "gram": self._gram_WW, "noise": self._noise_W}, self._count

    def restore(self, tensors: Mapping[str, Tensor], count: int) -> None:
        """Go to a saved state, copied; the rows stay on the device that they are given on.

        Args:
            tensors: As `state` gave them; where no vector has come, rows may be missing.
            count: As `state` gave it.
        """
        self._count = count
        self._rows_WP = tensors["rows"].clone() if "rows" in tensors else self._rows_WP
        self._gram_WW, self._noise_W = (tensors[name].to("cpu", copy=True) for name in ("gram", "noise"))
