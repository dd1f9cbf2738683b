"""The wave of a response: planted plane waves are recovered, and sorting by phase makes them broad."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.algebra import character_shares
from spectraledge.modes import wave
from spectraledge.tasks import grouping, named_task

PLANTED = [
    ("add", "sum", 97, 26),
    ("add", "sum", 13, 5),
    ("sub", "difference", 97, 16),
    ("mul", "dlog_sum", 97, 29),
    ("div", "dlog_difference", 97, 7),
    ("mul", "dlog_sum", 13, 5),
]


def planted(task_name, name, modulus, frequency, noise=0.0, seed=0):
    """A plane wave along one residual direction, with an offset and noise."""
    rng = np.random.default_rng(seed)
    basis = grouping(named_task(task_name, modulus=modulus), name)
    wave_N = np.cos(2 * np.pi * frequency * basis.groups_N / basis.order + 0.4)
    wave_N[basis.groups_N < 0] = 2.0
    response_ND = wave_N[:, None] * rng.normal(size=6) + rng.normal(size=6) + noise * rng.normal(size=(len(wave_N), 6))
    return response_ND, basis, wave_N


def folded(pair, order):
    return {pair, (-pair[0] % order, -pair[1] % order)}


@pytest.mark.parametrize(("task", "name", "modulus", "frequency"), PLANTED)
def test_a_planted_wave_is_recovered(task, name, modulus, frequency):
    response_ND, basis, wave_N = planted(task, name, modulus, frequency)
    found = wave(response_ND, basis)
    assert found.frequency == frequency
    expected = (frequency, basis.signs[1] * frequency % basis.order)
    assert found.character_frequencies in folded(expected, basis.order)
    assert 0 <= found.character_frequencies[0] <= basis.order // 2
    np.testing.assert_allclose(found.character_share, 1.0, rtol=1e-10)
    inside = basis.groups_N >= 0
    np.testing.assert_allclose(found.values_N[inside].mean(), 0.0, atol=1e-10)
    centred = wave_N[inside] - wave_N[inside].mean()
    np.testing.assert_allclose(np.abs(np.corrcoef(found.values_N[inside], centred)[0, 1]), 1.0, rtol=1e-10)


@pytest.mark.parametrize(("task", "name", "modulus", "frequency"), PLANTED)
def test_noise_takes_its_part_of_the_energy_and_no_more(task, name, modulus, frequency):
    response_ND, basis, _ = planted(task, name, modulus, frequency, noise=0.3)
    found = wave(response_ND, basis)
    assert found.frequency == frequency
    direction = np.random.default_rng(0).normal(size=6)
    signal = 0.5 * float(direction @ direction)
    np.testing.assert_allclose(found.character_share, signal / (signal + 0.09), atol=0.03)


@pytest.mark.parametrize(("task", "name", "modulus", "frequency"), PLANTED)
def test_phases_are_places_on_the_wave(task, name, modulus, frequency):
    response_ND, basis, wave_N = planted(task, name, modulus, frequency)
    found = wave(response_ND, basis)
    inside = basis.groups_N >= 0
    np.testing.assert_array_equal(found.phases_N2[~inside], -1)
    place = found.phases_N2[inside] @ np.array(basis.signs) % basis.order
    np.testing.assert_array_equal(place, frequency * basis.groups_N[inside] % basis.order)
    expected = np.cos(2 * np.pi * place / basis.order + 0.4)
    np.testing.assert_allclose(wave_N[inside], expected, atol=1e-10)


@pytest.mark.parametrize(("task", "name", "modulus", "frequency"), PLANTED)
def test_sorting_rows_and_columns_by_phase_gives_one_broad_wave(task, name, modulus, frequency):
    response_ND, basis, _ = planted(task, name, modulus, frequency)
    found = wave(response_ND, basis)
    picture = np.full((basis.order, basis.order), np.nan)
    inside = basis.groups_N >= 0
    picture[found.phases_N2[inside, 0], found.phases_N2[inside, 1]] = found.values_N[inside]
    if np.gcd(frequency, basis.order) == 1:
        # Every place is taken, zeros apart: dividing by zero leaves a = 0 out of the logarithms, not out of the task.
        assert not np.isnan(picture).any()
    shares = character_shares(picture)
    assert np.unravel_index(shares.argmax(), shares.shape) in folded((1, basis.signs[1] % basis.order), basis.order)
    np.testing.assert_allclose(shares.max(), 1.0, rtol=1e-10)


def test_pairs_with_a_zero_are_outside_the_logarithms():
    response_ND, basis, _ = planted("add", "dlog_sum", 13, 5)
    disturbed_ND = response_ND.copy()
    disturbed_ND[basis.groups_N < 0] += 7.0
    first, second = wave(response_ND, basis), wave(disturbed_ND, basis)
    assert (first.frequency, first.character_frequencies) == (second.frequency, second.character_frequencies)
    np.testing.assert_allclose(second.character_share, first.character_share, rtol=1e-12)
    assert int((first.phases_N2 < 0).all(axis=1).sum()) == basis.excluded == 25


@given(seed=st.integers(0, 999), scale=st.floats(1e-6, 1e6))
def test_the_picture_has_unit_root_mean_square_whatever_the_scale(seed, scale):
    basis = grouping(named_task("add", modulus=7), "sum")
    response_ND = np.random.default_rng(seed).normal(size=(49, 3))
    found, scaled = wave(response_ND, basis), wave(scale * response_ND, basis)
    np.testing.assert_allclose(np.mean(found.values_N**2), 1.0, rtol=1e-10)
    np.testing.assert_allclose(np.abs(scaled.values_N), np.abs(found.values_N), rtol=1e-6, atol=1e-8)
    assert (scaled.frequency, scaled.character_frequencies) == (found.frequency, found.character_frequencies)


@pytest.mark.parametrize(("task", "name"), [("mul", "dlog_sum"), ("square_sum", "output")], ids=["even", "uneven"])
@given(seed=st.integers(0, 999))
def test_no_other_direction_has_more_energy_between_groups(task, name, seed):
    basis = grouping(named_task(task, modulus=7), name)
    rng = np.random.default_rng(seed)
    response_ND = rng.normal(size=(len(basis.groups_N), 4))

    def between(values_N):
        members = [values_N[basis.groups_N == group] for group in np.unique(basis.groups_N)]
        return sum(len(part) * (part.mean() - values_N.mean()) ** 2 for part in members)

    values_N = wave(response_ND, basis).values_N
    # The projection was scaled to unit root mean square: the axis that gives these values says by how much.
    axis = np.linalg.lstsq(response_ND - response_ND.mean(axis=0), values_N, rcond=None)[0]
    best = between(values_N) / float(axis @ axis)
    largest = between_matrix(response_ND, basis)
    np.testing.assert_allclose(best, np.linalg.eigvalsh(largest)[-1], rtol=1e-8)


def between_matrix(response_ND, basis):
    """Energy between groups as a quadratic form of the direction, pair by pair."""
    mean, form = response_ND.mean(axis=0), np.zeros((response_ND.shape[1],) * 2)
    for group in basis.groups_N:
        difference = response_ND[basis.groups_N == group].mean(axis=0) - mean
        form += np.outer(difference, difference)
    return form


@pytest.mark.parametrize("name", ["output", "product"])
def test_a_basis_without_coordinates_gives_those_of_the_residues(name):
    task = named_task("square_sum", modulus=13)
    a, b = task.pairs_N2.T
    response_ND = np.cos(2 * np.pi * (3 * a - 2 * b) / 13)[:, None] * np.ones(2)
    found = wave(response_ND, grouping(task, name))
    assert found.character_frequencies == (3, 11)
    np.testing.assert_allclose(found.character_share, 1.0, rtol=1e-10)
    np.testing.assert_array_equal(found.phases_N2, found.frequency * task.pairs_N2 % 13)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1.7])
@pytest.mark.parametrize(("task", "name"), [("add", "sum"), ("mul", "dlog_sum"), ("add", "dlog_sum")])
def test_a_response_without_variation_is_no_wave(task, name, constant):
    basis = grouping(named_task(task), name)
    found = wave(np.full((len(basis.groups_N), 4), constant), basis)
    assert found.frequency == 0
    np.testing.assert_allclose(found.values_N, 0.0, atol=1e-9)
    np.testing.assert_array_equal(found.character_share, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize(("task", "name"), [("add", "sum"), ("add", "dlog_sum"), ("square_sum", "output")])
def test_values_are_those_along_the_widest_axis_of_repeated_group_means(task, name, dtype):
    basis = grouping(named_task(task, modulus=7), name)
    response_ND = (np.random.default_rng(0).normal(size=(len(basis.groups_N), 5)) + 2).astype(dtype)
    response_ND[:, 3] = 0.1
    inside = basis.groups_N >= 0
    centred_ND = response_ND.astype(np.float64) - response_ND[inside].mean(axis=0, dtype=np.float64)
    centred_ND[:, 3] = 0
    repeated_nD = np.stack([centred_ND[basis.groups_N == group].mean(axis=0) for group in basis.groups_N[inside]])
    values_N = centred_ND @ np.linalg.svd(repeated_nD)[2][0]
    found_N = wave(response_ND, basis).values_N
    np.testing.assert_allclose(
        found_N * np.sign(found_N @ values_N), values_N / np.sqrt(np.mean(values_N**2)), rtol=1e-9
    )
