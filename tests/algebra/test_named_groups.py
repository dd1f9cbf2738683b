"""Groups by name: presentations, sympy's groups, and names that are refused."""

import itertools

import numpy as np
import pytest
from group_support import LARGE, NAMES
from sympy.combinatorics import named_groups as theirs

from spectraledge.algebra import (
    affine,
    alternating,
    check_group,
    conjugacy_classes,
    cyclic,
    dicyclic,
    dihedral,
    identify,
    named_group,
    quaternion,
    symmetric,
    units,
)
from spectraledge.errors import InputError

SYMPY = {
    "S4": theirs.SymmetricGroup(4),
    "S5": theirs.SymmetricGroup(5),
    "A4": theirs.AlternatingGroup(4),
    "A5": theirs.AlternatingGroup(5),
    "D7": theirs.DihedralGroup(7),
    "D12": theirs.DihedralGroup(12),
    "C15": theirs.CyclicGroup(15),
    "C2xC6": theirs.AbelianGroup(2, 6),
}


def words(group, *elements):
    product = group.identity
    for element in elements:
        product = int(group.table_MM[product, element])
    return product


@pytest.mark.parametrize("name", [*NAMES, *LARGE, "C4xC4xC8", "Dic1", "D1", "D2", "S1", "A1", "A2", "Aff2", "Q32"])
def test_every_name_makes_a_group_of_that_name(name):
    group = named_group(name)
    check_group(group.table_MM)
    assert group.name == name


@pytest.mark.parametrize("name", SYMPY)
def test_orders_of_elements_and_classes_are_those_of_sympy(name):
    mine, other = named_group(name), SYMPY[name]
    assert sorted(mine.orders_M) == sorted(element.order() for element in other.elements)
    classes = conjugacy_classes(mine)
    mine_sizes = [
        (int(mine.orders_M[x]), int(size)) for x, size in zip(classes.representatives_C, classes.sizes_C, strict=True)
    ]
    other_sizes = [(next(iter(each)).order(), len(each)) for each in other.conjugacy_classes()]
    assert sorted(mine_sizes) == sorted(other_sizes)


@pytest.mark.parametrize("sides", [1, 2, 3, 8, 9])
def test_turns_and_reflections_of_a_polygon(sides):
    group = dihedral(sides)
    r, s = 1 % sides, sides
    assert len(group) == 2 * sides
    assert words(group, *[r] * sides) == words(group, s, s) == words(group, s, r, s, r) == group.identity
    for k in range(sides):
        assert words(group, *[r] * k) == k
        assert words(group, *[r] * k, s) == sides + k


@pytest.mark.parametrize("half", [1, 2, 3, 8])
def test_dicyclic_groups_have_their_presentation(half):
    group = dicyclic(half)
    a, x = 1, 2 * half
    assert len(group) == 4 * half
    assert words(group, *[a] * (2 * half)) == words(group, x, a, x, *[a] * (half + 1)) == group.identity
    assert words(group, x, x) == words(group, *[a] * half)
    for k in range(2 * half):
        assert words(group, *[a] * k) == k
        assert words(group, *[a] * k, x) == 2 * half + k


def test_units_of_the_quaternions_multiply_as_hamilton_wrote():
    group = quaternion()
    one, i, minus, minus_i, j, k, minus_j, minus_k = range(8)
    for square in (i, j, k):
        assert words(group, square, square) == minus
    assert words(group, i, j, k) == minus
    assert (words(group, j, i), words(group, i, minus), words(group, j, minus)) == (minus_k, minus_i, minus_j)
    assert group.identity == one


def test_permutations_are_composed_from_the_right():
    group, even = symmetric(4), alternating(4)
    listed = list(itertools.permutations(range(4)))
    for x, y in itertools.product(range(24), repeat=2):
        assert listed[group.table_MM[x, y]] == tuple(listed[x][listed[y][k]] for k in range(4))
    signs = [round(np.linalg.det(np.eye(4)[list(p)])) for p in listed]
    listed = [p for p, sign in zip(listed, signs, strict=True) if sign > 0]
    for x, y in itertools.product(range(12), repeat=2):
        assert listed[even.table_MM[x, y]] == tuple(listed[x][listed[y][k]] for k in range(4))


def test_affine_maps_are_composed():
    group = affine(5)
    for (a, b), (c, d) in itertools.product(itertools.product(range(1, 5), range(5)), repeat=2):
        found = group.table_MM[(a - 1) * 5 + b, (c - 1) * 5 + d]
        values = [(a * (c * z + d) + b) % 5 for z in range(5)]
        assert [((found // 5 + 1) * z + found % 5) % 5 for z in range(5)] == values


@pytest.mark.parametrize(("modulus", "structure"), [(1, "C1"), (2, "C1"), (8, "C2xC2"), (15, "C2xC4"), (97, "C96")])
def test_units_are_the_residues_with_an_inverse(modulus, structure):
    group = units(modulus)
    residues = [a for a in range(modulus) if any(a * b % modulus == 1 % modulus for b in range(modulus))]
    expected = [[residues.index(a * b % modulus) for b in residues] for a in residues]
    np.testing.assert_array_equal(group.table_MM, expected)
    assert identify(group).group.name == structure


def test_residues_are_added():
    np.testing.assert_array_equal(cyclic(6).table_MM, np.add.outer(range(6), range(6)) % 6)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "unknown group '': known are C12, D7"),
        ("T4", "unknown group 'T4'"),
        ("C3x", "unknown group 'C3x'"),
        ("C3 x C4", "unknown group"),
        ("S", "unknown group 'S'"),
        ("C0", "at least 1, got C0"),
        ("S0", "at least 1, got S0"),
        ("S7", "S7 is of order 5,040, and groups are made up to 2,048"),
        ("S99", "and groups are made up to 2,048"),
        ("C99999999999", "and groups are made up to 2,048"),
        ("C100xC100", "C100xC100 is of order 10,000"),
        ("Aff6", "the affine group needs a prime modulus, got 6: use 5 or 7"),
        ("Q12", "quaternion groups have order 8, 16, 32, …, got 12: Dic3 is near"),
        ("Q1", "quaternion groups have order 8"),
        ("U2053", "U2053 is of order 2,052, and groups are made up to 2,048"),
        ("U99999999999", "is of order above 2,048"),
        ("U0", "at least 1, got U0"),
    ],
)
def test_what_names_no_group_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        named_group(name)
