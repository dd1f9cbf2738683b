"""What varies of a response, summed over groups in one pass, against the definition."""

import numpy as np
import pytest
from basis_support import grid

from spectraledge.modes import group_sums, grouping_basis, key_frequencies, pair_basis


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("width", [1, 31, 32, 97, 128])
@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("covered", [True, False], ids=["all", "some"])
def test_sums_are_those_of_one_group_after_another(monkeypatch, native, covered, maps, width, dtype):
    monkeypatch.setattr(group_sums, "_VARYING_SUMS", native("varying_sums", group_sums.ARGUMENTS))
    rng = np.random.default_rng(0)
    response_ND = (rng.normal(size=(2 * width, 60)) + 3).astype(dtype).T[:, ::2]
    places_n = None if covered else np.flatnonzero(rng.random(60) < 0.5)
    kept_nD = response_ND[slice(None) if covered else places_n].astype(np.float64)
    groups_nM = rng.integers(0, 7, (len(kept_nD), maps)) + 7 * np.arange(maps)
    found = group_sums.varying_sums(response_ND, places_n, groups_nM, 7 * maps)
    centred_nD = kept_nD - kept_nD.mean(axis=0)
    np.testing.assert_allclose(found.mean_D, kept_nD.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.square, np.square(centred_nD).sum(), rtol=1e-13)
    sums_GD = [centred_nD[(groups_nM == group).any(axis=1)].sum(axis=0) for group in range(7 * maps)]
    np.testing.assert_allclose(found.sums_GD, sums_GD, rtol=1e-12, atol=1e-12)


def test_dealt_sums_are_those_of_permuted_responses():
    basis = pair_basis(grid(5).covering(np.arange(25) % 4 > 0))
    rng = np.random.default_rng(0)
    response_ND, orders_Bn = rng.normal(size=(25, 3)) + 1, np.stack([rng.permutation(basis.size) for _ in range(4)])
    varying_nD = basis.centred(response_ND)[1]
    for order_n, sums_GD in zip(orders_Bn, basis.dealt_sums(response_ND, orders_Bn), strict=True):
        dealt_nD = np.empty_like(varying_nD)
        dealt_nD[order_n] = varying_nD
        np.testing.assert_allclose(sums_GD, basis.group_sums(dealt_nD), atol=1e-12)


def test_energies_and_keys_are_the_same_without_a_compiler(monkeypatch):
    basis = grouping_basis(grid(7))
    response_KND = np.random.default_rng(0).normal(size=(2, 49, 3)) + basis.coefficients_GR[basis.groups_nM, 0]

    def measured():
        found = key_frequencies(response_KND, basis, generator=np.random.default_rng(1))
        return basis.energies(response_KND), found.share_KF, found.p_KF

    compiled = measured()
    monkeypatch.setattr(group_sums, "_VARYING_SUMS", None)
    for one, other in zip(compiled, measured(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
