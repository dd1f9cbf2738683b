"""Tasks that a user brings: a Python function, or a table in a CSV or .npy file."""

import csv
import operator
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectraledge.algebra import require_prime
from spectraledge.errors import InputError
from spectraledge.files import load_function
from spectraledge.tasks.joint import JointTask, any_task
from spectraledge.tasks.operations import all_pairs
from spectraledge.tasks.task import Task


def task_from_function(
    function: Callable[[int, int], int | None], *, modulus: int = 97, name: str | None = None, structure: str = "output"
) -> Task:
    """Make a task from a Python function of two residues.

    Args:
        function: Maps (a, b) to the answer, an integer that is reduced mod the modulus, or to None to exclude the pair.
        modulus: A prime. Default 97 (Xu 2026, §2).
        name: Identifier. Default: the function's name.
        structure: Name of the task's own grouping, if it has one (see `GROUPINGS`).

    Returns:
        The task over all pairs for which the function gives an answer.

    Raises:
        InputError: if the modulus is not prime, or the function fails or returns something that is no integer.
    """
    label = name or str(getattr(function, "__name__", "function"))
    require_prime(modulus, f"task {label!r}")
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


def task_from_table(table_MM: ArrayLike, *, name: str = "table", structure: str = "output") -> Task:
    """Make a task from its table of answers.

    Args:
        table_MM: Square, one row per a, one column per b; answers 0..modulus − 1. Negative or NaN excludes the pair.
        name: Identifier.
        structure: Name of the task's own grouping, if it has one (see `GROUPINGS`).

    Returns:
        The task; its modulus is the number of rows.

    Raises:
        InputError: if the table is not square with a prime number of rows, or an entry is no residue.
    """
    table = np.asarray(table_MM)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or table.dtype.kind not in "biuf":
        raise InputError(f"a task table must be square and numeric, got shape {table.shape} of {table.dtype}")
    modulus = table.shape[0]
    require_prime(modulus, f"task {name!r} (its table has {modulus} rows)")
    filled = np.where(np.isnan(table), -1, table)
    if np.isinf(filled).any() or (filled != np.floor(filled)).any():
        raise InputError(f"task {name!r} has answers that are not integers: every answer must be in 0..{modulus - 1}")
    # Clipped first: a number too large for an integer is too large for the modulus as well.
    labels = np.clip(filled, -1, modulus).astype(np.int64).ravel()
    kept = labels >= 0
    return Task(name, f"table of {name}", modulus, all_pairs(modulus)[kept], labels[kept], structure)


def task_from_source(source: str, *, modulus: int = 97) -> Task | JointTask:
    """Make a task from what a person types: known names, a table file, or `module.py:function`.

    Args:
        source: A key of `OPERATIONS` or several (see `any_task`), a path ending in .csv or .npy, or a Python file and
            a function in it.
        modulus: Number of residues; a table brings its own.

    Returns:
        The task.

    Raises:
        InputError: if the source is unknown, missing or malformed.
    """
    if source.endswith((".csv", ".npy")):
        return task_from_table(_read_table(Path(source)), name=Path(source).stem)
    path, _, function_name = source.rpartition(":")
    if path.endswith(".py"):
        return task_from_function(load_function(Path(path), function_name), modulus=modulus, name=function_name)
    return any_task(source, modulus=modulus)


def _read_table(path: Path) -> NDArray[np.float64]:
    if not path.is_file():
        raise InputError(f"no task table at {path}: give the path of a .csv or .npy file")
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64)
        # The byte order mark that spreadsheets write is no part of the first answer; an empty cell excludes its pair.
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = [[float(cell.strip() or "nan") for cell in row] for row in csv.reader(handle) if row]
        return np.array(rows, dtype=np.float64)
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a readable table of numbers ({error})") from error
