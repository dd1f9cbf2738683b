"""Groupings: maps from an input pair (a, b) to an element q of a cyclic group, by which functions are read.

Each is one of the variables of Xu 2026, §2.5. A pair that the map does not cover (zero has no logarithm) belongs to no
group and is left out, never put into an arbitrary one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import discrete_logarithms, is_prime, root_of_minus_one
from spectraledge.errors import InputError
from spectraledge.tasks.task import Task

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Grouping:
    """A map from the pairs of a domain to Z_M.

    Attributes:
        name: Its key in `GROUPINGS`.
        formula: The map as a person writes it.
        order: Order M of the cyclic group.
        groups_N: The element of every pair, int64 (N,), in 0..M − 1; −1 for a pair outside the basis.
        coordinates_N2: The coordinates of a and b of which q is the sum or difference, int64 (N, 2), −1 where there is
            none: the residues themselves, their discrete logarithms, or those of a + ib and a − ib (in place of a, b).
        signs: The coefficients (±1) with which the coordinates enter, or (0, 0) if q is no such combination.
    """

    name: str
    formula: str
    order: int
    groups_N: Ints
    coordinates_N2: Ints
    signs: tuple[int, int]

    @property
    def excluded(self) -> int:
        """Number of pairs outside the basis."""
        return int((self.groups_N < 0).sum())


def _residues(task: Task) -> tuple[Ints, int]:
    return task.pairs_N2, task.modulus


def _logarithms(task: Task) -> tuple[Ints, int]:
    return discrete_logarithms(task.modulus)[task.pairs_N2], task.modulus - 1


def _gaussian(task: Task) -> tuple[Ints, int]:
    # Columns: u = a + i·b and v = a − i·b.
    root = root_of_minus_one(task.modulus)
    factors = task.pairs_N2 @ np.array([[1, 1], [root, -root]]) % task.modulus
    return discrete_logarithms(task.modulus)[factors], task.modulus - 1


@dataclass(frozen=True)
class _Rule:
    formula: str
    signs: tuple[int, int]
    coordinates: Callable[[Task], tuple[Ints, int]] = _residues
    of_values: Callable[[Task], Ints] | None = None


def _product(task: Task) -> Ints:
    return np.where((task.pairs_N2 > 0).all(axis=1), task.pairs_N2.prod(axis=1) % task.modulus, -1)


GROUPINGS: dict[str, _Rule] = {
    "sum": _Rule("a + b", (1, 1)),
    "difference": _Rule("a − b", (1, -1)),
    "product": _Rule("a·b", (0, 0), of_values=_product),
    "dlog_sum": _Rule("dlog a + dlog b", (1, 1), _logarithms),
    "dlog_difference": _Rule("dlog a − dlog b", (1, -1), _logarithms),
    "gaussian_norm": _Rule("dlog(a + ib) + dlog(a − ib)", (1, 1), _gaussian),
    "gaussian_angle": _Rule("dlog(a + ib) − dlog(a − ib)", (1, -1), _gaussian),
    "output": _Rule("the answer", (0, 0), of_values=lambda task: task.labels_N),
    "output_dlog": _Rule(
        "dlog of the answer", (0, 0), _logarithms, lambda task: discrete_logarithms(task.modulus)[task.labels_N]
    ),
}
"""Every grouping by name. i is the smaller square root of −1 (`root_of_minus_one`)."""


def grouping(task: Task, name: str) -> Grouping:
    """Group the pairs of a task by one of the known variables.

    Under the raw product, pairs with a zero are outside the basis, as in Xu 2026, §2.5: they all have q = 0. Zero has
    no logarithm: outside the Gaussian bases are the pairs with a² + b² = 0, outside "output_dlog" those with answer 0.

    Args:
        task: The task whose domain is grouped.
        name: A key of `GROUPINGS`.

    Returns:
        The grouping.

    Raises:
        InputError: if the name is unknown, or it needs logarithms and the modulus is not prime, or a square root of −1
            and the modulus is not 1 mod 4.
    """
    if name not in GROUPINGS:
        raise InputError(f"unknown basis {name!r}: known bases are {', '.join(GROUPINGS)}")
    rule = GROUPINGS[name]
    coordinates, order = rule.coordinates(task)
    if rule.of_values is None:
        groups = np.where((coordinates >= 0).all(axis=1), coordinates @ np.array(rule.signs) % order, -1)
    else:
        groups = rule.of_values(task)
    if (groups < 0).all():
        raise InputError(f"basis {name!r} covers no pair of task {task.name!r}: choose another basis")
    return Grouping(name, rule.formula, order, groups, coordinates, rule.signs)


def default_groupings(task: Task) -> list[str]:
    """Names of the bases a task is read in when none are chosen: the paper's five, and the task's own."""
    names = ["sum", "difference", "product", "dlog_sum", "output"]
    if not is_prime(task.modulus):
        names.remove("dlog_sum")
    return names if task.structure in names else [*names, task.structure]
