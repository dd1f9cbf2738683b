"""Named operations, as tasks on any modulus that they take."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spectraledge.algebra import is_prime, require_prime
from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.memory import check_memory
from spectraledge.streams import numpy_generator
from spectraledge.tasks.task import Task


@dataclass(frozen=True)
class Operation:
    """A named operation; what is registered.

    Attributes:
        name: What it is called, on the command line and in file names.
        formula: As a person writes it.
        structure: Name of its own grouping, "output" if it has no group.
        on_composite: The same on a modulus that is not prime, where that is another.
        values: The operation on arrays of a and b, with the modulus; reduced afterwards.
        smallest: Smallest a and b in the domain: (1, 1) leaves out zeros.
        needs_prime: What needs the modulus to be prime, or "" if nothing does.
        instead: What to take on a modulus n that is not prime, with {n} in its place.
    """

    name: str
    formula: str
    structure: str
    values: Callable[[Ints, Ints, int], Ints]
    smallest: tuple[int, int] = (0, 0)
    needs_prime: str = ""
    instead: str = ""
    on_composite: str = ""


OPERATIONS: dict[str, Operation] = {}
"""Every operation by name, in the order in which they are shown."""


def register_operation(operation: Operation) -> None:
    """Make an operation known by its name.

    Args:
        operation: The operation.

    Raises:
        InputError: if there is one of this name.
    """
    if operation.name in OPERATIONS:
        raise InputError(f"there is a task {operation.name!r} already: choose another name")
    OPERATIONS[operation.name] = operation


def named_task(name: str, *, modulus: int = 97) -> Task:
    """Make one of the known tasks.

    Args:
        name: A key of `OPERATIONS`.
        modulus: Number of residues. Default 97 (Xu 2026, §2).

    Returns:
        The task over its whole domain.

    Raises:
        InputError: if the name is unknown (the message lists the known ones), the modulus is below 2, or the operation
            needs another modulus, such as a prime.
    """
    if name not in OPERATIONS:
        known = ", ".join(f"{key} ({operation.formula})" for key, operation in OPERATIONS.items())
        raise InputError(
            f"unknown task {name!r}: known tasks are {known}; "
            "or give a table (table.csv, table.npy) or a function (module.py:function)"
        )
    if modulus < 2:
        raise InputError(f"modulus must be at least 2, got {modulus}")
    operation = OPERATIONS[name]
    if operation.needs_prime:
        require_prime(modulus, operation.needs_prime, instead=operation.instead.format(n=modulus))
    pairs = all_pairs(modulus, operation.smallest)
    labels = operation.values(pairs[:, 0], pairs[:, 1], modulus) % modulus
    another = bool(operation.on_composite) and not is_prime(modulus)
    structure = operation.on_composite if another else operation.structure
    return Task(name, operation.formula, modulus, pairs, labels, structure)


def permuted(answers_N: Ints, draw: int = 0) -> Ints:
    """Answers dealt out anew to the pairs, always in the same way of a draw, so that they can only be memorised."""
    return numpy_generator(draw, "permuted answers").permutation(answers_N)


PERMUTED = "-permuted"
"""Behind the name of a task whose answers are permuted."""


def permuted_task(task: Task, *, draw: int = 0) -> Task:
    """Make the control of a task: its answers dealt out anew to its pairs, so that every class keeps its size.

    Args:
        task: The task.
        draw: Which of the permutations. That of 0 is the one of the registered controls.

    Returns:
        The task, which can only be memorised; its only structure is its answers.
    """
    return replace(
        task,
        name=f"{task.name}{PERMUTED}{draw or ''}",
        formula=f"{task.formula}, answers permuted",
        labels_N=permuted(task.labels_N, draw),
        structure="output",
    )


def all_pairs(modulus: int, smallest: tuple[int, int] = (0, 0)) -> Ints:
    """Return all pairs (a, b) of residues from `smallest` up, a outer, b inner, int64 (N, 2)."""
    # The pairs, and as much again while they are put together.
    check_memory(32 * modulus**2, f"a task on the pairs of {modulus:,} residues", "choose a smaller modulus")
    a, b = np.meshgrid(np.arange(smallest[0], modulus), np.arange(smallest[1], modulus), indexing="ij")
    return np.column_stack([a.ravel(), b.ravel()]).astype(np.int64)
