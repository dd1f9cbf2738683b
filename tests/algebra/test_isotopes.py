"""Tables that are groups' up to names: the principal isotope, labels, and how far such tables lie apart."""

import itertools

import numpy as np
import pytest
from group_support import LOOP, NAMES, isotope, renamed, table_of

from spectraledge.algebra import (
    Labels,
    as_group,
    check_group,
    group_from_table,
    group_labels,
    isomorphism,
    named_group,
    separation,
)


@pytest.mark.parametrize("name", NAMES)
def test_the_principal_isotope_is_the_group(name):
    table = isotope(table_of(name), 1)
    assert isomorphism(named_group(name), group_from_table(as_group(table))) is not None


@pytest.mark.parametrize("name", NAMES)
def test_labels_turn_the_table_into_the_groups(name):
    table = isotope(table_of(name), 2)
    group, labels = group_labels(table)
    check_group(group)
    for a, b in itertools.product(range(len(table)), repeat=2):
        assert group[labels.rows_M[a], labels.columns_M[b]] == labels.answers_K[table[a, b]]
    for kind in (labels.rows_M, labels.columns_M, labels.answers_K):
        assert sorted(kind) == list(range(len(table)))


def test_names_stay_where_one_name_serves_all_three():
    table = renamed(table_of("S4"), 3)
    group, labels = group_labels(table)
    np.testing.assert_array_equal(group, table)
    for kind in (labels.rows_M, labels.columns_M, labels.answers_K):
        np.testing.assert_array_equal(kind, np.arange(24))


@pytest.mark.parametrize("table", [LOOP, np.zeros((3, 3), dtype=int), np.arange(9).reshape(3, 3) % 4], ids=len)
def test_what_is_no_groups_has_no_labels(table):
    assert group_labels(table) is None


def test_an_answer_without_an_element_and_a_missing_entry_do_not_agree():
    group = named_group("C2")
    labels = Labels(np.array([0, 1]), np.array([0, 1]), np.array([0, 1, -1]))
    found = labels.agrees(group, np.array([[0, 2], [-1, 0]]))
    assert found.tolist() == [[True, False], [False, True]]
    mapped = labels.mapped(np.array([1, 0]))
    assert (mapped.rows_M.tolist(), mapped.answers_K.tolist()) == ([1, 0], [1, 0, -1])


@pytest.mark.parametrize(("order", "names"), [(3, ["C3"]), (4, ["C4", "C2xC2"]), (5, ["C5"]), (6, ["C6", "S3"])])
def test_no_two_tables_of_groups_are_nearer_than_said(order, names):
    # Two tables that share a row and a column are two groups with one identity; others differ in all rows or columns.
    tails = np.array(list(itertools.permutations(range(1, order))))
    maps = np.insert(tails, 0, 0, axis=1)
    nearest = 2 * order
    for first, second in itertools.combinations_with_replacement(map(table_of, names), 2):
        found = maps[:, second]
        kept = first[maps[:, :, None], maps[:, None, :]]
        differences = (found != kept).sum(axis=(1, 2))
        nearest = min(nearest, int(differences[differences > 0].min(initial=2 * order)))
    assert separation(order) == nearest
