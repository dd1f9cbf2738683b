"""Groups by name, and the group that a task's own table is, commutative or not, whatever its elements are called."""

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import Characters, as_group, irreducible_characters
from spectraledge.errors import InputError
from spectraledge.tasks.group_tasks import parsed
from spectraledge.tasks.groupings import FAMILIES, GroupingRule, register_grouping
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


def _named(member: str) -> GroupingRule:
    """Functions of a·b, or of another word in a and b, in a group: of any task with a residue for every element."""
    group, operation = parsed(member)

    def elements(task: Task) -> NDArray[np.int64]:
        if task.modulus != len(group):
            raise InputError(
                f"basis 'group:{member}' is of {len(group)} elements, task {task.name!r} of {task.modulus}: choose a "
                "group of that order"
            )
        return operation.values(group, *task.pairs_N2.T)

    return GroupingRule(
        f"group:{member}",
        operation.formula_in(group),
        elements=elements,
        characters=lambda _: irreducible_characters(group),
    )


FAMILIES["group"] = _named
