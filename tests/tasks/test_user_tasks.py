"""Tasks that a user brings, well-formed and malformed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from spectraledge.errors import InputError
from spectraledge.tasks import grouping, named_task, task_from_function, task_from_source, task_from_table
from spectraledge.tasks.groupings import default_groupings

ADD_5 = [[(a + b) % 5 for b in range(5)] for a in range(5)]


def csv(path, content):
    path.write_text(content)
    return str(path)


def npy(path, table, **settings):
    np.save(path, table, **settings)
    return str(path)


def test_a_function_equals_the_known_operation():
    task = task_from_function(lambda a, b: a * a + b * b, modulus=13, name="mine")
    known = named_task("square_sum", modulus=13)
    assert task.digest == known.digest
    assert (task.name, task.structure) == ("mine", "output")


def test_a_function_gives_the_task_its_name_and_may_give_its_structure():
    def shifted(a, b):
        return a + b + 1

    task = task_from_function(shifted, modulus=7, structure="sum")
    assert (task.name, task.structure, task.modulus) == ("shifted", "sum", 7)


def test_answers_are_reduced():
    task = task_from_function(lambda a, b: a - 3 * b - 100, modulus=7, name="f")
    np.testing.assert_array_equal(task.labels_N, [(a - 3 * b - 100) % 7 for a, b in task.pairs_N2.tolist()])


def test_none_excludes_the_pair():
    task = task_from_function(lambda a, b: a * b if a and b else None, modulus=11, name="f")
    assert task.digest == named_task("mul", modulus=11).digest


@pytest.mark.parametrize("integer", [np.int64, np.int32, bool])
def test_every_kind_of_integer_is_an_answer(integer):
    task = task_from_function(lambda a, b: integer(a > b), modulus=5, name="f")
    np.testing.assert_array_equal(task.labels_N, task.pairs_N2[:, 0] > task.pairs_N2[:, 1])


def test_a_function_that_fails_says_where():
    def reciprocal(a, b):
        return a // (b - 2)

    with pytest.raises(InputError, match=r"task 'reciprocal' failed at \(a, b\) = \(0, 2\): ZeroDivisionError"):
        task_from_function(reciprocal, modulus=5)


@pytest.mark.parametrize("answer", ["3", "x", 2.5, float("nan"), [1], 1j], ids=str)
def test_an_answer_that_is_no_integer_is_refused(answer):
    with pytest.raises(InputError, match=r"task 'f' failed at \(a, b\) = \(0, 0\).*return an integer, or None"):
        task_from_function(lambda a, b: answer, modulus=5, name="f")


def test_a_function_that_excludes_everything_is_refused():
    with pytest.raises(InputError, match="task 'f' needs at least two pairs"):
        task_from_function(lambda a, b: None, modulus=5, name="f")


@pytest.mark.parametrize("modulus", [2, 4, 6, 10, 12])
def test_a_function_takes_any_modulus(modulus):
    task = task_from_function(lambda a, b: a + b, modulus=modulus, name="f", structure="sum")
    assert (task.digest, task.structure) == (named_task("add", modulus=modulus).digest, "sum")
    products = task_from_function(lambda a, b: a * b, modulus=modulus, name="f")
    np.testing.assert_array_equal(products.labels_N, products.pairs_N2.prod(1) % modulus)


@pytest.mark.parametrize("modulus", [1, 0, -3])
def test_a_function_needs_two_residues(modulus):
    with pytest.raises(InputError, match=f"modulus must be at least 2, got {modulus}"):
        task_from_function(lambda a, b: a, modulus=modulus, name="f")


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("sums", "unknown basis 'sums': known bases are sum"),
        ("dlog_sum", "needs a prime modulus, got 8: use 7 or 11"),
        ("group", "expected the table of a group"),
    ],
)
def test_a_structure_that_a_task_does_not_have_is_refused(structure, message):
    with pytest.raises(InputError, match=message):
        task_from_function(lambda a, b: a * b, modulus=8, name="f", structure=structure)


@pytest.mark.parametrize("kind", [list, np.array, lambda table: np.array(table, dtype=np.float32)])
def test_a_table_equals_the_known_operation(kind):
    task = task_from_table(kind(ADD_5), name="mine", structure="sum")
    assert task.digest == named_task("add", modulus=5).digest
    assert (task.name, task.structure, task.modulus) == ("mine", "sum", 5)


def test_negative_and_missing_entries_are_excluded():
    table = np.array(ADD_5, dtype=float)
    table[1, 2], table[3, 4] = -1, np.nan
    pairs = task_from_table(table).pairs_N2.tolist()
    assert pairs == [[a, b] for a in range(5) for b in range(5) if (a, b) not in {(1, 2), (3, 4)}]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros(5), r"must have rows and columns of numbers, got float64 of shape \(5,\)"),
        (np.zeros((5, 5, 5)), "must have rows and columns of numbers"),
        (np.full((5, 5), "1"), "must have rows and columns of numbers, got <U1"),
        (np.full((5, 5), None), "must have rows and columns of numbers, got object"),
        (np.zeros((0, 0)), "at least two pairs"),
        (np.zeros((1, 1)), "at least two pairs"),
        (np.full((5, 5), 0.5), "answers that are not integers"),
        (np.full((5, 5), -0.5), "answers that are not integers"),
        (np.full((5, 5), 25), "an answer 25 in a table of 25 cells, .*: number them from 0"),
        (np.full((5, 5), -1), "at least two pairs"),
    ],
)
def test_a_malformed_table_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        task_from_table(table)


@pytest.mark.parametrize("value", [np.inf, 1e300])
def test_an_answer_too_large_for_an_integer_is_refused(value):
    table = np.array(ADD_5, dtype=float)
    table[1, 2] = value
    with pytest.raises(InputError, match=r"not integers|in a table of 25 cells"):
        task_from_table(table)


def test_a_complex_table_is_refused():
    with pytest.raises(InputError, match="expected real numbers, got complex128"):
        task_from_table(np.zeros((5, 5), dtype=complex))


def test_a_table_may_be_oblong_and_have_more_answers_than_rows():
    table = np.arange(12).reshape(3, 4)
    task = task_from_table(table)
    assert (task.modulus, task.structure) == (12, "output")
    assert task.pairs_N2.tolist() == [[a, b] for a in range(3) for b in range(4)]
    np.testing.assert_array_equal(task.labels_N, np.arange(12))
    assert task_from_table(np.zeros((2, 7))).modulus == task_from_table(np.zeros((7, 2))).modulus == 7


def test_permutations_of_five_are_a_task():
    elements = list(itertools.permutations(range(5)))
    place = {element: number for number, element in enumerate(elements)}
    table = [[place[tuple(a[i] for i in b)] for b in elements] for a in elements]
    task = task_from_table(table, name="s5", structure="group")
    assert (task.modulus, len(task), len(np.unique(task.labels_N))) == (120, 14_400, 120)
    assert default_groupings(task) == ["sum", "difference", "product", "output", "group"]
    # Squares of the dimensions of its seven representations.
    sizes = np.bincount(grouping(task, "group").functions.frequency_M)
    assert sorted(sizes) == [1, 1, 16, 16, 25, 25, 36]


def test_a_csv_file_is_a_task(tmp_path):
    source = csv(tmp_path / "plus.csv", "\n".join(",".join(map(str, row)) for row in ADD_5))
    task = task_from_source(source, modulus=97)
    assert (task.name, task.digest) == ("plus", named_task("add", modulus=5).digest)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_a_npy_file_is_a_task(tmp_path, dtype):
    task = task_from_source(npy(tmp_path / "plus.npy", np.array(ADD_5, dtype=dtype)))
    assert (task.name, task.digest) == ("plus", named_task("add", modulus=5).digest)


def test_empty_cells_of_a_csv_file_are_excluded(tmp_path):
    task = task_from_source(csv(tmp_path / "t.csv", "0,1,2\n1,,0\n2,0,1\n"))
    assert [1, 1] not in task.pairs_N2.tolist()
    assert len(task) == 8


def test_a_byte_order_mark_is_no_part_of_the_first_answer(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_text("0,1,2\n1,2,0\n2,0,1\n", encoding="utf-8-sig")
    assert task_from_source(str(path)).digest == named_task("add", modulus=3).digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("5\n1\n", "an answer 5 in a table of 2 cells"),
        ("0,1,2\n1,2\n2,0,1\n", "not a readable table of numbers"),
        ("0,1,2\n1,2.5,0\n2,0,1\n", "answers that are not integers"),
        ("0,1,2\n1,9,0\n2,0,1\n", "an answer 9 in a table of 9 cells"),
        ("0,1,-2\n1,-1,0\n-2,0,1\n", "an answer -2: number them from 0, and leave cells without an answer empty"),
        ("", "not a readable table of numbers|must have rows"),
        ("0,1,2\n1,2,O\n2,0,1\n", "not a readable table of numbers"),
    ],
    ids=["few cells", "ragged", "fraction", "large", "negative", "empty", "letter"],
)
def test_a_malformed_csv_file_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        task_from_source(csv(tmp_path / "t.csv", content))


def test_a_pickled_array_is_not_opened(tmp_path):
    source = npy(tmp_path / "t.npy", np.array(ADD_5, dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match=r"t\.npy is not a readable table of numbers .*allow_pickle"):
        task_from_source(source)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"not an array at all"], ids=["empty", "cut", "text"])
def test_a_broken_npy_file_is_refused(tmp_path, content):
    path = tmp_path / "t.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"t\.npy is not a readable table of numbers"):
        task_from_source(str(path))


def test_names_are_answers_numbered_in_their_order(tmp_path):
    names = np.array([["b", "a"], ["a", "b"]])
    task = task_from_source(npy(tmp_path / "t.npy", names))
    assert (task.labels_N.tolist(), task.modulus) == ([1, 0, 0, 1], 2)
    named = task_from_source(csv(tmp_path / "t.csv", "*,b,a\nb,b,a\na,a,b\n"))
    assert named.labels_N.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("index", [False, True])
def test_a_line_that_counts_the_others_of_a_square_is_no_part_of_it(tmp_path, index):
    pd.DataFrame(ADD_5).to_csv(tmp_path / "t.csv", index=index, header=not index)
    task = task_from_source(str(tmp_path / "t.csv"))
    assert (task.digest, task.structure) == (named_task("add", modulus=5).digest, "group")
    for last in ("0,0,0", "0,1,2"):
        oblong = csv(tmp_path / "t.csv", f"0,1,2\n1,2,0\n2,0,1\n{last}\n")
        assert len(task_from_source(oblong)) == 12


def test_numbers_keep_their_value_unless_they_are_names_or_answers_of_a_latin_square(tmp_path):
    assert task_from_source(csv(tmp_path / "t.csv", "3,1\n1,1\n")).labels_N.tolist() == [3, 1, 1, 1]
    assert task_from_source(csv(tmp_path / "t.csv", "3,1\n1,3\n")).labels_N.tolist() == [1, 0, 0, 1]
    assert task_from_source(csv(tmp_path / "t.csv", ",3,1\n3,3,1\n1,1,3\n")).labels_N.tolist() == [0, 1, 1, 0]


def test_a_table_of_a_group_is_read_in_that_group(tmp_path):
    content = "\n".join(",".join(str((3 * a + b) % 5) for b in range(5)) for a in range(5))
    assert task_from_source(csv(tmp_path / "t.csv", content)).structure == "group"
    for other in ("5", "-1", "17"):
        task = task_from_source(csv(tmp_path / "t.csv", content.replace("4", other)))
        assert (task.structure, task.modulus, len(task)) == ("group", 5, 25)
    assert task_from_source(csv(tmp_path / "t.csv", content.replace("4", ""))).structure == "output"
    assert task_from_source(csv(tmp_path / "t.csv", content.replace("4", "3"))).structure == "output"


@pytest.mark.parametrize("name", ["t.csv", "t.npy"])
def test_a_missing_table_is_refused(tmp_path, name):
    with pytest.raises(InputError, match=rf"no task table at .*{name}"):
        task_from_source(str(tmp_path / name))


def test_a_function_of_a_file_is_a_task(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("OFFSET = 2\ndef shift(a, b):\n    return a + b + OFFSET\n")
    task = task_from_source(f"{path}:shift", modulus=7)
    np.testing.assert_array_equal(task.labels_N, (task.pairs_N2.sum(axis=1) + 2) % 7)
    assert (task.name, task.modulus) == ("shift", 7)


@pytest.mark.parametrize(
    ("content", "function", "message"),
    [
        ("x = 1", "f", "has no function 'f'"),
        ("f = 1", "f", "has no function 'f'"),
        ("def f(a, b) return", "f", "could not be run: SyntaxError"),
        ("import nothing_of_this_name", "f", "could not be run: ModuleNotFoundError"),
        ("def f(a):\n    return a", "f", r"task 'f' failed at \(a, b\) = \(0, 0\): TypeError"),
    ],
)
def test_a_file_without_a_usable_function_is_refused(tmp_path, content, function, message):
    path = tmp_path / "mine.py"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        task_from_source(f"{path}:{function}", modulus=5)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no Python file at .*mine\.py: give module\.py:function"):
        task_from_source(f"{tmp_path / 'mine.py'}:f")


@pytest.mark.parametrize("name", ["add", "mul", "permuted_add"])
def test_a_known_name_is_a_source(name):
    assert task_from_source(name, modulus=7).digest == named_task(name, modulus=7).digest


@pytest.mark.parametrize("source", ["nothing", "", "table.txt", "mine.py"])
def test_an_unknown_source_lists_what_is_known(source):
    with pytest.raises(InputError, match=f"unknown task '{source}': known tasks are add"):
        task_from_source(source)
