"""Shares in a basis and key frequencies: by their laws, on planted frequencies, and under the null."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.modes import (
    chance_share,
    energy_share,
    grouping_basis,
    joint_basis,
    key_frequencies,
    pair_basis,
    shares,
)
from spectraledge.streams import numpy_generator
from spectraledge.tasks import Grouping, grouping, named_task

GROUPINGS = [
    ("add", "sum", 7),
    ("add", "sum", 8),
    ("sub", "difference", 13),
    ("mul", "dlog_sum", 13),
    ("add", "product", 7),
    ("square_sum", "output", 13),
    ("square_sum", "gaussian_angle", 13),
]


def of_task(task, name, modulus):
    return grouping(named_task(task, modulus=modulus), name)


def hand_made(groups, order):
    groups_N = np.array(groups)
    return Grouping("hand", "?", order, groups_N, np.full((len(groups), 2), -1), (0, 0))


def measured(response_KND, basis):
    return shares(basis.energies(response_KND), basis)


def planted(found, amplitudes, width=4, noise=0.0, seed=0):
    """A response that turns with every frequency along its own two coordinates."""
    rng = np.random.default_rng(seed)
    planes = np.linalg.qr(rng.normal(size=(max(width, 2 * len(amplitudes)), 2 * len(amplitudes))))[0]
    response = noise * rng.normal(size=(len(found.groups_N), len(planes)))
    for index, (frequency, amplitude) in enumerate(amplitudes.items()):
        angle = 2 * np.pi * frequency * found.groups_N / found.order
        turning = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        response += amplitude * turning @ planes[:, 2 * index : 2 * index + 2].T
    return response[None]


@pytest.mark.parametrize(("task", "name", "modulus"), GROUPINGS)
@given(seed=st.integers(0, 999))
def test_all_frequencies_together_have_the_energy_share(task, name, modulus, seed):
    found = of_task(task, name, modulus)
    response_KND = np.random.default_rng(seed).normal(size=(2, len(found.groups_N), 3)) + 0.5
    seen = measured(response_KND, grouping_basis(found))
    together_K = seen.share_KS[:, 1:-1].sum(axis=1)
    chance = chance_share(found)
    np.testing.assert_allclose(seen.chance_S[1:-1].sum(), chance, rtol=1e-12)
    np.testing.assert_allclose(energy_share(response_KND, found), (together_K - chance) / (1 - chance), atol=1e-12)
    np.testing.assert_allclose(seen.corrected("frequency"), energy_share(response_KND, found), atol=1e-12)


@pytest.mark.parametrize(("task", "name", "modulus"), GROUPINGS)
def test_shares_leave_out_the_mean_and_sum_to_one(task, name, modulus):
    found = of_task(task, name, modulus)
    basis = grouping_basis(found)
    response_KND = np.random.default_rng(0).normal(size=(3, len(found.groups_N), 2))
    seen = measured(response_KND, basis)
    np.testing.assert_allclose(seen.share_KS.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(seen.share_KS[:, 0], 0.0)
    np.testing.assert_allclose(seen.chance_S.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(measured(5.0 - 2.0 * response_KND, basis).share_KS, seen.share_KS, rtol=1e-9)


def test_the_chance_of_a_line_at_97_is_one_in_98():
    basis = pair_basis(of_task("add", "sum", 97)).coarse
    chance_S = measured(np.zeros((1, 97 * 97, 1)), basis).chance_S
    np.testing.assert_allclose(chance_S[1:5], 1 / 98, rtol=1e-12)


def test_the_corrected_share_of_permuted_values_is_zero_on_average_exactly():
    basis = grouping_basis(hand_made([0, 0, 0, 2, 2, 1, -1], 4))
    values_ND = np.random.default_rng(0).normal(size=(7, 2)) + 1.0
    every = np.array([values_ND[[*order, 6]] for order in itertools.permutations(range(6))])
    seen = measured(every, basis)
    np.testing.assert_allclose(seen.share_KS.mean(axis=0), seen.chance_S, atol=1e-12)
    for names in (["frequency 1"], ["frequency"], ["rest"], ["frequency 2", "rest"]):
        np.testing.assert_allclose(seen.corrected(*names).mean(), 0.0, atol=1e-12)


def test_a_planted_frequency_has_all_of_the_share():
    found = of_task("add", "sum", 13)
    seen = measured(planted(found, {4: 2.0}), grouping_basis(found))
    np.testing.assert_allclose(seen.corrected("frequency 4"), 1.0, rtol=1e-12)


def test_a_response_without_variation_has_no_share():
    basis = grouping_basis(of_task("add", "sum", 7))
    seen = measured(np.full((2, 49, 3), 0.1), basis)
    np.testing.assert_array_equal(seen.share_KS, 0.0)
    np.testing.assert_array_equal(seen.corrected("frequency"), 0.0)


def test_a_union_of_everything_cannot_be_tested():
    basis = grouping_basis(hand_made([0, 1, 2], 3))
    seen = measured(np.random.default_rng(0).normal(size=(1, 3, 2)), basis)
    with pytest.raises(InputError, match="frequency of basis 'hand' holds every function on its 3 inputs: nothing can"):
        seen.corrected("frequency")
    with pytest.raises(InputError, match="nothing can be tested"):
        measured(np.zeros((1, 4, 1)), pair_basis(of_task("add", "sum", 2))).corrected("a", "b", "sum", "rest")


def naive_p(response_ND, basis, orders):
    own = measured(response_ND[None], basis).share_KS[0, 1:-1]
    covered = np.flatnonzero(basis.covered_N)
    largest = []
    for order in orders:
        moved_ND = response_ND.copy()
        moved_ND[covered[order]] = response_ND[covered]
        largest.append(measured(moved_ND[None], basis).share_KS[0, 1:-1].max())
    return [(1 + sum(value >= share - 1e-12 for value in largest)) / (1 + len(orders)) for share in own]


@pytest.mark.parametrize(("task", "name", "modulus"), GROUPINGS)
def test_p_values_agree_with_responses_permuted_one_by_one(task, name, modulus):
    found = of_task(task, name, modulus)
    response_KND = planted(found, {1: 0.1}, 3, noise=1.0)
    response_KND = np.concatenate([response_KND, np.roll(response_KND, 3, axis=1)])
    for basis in (grouping_basis(found), joint_basis([found])):
        keys = key_frequencies(response_KND, basis, generator=np.random.default_rng(5), permutations=39)
        rng = np.random.default_rng(5)
        orders = [rng.permutation(basis.size) for _ in range(39)]
        assert keys.subspaces == basis.subspaces[1:-1]
        np.testing.assert_allclose(keys.p_KF, [naive_p(response, basis, orders) for response in response_KND])
        np.testing.assert_allclose(keys.share_KF, measured(response_KND, basis).share_KS[:, 1:-1])


def test_planted_frequencies_are_found_and_only_those():
    found = of_task("mul", "dlog_sum", 29)
    response_KND = np.concatenate(
        [planted(found, {5: 0.5, 11: 1.0, 14: 0.5}, noise=1.0), planted(found, {2: 0.0, 3: 0.0, 4: 0.0}, noise=1.0)]
    )
    # At this level one in 200 responses without any relation has a key frequency.
    keys = key_frequencies(response_KND, grouping_basis(found), generator=np.random.default_rng(0), level=0.995)
    assert keys.found[0][0] == "frequency 11"
    assert set(keys.found[0]) == {"frequency 5", "frequency 11", "frequency 14"}
    assert keys.found[1] == ()


def test_any_key_frequency_in_noise_is_as_rare_as_the_level_says():
    basis = grouping_basis(of_task("add", "sum", 7))
    rng = np.random.default_rng(0)
    trials, level = 1_000, 0.9
    # Coordinates that share their values, and heavy tails: exchangeable, and far from white.
    response_KND = rng.standard_t(3, size=(trials, 49, 1)) * np.array([1.0, 2.0, -1.0]) + rng.normal(
        size=(trials, 49, 3)
    )
    smallest_K = np.concatenate(
        [
            key_frequencies(part, basis, generator=rng, permutations=19, level=level).p_KF.min(axis=1)
            for part in np.split(response_KND, 250)
        ]
    )
    rate = np.mean(smallest_K <= 1 - level + 1e-12)
    np.testing.assert_allclose(rate, 0.1, atol=4 * math.sqrt(0.1 * 0.9 / trials))
    np.testing.assert_allclose(smallest_K.mean(), 0.525, atol=4 * 0.29 / math.sqrt(trials))


def test_p_values_count_permutations_one_by_one():
    basis = pair_basis(of_task("add", "sum", 5))
    rng = np.random.default_rng(4)
    response_KND = rng.normal(size=(3, 25, 2))
    response_KND[0] += 1.5 * np.cos(2 * np.pi * 2 * np.add.outer(np.arange(5), np.arange(5)).ravel() / 5)[:, None]
    found = key_frequencies(response_KND, basis, generator=numpy_generator(3), permutations=39)
    generator = numpy_generator(3)
    exceeded_KF = np.zeros(found.p_KF.shape)
    for order_N in [generator.permutation(25) for _ in range(39)]:
        # Values are dealt out to the places of others.
        dealt_KND = np.empty_like(response_KND)
        dealt_KND[:, order_N] = response_KND
        dealt_KF = shares(basis.energies(dealt_KND), basis).share_KS[:, 1:-1]
        exceeded_KF += dealt_KF.max(1, keepdims=True) >= found.share_KF * (1 - 1e-12)
    np.testing.assert_array_equal(found.p_KF, (1 + exceeded_KF) / 40)
    assert found.p_KF.min() < 0.05 < found.p_KF.max()


def test_a_response_without_variation_has_no_key_frequency():
    basis = grouping_basis(of_task("add", "sum", 5))
    keys = key_frequencies(np.ones((1, 25, 2)), basis, generator=np.random.default_rng(0), permutations=19)
    np.testing.assert_array_equal(keys.p_KF, 1.0)
    assert keys.found == [()]


def test_key_frequencies_need_permutations_and_frequencies():
    basis, generator = grouping_basis(of_task("add", "sum", 5)), np.random.default_rng(0)
    with pytest.raises(InputError, match=r"level 0.95 with 18 permutations: .* at least 1/19; use more permutations"):
        key_frequencies(np.zeros((1, 25, 1)), basis, generator=generator, permutations=18)
    with pytest.raises(InputError, match=r"level must be in \(0, 1\)"):
        key_frequencies(np.zeros((1, 25, 1)), basis, generator=generator, level=0.0)
    with pytest.raises(InputError, match="basis 'hand' has no frequencies: use a grouping of order 2 or more"):
        key_frequencies(np.zeros((1, 2, 1)), grouping_basis(hand_made([0, 0], 1)), generator=generator)
