"""Measures of a response in a basis: by their definitions, by their laws, and on planted characters."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.modes import chance_share, energy_share, field, grouping_basis, key_frequencies, peak
from spectraledge.modes.measures import group_means
from spectraledge.tasks import Grouping, grouping, named_task

BASES = [("add", "sum"), ("sub", "difference"), ("mul", "dlog_sum"), ("div", "dlog_difference"), ("add", "product")]


def basis_of(task, name, modulus=97):
    return grouping(named_task(task, modulus=modulus), name)


def hand_made(groups, order):
    groups_N = np.array(groups)
    return Grouping("hand", "?", order, groups_N, np.full((len(groups), 2), -1), (0, 0))


def character(basis, frequency, width=5, seed=0):
    """One real character of the group variable, along one residual direction; random outside the basis."""
    rng = np.random.default_rng(seed)
    wave_N = np.cos(2 * np.pi * frequency * basis.groups_N / basis.order)
    wave_N[basis.groups_N < 0] = rng.normal(size=basis.excluded)
    return (wave_N[:, None] * rng.normal(size=width))[None]


def naive_share(response_ND, basis):
    members = {}
    for row, group in zip(response_ND.tolist(), basis.groups_N.tolist(), strict=True):
        if group >= 0:
            members.setdefault(group, []).append(row)
    rows = [row for group in members.values() for row in group]
    axes = range(len(rows[0]))
    mean = [math.fsum(row[d] for row in rows) / len(rows) for d in axes]
    total = math.fsum((row[d] - mean[d]) ** 2 for row in rows for d in axes)
    between = math.fsum(
        len(group) * (math.fsum(row[d] for row in group) / len(group) - mean[d]) ** 2
        for group in members.values()
        for d in axes
    )
    chance = (len(members) - 1) / (len(rows) - 1)
    return (between / total - chance) / (1 - chance)


def naive_peak(field_N, basis):
    members = {}
    for value, group in zip(field_N.tolist(), basis.groups_N.tolist(), strict=True):
        if group >= 0:
            members.setdefault(group, []).append(value)
    means = {group: math.fsum(values) / len(values) for group, values in members.items()}
    mean = math.fsum(means.values()) / len(means)
    power = [
        abs(sum((value - mean) * np.exp(-2j * np.pi * w * group / basis.order) for group, value in means.items())) ** 2
        for w in range(1, basis.order // 2 + 1)
    ]
    return int(np.argmax(power)) + 1, max(power) / sum(power)


def test_the_field_is_the_squared_length():
    response_KND = np.random.default_rng(0).normal(size=(2, 5, 3))
    expected = [[sum(value**2 for value in row) for row in response] for response in response_KND]
    np.testing.assert_allclose(field(response_KND), expected, rtol=1e-12)


@pytest.mark.parametrize(("task", "name"), BASES)
@pytest.mark.parametrize("modulus", [5, 13])
def test_shares_and_peaks_agree_with_loops(task, name, modulus):
    basis = basis_of(task, name, modulus)
    rng = np.random.default_rng(0)
    response_KND = rng.normal(size=(3, len(basis.groups_N), 4)) + 0.5 * character(basis, 1, 4) + 3.0
    np.testing.assert_allclose(
        energy_share(response_KND, basis), [naive_share(r, basis) for r in response_KND], rtol=1e-10, atol=1e-10
    )
    found = peak(field(response_KND), basis)
    expected = [naive_peak(row, basis) for row in field(response_KND)]
    np.testing.assert_array_equal(found.frequency_K, [frequency for frequency, _ in expected])
    np.testing.assert_allclose(found.concentration_K, [share for _, share in expected], rtol=1e-10)


@given(
    groups=st.lists(st.integers(-1, 5), min_size=3, max_size=20).filter(
        lambda groups: len(set(groups) - {-1}) < sum(group >= 0 for group in groups)
    ),
    seed=st.integers(0, 999),
)
def test_shares_agree_with_loops_on_any_groups(groups, seed):
    basis = hand_made(groups, 6)
    response_KND = np.random.default_rng(seed).normal(size=(2, len(groups), 3))
    np.testing.assert_allclose(
        energy_share(response_KND, basis), [naive_share(r, basis) for r in response_KND], rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize(("task", "name"), BASES)
@pytest.mark.parametrize("frequency", [1, 10, 26, 40, 48])
def test_a_character_is_all_of_its_energy_and_peaks_at_twice_its_frequency(task, name, frequency):
    basis = basis_of(task, name)
    response_KND = character(basis, frequency)
    np.testing.assert_allclose(energy_share(response_KND, basis), 1.0, rtol=1e-10)
    found = peak(field(response_KND), basis)
    # ‖u·cos(2πωq/M)‖² = ‖u‖²·(1 + cos(2π·2ωq/M))/2: the field has twice the frequency, folded into 1..⌊M/2⌋.
    doubled = min(2 * frequency % basis.order, -2 * frequency % basis.order)
    if doubled == 0:
        np.testing.assert_array_equal(found.frequency_K, 0)
        return
    np.testing.assert_array_equal(found.frequency_K, doubled)
    if name != "product":
        # The raw product leaves out q = 0, and a group that is missing leaks into every frequency.
        np.testing.assert_allclose(found.concentration_K, 1.0, rtol=1e-10)


def test_a_turning_pair_of_characters_has_a_field_without_frequency():
    basis = basis_of("add", "sum", 13)
    angle = 2 * np.pi * 3 * basis.groups_N / 13
    response_KND = np.stack([np.cos(angle), np.sin(angle)], axis=1)[None]
    np.testing.assert_allclose(energy_share(response_KND, basis), 1.0, rtol=1e-10)
    found = peak(field(response_KND), basis)
    np.testing.assert_array_equal(found.frequency_K, 0)
    np.testing.assert_array_equal(found.concentration_K, 0.0)


def test_a_character_of_another_basis_has_no_share():
    task = named_task("add")
    response_KND = character(grouping(task, "difference"), 7)
    basis = grouping(task, "sum")
    np.testing.assert_allclose(energy_share(response_KND, basis), -chance_share(basis) / (1 - chance_share(basis)))


def test_the_share_of_permuted_values_is_zero_on_average_exactly():
    basis = hand_made([0, 0, 0, 2, 2, 1, -1], 3)
    values_ND = np.random.default_rng(0).normal(size=(7, 2)) + 1.0
    every = np.array([values_ND[[*order, 6]] for order in itertools.permutations(range(6))])
    np.testing.assert_allclose(energy_share(every, basis).mean(), 0.0, atol=1e-12)


def test_the_share_of_permuted_values_is_zero_on_average_on_a_task():
    basis = basis_of("add", "sum", 7)
    rng = np.random.default_rng(0)
    values_ND = rng.normal(size=(49, 3))
    shares = energy_share(np.array([rng.permutation(values_ND) for _ in range(2_000)]), basis)
    np.testing.assert_allclose(shares.mean(), 0.0, atol=4 * shares.std() / math.sqrt(2_000))


@given(scale=st.floats(1e-3, 1e3), shift=st.lists(st.floats(-10, 10), min_size=4, max_size=4), seed=st.integers(0, 999))
def test_scaling_shifting_and_rotating_change_no_share(scale, shift, seed):
    basis = basis_of("mul", "dlog_sum", 11)
    rng = np.random.default_rng(seed)
    response_KND = rng.normal(size=(2, 100, 4)) + character(basis, 2, 4, seed)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    expected = energy_share(response_KND, basis)
    np.testing.assert_allclose(energy_share(scale * response_KND, basis), expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(energy_share(response_KND + np.array(shift), basis), expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(energy_share(response_KND @ rotation, basis), expected, rtol=1e-9, atol=1e-10)


@given(seed=st.integers(0, 999))
def test_the_order_of_the_pairs_and_the_names_of_the_groups_change_no_share(seed):
    basis = basis_of("add", "sum", 7)
    rng = np.random.default_rng(seed)
    response_KND, order, names = rng.normal(size=(1, 49, 2)), rng.permutation(49), rng.permutation(7)
    renamed = hand_made(names[basis.groups_N[order]], 7)
    np.testing.assert_allclose(energy_share(response_KND[:, order], renamed), energy_share(response_KND, basis))


@pytest.mark.parametrize(("task", "name"), BASES)
def test_chance_counts_groups_and_pairs(task, name):
    basis = basis_of(task, name, 13)
    inside = [group for group in basis.groups_N.tolist() if group >= 0]
    np.testing.assert_allclose(chance_share(basis), (len(set(inside)) - 1) / (len(inside) - 1), rtol=1e-12)


def test_published_chances():
    np.testing.assert_allclose(chance_share(basis_of("add", "sum")), 96 / (97**2 - 1))
    np.testing.assert_allclose(chance_share(basis_of("add", "product")), 95 / (96**2 - 1))


def test_a_basis_of_groups_of_one_is_refused():
    with pytest.raises(InputError, match=r"'hand' .* expected more pairs than groups, got 3 pairs in 3\. Train on"):
        chance_share(hand_made([0, 1, 2, -1], 3))
    with pytest.raises(InputError, match="puts every pair into a group of its own"):
        energy_share(np.ones((1, 4, 2)), hand_made([0, 1, 2, -1], 3))


@pytest.mark.parametrize("measure", [lambda r, b: energy_share(r, b), lambda r, b: peak(field(r), b).concentration_K])
def test_pairs_outside_the_basis_are_left_out(measure):
    basis = basis_of("add", "dlog_sum", 11)
    response_KND = np.random.default_rng(0).normal(size=(2, 121, 3))
    disturbed = response_KND.copy()
    disturbed[:, basis.groups_N < 0] = 1e6
    np.testing.assert_allclose(measure(disturbed, basis), measure(response_KND, basis), rtol=1e-12)


def test_empty_groups_are_masked():
    basis = hand_made([0, 0, 3, 3, 4, -1], 6)
    means = group_means(np.array([[1.0, 3.0, 5.0, 5.0, -2.0, 99.0]]), basis)
    np.testing.assert_allclose(means, [[2.0, np.nan, np.nan, 5.0, -2.0, np.nan]])


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, 1.7, -math.pi, 1e6])
@pytest.mark.parametrize(("task", "name"), BASES)
def test_a_response_without_variation_has_neither_share_nor_peak(task, name, constant):
    basis = basis_of(task, name)
    response_KND = np.full((1, len(basis.groups_N), 3), constant)
    np.testing.assert_array_equal(energy_share(response_KND, basis), 0.0)
    found = peak(field(response_KND), basis)
    np.testing.assert_array_equal(found.frequency_K, 0)
    np.testing.assert_array_equal(found.concentration_K, 0.0)


def test_a_small_variation_on_a_large_constant_is_still_seen():
    basis = basis_of("add", "sum", 13)
    response_KND = 1e3 + 1e-3 * character(basis, 3)
    np.testing.assert_allclose(energy_share(response_KND, basis), 1.0, rtol=1e-6)


def test_white_noise_has_the_peak_that_is_documented():
    basis = basis_of("add", "sum")
    rng = np.random.default_rng(0)
    found = peak(rng.normal(size=(2_000, 97 * 97)), basis).concentration_K
    np.testing.assert_allclose(found.mean(), 0.093, atol=0.002)
    np.testing.assert_allclose(np.quantile(found, 0.95), 0.136, atol=0.004)


def test_a_basis_of_one_group_has_neither_share_nor_peak():
    np.testing.assert_array_equal(
        energy_share(np.random.default_rng(0).normal(size=(2, 4, 3)), hand_made([0] * 4, 1)), 0
    )
    basis = basis_of("add", "dlog_sum", 2)
    found = peak(np.random.default_rng(0).normal(size=(1, 4)), basis)
    np.testing.assert_array_equal(found.frequency_K, 0)
    np.testing.assert_array_equal(found.concentration_K, 0.0)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_what_is_not_finite_has_no_share(value):
    grouping_of_sum = grouping(named_task("add", modulus=5), "sum")
    response_KND = np.random.default_rng(0).normal(size=(2, 25, 3))
    response_KND[1, 7, 2] = value
    basis = grouping_basis(grouping_of_sum)
    for measured in (
        lambda: energy_share(response_KND, grouping_of_sum),
        lambda: basis.energies(response_KND),
        lambda: key_frequencies(response_KND, basis, generator=np.random.default_rng(0)),
    ):
        with (
            pytest.raises(InputError, match="responses need finite values, and finite squares"),
            np.errstate(all="ignore"),
        ):
            measured()
    if value != 1e200:
        with pytest.raises(InputError, match="fields need finite values on all pairs of basis 'sum'"):
            peak(response_KND[:, :, 2], grouping_of_sum)


def test_values_outside_a_basis_may_be_anything():
    outside = grouping(named_task("add", modulus=5), "product")
    response_KND = np.random.default_rng(0).normal(size=(1, 25, 3))
    expected = energy_share(response_KND, outside), peak(response_KND[:, :, 0], outside)
    response_KND[:, outside.groups_N < 0] = np.nan
    np.testing.assert_array_equal(energy_share(response_KND, outside), expected[0])
    np.testing.assert_array_equal(peak(response_KND[:, :, 0], outside).concentration_K, expected[1].concentration_K)
