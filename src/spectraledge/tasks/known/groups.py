"""Groups by name, and the group that a task's own table is, commutative or not, whatever its elements are called."""

import numpy as np

from spectraledge.algebra import Group, as_group, group_from_table, group_labels
from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.tasks.group_tasks import parsed
from spectraledge.tasks.groupings import FAMILIES, Axes, GroupingRule, register_grouping
from spectraledge.tasks.task import Task


def _table(task: Task) -> Ints:
    if len(task) != task.modulus**2:
        raise InputError(f"basis 'group' needs an answer to every pair, task {task.name!r} leaves out some")
    return task.labels_N.reshape(task.modulus, task.modulus)


def _group(task: Task) -> Group:
    return group_from_table(as_group(_table(task)))


def _elements(task: Task) -> tuple[Ints, int]:
    """The elements that rows and columns of the table stand for."""
    found = group_labels(_table(task))
    if found is None:
        return np.full(task.pairs_N2.shape, -1), task.modulus
    labels = found[1]
    return np.column_stack([labels.rows_M[task.pairs_N2[:, 0]], labels.columns_M[task.pairs_N2[:, 1]]]), task.modulus


register_grouping(
    GroupingRule(
        "group",
        "the answer, in the group of the table",
        elements=lambda task: task.labels_N,
        axes=Axes("the elements a, b of the group of the table", _elements),
        group=_group,
        unless_told=True,
    )
)


def _named(member: str) -> GroupingRule:
    """Functions of a·b, or of another word in a and b, in a group: of any task with a residue for every element."""
    group, operation = parsed(member)

    def elements(task: Task) -> Ints:
        if task.modulus != len(group):
            raise InputError(
                f"basis 'group:{member}' is of {len(group)} elements, task {task.name!r} of {task.modulus}: choose a "
                "group of that order"
            )
        return operation.values(group, *task.pairs_N2.T)

    return GroupingRule(f"group:{member}", operation.formula_in(group), elements=elements, group=lambda _: group)


FAMILIES["group"] = _named
