"""Functional components: against a decomposition written out, planted ones recovered, p-values of noise uniform."""

import numpy as np
import pytest
import scipy.stats

from spectraledge.errors import InputError
from spectraledge.modes import (
    component_test,
    functional_components,
    held_shares,
    leading_functions,
    split_half,
)


def naive_components(response_KND, weights_K):
    """Eigenvalues and eigenvectors, descending, of the N × N matrix of the definition."""
    inputs = response_KND.shape[1]
    second_NN = np.zeros((inputs, inputs))
    for weight, response_ND in zip(weights_K, response_KND, strict=True):
        for column_N in (response_ND - response_ND.mean(axis=0)).T:
            second_NN += weight * np.outer(column_N, column_N)
    values, vectors = np.linalg.eigh(second_NN)
    return values[::-1] / values.sum(), vectors[:, ::-1]


def orthonormal(inputs, count, seed=0):
    raw = np.random.default_rng(seed).normal(size=(inputs, count))
    return np.linalg.qr(raw - raw.mean(axis=0))[0]


def planted(functions_NF, scales_F, directions, width=3, noise=0.05, seed=1):
    """Responses that mix functions at random, in (K, N, D)."""
    rng = np.random.default_rng(seed)
    mixed = np.einsum("nf,f,kfd->knd", functions_NF, scales_F, rng.normal(size=(directions, len(scales_F), width)))
    return mixed + noise * rng.normal(size=mixed.shape) / np.sqrt(len(functions_NF))


@pytest.mark.parametrize("inputs", [9, 40])
def test_components_are_those_of_the_definition(inputs):
    rng = np.random.default_rng(0)
    response_KND, weights_K = rng.normal(size=(5, inputs, 3)) + 2, rng.uniform(size=5)
    found = functional_components(response_KND, weights_K, count=4)
    share, vectors = naive_components(response_KND, weights_K)
    np.testing.assert_allclose(found.share_C, share[:4], rtol=1e-9)
    np.testing.assert_allclose(np.abs((found.functions_NC * vectors[:, :4]).sum(axis=0)), 1, atol=1e-9)
    np.testing.assert_allclose(held_shares(found.functions_NC, response_KND, weights_K), share[:4], rtol=1e-9)
    np.testing.assert_allclose(found.at(response_KND), found.functions_NC, atol=1e-9)
    scaled_KND = response_KND * np.sqrt(weights_K)[:, None, None]
    np.testing.assert_allclose(
        np.linalg.svd(leading_functions(scaled_KND, 4).T @ found.functions_NC)[1], np.ones(4), atol=1e-9
    )


def test_neither_rotation_nor_the_mixture_of_updates_matters():
    rng = np.random.default_rng(1)
    jacobian_NDP, updates_WP = rng.normal(size=(30, 3, 50)), rng.normal(size=(6, 50))
    rotation_DD = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    left_WK, values_K, vectors_KP = np.linalg.svd(updates_WP, full_matrices=False)
    assert left_WK.shape == (6, 6)
    along_K = np.einsum("ndp,kp->knd", jacobian_NDP, vectors_KP)
    along_W = np.einsum("ndp,wp->wnd", jacobian_NDP, updates_WP)
    one = functional_components(along_K, values_K**2, count=3)
    other = functional_components(along_W @ rotation_DD, np.ones(6), count=3)
    np.testing.assert_allclose(one.share_C, other.share_C, rtol=1e-9)
    np.testing.assert_allclose(np.abs((one.functions_NC * other.functions_NC).sum(axis=0)), 1, atol=1e-9)


def test_planted_components_are_found_and_hold_their_energy():
    functions_NF = orthonormal(200, 2)
    response_KND = planted(functions_NF, np.array([3.0, 1.0]), 10)
    found = functional_components(response_KND, np.ones(10), count=2)
    np.testing.assert_allclose(np.linalg.svd(functions_NF.T @ found.functions_NC)[1], 1, atol=1e-3)
    assert found.share_C.sum() > 0.99


def pooled(seed, width=2, window=6, random=14, selected=0.0):
    """Directions of one kind, isotropic over 300 parameters; `selected` adds one function to those of the window."""
    rng = np.random.default_rng(seed)
    jacobian_NDP = np.einsum(
        "nm,mdp->ndp", np.random.default_rng(0).normal(size=(15, 15)), rng.normal(size=(15, width, 300))
    )
    vectors = rng.normal(size=(window + random, 300))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    response_END = np.einsum("ndp,ep->end", jacobian_NDP, vectors)
    response_END[:window] += selected * orthonormal(15, 1)[None] * rng.normal(size=(window, 1, width))
    return response_END[:window], np.geomspace(3, 1, window), response_END[window:]


def test_p_values_are_uniform_where_nothing_is_selected():
    p_TC = np.array(
        [
            np.concatenate([found.p_share_C, found.p_ratio_C])
            for seed in range(150)
            for found in [
                component_test(*pooled(seed), count=2, generator=np.random.default_rng(seed), permutations=19)
            ]
        ]
    )
    for column in p_TC.T:
        counts = np.bincount(np.rint(column * 20).astype(int), minlength=21)[1:].reshape(5, 4).sum(axis=1)
        assert scipy.stats.chisquare(counts).pvalue > 0.01


def test_a_selected_function_is_detected():
    window_KND, eigenvalues_K, random_BND = pooled(0, selected=30.0)
    found = component_test(window_KND, eigenvalues_K, random_BND, count=1, generator=np.random.default_rng(0))
    assert found.p_ratio_C[0] == pytest.approx(0.01)
    assert found.ratio_C[0] > 3
    components = functional_components(window_KND, eigenvalues_K, count=1)
    np.testing.assert_allclose(found.share_C, components.share_C)
    np.testing.assert_allclose(
        found.random_share_C, held_shares(components.functions_NC, random_BND, np.ones(14)), rtol=1e-9
    )


def test_planted_components_reproduce_on_the_other_half_and_noise_does_not():
    weights_K = np.ones(10)
    response_KND = planted(orthonormal(200, 2), np.array([3.0, 1.0]), 10)
    noise_KND = np.random.default_rng(0).normal(size=response_KND.shape)
    found = split_half(response_KND, weights_K, count=2, generator=np.random.default_rng(0))
    null = split_half(noise_KND, weights_K, count=2, generator=np.random.default_rng(0))
    assert found.overlap_C[1] > 0.99
    assert found.held_C[1] > 0.98
    assert null.overlap_C[1] < 0.3
    for halves in (found, null):
        assert (halves.held_C <= halves.best_C + 1e-12).all()


def test_mistakes():
    response_KND = np.random.default_rng(0).normal(size=(2, 10, 1))
    with pytest.raises(InputError, match="asked for 3 components, the responses span 2"):
        functional_components(response_KND, np.ones(2), count=3)
    with pytest.raises(InputError, match="the responses span 0: give more inputs"):
        functional_components(np.ones((2, 10, 1)), np.ones(2), count=1)
    with pytest.raises(InputError, match="expected 2 weights"):
        functional_components(response_KND, np.array([1.0, -1.0]), count=1)
    with pytest.raises(InputError, match="no response varies"):
        held_shares(orthonormal(10, 1), np.ones((2, 10, 1)), np.ones(2))
