"""Tasks on groups by name, against words in group elements one by one, and controls without a group."""

import numpy as np
import pytest

from spectraledge.algebra import check_group, discover, is_latin, named_group
from spectraledge.errors import InputError
from spectraledge.tasks import (
    any_task,
    controlled_structure,
    default_groupings,
    formula_of,
    grouping,
    named_task,
    permuted_task,
    structure_of,
    task_from_source,
    task_from_table,
    why_not,
)
from spectraledge.tasks.groupings import basis_formula, grouping_rule, task_title

WORDS = {
    "ab": "ab",
    "ab^-1": "aB",
    "quotient": "aB",
    "aba^-1": "abA",
    "conjugate": "abA",
    "[a,b]": "abAB",
    "commutator": "abAB",
}


@pytest.mark.parametrize("name", ["S3", "D5", "Q8", "C2xC4"])
@pytest.mark.parametrize("operation", WORDS)
def test_answers_are_words_in_a_and_b(name, operation):
    task = task_from_source(f"group:{name}:{operation}", modulus=97)
    group = named_group(name)
    for (a, b), answer in zip(task.pairs_N2.tolist(), task.labels_N.tolist(), strict=True):
        value = group.identity
        for letter in WORDS[operation]:
            element = {"a": a, "b": b}[letter.lower()]
            value = group.table_MM[value, group.inverses_M[element] if letter.isupper() else element]
        assert answer == value
    assert (task.modulus, len(task)) == (len(group), len(group) ** 2)
    assert grouping_rule(task.structure).formula == grouping_rule(f"group:{name}:{operation}").formula == task.formula
    np.testing.assert_array_equal(grouping(task, task.structure).groups_N, task.labels_N)


@pytest.mark.parametrize(
    "source", ["group:S3", "group:D5:ab^-1", "group:C2xC4:[a,b]", "permuted:group:S3", "latin:2", "permuted:loop:3"]
)
def test_a_task_is_made_again_by_its_name(source):
    task = task_from_source(source, modulus=7)
    again = any_task(task.name, modulus=7)
    assert (again.digest, again.structure, again.formula) == (task.digest, task.structure, task.formula)
    assert structure_of(task.name) == task.structure
    assert formula_of(task.name) == task.formula or not task.name.startswith(("S", "D", "C"))
    assert task_from_source(task.name, modulus=7).digest == task.digest


@pytest.mark.parametrize("name", ["t", "S5-", "S5-square", "s5", "latin-x", "-permuted", "table-permuted"])
def test_other_names_make_no_task(name):
    assert (structure_of(name), name in formula_of(name) or name.endswith("-permuted")) == ("output", True)
    with pytest.raises(InputError, match="unknown task"):
        any_task(name, modulus=7)


def test_a_group_alone_is_its_product():
    task = task_from_source("group:S4")
    np.testing.assert_array_equal(task.labels_N.reshape(24, 24), named_group("S4").table_MM)
    assert (task.name, task.formula, task.structure) == ("S4", "a·b in S4", "group:S4")
    assert "group:S4" in default_groupings(task)


def test_names_of_tasks_are_safe_in_names_of_files():
    names = {task_from_source(f"group:S3:{operation}").name for operation in WORDS}
    assert names == {"S3", "S3-quotient", "S3-conjugate", "S3-commutator"}


def test_functions_of_the_basis_are_split_by_representation():
    found = grouping(task_from_source("group:S4"), "group:S4")
    assert (found.order, found.excluded, found.formula) == (24, 0, "a·b in S4")
    assert sorted(np.bincount(found.functions.frequency_M)) == [1, 1, 4, 9, 9]


def test_a_basis_of_a_group_reads_any_task_of_its_size():
    control = task_from_source("permuted:group:D5")
    own = task_from_source("group:D5")
    assert sorted(control.labels_N) == sorted(own.labels_N)
    assert (control.labels_N != own.labels_N).any()
    assert control.structure == "output"
    for other in (control, named_task("add", modulus=10), task_from_source("latin:3", modulus=10)):
        np.testing.assert_array_equal(grouping(other, "group:D5").groups_N, own.labels_N)
    assert "basis 'group:D5' is of 10 elements, task 'add' of 7" in why_not(named_task("add", modulus=7), "group:D5")


def test_any_task_may_have_its_answers_permuted():
    permuted = task_from_source("permuted:add", modulus=7)
    np.testing.assert_array_equal(permuted.labels_N, named_task("permuted_add", modulus=7).labels_N)
    assert (permuted.name, permuted.formula) == ("add-permuted", "a + b, answers permuted")
    assert (permuted.structure, permuted.pairs_N2.shape) == ("output", (49, 2))
    assert task_from_source("permuted:mul", modulus=7).digest == named_task("permuted_mul", modulus=7).digest
    with pytest.raises(InputError, match=r"one task's answers are permuted, got the parts of 'add\+mul'"):
        task_from_source("permuted:add+mul", modulus=7)


def test_bases_of_groups_are_known_by_name():
    assert grouping_rule("group:S3:[a,b]").formula == "a·b·a⁻¹·b⁻¹ in S3"
    assert basis_formula("group:S3") == "a·b in S3"
    assert basis_formula("sum") == "a + b"
    assert basis_formula("nothing") == "nothing"
    with pytest.raises(InputError, match="unknown group 'T3'"):
        grouping_rule("group:T3")
    with pytest.raises(InputError, match="unknown basis 'groups:S3'"):
        grouping_rule("groups:S3")


def test_elements_of_a_group_are_not_counted_mod_their_number():
    assert task_title("a·b in S3", "group:S3", 6) == "a·b in S3"
    assert task_title("a + b", "sum", 6) == "a + b mod 6"
    assert task_title("table of t", "group", 6) == "table of t mod 6"


@pytest.mark.parametrize("kind", ["latin", "loop"])
@pytest.mark.parametrize("modulus", [5, 8, 11])
def test_controls_have_every_answer_once_and_no_group(kind, modulus):
    task = task_from_source(f"{kind}:2", modulus=modulus)
    table = task.labels_N.reshape(modulus, modulus)
    assert is_latin(table)
    assert not discover(table).is_group
    assert (task.name, task.structure) == (f"{kind}-2", "output")
    assert task.digest == task_from_source(f"{kind}:2", modulus=modulus).digest
    assert task.digest != task_from_source(f"{kind}:3", modulus=modulus).digest
    if kind == "loop":
        np.testing.assert_array_equal(table[0], np.arange(modulus))
        np.testing.assert_array_equal(table[:, 0], np.arange(modulus))
        with pytest.raises(InputError, match="expected the table of a group"):
            check_group(table)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("group:S3:abb", r"unknown operation 'abb' on group S3: known are ab or product, ab\^-1 or quotient"),
        ("group:D0", "at least 1, got D0"),
        ("group:C1", "needs a group of two or more elements, got C1"),
        ("permuted:", "unknown task 'permuted:'"),
        ("permuted:group:T3", "unknown group 'T3'"),
        ("group:", "unknown task 'group:'"),
        ("group:S9", "groups are made up to 2,048"),
        ("latin:x", "latin squares are numbered from 0, got 'x': try latin:0"),
        ("loop:-1", "loop squares are numbered from 0"),
    ],
)
def test_what_names_no_task_is_refused(source, message):
    with pytest.raises(InputError, match=message):
        task_from_source(source, modulus=7)


def test_small_squares_are_all_groups_and_refused():
    with pytest.raises(InputError, match="have a modulus of 5 or more, got 4"):
        task_from_source("latin:0", modulus=4)


def test_the_control_of_a_table_that_is_called_like_a_group_is_not_of_that_group():
    group = named_group("S3").table_MM
    turned = (group + 1) % 6
    assert controlled_structure(permuted_task(task_from_table(group, name="S3"))) == "group:S3"
    assert controlled_structure(permuted_task(task_from_table(turned, name="S3"))) == "output"
    assert controlled_structure(permuted_task(task_from_table([[0, 1], [1, 0]], name="S4"))) == "output"
    assert controlled_structure(permuted_task(named_task("add", modulus=6))) == "sum"
