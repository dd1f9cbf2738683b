"""Tasks that a user brings: a Python function, or a table in a CSV or .npy file."""

import operator
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from spectraledge.devices import given_array
from spectraledge.errors import InputError
from spectraledge.files import load_function
from spectraledge.tasks.group_tasks import LATIN_KINDS, group_task, latin_task
from spectraledge.tasks.groupings import grouping, why_not
from spectraledge.tasks.joint import JointTask, any_task
from spectraledge.tasks.operations import all_pairs, permuted_task
from spectraledge.tasks.table_files import TableFile, read_table_file
from spectraledge.tasks.task import Task


def task_from_function(
    function: Callable[[int, int], int | None], *, modulus: int = 97, name: str | None = None, structure: str = "output"
) -> Task:
    """Make a task from a Python function of two residues.

    Args:
        function: Maps (a, b) to the answer, an integer that is reduced mod the modulus, or to None to exclude the pair.
        modulus: Number of residues. Default 97 (Xu 2026, §2).
        name: Identifier. Default: the function's name.
        structure: Name of the task's own grouping, if it has one (see `grouping_rule`).

    Returns:
        The task over all pairs for which the function gives an answer.

    Raises:
        InputError: if the modulus is below 2, the function fails or returns something that is no integer, or the
            structure does not apply.
    """
    label = name or str(getattr(function, "__name__", "function"))
    if modulus < 2:
        raise InputError(f"modulus must be at least 2, got {modulus}")
    table = np.full((modulus, modulus), -1, dtype=np.int64)
    for a, b in all_pairs(modulus).tolist():
        try:
            answer = function(a, b)
            if answer is not None:
                table[a, b] = operator.index(answer) % modulus
        except Exception as error:
            raise InputError(
                f"task {label!r} failed at (a, b) = ({a}, {b}): {type(error).__name__}: {error}; "
                "return an integer, or None to exclude the pair"
            ) from error
    return task_from_table(table, name=label, structure=structure)


def task_from_table(table_AB: ArrayLike | Tensor, *, name: str = "table", structure: str = "output") -> Task:
    """Make a task from its table of answers.

    Args:
        table_AB: One row per a, one column per b, any number of either; answers are numbered from 0. Negative or NaN
            excludes the pair.
        name: Identifier.
        structure: Name of the task's own grouping, if it has one (see `grouping_rule`).

    Returns:
        The task; its modulus is the largest of the numbers of rows, columns and answers.

    Raises:
        InputError: if the table is no matrix of integers, answers are not numbered from 0, or the structure does not
            apply.
    """
    table = given_array(table_AB)
    if table.ndim != 2 or table.dtype.kind not in "biuf":
        raise InputError(
            f"a task table must have rows and columns of numbers, got {table.dtype} of shape {table.shape}"
        )
    filled = np.where(np.isnan(table), -1, table)
    if np.isinf(filled).any() or (filled != np.floor(filled)).any():
        raise InputError(f"task {name!r} has answers that are not integers: number them from 0")
    # A network has an output for every answer up to the largest, so a number far too large must not pass for one.
    if table.size and filled.max() >= table.size:
        raise InputError(
            f"task {name!r} has an answer {filled.max():.0f} in a table of {table.size} cells, which has fewer answers "
            "than that: number them from 0"
        )
    labels_AB = filled.astype(np.int64)
    modulus = max(*labels_AB.shape, int(labels_AB.max(initial=0)) + 1)
    pairs_N2 = np.argwhere(labels_AB >= 0)
    task = Task(name, f"table of {name}", modulus, pairs_N2, labels_AB[labels_AB >= 0], structure)
    grouping(task, structure)
    return task


def task_from_source(source: str, *, modulus: int = 97) -> Task | JointTask:
    """Make a task from what a person types: known names, a table file, or `module.py:function`.

    Args:
        source: A key of `OPERATIONS` or several (see `any_task`), "group:S5" or "group:S5:ab^-1" (see `group_task`),
            "latin:0" or "loop:0" (see `latin_task`), a path ending in .csv or .npy, or a Python file and a function in
            it; behind "permuted:" the same with its answers dealt out anew to the pairs.
        modulus: Number of residues; a group and a table bring their own.

    Returns:
        The task.

    Raises:
        InputError: if the source is unknown, missing or malformed.
    """
    family, _, member = source.partition(":")
    if family == "permuted" and member:
        task = task_from_source(member, modulus=modulus)
        if isinstance(task, JointTask):
            raise InputError(f"one task's answers are permuted, got the parts of {task.name!r}: name one")
        return permuted_task(task)
    if family == "group" and member:
        return group_task(member)
    if family in LATIN_KINDS and member:
        return latin_task(family, member, modulus=modulus)
    if source.endswith((".csv", ".npy")):
        return _task_from_file(Path(source))
    path, _, function_name = source.rpartition(":")
    if path.endswith(".py"):
        return task_from_function(load_function(Path(path), function_name), modulus=modulus, name=function_name)
    return any_task(source, modulus=modulus)


def _read(path: Path) -> TableFile:
    """A table of any size; with one line too many for a square, the square behind it if it plainly holds names."""
    table = read_table_file(path)
    rows, columns = table.shape
    lines = table.cells if rows > columns else tuple(zip(*table.cells, strict=True))
    # Of a + b mod n the line n is that of 0 again, and of answers.
    if abs(rows - columns) == 1 and lines[0] != lines[-1]:
        with suppress(InputError):
            return read_table_file(path, square=True)
    return table


def _task_from_file(path: Path) -> Task:
    """The task of a table in a file; its own group is the table's, where that is a group's."""
    table = _read(path)
    answers = table.answers
    is_of_names = set(answers) <= {*table.rows, *table.columns}
    numbers = [answer for answer in answers if isinstance(answer, int | float)]
    are_numbers = len(numbers) == len(answers) and not is_of_names and not table.is_latin
    if are_numbers and min(numbers, default=0) < -1:
        raise InputError(
            f"{path} has an answer {min(numbers):g}: number them from 0, and leave cells without an answer empty"
        )
    task = task_from_table(np.array(table.cells, np.float64) if are_numbers else table.numbered(), name=path.stem)
    return task if why_not(task, "group") else replace(task, structure="group")
