"""Forms of a and b of degree two and three (Xu 2026, §2), and the bases in which a² + b² is a product (§2.5).

i is the smaller square root of −1 (`root_of_minus_one`). Zero has no logarithm: outside the Gaussian bases are the
pairs with a² + b² = 0.
"""

import numpy as np

from spectraledge.algebra import discrete_logarithms, root_of_minus_one
from spectraledge.arrays import Ints
from spectraledge.tasks.groupings import Axes, GroupingRule, register_grouping
from spectraledge.tasks.operations import Operation, register_operation
from spectraledge.tasks.task import Task


def _gaussian(task: Task) -> tuple[Ints, int]:
    root = root_of_minus_one(task.modulus)
    factors = task.pairs_N2 @ np.array([[1, 1], [root, -root]]) % task.modulus
    return discrete_logarithms(task.modulus)[factors], task.modulus - 1


GAUSSIAN = Axes("dlog(a + ib), dlog(a − ib)", _gaussian)

register_operation(Operation("square_sum", "a² + b²", "output", lambda a, b, n: a * a + b * b))
register_operation(Operation("quadratic", "a² + ab + b²", "output", lambda a, b, n: a * a + a * b + b * b))
register_operation(Operation("cubic", "a³ + ab", "output", lambda a, b, n: a * a % n * a + a * b))

register_grouping(GroupingRule("gaussian_norm", "dlog(a + ib) + dlog(a − ib)", (1, 1), GAUSSIAN))
register_grouping(GroupingRule("gaussian_angle", "dlog(a + ib) − dlog(a − ib)", (1, -1), GAUSSIAN))
