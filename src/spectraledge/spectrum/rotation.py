"""How far the leading directions turn from one window to the next, from Gram matrices alone."""

import torch
from torch import Tensor

from spectraledge.spectrum.windows import center_gram, window_eigenvalues


def window_rotation(
    gram_NVV: Tensor, *, top: int = 3, center: bool = False, storage_noise: float | Tensor = 0.0
) -> Tensor:
    """Cosines of the principal angles between the leading directions of consecutive windows.

    Definition: the singular values of V_(t−1) V_tᵀ, with V_t the `top` directions of the window that ends at update t
    (`window_directions`); our choice, because single directions of near eigenvalues rotate freely. All inner products
    needed are in the Gram matrix of the W + 1 updates that the two windows cover, so no direction is formed.
    Null: consecutive windows share W − 1 of their W updates, so noise scores high too. Independent isotropic updates of
    one length give .999, .97 and .70 on average for W = 20 and top = 3, the last below .2 in one of 20.
    Laws: scaling all updates changes nothing; updates within a fixed subspace of dimension `top`, each window spanning
    it, give 1.

    Args:
        gram_NVV: Gram matrices of W + 1 consecutive updates, shape (..., W + 1, W + 1), oldest first.
        top: Directions per window, at most W. Default 3 (the edge of Xu 2026, §2.3).
        center: As in `window_eigenvalues`.
        storage_noise: As in `window_eigenvalues`.

    Returns:
        float64 tensor (..., top), descending, in [0, 1]; NaN beyond the numerical rank of either window.
    """
    (scaled_earlier, rank_earlier), (scaled_later, rank_later) = (
        _leading(part, top, center, storage_noise) for part in (gram_NVV[..., :-1, :-1], gram_NVV[..., 1:, 1:])
    )
    across = gram_NVV[..., :-1, 1:].double()
    across = center_gram(across) if center else across
    cosines = torch.linalg.svdvals(scaled_earlier.transpose(-1, -2) @ across @ scaled_later).clamp(max=1)
    exists = torch.arange(top, device=cosines.device) < torch.minimum(rank_earlier, rank_later)
    return torch.where(exists, cosines, torch.nan)


def _leading(gram_NWW: Tensor, top: int, center: bool, storage_noise: float | Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights (..., W, top) on the updates that give unit directions, 0 beyond the rank, and the rank."""
    kept = window_eigenvalues(gram_NWW, center=center, storage_noise=storage_noise)[..., :top]
    gram = gram_NWW.double()
    vectors = torch.linalg.eigh(center_gram(gram) if center else gram).eigenvectors.flip(-1)[..., :top]
    scale = torch.where(kept > 0, kept.rsqrt(), 0.0)
    return vectors * scale[..., None, :], (kept > 0).sum(-1, keepdim=True)
