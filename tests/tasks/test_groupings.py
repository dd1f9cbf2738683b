"""Groupings, against plain Python on every pair."""

import itertools

import numpy as np
import pytest

from spectraledge.algebra import discrete_logarithms, irreducible_characters
from spectraledge.errors import InputError
from spectraledge.tasks import (
    GROUPINGS,
    GroupingRule,
    Operation,
    Task,
    default_groupings,
    grouping,
    left_out,
    named_task,
    register_grouping,
    register_operation,
    task_from_table,
    why_not,
)

RESIDUES = ("sum", "difference", "product", "output")
GAUSSIAN = ("gaussian_norm", "gaussian_angle")
CYCLIC = (*RESIDUES, "dlog_sum", "dlog_difference", "output_dlog", *GAUSSIAN)
MODULI = [(name, modulus) for name in CYCLIC for modulus in (5, 7, 97) if name not in GAUSSIAN or modulus != 7]


def naive_factors(a, b, modulus):
    root = next(i for i in range(1, modulus) if (i * i + 1) % modulus == 0)
    return (a + root * b) % modulus, (a - root * b) % modulus


def naive_gaussian(a, b, sign, modulus, logarithm):
    u, v = naive_factors(a, b, modulus)
    return (logarithm[u] + sign * logarithm[v]) % (modulus - 1) if u and v else -1


def naive_group(name, a, b, label, modulus, logarithm):
    units = a != 0 and b != 0
    return {
        "gaussian_norm": lambda: naive_gaussian(a, b, 1, modulus, logarithm),
        "gaussian_angle": lambda: naive_gaussian(a, b, -1, modulus, logarithm),
        "output_dlog": lambda: logarithm[label],
        "sum": lambda: (a + b) % modulus,
        "difference": lambda: (a - b) % modulus,
        "product": lambda: a * b % modulus if units else -1,
        "dlog_sum": lambda: (logarithm[a] + logarithm[b]) % (modulus - 1) if units else -1,
        "dlog_difference": lambda: (logarithm[a] - logarithm[b]) % (modulus - 1) if units else -1,
        "output": lambda: label,
    }[name]()


@pytest.mark.parametrize("task_name", ["add", "mul", "div", "square_sum"])
@pytest.mark.parametrize(("name", "modulus"), MODULI)
def test_groups_agree_with_plain_python(name, task_name, modulus):
    task = named_task(task_name, modulus=modulus)
    logarithm = discrete_logarithms(modulus).tolist()
    found = grouping(task, name)
    expected = [
        naive_group(name, a, b, label, modulus, logarithm)
        for (a, b), label in zip(task.pairs_N2.tolist(), task.labels_N.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(found.groups_N, expected)
    assert (found.name, found.order) == (name, modulus if name in RESIDUES else modulus - 1)
    assert found.excluded == expected.count(-1)


@pytest.mark.parametrize("name", CYCLIC)
def test_pairs_with_a_zero_are_outside_where_zero_has_no_place(name):
    without_zeros = {"product", "dlog_sum", "dlog_difference"}
    # a² + b² = 0 on two lines through the origin, a = ±i·b; a + b = 0 on one line.
    excluded = dict.fromkeys(without_zeros | set(GAUSSIAN), 2 * 97 - 1) | {"output_dlog": 97}
    assert grouping(named_task("add"), name).excluded == excluded.get(name, 0)
    assert grouping(named_task("mul"), name).excluded == (2 * 96 if name in GAUSSIAN else 0)


@pytest.mark.parametrize("name", CYCLIC)
@pytest.mark.parametrize("task_name", ["add", "div"])
def test_coordinates_and_signs_give_the_group(name, task_name):
    task = named_task(task_name, modulus=13)
    found = grouping(task, name)
    logarithm = discrete_logarithms(13)
    read = [naive_factors(a, b, 13) for a, b in task.pairs_N2.tolist()] if name in GAUSSIAN else task.pairs_N2
    np.testing.assert_array_equal(found.coordinates_N2, read if name in RESIDUES else logarithm[np.array(read)])
    assert found.coordinates_N2.max() < found.order
    if found.signs == (0, 0):
        assert name in {"product", "output", "output_dlog"}
        return
    inside = found.groups_N >= 0
    combined = found.coordinates_N2[inside] @ np.array(found.signs) % found.order
    np.testing.assert_array_equal(found.groups_N[inside], combined)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div"])
def test_the_answer_is_a_function_of_the_tasks_own_group(name):
    task = named_task(name, modulus=13)
    found = grouping(task, task.structure)
    inside = found.groups_N >= 0
    pairs = {(q, label) for q, label in zip(found.groups_N[inside], task.labels_N[inside], strict=True)}
    assert len(pairs) == len({q for q, _ in pairs}) == found.order


@pytest.mark.parametrize("modulus", [5, 13, 97])
def test_the_gaussian_norm_is_the_logarithm_of_a_sum_of_squares(modulus):
    task = named_task("square_sum", modulus=modulus)
    np.testing.assert_array_equal(grouping(task, "gaussian_norm").groups_N, grouping(task, "output_dlog").groups_N)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_coordinates_name_each_pair_once(name):
    found = grouping(named_task("add", modulus=13), name)
    inside = found.groups_N >= 0
    assert len(np.unique(found.coordinates_N2[inside], axis=0)) == inside.sum() == 12**2


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_bases_need_a_root_of_minus_one(name):
    with pytest.raises(InputError, match="needs a prime modulus that is 1 mod 4, got 7, which is 3 mod 4: use 13, 29"):
        grouping(named_task("add", modulus=7), name)
    with pytest.raises(InputError, match="a square root of −1 needs a prime modulus, got 9"):
        grouping(named_task("add", modulus=9), name)


@pytest.mark.parametrize("name", ["sum", "difference", "product", "output"])
def test_bases_of_residues_take_a_composite_modulus(name):
    task = named_task("add", modulus=8)
    expected = [
        naive_group(name, a, b, label, 8, None)
        for (a, b), label in zip(task.pairs_N2.tolist(), task.labels_N.tolist(), strict=True)
    ]
    np.testing.assert_array_equal(grouping(task, name).groups_N, expected)


@pytest.mark.parametrize("name", ["dlog_sum", "dlog_difference", "output_dlog"])
def test_logarithms_refuse_a_composite_modulus(name):
    with pytest.raises(InputError, match="needs a prime modulus, got 8: use 7 or 11"):
        grouping(named_task("add", modulus=8), name)


def test_an_unknown_basis_lists_the_known_ones():
    with pytest.raises(InputError, match=f"unknown basis 'angle': known bases are {', '.join(GROUPINGS)}"):
        grouping(named_task("add"), "angle")


@pytest.mark.parametrize("name", ["product", "dlog_sum", "dlog_difference"])
def test_a_basis_that_covers_nothing_is_refused(name):
    task = Task("axes", "?", 5, np.array([[0, 1], [2, 0], [0, 0]]), np.array([1, 2, 0]))
    with pytest.raises(InputError, match=f"basis '{name}' covers no pair of task 'axes'"):
        grouping(task, name)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "square_sum", "maximum", "permuted_mul"])
def test_default_bases_are_known_unique_and_hold_the_tasks_own(name):
    task = named_task(name)
    names = default_groupings(task)
    assert len(set(names)) == len(names)
    assert task.structure in names
    assert [grouping(task, basis).name for basis in names] == names


def test_default_bases_of_a_composite_modulus_need_no_logarithm():
    task = named_task("add", modulus=8)
    assert [grouping(task, basis).name for basis in default_groupings(task)] == [
        "sum",
        "difference",
        "product",
        "output",
    ]


LOOP = task_from_table([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]])
"""A Latin square with an identity that is no group: every element is its own inverse, and their number is odd."""


@pytest.mark.parametrize(
    ("task", "name", "words"),
    [
        (named_task("add", modulus=8), "dlog_sum", "needs a prime modulus, got 8"),
        (named_task("mul", modulus=7), "gaussian_norm", "1 mod 4, got 7"),
        (named_task("mul", modulus=7), "group", "needs an answer to every pair, task 'mul' leaves out some"),
        (named_task("maximum", modulus=7), "group", "every row and column has every answer once"),
        (LOOP, "group", "but (x·y)·z is not x·(y·z)"),
        (Task("axes", "?", 5, np.array([[0, 1], [2, 0], [0, 0]]), np.array([1, 2, 0])), "product", "covers no pair"),
        (Task("few", "?", 5, np.array([[0, 1], [2, 0], [0, 0]]), np.array([1, 2, 0])), "output", "group of its own"),
        (named_task("add", modulus=7), "dlog_sum", ""),
        (named_task("maximum", modulus=6), "output", ""),
    ],
)
def test_a_basis_says_whether_and_why_not_it_applies(task, name, words):
    assert words in why_not(task, name)
    assert bool(why_not(task, name)) == bool(words)


def test_what_is_left_out_is_told_with_its_reason():
    assert left_out(named_task("add", modulus=13)) == {}
    (reason,) = left_out(named_task("add", modulus=12)).items()
    assert reason == ("dlog_sum", why_not(named_task("add", modulus=12), "dlog_sum"))


def test_rules_know_their_lines_their_picture_and_their_symmetries():
    rules = {name: GROUPINGS[name] for name in (*CYCLIC, "group", "ring_product")}
    lines = {name: (rule.line((1, 1)), rule.line((1, -1))) for name, rule in rules.items()}
    residues, logarithms = ("sum", "difference"), ("dlog_sum", "dlog_difference")
    assert lines["difference"] == residues
    assert lines["dlog_sum"] == lines["output_dlog"] == logarithms
    assert lines["gaussian_angle"] == GAUSSIAN
    elsewhere = {name: rule.picture for name, rule in rules.items() if rule.picture != name}
    assert elsewhere == dict.fromkeys(("product", "output", "output_dlog"), "sum")
    assert {name for name, rule in rules.items() if rule.grid != name} == {*elsewhere, "group", "ring_product"}
    by_powers = {name for name, rule in rules.items() if "power" in rule.symmetries}
    assert by_powers == {"dlog_sum", "dlog_difference", "output_dlog"}


def test_a_name_is_registered_once():
    with pytest.raises(InputError, match="there is a basis 'sum' already"):
        register_grouping(GroupingRule("sum", "a + b", (1, 1)))
    with pytest.raises(InputError, match="there is a task 'add' already"):
        register_operation(Operation("add", "a + b", "sum", lambda a, b, n: a + b))


def test_a_restricted_grouping_is_that_of_the_restricted_task():
    task = named_task("add", modulus=13)
    kept = np.random.default_rng(0).random(len(task)) < 0.5
    half = Task("half", "?", 13, task.pairs_N2[kept], task.labels_N[kept])
    for name in ("dlog_sum", "output", "gaussian_norm"):
        found, expected = grouping(task, name).restricted(kept), grouping(half, name)
        np.testing.assert_array_equal(found.groups_N, expected.groups_N)
        np.testing.assert_array_equal(found.coordinates_N2, expected.coordinates_N2)


def test_the_group_of_a_renamed_table_holds_the_functions_of_the_answer():
    rng = np.random.default_rng(1)
    names = rng.permutation(7)
    places = np.argsort(names)
    task = task_from_table(names[(places[:, None] + places) % 7])
    found = grouping(task, "group")
    assert (found.order, found.excluded, found.functions.frequency_M.tolist()) == (7, 0, [0, 1, 1, 2, 2, 3, 3])
    np.testing.assert_array_equal(found.groups_N, task.labels_N)
    # A wave of the hidden sum is one frequency in the group, and several of the answer as it is called.
    wave_KM = np.cos(2 * np.pi * 2 * places / 7)[None]
    assert found.power(wave_KM).max() > (1 - 1e-12) * found.power(wave_KM).sum()
    as_called = grouping(task, "output").power(wave_KM)
    assert as_called.max() < 0.9 * as_called.sum()


def composition(count: int) -> np.ndarray:
    """The table of a symmetric group."""
    elements = list(itertools.permutations(range(count)))
    place = {element: number for number, element in enumerate(elements)}
    return np.array([[place[tuple(a[i] for i in b)] for b in elements] for a in elements])


@pytest.mark.parametrize("table", [composition(3), composition(4), np.add.outer(np.arange(9), np.arange(9)) % 9])
@pytest.mark.parametrize("renamed", ["answers", "rows, columns and answers apart"])
def test_a_group_is_found_behind_names(table: np.ndarray, renamed: str):
    rng, size = np.random.default_rng(3), len(table)
    rows, columns = (rng.permutation(size), rng.permutation(size)) if "rows" in renamed else (np.arange(size),) * 2
    answers = rng.permutation(size)
    task = task_from_table(answers[table[np.ix_(rows, columns)]])
    assert "group" in default_groupings(task)
    found = grouping(task, "group")
    known = irreducible_characters(table)
    assert sorted(np.bincount(found.functions.frequency_M)) == sorted(np.bincount(known.frequency_M))

    def projectors(functions_MM: np.ndarray, frequency_M: np.ndarray) -> list[np.ndarray]:
        return [functions_MM[:, frequency_M == one] @ functions_MM[:, frequency_M == one].T for one in set(frequency_M)]

    # The same subspaces of functions of the answer, whatever it is called: those of the group itself.
    theirs = projectors(known.functions_MM, known.frequency_M)
    for mine in projectors(found.functions.functions_MM[answers], found.functions.frequency_M):
        assert min(np.abs(mine - one).max() for one in theirs) < 1e-9


def test_a_task_whose_group_is_told_is_not_read_in_that_of_its_table():
    assert "group" not in default_groupings(named_task("add", modulus=7))
    assert "group" in default_groupings(task_from_table(np.add.outer(np.arange(7), np.arange(7)) % 7))
