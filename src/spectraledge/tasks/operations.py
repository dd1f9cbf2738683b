"""The operations of Xu 2026, §2, and division, as tasks on any modulus."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import require_prime
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator
from spectraledge.tasks.task import Task

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Operation:
    """A named operation.

    Attributes:
        formula: As a person writes it.
        structure: Name of its own grouping, "output" if it has no group.
        values: The operation on arrays of a and b, with the modulus; reduced afterwards.
        smallest: Smallest a and b in the domain: (1, 1) leaves out zeros.
        needs_prime: What needs the modulus to be prime, or "" if nothing does.
    """

    formula: str
    structure: str
    values: Callable[[Ints, Ints, int], Ints]
    smallest: tuple[int, int] = (0, 0)
    needs_prime: str = ""


def _quotient(a: Ints, b: Ints, modulus: int) -> Ints:
    inverse = np.array([0, *(pow(n, -1, modulus) for n in range(1, modulus))], dtype=np.int64)
    return a * inverse[b]


def _permuted(answers: Ints) -> Ints:
    return numpy_generator(0, "permuted answers").permutation(answers)


OPERATIONS: dict[str, Operation] = {
    "add": Operation("a + b", "sum", lambda a, b, n: a + b),
    "sub": Operation("a − b", "difference", lambda a, b, n: a - b),
    "mul": Operation("a·b", "dlog_sum", lambda a, b, n: a * b, (1, 1), "multiplication without zero"),
    "div": Operation("a / b", "dlog_difference", _quotient, (0, 1), "division"),
    "square_sum": Operation("a² + b²", "output", lambda a, b, n: a * a + b * b),
    "quadratic": Operation("a² + ab + b²", "output", lambda a, b, n: a * a + a * b + b * b),
    "cubic": Operation("a³ + ab", "output", lambda a, b, n: a * a % n * a + a * b),
    "maximum": Operation("max(a, b)", "output", lambda a, b, n: np.maximum(a, b)),
    "permuted_add": Operation("a + b, answers permuted", "output", lambda a, b, n: _permuted((a + b) % n)),
    "permuted_mul": Operation("a·b, answers permuted", "output", lambda a, b, n: _permuted(a * b % n), (1, 1)),
}
"""Every operation by name. The domain of multiplication leaves out zeros (Xu 2026, §2); division by zero is no pair.
Controls of ours: the maximum, which can be learned and has nothing to do with the group, and answers dealt out anew to
the pairs, always in the same way, which can only be memorised."""


def named_task(name: str, *, modulus: int = 97) -> Task:
    """Make one of the known tasks.

    Args:
        name: A key of `OPERATIONS`.
        modulus: Number of residues. Default 97 (Xu 2026, §2).

    Returns:
        The task over its whole domain.

    Raises:
        InputError: if the name is unknown (the message lists the known ones), the modulus is below 2, or the operation
            needs a prime modulus and this one is not.
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
        require_prime(modulus, operation.needs_prime)
    pairs = all_pairs(modulus, operation.smallest)
    labels = operation.values(pairs[:, 0], pairs[:, 1], modulus) % modulus
    return Task(name, operation.formula, modulus, pairs, labels, operation.structure)


def all_pairs(modulus: int, smallest: tuple[int, int] = (0, 0)) -> Ints:
    """Return all pairs (a, b) of residues from `smallest` up, a outer, b inner, int64 (N, 2)."""
    a, b = np.meshgrid(np.arange(smallest[0], modulus), np.arange(smallest[1], modulus), indexing="ij")
    return np.column_stack([a.ravel(), b.ravel()]).astype(np.int64)
