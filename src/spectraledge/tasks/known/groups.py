"""The group that a task's own table is, commutative or not, whatever its inputs and answers are called."""

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import Characters, as_group, irreducible_characters
from spectraledge.errors import InputError
from spectraledge.tasks.groupings import GroupingRule, register_grouping
from spectraledge.tasks.task import Task


def _table(task: Task) -> NDArray[np.int64]:
    if len(task) != task.modulus**2:
        raise InputError(f"basis 'group' needs an answer to every pair, task {task.name!r} leaves out some")
    return task.labels_N.reshape(task.modulus, task.modulus)


def _characters(task: Task) -> Characters:
    return irreducible_characters(as_group(_table(task)))


register_grouping(
    GroupingRule(
        "group",
        "the answer, in the group of the table",
        elements=lambda task: task.labels_N,
        characters=_characters,
        unless_told=True,
    )
)
