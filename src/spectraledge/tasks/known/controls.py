"""Controls of ours, without a group.

The maximum can be learned; answers that are dealt out anew to the pairs, always in the same way, can only be memorised.
"""

import numpy as np
from numpy.typing import NDArray

from spectraledge.streams import numpy_generator
from spectraledge.tasks.operations import Operation, register_operation
from spectraledge.tasks.task import Task


def _permuted(answers: NDArray[np.int64], draw: int = 0) -> NDArray[np.int64]:
    return numpy_generator(draw, "permuted answers").permutation(answers)


def permuted_task(task: Task, *, draw: int = 0) -> Task:
    """Make the control of a task: its answers dealt out anew to its pairs, so that every class keeps its size.

    Args:
        task: The task.
        draw: Which of the permutations. That of 0 is the one of the registered controls.

    Returns:
        The task, whose only structure is its answers.
    """
    name = f"permuted{draw or ''}_{task.name}"
    formula = f"{task.formula}, answers permuted"
    return Task(name, formula, task.modulus, task.pairs_N2, _permuted(task.labels_N, draw))


register_operation(Operation("maximum", "max(a, b)", "output", lambda a, b, n: np.maximum(a, b)))
register_operation(
    Operation("permuted_add", "a + b, answers permuted", "output", lambda a, b, n: _permuted((a + b) % n))
)
register_operation(
    Operation("permuted_mul", "a·b, answers permuted", "output", lambda a, b, n: _permuted(a * b % n), (1, 1))
)
