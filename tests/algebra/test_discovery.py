"""Which group a table is: every kind under other names, damaged, incomplete, and tables that are no groups'."""

import itertools

import numpy as np
import pytest
from group_support import LARGE, LOOP, NAMES, damaged, isotope, table_of

from spectraledge.algebra import discover, groups_of_order, identify, isomorphism, named_group
from spectraledge.algebra.discovery import LARGEST_TRIED
from spectraledge.errors import InputError


def agrees(found, table):
    """Whether labels, counts and distance say the same, by the definition."""
    group, labels = found.group.table_MM, found.labels
    same = 0
    for a in range(len(table)):
        for b in range(len(table)):
            answer = labels.answers_K[table[a, b]] if table[a, b] >= 0 else -1
            same += group[labels.rows_M[a], labels.columns_M[b]] == answer
    assert found.changes == table.size - same
    assert found.distance == found.changes / table.size
    assert found.is_group == (found.changes == 0)
    return True


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_a_group_is_found_behind_names(name):
    table = isotope(table_of(name), 0)
    found = discover(table)
    assert found.group.name == identify(named_group(name)).group.name
    assert found.is_group
    assert found.is_exact
    assert found.is_latin
    assert agrees(found, table)


@pytest.mark.parametrize("order", [16, 20, 21, 24, 27])
def test_every_group_of_an_order_is_found_also_without_a_name(order):
    for seed, group in enumerate(groups_of_order(order)):
        found = discover(isotope(group.table_MM, seed))
        assert found.is_group
        assert found.group.name == identify(group).group.name
        assert isomorphism(found.group, group) is not None


@pytest.mark.parametrize("name", ["C5", "S3", "C7", "Q8", "C12", "S4", "Aff7", "A5"])
def test_a_few_wrong_entries_are_counted_exactly(name):
    table = isotope(table_of(name), 9)
    for count in (1, 2, len(table) // 2):
        spoiled = damaged(table, count, count)
        found = discover(spoiled)
        assert (found.changes, found.is_exact, found.is_group) == (count, True, False)
        assert found.group.name == name
        assert agrees(found, spoiled)


def test_many_wrong_entries_give_an_upper_bound():
    table = isotope(table_of("S4"), 1)
    found = discover(damaged(table, 100, 3))
    assert (found.group.name, found.changes, found.is_exact) == ("S4", 100, False)


def test_missing_entries_are_changes_and_counted():
    table = isotope(table_of("D5"), 2)
    table[[0, 3, 4], [5, 5, 9]] = -1
    found = discover(table)
    assert (found.group.name, found.changes, found.missing, found.is_exact) == ("D5", 3, 3, True)
    assert agrees(found, table)


def test_an_answer_too_many_is_a_change():
    table = isotope(table_of("C9"), 2)
    table[4, 4] = 9
    found = discover(table)
    assert (found.group.name, found.changes, found.labels.answers_K[9]) == ("C9", 1, -1)
    assert agrees(found, table)


def test_a_loop_is_no_group_though_a_latin_square():
    found = discover(LOOP)
    assert (found.is_group, found.is_latin, found.is_exact) == (False, True, True)
    assert found.group.name == "C5"
    assert agrees(found, LOOP)


@pytest.mark.parametrize("order", [2, 3, 5, 7, 8, 12])
def test_tables_at_random_are_no_groups(order):
    table = np.random.default_rng(order).integers(0, order, (order, order))
    found = discover(table)
    assert not found.is_group
    assert found.is_exact or order > LARGEST_TRIED
    assert agrees(found, table)


def test_one_element_and_two():
    assert discover([[0]]).group.name == "C1"
    assert discover([[1, 0], [0, 1]]).group.name == "C2"
    found = discover([[0, 0], [0, 0]])
    assert (found.group.name, found.changes, found.is_exact) == ("C2", 2, True)
    assert discover([[0, -1], [-1, -1]]).changes == 3


def test_a_table_of_one_answer_is_far_from_any_group():
    found = discover(np.zeros((9, 9), dtype=int))
    assert found.changes == 72
    assert agrees(found, np.zeros((9, 9), dtype=int))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((2, 3), dtype=int), "got int64 of shape 2 × 3"),
        (np.full((3, 3), -1), "the table has no entry"),
        (np.full((3, 3), 9), "a table of 9 entries has no answer 9"),
        (np.zeros((3, 3)), "got float64"),
    ],
)
def test_what_is_no_table_of_an_operation_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        discover(table)


def test_of_all_loops_of_order_five_exactly_those_that_are_groups_are_called_so():
    # Reduced Latin squares: the first row and column in order. There are 56, and Z_5 in 4!/4 of them.
    squares = [[list(range(5))]]
    for a in range(1, 5):
        rows = [p for p in itertools.permutations(range(5)) if p[0] == a]
        squares = [
            [*square, list(row)]
            for square in squares
            for row in rows
            if all(row[b] != other[b] for other in square for b in range(5))
        ]
    assert len(squares) == 56
    found = [discover(square) for square in squares]
    assert sum(each.is_group for each in found) == 6
    assert all(each.is_exact and each.group.name == "C5" for each in found)


@pytest.mark.parametrize("name", ["C3", "D4", "C30"])
@pytest.mark.parametrize("renamed", [lambda x: 2 * x, lambda x: x + 3])
def test_a_latin_square_is_one_whatever_numbers_its_answers_have(name, renamed):
    table = renamed(table_of(name))
    found = discover(table)
    assert (found.group.name, found.is_group, found.is_latin) == (name, True, True)
    assert agrees(found, table)
    table[0, 0] = table[0, 1]
    assert not discover(table).is_latin
