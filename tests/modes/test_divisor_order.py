"""An order of residues by divisor: planted functions of a product become stripes and blocks, divisor by divisor."""

import numpy as np
import pytest

from spectraledge.algebra import unit_turns
from spectraledge.modes import wave
from spectraledge.modes.element_order import divisor_order
from spectraledge.tasks import grouping, named_task

NAMED = [
    (modulus, name)
    for modulus in (9, 12, 15, 20)
    for name in grouping(named_task("mul", modulus=modulus), "ring_product").functions.names
]


def planted(modulus, name):
    """A function of a·b in one subspace, as a response in two directions, and its basis."""
    found = grouping(named_task("mul", modulus=modulus), "ring_product")
    frequency = 1 + found.functions.names.index(name)
    inside_MR = found.functions.functions_MM[:, found.functions.frequency_M == frequency]
    values_M = inside_MR @ np.random.default_rng(modulus).normal(size=inside_MR.shape[1])
    return np.outer(values_M[found.groups_N], [3.0, 4.0]), found, frequency


@pytest.mark.parametrize(("modulus", "name"), NAMED)
def test_a_block_of_two_divisors_depends_on_the_sum_of_turns_alone(modulus, name):
    response_ND, found, frequency = planted(modulus, name)
    seen = wave(response_ND, found)
    assert seen.character_share == pytest.approx(1.0)
    assert (seen.subspace, seen.frequency) == (name, frequency)
    turns_N2 = unit_turns(modulus, frequency)[found.coordinates_N2]
    divisors_N2 = np.gcd(found.coordinates_N2, modulus)
    keys_N3 = np.column_stack([divisors_N2, np.round(turns_N2.sum(axis=1) % 1.0, 9)])
    place_N = np.unique(keys_N3, axis=0, return_inverse=True)[1].ravel()
    spread = [np.ptp(seen.values_N[place_N == place]) for place in range(place_N.max() + 1)]
    np.testing.assert_allclose(spread, 0.0, atol=1e-8)


@pytest.mark.parametrize("modulus", [4, 12, 15])
def test_functions_of_the_divisor_become_a_block_for_two_divisors(modulus):
    response_ND, found, _ = planted(modulus, "gcd")
    seen = wave(response_ND, found)
    assert seen.places_N2.min() == 0
    assert seen.places_N2.max() == modulus - 2
    picture_MM = np.empty((modulus - 1, modulus - 1))
    picture_MM[tuple(seen.places_N2.T)] = seen.values_N
    proper = len(np.unique(np.gcd(np.arange(1, modulus), modulus)))
    for axis in (0, 1):
        edges = (np.abs(np.diff(picture_MM, axis=axis)) > 1e-9).any(axis=1 - axis).sum()
        assert edges <= proper - 1
    assert seen.orders[0].words == f"greatest common divisors with {modulus} (100%), within them by phase"


def test_residues_of_one_divisor_stand_by_their_turn_along_the_character():
    turns_M = unit_turns(9, 4)
    # 2 makes all units of 9, and the character of order 6 turns it by a sixth, one way or the other.
    logarithms = [turns_M[2**power % 9] * 6 % 6 for power in range(6)]
    assert logarithms in ([0, 1, 2, 3, 4, 5], [0, 5, 4, 3, 2, 1])
    # Of the residues 3 and 6 it does not know which unit is which.
    assert turns_M[[0, 3, 6]].tolist() == [0.0, 0.0, 0.0]
    order_M = np.argsort(divisor_order(np.zeros((9, 9)), 4).places_M)
    assert order_M[-3:].tolist() == [3, 6, 0]
    assert (np.diff(turns_M[order_M[:6]]) > 0).all()


def test_noise_is_said_to_be_of_no_divisor():
    (level,) = divisor_order(np.random.default_rng(0).normal(size=(24, 400)), 1).levels
    assert abs(level.share) < 0.05
