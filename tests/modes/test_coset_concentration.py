"""Cosets and representations: planted functions, the laws of turning and mixing, and loops over definitions."""

import numpy as np
import pytest

from spectraledge.algebra import double_cosets, isotypic_parts, named_group, subgroups, with_conjugates
from spectraledge.modes.coset_concentration import Concentration, mixed

GROUPS = ("S4", "D8", "Dic4", "C6", "C3xS3")


def on_left_cosets(group, size, seed=0):
    """Functions that are constant on left cosets of a subgroup of some order."""
    elements = next(each for each in with_conjugates(group, subgroups(group)) if len(each) == size)
    cosets_M = double_cosets(group, np.array([group.identity]), elements)
    return np.random.default_rng(seed).normal(size=(5, len(group)))[:, cosets_M]


@pytest.mark.parametrize("name", GROUPS)
def test_turning_keeps_what_representations_hold_and_inner_products(name):
    group, rng = named_group(name), np.random.default_rng(1)
    own_FM = rng.normal(size=(4, len(group)))
    turned_FM = Concentration.of(group).turned(own_FM, rng)
    parts = isotypic_parts(group)
    energies = [np.square(parts.split(each.T)).sum(axis=1) for each in (own_FM, turned_FM)]
    np.testing.assert_allclose(*energies, rtol=1e-9)
    np.testing.assert_allclose(turned_FM @ turned_FM.T, own_FM @ own_FM.T, atol=1e-9)
    # The same rank: as many dimensions of translates from the left, and from the right.
    for table_MM in (group.table_MM, group.table_MM.T):
        ranks = [np.linalg.matrix_rank(each[0][table_MM], tol=1e-8) for each in (own_FM, turned_FM)]
        assert ranks[0] == ranks[1]


@pytest.mark.parametrize(("name", "size"), [("S4", 6), ("S4", 2), ("A5", 12)])
def test_functions_of_cosets_are_known_and_turned_ones_are_not(name, size):
    group, rng = named_group(name), np.random.default_rng(2)
    asked, own_FM = Concentration.of(group), on_left_cosets(group, size)
    assert asked.on_cosets(own_FM) == pytest.approx(1.0)
    assert np.mean([asked.on_cosets(asked.turned(own_FM, rng)) for _ in range(20)]) < 0.99


def test_a_dicyclic_group_has_no_cosets_in_its_faithful_representations():
    dicyclic, dihedral = (Concentration.of(named_group(name)) for name in ("Dic6", "D12"))
    values = {}
    for asked in (dicyclic, dihedral):
        projectors_FMM = asked.parts.projectors_FMM
        kernels_FM = projectors_FMM[:, asked.group.identity]
        faithful = (np.isclose(kernels_FM, kernels_FM.max(axis=1, keepdims=True))).sum(axis=1) == 1
        projector_MM = projectors_FMM[faithful].sum(axis=0)
        held = [
            np.linalg.matrix_rank(projector_MM[:, cosets_M == 0].sum(axis=1, keepdims=True), tol=1e-9)
            for cosets_M in asked.cosets
        ]
        values[asked.group.name] = max(held)
    assert values == {"Dic6": 0, "D12": 1}


def test_shares_are_those_of_loops_over_definitions():
    group, rng = named_group("S4"), np.random.default_rng(3)
    asked, functions_FM = Concentration.of(group), rng.normal(size=(3, 24))
    best, total, strongest = 0.0, 0.0, 0.0
    for row_M in functions_FM:
        centred_M = row_M - row_M.mean()
        energy = float(centred_M @ centred_M)
        found = []
        for elements in with_conjugates(group, subgroups(group)):
            if not 1 < len(elements) < 24:
                continue
            for side in ("left", "right"):
                held, cosets = 0.0, set()
                for x in range(24):
                    pairs = [(x, h) if side == "left" else (h, x) for h in elements]
                    cosets.add(frozenset(int(group.table_MM[pair]) for pair in pairs))
                for coset in cosets:
                    held += np.mean(centred_M[list(coset)]) ** 2 * len(coset)
                chance = (len(cosets) - 1) / 23
                found.append((held / energy - chance) / (1 - chance))
        best += energy * max(found)
        total += energy
        energies = [float(np.square(part_M).sum()) for part_M in isotypic_parts(group).split(row_M)[1:]]
        strongest += max(energies)
    assert asked.on_cosets(functions_FM) == pytest.approx(best / total)
    assert asked.of_one_representation(functions_FM) == pytest.approx(strongest / total)


def test_mixing_keeps_the_span():
    rng = np.random.default_rng(4)
    own_FM = rng.normal(size=(6, 24))
    found_FM = mixed(own_FM, rng)
    np.testing.assert_allclose(found_FM.T @ found_FM, own_FM.T @ own_FM, atol=1e-9)
    assert np.abs(found_FM - own_FM).max() > 0.1


def test_without_subgroups_or_variation_nothing_is_on_cosets():
    assert Concentration.of(named_group("C7")).on_cosets(np.random.default_rng(0).normal(size=(2, 7))) == 0.0
    asked = Concentration.of(named_group("S3"))
    assert asked.on_cosets(np.ones((2, 6))) == asked.of_one_representation(np.ones((2, 6))) == 0.0
