"""An order of elements by cosets: planted functions of cosets become solid blocks, waves on a group become broad."""

import itertools

import numpy as np
import pytest

from spectraledge.algebra import (
    PAIR_ELEMENTS,
    dihedral,
    double_cosets,
    irreducible_characters,
    named_group,
    subgroups,
    with_conjugates,
)
from spectraledge.modes import wave
from spectraledge.modes.element_order import coset_order
from spectraledge.tasks import grouping, task_from_source


def blocks(picture_MM, by_a, by_b):
    """Number of edges between neighbouring cells of different values, over that of the fewest there can be."""
    ordered_MM = np.empty_like(picture_MM)
    ordered_MM[np.ix_(by_a.places_M, by_b.places_M)] = picture_MM
    rows, columns = (int((np.abs(np.diff(ordered_MM, axis=axis)) > 1e-9).any(axis=1 - axis).sum()) for axis in (0, 1))
    return rows + 1, columns + 1


@pytest.mark.parametrize(("name", "size", "cosets"), [("S4", 6, "S3"), ("S4", 8, "D4"), ("A5", 12, "A4")])
def test_functions_of_cosets_become_solid_blocks(name, size, cosets):
    group = named_group(name)
    (place,) = [k for k, each in enumerate(subgroups(group).classes) if len(each) == size]
    subgroup = [each for each in with_conjugates(group, subgroups(group)) if len(each) == size][1]
    assert subgroups(group).classes[place].conjugates > 1
    values_M = np.random.default_rng(0).normal(size=60)[double_cosets(group, np.array([group.identity]), subgroup)]
    picture_MM = values_M[PAIR_ELEMENTS["ab"](group)]
    by_b = coset_order(picture_MM.T, group)
    assert by_b.levels[0].parts == f"left cosets of {cosets}"
    assert by_b.levels[0].share == pytest.approx(1.0)
    assert sorted(by_b.places_M) == list(range(len(group)))
    assert blocks(picture_MM, by_b, by_b)[1] == len(group) // size
    by_a = coset_order(values_M[group.table_MM[group.inverses_M].T].T, group)
    assert by_a.levels[0].parts in (f"left cosets of {cosets}", f"right cosets of {cosets}")


def test_the_sign_of_a_product_is_four_blocks_in_words():
    group = named_group("S4")
    signs_M = np.array([round(np.linalg.det(np.eye(4)[list(p)])) for p in itertools.permutations(range(4))])
    order = coset_order(1.0 * signs_M[group.table_MM], group)
    assert order.words.startswith("cosets of A4 (100%), within them by ")
    assert order.words.endswith(", within them by phase")
    assert blocks(1.0 * signs_M[group.table_MM], order, order) == (2, 2)


def test_a_wave_of_turns_is_broad_on_turns_and_reflections():
    sides, turns = 13, 5
    group = dihedral(sides)
    element_M = np.arange(2 * sides)
    values_M = np.cos(2 * np.pi * turns * (element_M % sides) / sides) * (element_M < sides)
    picture_MM = values_M[group.table_MM]
    order = coset_order(picture_MM, group)
    assert [level.parts for level in order.levels] == ["cosets of C13"]
    rows_MM = picture_MM[np.argsort(order.places_M)]
    # Neighbours are one place of 13 on the wave apart, but where turns end and reflections begin.
    steps = np.linalg.norm(np.diff(rows_MM[:sides], axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * np.sin(np.pi / sides) * np.sqrt(sides / 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "subspace", "cosets", "count"),
    [("A5", "dimension 3 (a)", "C5", 12), ("S4", "standard × sign", "C4", 6), ("D9", "dimension 2 (d)", "C2", 9)],
)
def test_functions_on_cosets_of_no_maximal_subgroup_become_solid_blocks(name, subspace, cosets, count):
    group = named_group(name)
    found = irreducible_characters(group)
    inside_MR = found.functions_MM[:, found.frequency_M == 1 + found.names.index(subspace)]
    size = len(group) // count
    held = [inside_MR[each.elements].sum(axis=0) for each in subgroups(group).classes if len(each) == size]
    values_M = inside_MR @ max(held, key=lambda sums_R: float(sums_R @ sums_R))
    picture_MM = values_M[group.table_MM]
    by_a, by_b = coset_order(picture_MM, group), coset_order(picture_MM.T, group)
    assert by_a.words.startswith(f"right cosets of {cosets} (100%), within them by ")
    assert by_b.words.startswith(f"left cosets of {cosets} (100%), within them by ")
    assert blocks(picture_MM, by_a, by_b) == (count, count)


@pytest.mark.parametrize("turns", [1, 5])
def test_a_wave_on_a_cyclic_group_stands_by_phase(turns):
    group = named_group("C12")
    picture_MM = np.cos(2 * np.pi * turns * group.table_MM / 12)
    order = coset_order(picture_MM, group)
    assert order.words == "phase"
    steps = np.linalg.norm(np.diff(picture_MM[np.argsort(order.places_M)], axis=0), axis=1)
    np.testing.assert_allclose(steps, 2 * np.sin(np.pi / 12) * np.sqrt(6), rtol=1e-9)


def test_a_picture_without_variation_keeps_some_order():
    order = coset_order(np.zeros((24, 24)), named_group("S4"))
    assert sorted(order.places_M) == list(range(24))
    assert {level.share for level in order.levels} == {0.0}


def test_noise_is_said_to_be_on_no_cosets():
    order = coset_order(np.random.default_rng(0).normal(size=(24, 200)), named_group("S4"))
    assert "-0%" not in order.words
    assert max(level.share for level in order.levels) < 0.1


def test_the_wave_of_a_group_names_its_representation_and_its_share():
    task = task_from_source("group:S4")
    found = grouping(task, "group:S4")
    frequency = 1 + found.functions.names.index("standard")
    inside_MR = found.functions.functions_MM[:, found.functions.frequency_M == frequency]
    rng = np.random.default_rng(0)
    values_N = (inside_MR @ rng.normal(size=9))[found.groups_N]
    noise_N = rng.normal(size=len(values_N))
    noise_N -= noise_N.mean()
    response_ND = np.outer(values_N / values_N.std(), [3.0, 4.0])
    seen = wave(response_ND, found)
    assert (seen.subspace, seen.frequency, seen.character_share) == ("standard", frequency, pytest.approx(1.0))
    assert {tuple(sorted(column)) for column in seen.places_N2.T} == {tuple(np.sort(task.pairs_N2[:, 0]))}
    noisy = wave(response_ND + np.outer(noise_N / noise_N.std(), [3.0, 4.0]), found)
    assert noisy.character_share == pytest.approx(0.5, abs=0.05)


def test_elements_of_a_table_behind_names_are_those_of_its_group():
    rng = np.random.default_rng(4)
    rows, columns, answers = (rng.permutation(24) for _ in range(3))
    table_MM = answers[named_group("S4").table_MM[np.ix_(rows, columns)]]
    task = task_from_source("latin:0", modulus=24)
    renamed = type(task)("renamed", "?", 24, task.pairs_N2, table_MM.ravel(), "group")
    found = grouping(renamed, "group")
    group = found.functions.group
    a, b = found.coordinates_N2.T
    np.testing.assert_array_equal(group.table_MM[a, b], renamed.labels_N)
