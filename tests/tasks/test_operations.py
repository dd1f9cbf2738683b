"""The known operations, against plain Python on every pair of their domain."""

import re

import numpy as np
import pytest

from spectraledge.errors import InputError
from spectraledge.tasks import OPERATIONS, Task, default_groupings, grouping, named_task, task_from_source
from spectraledge.tasks.operations import all_pairs

NAIVE = {
    "add": lambda a, b, n: (a + b) % n,
    "sub": lambda a, b, n: (a - b) % n,
    "mul": lambda a, b, n: a * b % n if a and b else None,
    "div": lambda a, b, n: a * pow(b, n - 2, n) % n if b else None,
    "square_sum": lambda a, b, n: (a**2 + b**2) % n,
    "quadratic": lambda a, b, n: (a**2 + a * b + b**2) % n,
    "cubic": lambda a, b, n: (a**3 + a * b) % n,
    "maximum": lambda a, b, n: max(a, b),
}
PERMUTED = {"permuted_add": "add", "permuted_mul": "mul"}
KNOWN = [*NAIVE, *PERMUTED]
COMPOSITE = sorted(set(NAIVE) - {"div"})


def naive_table(name, modulus):
    answers = [(a, b, NAIVE[name](a, b, modulus)) for a in range(modulus) for b in range(modulus)]
    return [row for row in answers if row[2] is not None]


@pytest.mark.parametrize(("name", "of"), PERMUTED.items())
def test_permuted_answers_are_the_same_answers_elsewhere(name, of):
    permuted, original = named_task(name), named_task(of)
    np.testing.assert_array_equal(permuted.pairs_N2, original.pairs_N2)
    np.testing.assert_array_equal(np.bincount(permuted.labels_N), np.bincount(original.labels_N))
    # By chance one in 97 is where it was, give or take 0.1 % (one standard deviation).
    assert np.mean(permuted.labels_N == original.labels_N) < 0.015
    assert named_task(name).digest == permuted.digest


@pytest.mark.parametrize("modulus", [5, 7, 97])
@pytest.mark.parametrize("name", NAIVE)
def test_labels_agree_with_plain_python(name, modulus):
    task = named_task(name, modulus=modulus)
    table = np.column_stack([task.pairs_N2, task.labels_N])
    np.testing.assert_array_equal(table, naive_table(name, modulus))
    assert (task.name, task.modulus, len(task)) == (name, modulus, len(table))


@pytest.mark.parametrize("modulus", [4, 6, 8, 30])
@pytest.mark.parametrize("name", COMPOSITE)
def test_operations_without_inverses_take_any_modulus(name, modulus):
    task = named_task(name, modulus=modulus)
    np.testing.assert_array_equal(np.column_stack([task.pairs_N2, task.labels_N]), naive_table(name, modulus))


@pytest.mark.parametrize("modulus", [5, 7, 97])
def test_division_undoes_multiplication(modulus):
    task = named_task("div", modulus=modulus)
    a, b = task.pairs_N2.T
    np.testing.assert_array_equal(task.labels_N * b % modulus, a)


def test_domains_leave_out_zeros_where_the_group_has_none():
    counts = {name: len(named_task(name)) for name in KNOWN}
    smaller = {"mul": 96 * 96, "permuted_mul": 96 * 96, "div": 97 * 96}
    assert counts == dict.fromkeys(KNOWN, 97 * 97) | smaller
    assert named_task("mul").pairs_N2.min() == 1
    np.testing.assert_array_equal(named_task("div").pairs_N2.min(axis=0), [0, 1])


def test_the_default_modulus_is_the_published_one():
    assert named_task("add").modulus == 97


def test_pairs_run_a_outer_b_inner():
    np.testing.assert_array_equal(all_pairs(3), [[a, b] for a in range(3) for b in range(3)])
    np.testing.assert_array_equal(all_pairs(3, (1, 2)), [[1, 2], [2, 2]])
    assert all_pairs(3).dtype == np.int64


@pytest.mark.parametrize("modulus", [4, 96])
def test_division_refuses_a_composite_modulus_and_says_what_to_take(modulus):
    message = rf"division needs a prime modulus, got {modulus}: use .*, or the units .*group:U{modulus}:ab\^-1"
    with pytest.raises(InputError, match=message):
        named_task("div", modulus=modulus)
    assert len(task_from_source(f"group:U{modulus}:ab^-1")) > 1


def test_products_on_a_composite_modulus_have_a_basis_of_their_own():
    task = named_task("mul", modulus=12)
    a, b = task.pairs_N2.T
    np.testing.assert_array_equal(task.labels_N, a * b % 12)
    assert (task.structure, len(task)) == ("ring_product", 121)
    assert named_task("mul", modulus=13).structure == "dlog_sum"
    found = grouping(task, task.structure)
    assert (found.order, found.excluded) == (12, 0)
    assert found.functions.name(1) == "gcd"
    for name in ("add", "sub", "mul"):
        assert named_task(name, modulus=12).structure in default_groupings(named_task(name, modulus=12))


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("modulus", [1, 0, -7])
def test_a_modulus_below_two_is_refused(name, modulus):
    with pytest.raises(InputError, match=f"modulus must be at least 2, got {modulus}"):
        named_task(name, modulus=modulus)


def test_an_unknown_task_lists_the_known_ones():
    every = ".*".join(re.escape(f"{name} ({operation.formula})") for name, operation in OPERATIONS.items())
    with pytest.raises(InputError, match=f"unknown task 'pow': known tasks are {every}.*table.csv"):
        named_task("pow")


def test_equal_tables_have_equal_digests_and_others_do_not():
    digests = {name: named_task(name, modulus=7).digest for name in KNOWN}
    assert len(set(digests.values())) == len(digests)
    assert named_task("add", modulus=7).digest == digests["add"]
    assert named_task("add", modulus=5).digest != digests["add"]
    add = named_task("add", modulus=7)
    assert Task("other", "?", 7, add.pairs_N2, add.labels_N).digest == digests["add"]
    assert Task("add", "a + b", 11, add.pairs_N2, add.labels_N).digest != digests["add"]


@pytest.mark.parametrize(
    ("pairs", "labels", "message"),
    [
        ([[0, 1]], [1], "at least two pairs"),
        ([[0, 1], [1, 1]], [1, 1, 1], "at least two pairs with one label each"),
        ([[0, 1, 2], [1, 1, 2]], [1, 1], "at least two pairs with one label each"),
        ([[0, 1], [1, 5]], [1, 1], r"a pair outside 0\.\.4 \(0\.\.5\): reduce it mod the modulus"),
        ([[0, 1], [-1, 2]], [1, 1], r"a pair outside 0\.\.4 \(-1\.\.2\)"),
        ([[0, 1], [1, 2]], [1, 7], r"a label outside 0\.\.4 \(1\.\.7\)"),
        ([[0, 1], [1, 2]], [1, -1], r"a label outside 0\.\.4 \(-1\.\.1\)"),
    ],
)
def test_a_malformed_task_is_refused(pairs, labels, message):
    with pytest.raises(InputError, match=message):
        Task("broken", "?", 5, np.array(pairs), np.array(labels))
