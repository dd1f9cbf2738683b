"""The group that a task's own table is, commutative or not, whatever its inputs and answers are called."""

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import Characters, irreducible_characters
from spectraledge.errors import InputError
from spectraledge.tasks.groupings import GroupingRule, register_grouping
from spectraledge.tasks.task import Task


def _table(task: Task) -> NDArray[np.int64]:
    if len(task) != task.modulus**2:
        raise InputError(f"basis 'group' needs an answer to every pair, task {task.name!r} leaves out some")
    return task.labels_N.reshape(task.modulus, task.modulus)


def _characters(task: Task) -> Characters:
    return irreducible_characters(as_group(_table(task)))


def as_group(table_MM: NDArray[np.int64]) -> NDArray[np.int64]:
    """The operation on the answers of a table whose inputs and answers may have been renamed, each in its own way.

    Definition: the principal isotope, T(a, 0) ∘ T(0, b) = T(a, b). Law (Albert 1943): where the table is that of a
    group G with renamed rows, columns and entries, it is a group isomorphic to G, as is any table with an identity, and
    translations of the one are translations of the other, so that both have the same subspaces of functions.

    Args:
        table_MM: Entry (a, b), in 0..M − 1.

    Returns:
        The table itself where it has an identity, or where rows or columns lack answers; else the isotope. Either may
        be no group's.
    """
    elements_M = np.arange(len(table_MM))
    complete = all((np.sort(part, axis=0) == elements_M[:, None]).all() for part in (table_MM, table_MM.T))
    identity_M = (table_MM == elements_M).all(axis=1) & (elements_M == table_MM.T).all(axis=1)
    if identity_M.any() or not complete:
        return table_MM
    isotope_MM = np.empty_like(table_MM)
    isotope_MM[np.ix_(table_MM[:, 0], table_MM[0])] = table_MM
    return isotope_MM


register_grouping(
    GroupingRule(
        "group",
        "the answer, in the group of the table",
        elements=lambda task: task.labels_N,
        characters=_characters,
        unless_told=True,
    )
)
