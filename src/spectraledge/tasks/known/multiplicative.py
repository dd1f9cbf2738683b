"""Multiplication and division, and the group of the units mod p by which they act, cyclic in discrete logarithms.

On a modulus that is not prime products can be 0 or without inverse, and no logarithm tells of them: there functions of
the product are split by the characters of the units.

The domain of multiplication leaves out zeros (Xu 2026, §2); division by zero is no pair. Under the raw product, pairs
with a zero are outside the basis, as in Xu 2026, §2.5: they all have q = 0.
"""

import numpy as np

from spectraledge.algebra import discrete_logarithms, unit_characters
from spectraledge.arrays import Ints
from spectraledge.tasks.groupings import Axes, GroupingRule, register_grouping
from spectraledge.tasks.operations import Operation, register_operation
from spectraledge.tasks.task import Task


def _quotient(a: Ints, b: Ints, modulus: int) -> Ints:
    inverse = np.array([0, *(pow(n, -1, modulus) for n in range(1, modulus))], dtype=np.int64)
    return a * inverse[b]


def _product(task: Task) -> Ints:
    return np.where((task.pairs_N2 > 0).all(axis=1), task.pairs_N2.prod(axis=1) % task.modulus, -1)


LOGARITHMS = Axes("dlog a, dlog b", lambda task: (discrete_logarithms(task.modulus)[task.pairs_N2], task.modulus - 1))

register_operation(Operation("mul", "a·b", "dlog_sum", lambda a, b, n: a * b, (1, 1), on_composite="ring_product"))
register_operation(
    Operation(
        "div",
        "a / b",
        "dlog_difference",
        _quotient,
        (0, 1),
        needs_prime="division",
        instead="the units mod {n} alone, group:U{n}:ab^-1",
    )
)

register_grouping(GroupingRule("product", "a·b", elements=_product, usual=True))
register_grouping(
    GroupingRule(
        "ring_product",
        "a·b, by characters of the units",
        elements=lambda task: task.pairs_N2.prod(axis=1) % task.modulus,
        characters=lambda task: unit_characters(task.modulus),
        by_divisor=True,
    )
)
for name, formula, sign, usual in (
    ("dlog_sum", "dlog a + dlog b", 1, True),
    ("dlog_difference", "dlog a − dlog b", -1, False),
):
    register_grouping(GroupingRule(name, formula, (1, sign), LOGARITHMS, symmetries=("affine", "power"), usual=usual))
