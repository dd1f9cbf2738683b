"""Functions on groups by frequency: against characters written out, by their laws, and on tables that are no groups."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.algebra import (
    cyclic_characters,
    irreducible_characters,
    named_group,
    spectrum_of_means,
    unit_characters,
    walsh_characters,
)
from spectraledge.errors import InputError


def table_of(elements, product):
    place = {element: x for x, element in enumerate(elements)}
    return np.array([[place[product(x, y)] for y in elements] for x in elements])


def cyclic(order):
    return table_of(range(order), lambda x, y: (x + y) % order)


def symmetric(count):
    return table_of(list(itertools.permutations(range(count))), lambda x, y: tuple(x[k] for k in y))


def dihedral(order):
    """Pairs of a turn and a flip: (r, s)(t, u) = (r ± t, s + u), minus after a flip."""
    elements = [(turn, flip) for flip in (0, 1) for turn in range(order)]
    return table_of(elements, lambda x, y: ((x[0] + (-1) ** x[1] * y[0]) % order, (x[1] + y[1]) % 2))


def quaternions():
    units = {name: np.array(value) for name, value in [("1", np.eye(2)), ("i", [[1j, 0], [0, -1j]])]}
    units["j"] = np.array([[0, 1], [-1, 0]])
    units["k"] = units["i"] @ units["j"]
    matrices = [sign * unit for unit in units.values() for sign in (1, -1)]
    return np.array(
        [[next(z for z, m in enumerate(matrices) if np.allclose(m, x @ y)) for y in matrices] for x in matrices]
    )


def renamed(table, seed):
    names = np.random.default_rng(seed).permutation(len(table))
    places = np.argsort(names)
    return names[table[np.ix_(places, places)]]


# Squared dimensions of the irreducible representations; a pair of conjugate ones is one entry, twice as large.
GROUPS = {
    "one element": (cyclic(1), []),
    "Z_2": (cyclic(2), [1]),
    "Z_12": (cyclic(12), [2, 2, 2, 2, 2, 1]),
    "Z_97": (cyclic(97), [2] * 48),
    "S_3": (symmetric(3), [1, 4]),
    "S_4": (symmetric(4), [1, 4, 9, 9]),
    "dihedral, 5": (dihedral(5), [1, 4, 4]),
    "dihedral, 6": (dihedral(6), [1, 1, 1, 4, 4]),
    "quaternions": (quaternions(), [1, 1, 1, 4]),
    "S_4 renamed": (renamed(symmetric(4), 3), [1, 4, 9, 9]),
}


@pytest.mark.parametrize(("table", "sizes"), GROUPS.values(), ids=GROUPS)
def test_frequencies_are_the_irreducible_representations(table, sizes):
    found = irreducible_characters(table)
    np.testing.assert_array_equal(np.bincount(found.frequency_M), [1, *sizes])
    assert np.ptp(found.functions_MM[:, 0]) < 1e-9


@pytest.mark.parametrize(("table", "sizes"), GROUPS.values(), ids=GROUPS)
def test_translations_map_each_subspace_to_itself(table, sizes):
    found = irreducible_characters(table)
    np.testing.assert_allclose(found.functions_MM.T @ found.functions_MM, np.eye(len(table)), atol=1e-10)
    for moved in (table[len(table) // 2], table[:, -1]):
        mixed = found.functions_MM.T @ found.functions_MM[moved]
        other = found.frequency_M[:, None] != found.frequency_M
        np.testing.assert_allclose(mixed[other], 0, atol=1e-8)


@pytest.mark.parametrize("order", [2, 7, 12])
def test_those_of_a_cyclic_group_are_its_frequencies(order):
    found, known = irreducible_characters(cyclic(order)), cyclic_characters(order)

    def projectors(characters):
        columns = [characters.functions_MM[:, characters.frequency_M == f] for f in range(1, order // 2 + 1)]
        return [(c @ c.T).ravel() for c in columns]

    assert [found.name(frequency) for frequency in (0, 1)] == ["", "frequency 1"]
    for projector, other in zip(projectors(found), projectors(known), strict=True):
        np.testing.assert_allclose(projector, other, atol=1e-8)


NAMED = {
    "C6": (),
    "S4": ("sign", "dimension 2", "standard", "standard × sign"),
    "A5": ("dimension 3 (a)", "dimension 3 (b)", "standard", "dimension 5"),
    "D5": ("sign", "dimension 2 (a)", "dimension 2 (b)"),
    "U15": (*(f"character of order 2 ({x})" for x in "abc"), *(f"character of order 4 ({x})" for x in "ab")),
    "Aff7": ("sign", "character of order 3", "character of order 6", "dimension 6"),
    "C3xQ8": (
        *(f"character of order 2 ({x})" for x in "abc"),
        "character of order 3",
        *(f"character of order 6 ({x})" for x in "abc"),
        "dimension 2 (a)",
        "dimension 2 (b)",
    ),
}


@pytest.mark.parametrize(("name", "names"), NAMED.items())
def test_representations_have_the_names_of_the_field(name, names):
    assert irreducible_characters(named_group(name)).names == names


def test_the_standard_representation_moves_letters_and_the_sign_is_that_of_permutations():
    for table, places in ((symmetric(4), np.arange(24)), (renamed(symmetric(4), 3), None)):
        found = irreducible_characters(table)
        if places is None:
            places = np.random.default_rng(3).permutation(24)
        letters = np.array(list(itertools.permutations(range(4))))
        moved_M = np.zeros(24)
        moved_M[places] = (letters[:, 0] == 2) - 0.25
        inside = found.functions_MM[:, found.frequency_M == 1 + found.names.index("standard")]
        np.testing.assert_allclose(inside @ (inside.T @ moved_M), moved_M, atol=1e-9)
        signs_M = np.zeros(24)
        signs_M[places] = [np.linalg.det(np.eye(4)[row]) for row in letters]
        inside = found.functions_MM[:, found.frequency_M == 1 + found.names.index("sign")]
        np.testing.assert_allclose(inside @ (inside.T @ signs_M), signs_M, atol=1e-9)


def test_subspaces_of_several_alike_go_on_after_z():
    names = irreducible_characters(named_group("D64")).names
    assert names[3:6] == ("dimension 2 (a)", "dimension 2 (b)", "dimension 2 (c)")
    assert names[3 + 26 :][:2] == ("dimension 2 (aa)", "dimension 2 (ab)")
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("modulus", [2, 4, 9, 12, 15, 16, 97])
def test_the_units_map_each_subspace_of_their_characters_to_itself(modulus):
    found = unit_characters(modulus)
    residues = np.arange(modulus)
    np.testing.assert_allclose(found.functions_MM.T @ found.functions_MM, np.eye(modulus), atol=1e-10)
    np.testing.assert_allclose(found.functions_MM[:, 0], found.functions_MM[0, 0], atol=1e-9)
    inside = [found.functions_MM[:, found.frequency_M == k + 1] for k in range(len(found.names))]
    units = residues[np.gcd(residues, modulus) == 1]
    for functions in inside:
        for unit in units:
            moved = functions[unit * residues % modulus]
            np.testing.assert_allclose(functions @ (functions.T @ moved), moved, atol=1e-8)
    # Functions of the divisor do not know which unit is which.
    divisors = np.gcd(residues, modulus)
    assert inside[0].shape[1] == len(np.unique(divisors)) - 1
    for divisor in np.unique(divisors):
        assert np.ptp(inside[0][divisors == divisor], axis=0).max() < 1e-9


def test_characters_of_units_have_their_order():
    assert unit_characters(9).names == ("gcd", "character of order 2", "character of order 3", "character of order 6")
    found = unit_characters(9)
    legendre_n = np.array([0.0, 1, -1, 0, 1, -1, 0, 1, -1])
    inside = found.functions_MM[:, found.frequency_M == 2]
    np.testing.assert_allclose(inside @ (inside.T @ legendre_n), legendre_n, atol=1e-9)


def test_parities_are_those_of_the_bits_that_are_set():
    found = walsh_characters(3)
    expected = [[(-1) ** bin(x & s).count("1") / np.sqrt(8) for s in range(8)] for x in range(8)]
    np.testing.assert_allclose(found.functions_MM, expected, atol=1e-12)
    np.testing.assert_array_equal(found.frequency_M, range(8))


@given(order=st.integers(1, 9), seed=st.integers(0, 99))
def test_power_is_that_of_the_published_definition_up_to_the_norm_of_the_waves(order, seed):
    means_KM = np.random.default_rng(seed).normal(size=(3, order)) + 5.0
    means_KM[1, 0] = np.nan
    found = cyclic_characters(order).power(means_KM)
    frequencies = np.arange(1, order // 2 + 1)
    scale = np.where(2 * frequencies == order, 1, 2) / order
    np.testing.assert_allclose(found, spectrum_of_means(means_KM) * scale, rtol=1e-9, atol=1e-12)


def test_a_constant_has_no_power():
    np.testing.assert_array_equal(walsh_characters(2).power(np.full((1, 4), 0.1)), np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((3, 3), dtype=int), "every row and column has every answer once"),
        ((np.arange(5)[:, None] - np.arange(5)) % 5, r"\(x·y\)·z is not x·\(y·z\) for x, y, z = 0, 0, 1"),
    ],
    ids=["constant", "subtraction"],
)
def test_a_table_that_is_no_group_is_refused_with_what_it_lacks(table, message):
    with pytest.raises(InputError, match=message):
        irreducible_characters(table)
