"""What a basis measures: precision, rounding, whole parts, names of subspaces and what is refused."""

import math

import numpy as np
import pytest
from basis_support import grid, of_task, project

from spectraledge.errors import InputError
from spectraledge.modes import energies_in, grouping_basis, pair_basis


def test_single_precision_responses_are_measured_in_double():
    basis = grouping_basis(of_task("add", "sum", 7))
    response_KND = np.random.default_rng(0).normal(size=(2, 49, 3)).astype(np.float32)
    energies_KS = basis.energies(response_KND)
    assert energies_KS.dtype == np.float64
    np.testing.assert_array_equal(energies_KS, basis.energies(response_KND.astype(np.float64)))


@pytest.mark.parametrize("constant", [0.0, 0.1, 1.7, -math.pi, 1e6])
def test_a_response_without_variation_has_energy_in_the_mean_only(constant):
    basis = pair_basis(grid(13))
    energies_S = basis.energies(np.full((1, 169, 2), constant))[0]
    np.testing.assert_allclose(energies_S[0], 2 * 169 * constant**2, rtol=1e-12)
    np.testing.assert_array_equal(energies_S[1:], 0.0)


def test_a_small_variation_on_a_large_constant_is_still_seen():
    found = of_task("add", "sum", 13)
    wave_N = np.cos(2 * np.pi * 3 * found.groups_N / 13)
    energies_S = grouping_basis(found).energies(1e3 + 1e-3 * wave_N[None, :, None])[0]
    np.testing.assert_allclose(energies_S[3], 1e-6 * 169 / 2, rtol=1e-6)


def test_energies_in_several_bases_are_those_in_each():
    found = of_task("add", "sum", 7)
    half_N = np.random.default_rng(1).random(49) < 0.5
    bases = [
        grouping_basis(found),
        pair_basis(grid(7)),
        grouping_basis(found.covering(half_N)),
        grouping_basis(of_task("sub", "difference", 7).covering(half_N)),
        grouping_basis(found.covering(~half_N)),
    ]
    response_KND = np.random.default_rng(0).normal(size=(3, 49, 2)) + 5
    for basis, energies_KS in zip(bases, energies_in(bases, response_KND), strict=True):
        np.testing.assert_array_equal(energies_KS, basis.energies(response_KND))
        kept_KND = response_KND[:, basis.covered_N]
        np.testing.assert_allclose(energies_KS.sum(axis=1), np.square(kept_KND).sum(axis=(1, 2)), rtol=1e-12)
    with pytest.raises(InputError, match="over 49 inputs, got responses of 48"):
        energies_in(bases, response_KND[:, 1:])


def test_coarse_keeps_energies_and_projections():
    basis = pair_basis(grid(5))
    response_KND = np.random.default_rng(0).normal(size=(2, 25, 3))
    fine_KS = basis.energies(response_KND)
    coarse_KS = basis.coarse.energies(response_KND)
    for index, part in enumerate(basis.coarse.subspaces):
        np.testing.assert_allclose(coarse_KS[:, index], fine_KS[:, basis.indices(part)].sum(axis=1), rtol=1e-10)
        np.testing.assert_allclose(
            project(basis.coarse, response_KND[0], part), project(basis, response_KND[0], part), atol=1e-12
        )
    np.testing.assert_allclose(
        project(basis, response_KND[0], "a 1", "b"),
        project(basis, response_KND[0], "a 1") + project(basis, response_KND[0], "b"),
        atol=1e-12,
    )


def test_indices_take_subspaces_and_parts_and_list_what_there_is():
    basis = pair_basis(grid(5))
    np.testing.assert_array_equal(basis.indices("b 2", "a", "a 1"), [1, 2, 4])
    with pytest.raises(InputError, match="basis 'pairs of grid' has no subspace 'sum 3': it has mean, a, b, sum, diff"):
        basis.indices("a", "sum 3")


def test_responses_of_another_domain_are_refused():
    basis = grouping_basis(of_task("add", "sum", 5))
    with pytest.raises(InputError, match="is over 25 inputs, got responses of 24: take responses over the whole"):
        basis.energies(np.zeros((1, 24, 2)))
