"""The directions of a window: unit vectors in parameter space, from its Gram matrix and its updates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.products import multiply
from spectraledge.spectrum.band import check_real
from spectraledge.spectrum.windows import center_gram, lost_in_gram, window_eigenvalues


@dataclass(frozen=True)
class Directions:
    """Orthonormal directions in parameter space, largest eigenvalue first.

    Attributes:
        vectors_KP: float64, shape (K, P), orthonormal rows; K is the numerical rank, 0 if the window has no spectrum.
        eigenvalues_K: Their eigenvalues, float64, descending, all positive.
    """

    vectors_KP: Tensor
    eigenvalues_K: Tensor


def window_directions(updates_WP: Tensor, *, center: bool = False, storage_noise: float = 0.0) -> Directions:
    """Right singular vectors of one window's matrix of updates, found through its W×W Gram matrix where that is exact.

    Definition: v_k of Xu 2026, §2.3. Directions whose eigenvalue cannot be told from rounding are left out, so constant
    updates with `center=True` give none rather than random ones. A direction has no sign; ours has its largest weight
    on the window's updates positive. Directions of (nearly) equal eigenvalues rotate freely: compare their span.

    Args:
        updates_WP: The window's updates, shape (W, P).
        center: Whether to remove the window's mean update first.
        storage_noise: As in `window_eigenvalues`.

    Returns:
        The directions and their eigenvalues.

    Raises:
        InputError: if the input is not a matrix of at least two rows of finite real numbers.

    Cost: O(W²·P) time.
    """
    check_real(updates_WP)
    if updates_WP.dim() != 2 or updates_WP.shape[0] < 2:
        raise InputError(f"a window needs shape (W ≥ 2, P), got {tuple(updates_WP.shape)}")
    if not torch.isfinite(updates_WP).all():
        raise InputError("updates have values that are not finite: drop the snapshots after divergence")
    rows = updates_WP.double()
    gram = multiply(rows, rows)
    if not torch.isfinite(gram).all():
        raise InputError("updates are so large that their products overflow: scale them down")
    values, weights = spectral_weights(gram, center=center, storage_noise=storage_noise)
    if center:
        rows = rows - rows.mean(0)
    if lost_in_gram(values, gram, storage_noise=storage_noise):
        left_WR, singular_R, right_RP = torch.linalg.svd(rows, full_matrices=False)
        kept = len(values)
        signed_KP = _signs(left_WR[:, :kept]).T * right_RP[:kept]
        return Directions(signed_KP.contiguous(), singular_R[:kept].square())
    raw_KP = (weights.T @ rows) / values.sqrt()[:, None]
    # One QR pass takes the directions from orthogonal to √eps·(λ_1/λ_k) to orthogonal to eps; R is near the identity.
    orthonormal, triangle = torch.linalg.qr(raw_KP.T)
    return Directions((orthonormal * triangle.diagonal().sign()).T.contiguous(), values)


def spectral_weights(gram_WW: Tensor, *, center: bool, storage_noise: float) -> tuple[Tensor, Tensor]:
    """Eigenvectors of a window's Gram matrix: by what to weigh its updates to get each direction times √eigenvalue.

    Args:
        gram_WW: The Gram matrix.
        center: Whether it is first made that of the updates without their mean.
        storage_noise: As in `window_eigenvalues`.

    Returns:
        Eigenvalues, float64 (K,), descending, those alone that can be told from rounding; and unit columns, (W, K),
        each with its largest weight positive.
    """
    kept = int((window_eigenvalues(gram_WW, center=center, storage_noise=storage_noise) > 0).sum())
    values, weights = torch.linalg.eigh(center_gram(gram_WW) if center else gram_WW)
    values, weights = values.flip(0)[:kept], weights.flip(1)[:, :kept]
    return values, weights * _signs(weights)


def _signs(weights_WK: Tensor) -> Tensor:
    """Return the sign of the largest weight of each column."""
    return torch.gather(weights_WK, 0, weights_WK.abs().argmax(0, keepdim=True)).sign()
