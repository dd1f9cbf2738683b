"""Representations by their laws on every kind of group, and characters against GAP's published tables."""

import numpy as np
import pytest
from group_support import LARGE, NAMES, renamed, table_of

from spectraledge.algebra import (
    character_table,
    conjugacy_classes,
    fourier_transform,
    group_from_table,
    inverse_fourier_transform,
    irreducible_representations,
    named_group,
)

GOLDEN = (1 + 5**0.5) / 2

# GAP 4: Display(CharacterTable(...)); columns by order and size of the class.
GAP = {
    "S4": ([(1, 1), (2, 3), (2, 6), (3, 8), (4, 6)],
           [[1, 1, 1, 1, 1], [1, 1, -1, 1, -1], [2, 2, 0, -1, 0], [3, -1, 1, 0, -1], [3, -1, -1, 0, 1]]),
    "A5": ([(1, 1), (2, 15), (3, 20), (5, 12), (5, 12)],
           [[1, 1, 1, 1, 1], [3, -1, 0, GOLDEN, 1 - GOLDEN], [3, -1, 0, 1 - GOLDEN, GOLDEN],
            [4, 0, 1, -1, -1], [5, 1, -1, 0, 0]]),
    "Q8": ([(1, 1), (2, 1), (4, 2), (4, 2), (4, 2)],
           [[1, 1, 1, 1, 1], [1, 1, 1, -1, -1], [1, 1, -1, 1, -1], [1, 1, -1, -1, 1], [2, -2, 0, 0, 0]]),
    "S5": ([(1, 1), (2, 10), (2, 15), (3, 20), (4, 30), (5, 24), (6, 20)],
           [[1, 1, 1, 1, 1, 1, 1], [1, -1, 1, 1, -1, 1, -1], [4, 2, 0, 1, 0, -1, -1], [4, -2, 0, 1, 0, -1, 1],
            [5, 1, 1, -1, -1, 0, 1], [5, -1, 1, -1, 1, 0, -1], [6, 0, -2, 0, 0, 1, 0]]),
}  # fmt: skip


@pytest.mark.parametrize("name", GAP)
def test_characters_are_those_that_gap_publishes(name):
    classes, rows = GAP[name]
    group = group_from_table(renamed(table_of(name), 1))
    found = character_table(group)
    orders = group.orders_M[found.classes.representatives_C].tolist()
    assert list(zip(orders, found.classes.sizes_C.tolist(), strict=True)) == classes
    # Classes of one order and size have no order of their own.
    mine = sorted(map(tuple, np.round(found.values_CC.real, 9) + 0.0))
    swaps = [list(range(len(classes)))]
    for first in range(len(classes)):
        for second in range(first):
            if classes[first] == classes[second]:
                swaps += [[{first: second, second: first}.get(k, k) for k in swap] for swap in swaps]
    expected = [sorted(tuple(np.round(np.array(row)[swap], 9) + 0.0) for row in rows) for swap in swaps]
    assert mine in expected
    np.testing.assert_allclose(found.values_CC.imag, 0, atol=1e-12)


def test_characters_of_a_cyclic_group_are_powers_of_a_root_of_unity():
    group = named_group("C12")
    found = character_table(group).on_elements_CM
    expected = np.exp(2j * np.pi * np.outer(np.arange(12), np.arange(12)) / 12)
    gaps = np.abs(found[:, None] - expected).max(axis=2)
    np.testing.assert_allclose(gaps.min(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(gaps.min(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_laws_of_representations(name):
    group = group_from_table(renamed(table_of(name), 2))
    found = irreducible_representations(group)
    dimensions = [rho.dimension for rho in found]
    assert sum(d**2 for d in dimensions) == len(group)
    assert len(found) == len(conjugacy_classes(group))
    assert dimensions == sorted(dimensions)
    generator = np.random.default_rng(0)
    for rho in found:
        matrices = rho.matrices_Mdd
        unit = np.eye(rho.dimension)
        np.testing.assert_allclose(
            matrices @ matrices.conj().transpose(0, 2, 1), np.broadcast_to(unit, matrices.shape), atol=1e-10
        )
        for x in generator.choice(len(group), min(len(group), 12), replace=False):
            np.testing.assert_allclose(matrices[x] @ matrices, matrices[group.table_MM[x]], atol=1e-10)
        np.testing.assert_allclose(np.trace(matrices, axis1=1, axis2=2), rho.character_M, atol=1e-10)
        assert rho.matrices_Mdd.dtype == (np.float64 if rho.indicator == 1 else np.complex128)
    # Schur: all matrix entries of all representations are orthogonal.
    entries = np.concatenate(
        [np.sqrt(rho.dimension / len(group)) * rho.matrices_Mdd.reshape(len(group), -1) for rho in found], axis=1
    )
    np.testing.assert_allclose(entries.conj().T @ entries, np.eye(len(group)), atol=1e-10)


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_laws_of_characters(name):
    group = named_group(name)
    table = character_table(group)
    gram = table.values_CC * table.classes.sizes_C @ table.values_CC.conj().T / len(group)
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-10)
    np.testing.assert_allclose(table.values_CC[0], 1, atol=0)
    np.testing.assert_allclose(table.values_CC[table.conjugates_C], table.values_CC.conj(), atol=1e-12)
    # Frobenius and Schur: how many square roots an element has.
    roots = np.bincount(np.diagonal(group.table_MM), minlength=len(group))
    np.testing.assert_allclose(table.indicators_C @ table.on_elements_CM, roots, atol=1e-9)


@pytest.mark.parametrize("name", ["C7", "S4", "Q8", "Dic5", "Aff7", "S5"])
def test_the_transform_keeps_energy_turns_convolution_into_products_and_is_inverted(name):
    group = named_group(name)
    representations = irreducible_representations(group)
    first, second = np.random.default_rng(1).normal(size=(2, len(group)))
    transform = fourier_transform(first, representations)
    energy = sum(
        rho.dimension * np.square(np.abs(each)).sum() for rho, each in zip(representations, transform, strict=True)
    )
    np.testing.assert_allclose(energy / len(group), np.square(first).sum(), rtol=1e-12)
    np.testing.assert_allclose(inverse_fourier_transform(transform, representations), first, atol=1e-12)
    convolved = np.zeros(len(group))
    np.add.at(convolved, group.table_MM, np.outer(first, second))
    products = [x @ y for x, y in zip(transform, fourier_transform(second, representations), strict=True)]
    for mine, expected in zip(fourier_transform(convolved, representations), products, strict=True):
        np.testing.assert_allclose(mine, expected, atol=1e-10)


def test_names_count_within_a_dimension():
    names = [rho.name for rho in irreducible_representations(named_group("S4"))]
    assert names == ["ρ(1,0)", "ρ(1,1)", "ρ(2,0)", "ρ(3,0)", "ρ(3,1)"]


def test_the_quaternions_have_a_representation_that_no_real_numbers_write():
    last = irreducible_representations(named_group("Q8"))[-1]
    assert (last.dimension, last.indicator) == (2, -1)
