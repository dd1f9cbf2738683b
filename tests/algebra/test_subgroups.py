"""Subgroups: published numbers of them, and every subset that is closed, one by one."""

import itertools

import numpy as np
import pytest

from spectraledge.algebra import named_group, subgroups

# Subgroups and classes of them: GAP, and OEIS A005432, A000638, A006116.
COUNTS = {
    "C1": (1, 1),
    "C12": (6, 6),
    "S3": (6, 4),
    "Q8": (6, 6),
    "D4": (10, 8),
    "S4": (30, 11),
    "A5": (59, 9),
    "S5": (156, 19),
    "C2xC2xC2xC2": (67, 67),
    "D64": (134, 20),
}


@pytest.mark.parametrize("name", COUNTS)
def test_there_are_as_many_as_published(name):
    found = subgroups(named_group(name))
    assert found.complete
    assert (sum(each.conjugates for each in found.classes), len(found.classes)) == COUNTS[name]


@pytest.mark.parametrize("name", ["S3", "Q8", "C2xC4", "A4", "Dic3"])
def test_every_closed_subset_is_a_conjugate_of_one_of_them(name):
    group = named_group(name)
    others = [x for x in range(len(group)) if x != group.identity]
    closed = set()
    for size in range(len(group)):
        for chosen in itertools.combinations(others, size):
            members = {group.identity, *chosen}
            if all(int(group.table_MM[x, y]) in members for x in members for y in members):
                closed.add(frozenset(members))
    reached = set()
    for each in subgroups(group).classes:
        conjugates = {
            frozenset(int(group.quotients_MM[group.table_MM[g, x], g]) for x in each.elements)
            for g in range(len(group))
        }
        assert len(conjugates) == each.conjugates
        assert not conjugates & reached
        reached |= conjugates
    assert reached == closed


def test_a_search_that_is_cut_says_so():
    group = named_group("C2xC2xC2xC2")
    found = subgroups(group, most=10)
    assert (len(found.classes), found.complete) == (10, False)
    assert subgroups(group, most=67).complete


def test_only_orders_up_to_the_largest_are_sought():
    group = named_group("S4")
    small = subgroups(group, largest=4)
    assert small.complete
    expected = [each.elements.tolist() for each in subgroups(group).classes if len(each) <= 4]
    assert sorted(each.elements.tolist() for each in small.classes) == sorted(expected)
    assert [len(each) for each in small.classes] == sorted(len(each) for each in small.classes)
    np.testing.assert_array_equal(small.classes[0].elements, [group.identity])
