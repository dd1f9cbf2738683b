"""Names of groups: the rules, other names, and groups that have none."""

import itertools
import math

import numpy as np
import pytest
from group_support import LARGE, NAMES, renamed, table_of

from spectraledge.algebra import (
    candidate_names,
    fingerprint,
    group_from_table,
    groups_of_order,
    identify,
    isomorphism,
    named_group,
)

NAME_OF = {
    "C3xC4": "C12",
    "C4xC6": "C2xC12",
    "C6xC10": "C2xC30",
    "D1": "C2",
    "D2": "C2xC2",
    "D3": "S3",
    "Aff3": "S3",
    "C2xS3": "D6",
    "C2xD5": "D10",
    "Dic1": "C4",
    "Dic2": "Q8",
    "Q16": "Dic4",
    "C3xD3": "C3xS3",
    "C2xD6": "C2xC2xS3",
    "D4xC3": "C3xD4",
    "A4xS3": "S3xA4",
    "C5xC3": "C15",
    "S3xC4xC3": "C12xS3",
    "A5xC2": "C2xA5",
    "Aff2": "C2",
    "S1": "C1",
}


@pytest.mark.parametrize(("given", "name"), NAME_OF.items())
def test_a_group_has_one_name_and_others_beside_it(given, name):
    found = identify(group_from_table(renamed(table_of(given), 5)))
    assert (found.group.name, found.is_named) == (name, True)
    assert name not in found.also


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_the_map_is_an_isomorphism_to_the_group_of_the_name(name):
    group = group_from_table(renamed(table_of(name), 7))
    found = identify(group)
    np.testing.assert_array_equal(found.group.table_MM, named_group(found.group.name).table_MM)
    image = found.image_M
    np.testing.assert_array_equal(image[group.table_MM], found.group.table_MM[np.ix_(image, image)])
    for other in found.also:
        assert isomorphism(group, named_group(other)) is not None


def test_other_names_are_all_that_are_spelled():
    assert identify(named_group("D6")).also == ("C2xS3", "C2xD3", "C2xAff3")
    assert identify(named_group("C12")).also == ("C3xC4",)
    assert identify(named_group("S3")).also == ("D3", "Aff3")


@pytest.mark.parametrize("order", [1, 4, 12, 36, 64])
def test_commutative_groups_are_named_by_factors_that_divide_the_next(order):
    names = [name for name in candidate_names(order, is_abelian=True) if identify(named_group(name)).group.name == name]
    for name in names:
        factors = [int(part[1:]) for part in name.split("x")]
        assert math.prod(factors) == order
        assert all(second % first == 0 for first, second in itertools.pairwise(factors))
    prints = {fingerprint(named_group(name)) for name in candidate_names(order, is_abelian=True)}
    assert len(names) == len(prints) == {1: 1, 4: 2, 12: 2, 36: 4, 64: 11}[order]


def test_a_group_without_a_name_is_described_and_keeps_its_table():
    (frobenius,) = (group for group in groups_of_order(21) if not group.is_abelian)
    found = identify(frobenius)
    assert not found.is_named
    assert found.group.name.startswith("group of order 21, not commutative, 5 classes, no name here (fingerprint ")
    np.testing.assert_array_equal(found.group.table_MM, frobenius.table_MM)
    np.testing.assert_array_equal(found.image_M, np.arange(21))


@pytest.mark.parametrize(("order", "named"), [(16, 9), (18, 4), (24, 12), (30, 4)])
def test_names_and_descriptions_tell_all_groups_of_an_order_apart(order, named):
    found = [identify(group) for group in groups_of_order(order)]
    assert len({each.group.name for each in found}) == len(found)
    assert sum(each.is_named for each in found) == named
