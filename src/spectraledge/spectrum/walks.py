"""Principal components of the path that weights take, beside those of a random walk with steps of the same lengths."""

from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.spectrum.windows import center_gram, window_eigenvalues


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of N points.

    Attributes:
        shares_K: Share of the points' variance on each component, descending; zeros where the points do not differ.
        courses_NK: The points' coordinates on each component, scaled to unit columns; a column has no sign, and none of
            share 0 means anything.
    """

    shares_K: Tensor
    courses_NK: Tensor


def displacement_gram(gram_TT: Tensor) -> Tensor:
    """Inner products of the displacements θ_t − θ_0, from those of the updates that lead there.

    Definition: ⟨θ_s − θ_0, θ_t − θ_0⟩ = Σ_(i ≤ s, j ≤ t) ⟨δθ_i, δθ_j⟩.

    Args:
        gram_TT: Inner products of all updates of a run.

    Returns:
        float64 tensor (T + 1, T + 1); the first row and column, of θ_0 itself, are 0.

    Raises:
        InputError: if the input is not a square matrix.
    """
    if gram_TT.dim() != 2 or gram_TT.shape[0] != gram_TT.shape[1]:
        raise InputError(f"inner products of T updates have shape (T, T), got {tuple(gram_TT.shape)}")
    return torch.nn.functional.pad(gram_TT.double().cumsum(0).cumsum(1), (1, 0, 1, 0))


def orthogonal_gram(gram_NWW: Tensor) -> Tensor:
    """Gram matrices of updates that have the same lengths and nothing else in common: the diagonal alone.

    Null: independent isotropic updates of the given lengths. In P dimensions their inner products are 0 up to about
    l_i·l_j/√P, so that nothing needs to be drawn. Gaps between their eigenvalues are differences of squared lengths.

    Args:
        gram_NWW: Gram matrices, shape (..., W, W).

    Returns:
        The same shape.
    """
    return torch.diag_embed(gram_NWW.diagonal(dim1=-2, dim2=-1))


def principal_components(displacement_NN: Tensor, *, center: bool = True) -> PrincipalComponents:
    """Principal components of the points of a path, from their inner products.

    Definition: Xu 2026, §4.2, of θ_t − θ_0 over a window that begins at θ_0; the mean point is removed.
    Null: a random walk (`displacement_gram` of `orthogonal_gram`) is no featureless noise. The centred Gram of N points
    one unit step apart is the inverse of the Laplacian of a path, on what is not constant, so its components are
    exactly cosines, cos(πk(t + ½)/N), and their variances 1/(4·sin²(πk/2N)): shares → 6/(π²k²), 61 % for the first
    (Antognini and Sohl-Dickstein 2018 for walks in high dimension). Without centring they are 8/(π²(2k − 1)²), 81 %.
    Laws: shares add up to 1; scaling or moving the path (if centred) changes nothing.

    Args:
        displacement_NN: Inner products of the points, as seen from any one place.
        center: Whether to remove the mean point first.

    Returns:
        The components, N of them.

    Cost: O(N³) time.
    """
    gram_NN = displacement_NN.double()
    values_K = window_eigenvalues(gram_NN, center=center)
    courses_NK = torch.linalg.eigh(center_gram(gram_NN) if center else gram_NN).eigenvectors.flip(1)
    total = values_K.sum()
    return PrincipalComponents(torch.where(total > 0, values_K / total, 0.0), courses_NK)
