"""Groups as tables: their laws by the definition, and what is refused."""

import numpy as np
import pytest
from group_support import LARGE, LOOP, NAMES, renamed, table_of

from spectraledge.algebra import conjugacy_classes, direct_product, group_from_table, named_group
from spectraledge.errors import InputError


@pytest.mark.parametrize("name", [*NAMES, *LARGE])
def test_identity_inverses_and_quotients_are_what_they_are_called(name):
    group = group_from_table(renamed(table_of(name), 4), name=name)
    elements = np.arange(len(group))
    table, e = group.table_MM, group.identity
    np.testing.assert_array_equal(table[e], elements)
    np.testing.assert_array_equal(table[:, e], elements)
    np.testing.assert_array_equal(table[elements, group.inverses_M], e)
    np.testing.assert_array_equal(table[group.quotients_MM, elements], elements[:, None].repeat(len(group), 1))


@pytest.mark.parametrize("name", ["C12", "S4", "Dic5", "C2xQ8"])
def test_powers_and_commutators_are_those_of_products_one_by_one(name):
    group = named_group(name)
    for x in range(len(group)):
        powers = [group.identity]
        for _ in range(len(group)):
            powers.append(int(group.table_MM[powers[-1], x]))
        assert group.orders_M[x] == next(k for k in range(1, len(powers)) if powers[k] == group.identity)
        assert group.powers(x) == powers[: group.orders_M[x]]
        primes = [p for p in (2, 3, 5) if len(group) % p == 0]
        assert group.prime_powers_PM[:, x].tolist() == [powers[p] for p in primes]
        for y in range(len(group)):
            product = group.table_MM[group.table_MM[x, y], group.inverses_M[x]]
            assert group.commutators_MM[x, y] == group.table_MM[product, group.inverses_M[y]]


def test_elements_generate_the_closure_of_their_products():
    group = named_group("S4")
    generator = np.random.default_rng(0)
    for _ in range(30):
        chosen = generator.choice(24, 2).tolist()
        closure = {group.identity, *chosen}
        while (larger := closure | {int(group.table_MM[x, y]) for x in closure for y in closure}) != closure:
            closure = larger
        assert group.generated(chosen).tolist() == sorted(closure)


@pytest.mark.parametrize("name", NAMES)
def test_classes_are_those_of_conjugates(name):
    group = named_group(name)
    classes = conjugacy_classes(group)
    for x in range(len(group)):
        conjugates = {int(group.quotients_MM[group.table_MM[g, x], g]) for g in range(len(group))}
        assert set(np.flatnonzero(classes.class_M == classes.class_M[x]).tolist()) == conjugates
        assert classes.sizes_C[classes.class_M[x]] == len(conjugates)
        assert classes.representatives_C[classes.class_M[x]] == min(conjugates)
    assert classes.class_M[group.identity] == 0
    assert len(classes) == classes.class_M.max() + 1


def test_a_product_acts_in_each_place():
    first, second = named_group("S3"), named_group("C4")
    product = direct_product(first, second)
    assert product.name == "S3xC4"
    for x in range(24):
        for y in range(24):
            expected = first.table_MM[x // 4, y // 4] * 4 + second.table_MM[x % 4, y % 4]
            assert product.table_MM[x, y] == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros((2, 3), dtype=int), "a row and a column of integers for every element, got int64 of shape 2 × 3"),
        (np.zeros((0, 0), dtype=int), "a row and a column of integers for every element"),
        (np.eye(2), "integers for every element, got float64"),
        ([["a"]], "integers for every element, got <U1"),
        (np.ones((1, 1), dtype=int), r"entries 0\.\.0, got 1\.\.1: number the elements from 0"),
        (np.array([[0, -1], [1, 0]]), r"got -1\.\.1"),
        (np.zeros((3, 3), dtype=int), "every row and column has every answer once"),
        (LOOP, r"\(x·y\)·z is not x·\(y·z\) for x, y, z = 1, 1, 2"),
        (np.broadcast_to(np.int64(0), (2049, 2049)), "read up to 2,048 elements, got 2,049"),
    ],
)
def test_a_table_that_is_no_groups_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        group_from_table(table)
