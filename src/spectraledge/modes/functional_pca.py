"""Functional principal components: the functions of the input that a window moves most, where no basis is known."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.modes.subspaces import inclusion

_SPANNED = 1e-12
"""Energy of a component over all energy, below which it is rounding."""


@dataclass(frozen=True)
class FunctionalComponents:
    """Orthonormal functions of the input, most energy first, and how to take them at other inputs.

    Only spans have a meaning where energies are (nearly) equal, and signs have none.

    Attributes:
        functions_NC: Values at the inputs, orthonormal columns without mean.
        share_C: Share of the energy that each holds, mean left out, descending.
        loadings_KDC: The component as a sum of coordinates of responses: how much of each.
        mean_KD: Mean over the inputs of every coordinate of every response.
    """

    functions_NC: Float
    share_C: Float
    loadings_KDC: Float
    mean_KD: Float

    def at(self, response_KMD: NDArray[np.floating]) -> Float:
        """Values at M inputs, given the responses there along the same directions, shape (M, C)."""
        values_MC: Float = np.einsum("kmd,kdc->mc", response_KMD - self.mean_KD[:, None], self.loadings_KDC)
        return values_MC


def functional_components(response_KND: NDArray[np.floating], weights_K: Float, *, count: int) -> FunctionalComponents:
    """Leading functions of the input in the energy of several responses.

    Definition: leading eigenvectors of Σ_k w_k (R_k − R̄_k)(R_k − R̄_k)ᵀ, an N × N matrix. With eigenvalues as weights
    these are the principal components of how all updates of the window together move the read-out, summed over its
    coordinates: the numerator of the selection ratio with no basis given. Our choice; `leading_functions` of
    responses scaled by √w spans the same.
    Laws: rotating the coordinates of the read-out changes nothing, nor does mixing updates of a window; shares of
    all components sum to 1; no c functions hold more of the energy than the first c do.

    Args:
        response_KND: Responses, shape (K, N, D).
        weights_K: Weight of each direction, not negative: its eigenvalue, or ones.
        count: Number of components, C.

    Returns:
        The components.

    Raises:
        InputError: if weights do not fit or the responses span fewer functions.

    Cost: O(N·K·D·min(N, K·D)) time.
    """
    mean_KD, columns_NC = _columns(response_KND, weights_K)
    inputs, width = columns_NC.shape
    gram = columns_NC.T @ columns_NC if width <= inputs else columns_NC @ columns_NC.T
    total = float(np.trace(gram))
    last = len(gram) - 1
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=[max(0, len(gram) - max(count, 1)), last])
    spanned = int((values > _SPANNED * total).sum())
    if not 1 <= count <= spanned:
        advice = f"ask for 1 to {spanned}" if spanned else "give more inputs, and some that differ"
        raise InputError(f"asked for {count} components, the responses span {spanned}: {advice}")
    values, vectors = values[::-1], vectors[:, ::-1]
    if width <= inputs:
        loadings, functions = vectors / np.sqrt(values), columns_NC @ (vectors / np.sqrt(values))
    else:
        loadings, functions = columns_NC.T @ vectors / values, vectors
    scaled_KDC = loadings.reshape(*mean_KD.shape, count) * np.sqrt(weights_K)[:, None, None]
    return FunctionalComponents(functions, values / total, scaled_KDC, mean_KD)


def _columns(response_KND: NDArray[np.floating], weights_K: Float) -> tuple[Float, Float]:
    """Means over the inputs, (K, D), and all coordinates without them as weighted functions, (N, K·D)."""
    count, inputs, width = response_KND.shape
    if weights_K.shape != (count,) or (weights_K < 0).any() or not weights_K.any():
        raise InputError(f"expected {count} weights, one per response, not negative and not all 0, got {weights_K}")
    response_KND = np.asarray(response_KND, dtype=np.float64)
    mean_KD = response_KND.mean(axis=1)
    scaled_KND = (response_KND - mean_KD[:, None]) * np.sqrt(weights_K)[:, None, None]
    return mean_KD, np.moveaxis(scaled_KND, 1, 0).reshape(inputs, count * width)


def held_shares(functions_NC: Float, response_KND: NDArray[np.floating], weights_K: Float) -> Float:
    """Share of the energy of weighted responses, means left out, that each orthonormal function holds, shape (C,).

    Args:
        functions_NC: Orthonormal columns, such as `FunctionalComponents.functions_NC`.
        response_KND: Responses at the same inputs, shape (K, N, D).
        weights_K: Weight of each, not negative.

    Returns:
        Shares in 0..1.

    Raises:
        InputError: if weights do not fit, or no response varies.
    """
    _, columns_NC = _columns(response_KND, weights_K)
    total = np.square(columns_NC).sum()
    if not total > 0:
        raise InputError("no response varies over the inputs, so no function holds energy")
    held_C: Float = np.square(functions_NC.T @ columns_NC).sum(axis=1) / total
    return held_C


@dataclass(frozen=True)
class ComponentTest:
    """What the first 1, 2, ..., C components of a window hold together, against isotropic directions.

    Attributes:
        share_C: Share of the window's energy in the first c components.
        random_share_C: Share of the energy of random directions in the same functions.
        ratio_C: Their quotient: the selection ratio of a subspace that was found in the data; above 1 by selection.
        p_share_C: p-value of the share: is the window's energy in fewer functions than that of as many random ones?
        p_ratio_C: p-value of the ratio: are they other functions than those random directions move?
    """

    share_C: Float
    random_share_C: Float
    ratio_C: Float
    p_share_C: Float
    p_ratio_C: Float


def component_test(
    window_response_KND: NDArray[np.floating],
    eigenvalues_K: Float,
    random_response_BND: NDArray[np.floating],
    *,
    count: int,
    generator: np.random.Generator,
    permutations: int = 99,
) -> ComponentTest:
    """Test functional components of a window against random directions, components being found anew every time.

    Null: the window's directions are isotropic, whatever their eigenvalues, as in `selection_p_values`; all directions
    are dealt out anew to the eigenvalues and to the others, and the components estimated from those with eigenvalues.
    So that components fit the directions they come from counts for nothing. p cannot go far below (directions that hold
    most of Σλ)/(K + B).

    Args:
        window_response_KND: Responses along the window's directions, shape (K, N, D).
        eigenvalues_K: Their eigenvalues.
        random_response_BND: Responses along isotropic random directions of the same length, shape (B, N, D).
        count: Number of components, C.
        generator: Source of the permutations.
        permutations: How many. Default 99.

    Returns:
        Shares, ratios and one-sided p-values, in [1/(1 + permutations), 1].

    Raises:
        InputError: as `functional_components` and `held_shares` do.

    Cost: permutations times that of `functional_components`.
    """
    pooled_END = np.concatenate([window_response_KND, random_response_BND])
    drawn, ahead = len(pooled_END), len(window_response_KND)
    orders = [np.arange(drawn), *(generator.permutation(drawn) for _ in range(permutations))]
    shares_RC, others_RC = np.empty((2, len(orders), count))
    for row, order in enumerate(orders):
        found = functional_components(pooled_END[order[:ahead]], eigenvalues_K, count=count)
        others = pooled_END[order[ahead:]]
        shares_RC[row] = np.cumsum(found.share_C)
        others_RC[row] = np.cumsum(held_shares(found.functions_NC, others, np.ones(len(others))))
    ratios_RC = shares_RC / np.maximum(others_RC, np.finfo(np.float64).tiny)
    p_share_C, p_ratio_C = (
        (1 + (rows_RC[1:] >= rows_RC[0] * (1 - 1e-12)).sum(axis=0)) / len(orders) for rows_RC in (shares_RC, ratios_RC)
    )
    return ComponentTest(shares_RC[0], others_RC[0], ratios_RC[0], p_share_C, p_ratio_C)


@dataclass(frozen=True)
class SplitHalf:
    """How well components that were found on one half of the inputs do on the other; means over both ways.

    Attributes:
        held_C: Share of the energy at the other half that the first c hold there.
        best_C: Share that the first c components of that half itself hold; never less.
        overlap_C: Inclusion of the former in the latter: mean squared cosine of their principal angles. Where responses
            span only r functions (K·D of them at most), unrelated components have c/r.
    """

    held_C: Float
    best_C: Float
    overlap_C: Float


def split_half(
    response_KND: NDArray[np.floating], weights_K: Float, *, count: int, generator: np.random.Generator
) -> SplitHalf:
    """Find components on a random half of the inputs and take them at the other half, then the other way round.

    Args:
        response_KND: Responses at sampled inputs, shape (K, N, D).
        weights_K: Weight of each direction.
        count: Number of components, C.
        generator: Source of the split.

    Returns:
        How far they reproduce.

    Raises:
        InputError: if a half spans too few functions.
    """
    inputs = response_KND.shape[1]
    order = generator.permutation(inputs)
    halves = order[: inputs // 2], order[inputs // 2 :]
    rows = np.empty((2, 3, count))
    for row, (here, there) in enumerate((halves, halves[::-1])):
        found = functional_components(response_KND[:, here], weights_K, count=count)
        values_MC = found.at(response_KND[:, there])
        carried_MC = np.linalg.qr(values_MC - values_MC.mean(axis=0))[0]
        best = functional_components(response_KND[:, there], weights_K, count=count)
        rows[row, 0] = np.cumsum(held_shares(carried_MC, response_KND[:, there], weights_K))
        rows[row, 1] = np.cumsum(best.share_C)
        rows[row, 2] = [inclusion(carried_MC[:, :c], best.functions_NC[:, :c]) for c in range(1, count + 1)]
    return SplitHalf(*rows.mean(axis=0))
