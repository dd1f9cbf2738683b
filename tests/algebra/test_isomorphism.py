"""Isomorphism: maps checked by the definition, groups told apart, also those whose characters agree."""

import itertools

import numpy as np
import pytest
from group_support import LARGE, NAMES, renamed, table_of

from spectraledge.algebra import (
    character_table,
    element_colours,
    fingerprint,
    group_from_table,
    groups_of_order,
    isomorphism,
    named_group,
)
from spectraledge.algebra.isomorphism import automorphisms


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_a_renamed_group_is_found_to_be_the_same(name):
    group, other = named_group(name), group_from_table(renamed(table_of(name), 8))
    image = isomorphism(group, other)
    assert sorted(image) == list(range(len(group)))
    np.testing.assert_array_equal(image[group.table_MM], other.table_MM[np.ix_(image, image)])
    assert fingerprint(group) == fingerprint(other)


@pytest.mark.parametrize("order", [8, 12, 16, 18, 20, 24, 27])
def test_all_groups_of_an_order_are_told_apart(order):
    groups = groups_of_order(order)
    assert len({fingerprint(group)[:8] for group in groups}) == len(groups)
    for first, second in itertools.combinations(groups, 2):
        assert isomorphism(first, second) is None


@pytest.mark.parametrize("pair", [("D4", "Q8"), ("D6", "Dic3"), ("C2xD4xQ8", "C2xD4xD4"), ("D64", "Dic32")])
def test_groups_with_one_character_table_or_alike_are_not_the_same(pair):
    first, second = map(named_group, pair)
    assert isomorphism(first, second) is None
    if pair[0] == "D4":
        np.testing.assert_array_equal(character_table(first).dimensions_C, character_table(second).dimensions_C)


def test_orders_that_differ_are_not_the_same():
    assert isomorphism(named_group("C4"), named_group("C5")) is None


@pytest.mark.parametrize("name", ["S3", "C2xC4", "Q8", "A4", "D6"])
def test_colours_are_kept_by_every_automorphism(name):
    group = named_group(name)
    colours = element_colours(group)
    fixed = element_colours(group, (1,))
    others = [x for x in range(len(group)) if x != group.identity]
    generators = next(
        list(pair)
        for size in (1, 2, 3)
        for pair in itertools.combinations(others, size)
        if len(group.generated(pair)) == len(group)
    )
    found = 0
    for images in itertools.permutations(others, len(generators)):
        words = {group.identity: group.identity}
        queue = [group.identity]
        for x in queue:
            for generator, image in zip(generators, images, strict=True):
                y = int(group.table_MM[x, generator])
                if y not in words:
                    words[y] = int(group.table_MM[words[x], image])
                    queue.append(y)
        image_M = np.array([words[x] for x in range(len(group))])
        kept = (image_M[group.table_MM] == group.table_MM[np.ix_(image_M, image_M)]).all()
        if kept and len(set(image_M.tolist())) == len(group):
            found += 1
            np.testing.assert_array_equal(colours[image_M], colours)
            if image_M[1] == 1:
                np.testing.assert_array_equal(fixed[image_M], fixed)
    assert found > 1


@pytest.mark.parametrize("name", ["C1", "C2", "C2xC2", "C4", "S3", "C7", "Q8", "D4", "C2xC2xC2"])
def test_automorphisms_are_all_maps_that_keep_products(name):
    group = group_from_table(renamed(table_of(name), 3))
    others = np.delete(np.arange(len(group)), group.identity)
    maps = np.array([np.insert(p, group.identity, group.identity) for p in itertools.permutations(others)], dtype=int)
    kept = (maps[:, group.table_MM] == group.table_MM[maps[:, :, None], maps[:, None, :]]).all(axis=(1, 2))
    assert sorted(automorphisms(group).tolist()) == sorted(maps[kept].tolist())


@pytest.mark.parametrize(("name", "count"), [("C2xC2xC2xC2", 20160), ("S4", 24), ("D12", 48), ("C3xC3", 48)])
def test_there_are_as_many_automorphisms_as_published(name, count):
    assert len(automorphisms(named_group(name))) == count
