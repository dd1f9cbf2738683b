"""Comparing what several directions do together: spans of functions and of directions, never single vectors."""

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Float
from spectraledge.errors import InputError


def leading_functions(response_KND: NDArray[np.floating], rank: int) -> Float:
    """Orthonormal basis of the functions of the input that hold most of the energy of several responses.

    Definition: leading left singular vectors of the N × K·D matrix of all coordinates of all responses, means over the
    inputs removed. Our choice over (N·D)-vectors, because two networks share no coordinates but do share their inputs.
    Law: neither rotating the directions among each other nor the coordinates changes the span. To weigh directions by
    how far the weights moved, scale each response by the root of its eigenvalue first.

    Args:
        response_KND: Responses over the domain, shape (K, N, D).
        rank: Dimension r of the span.

    Returns:
        Shape (N, r), orthonormal columns, most energy first; only their span has a meaning where energies are equal.

    Raises:
        InputError: if the responses span fewer than r functions.

    Cost: O(N·K·D·min(N, K·D)) time.
    """
    columns_NC = _columns(response_KND)
    values, vectors = _gram_spectrum(columns_NC)
    # The Gram matrix resolves singular values down to the root of its rounding.
    spanned = int((values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)).sum())
    if not 0 < rank <= spanned:
        raise InputError(f"rank must be in [1, {spanned}], the functions that the responses span, got {rank}")
    leading = vectors[:, : -rank - 1 : -1]
    return np.linalg.qr(columns_NC @ leading)[0] if len(values) == columns_NC.shape[1] else leading


def _columns(response_KND: NDArray[np.floating]) -> Float:
    """All coordinates of all responses as functions of the input without their means, shape (N, K·D)."""
    count, inputs, width = response_KND.shape
    columns_NC = np.moveaxis(np.asarray(response_KND, dtype=np.float64), 1, 0).reshape(inputs, count * width)
    centred_NC: Float = columns_NC - columns_NC.mean(axis=0)
    return centred_NC


def _gram_spectrum(columns_NC: Float) -> tuple[Float, Float]:
    """Eigenvalues, ascending, and eigenvectors of the smaller Gram matrix of a matrix; of its columns if square."""
    inputs, count = columns_NC.shape
    values, vectors = scipy.linalg.eigh(columns_NC.T @ columns_NC if inputs >= count else columns_NC @ columns_NC.T)
    return values, vectors


def functions_holding(response_KND: NDArray[np.floating], *, share: float) -> int:
    """How many leading functions hold a share of the energy of several responses, their means left out.

    Definition: the smallest r for which `leading_functions` of rank r hold at least the share.
    Law: as of those, neither rotating the directions nor the coordinates changes it.

    Args:
        response_KND: Responses over the domain, shape (K, N, D).
        share: In (0, 1). A rank near the largest possible says nothing: choose well below 1.

    Returns:
        The rank, at least 1.

    Raises:
        InputError: if the share is not in (0, 1), or no response varies.

    Cost: O(N·K·D·min(N, K·D)) time.
    """
    if not 0 < share < 1:
        raise InputError(f"share must be in (0, 1), got {share}")
    values = _gram_spectrum(_columns(response_KND))[0][::-1]
    if not values[0] > 0:
        raise InputError("no response varies over the inputs, so no function holds energy")
    held = np.cumsum(values) / values.sum()
    return int((held < share - 1e-12).sum()) + 1


def inclusion(target_NK: Float, *others_NK: Float) -> float:
    """How much of a subspace lies in the sum of others: I = tr(P_T P_O) / rank(P_T).

    Definition: P_O projects on the span of all columns of the others together, the reading of Xu 2026's second
    conjecture as a number. Against one other of equal rank it is the symmetric overlap, the mean squared cosine of the
    principal angles. Null: the rank of the others over N − 1, on average,
    for random functions without mean on N inputs; subspaces of other seeds are the null for "more than a seed would".
    Laws: 1 if the target lies inside, 0 if it is orthogonal; adding to the others never lowers it.

    Args:
        target_NK: Columns that span the target, shape (N, any number).
        others_NK: Columns that span the others, at least one array.

    Returns:
        In 0..1.

    Raises:
        InputError: if the target is zero, or there are no others.
    """
    target = scipy.linalg.orth(target_NK)
    if target.shape[1] == 0 or not others_NK:
        raise InputError("inclusion needs a target that is not zero and at least one other subspace")
    # Each made orthonormal first, so that the scale of one cannot hide another.
    joined = scipy.linalg.orth(np.hstack([scipy.linalg.orth(other) for other in others_NK]))
    return float(np.square(target.T @ joined).sum() / target.shape[1])


def span_cosines(before_KP: Tensor, after_KP: Tensor) -> Float:
    """Cosines of the principal angles between the spans of two windows' directions in parameter space.

    Null: two random spans of K of P dimensions have a mean squared cosine of K/P. Windows that overlap share updates:
    compare windows that do not.

    Args:
        before_KP: Orthonormal rows, shape (K, P), as in `Directions`.
        after_KP: Orthonormal rows, shape (any number, P).

    Returns:
        Shape (the smaller number of rows,), largest first, in 0..1.

    Raises:
        InputError: if the rows are of different lengths or not orthonormal.
    """
    if before_KP.shape[1:] != after_KP.shape[1:]:
        raise InputError(
            f"directions must be over the same parameters, got {tuple(before_KP.shape)} and {tuple(after_KP.shape)}"
        )
    for rows_KP in (before_KP, after_KP):
        gram_KK = rows_KP @ rows_KP.T
        if not torch.allclose(gram_KK, torch.eye(len(gram_KK), dtype=gram_KK.dtype, device=gram_KK.device), atol=1e-4):
            raise InputError("directions must be orthonormal rows: pass those of `window_directions`")
    cosines: Float = torch.linalg.svdvals(before_KP @ after_KP.T).clamp(max=1.0).double().cpu().numpy()
    return cosines
