"""Tables that are a group's up to names: rows, columns and answers may be renamed, each in its own way."""

from dataclasses import dataclass

import numpy as np

from spectraledge.algebra.finite_groups import Group, check_group
from spectraledge.algebra.latin_squares import is_latin
from spectraledge.arrays import Bools, Ints
from spectraledge.errors import InputError


def as_group(table_MM: Ints) -> Ints:
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
    if not is_latin(table_MM):
        return table_MM
    row, column = _reference(table_MM)
    isotope_MM = np.empty_like(table_MM)
    isotope_MM[np.ix_(table_MM[:, column], table_MM[row])] = table_MM
    return isotope_MM


def _reference(table_MM: Ints) -> tuple[int, int]:
    """Row and column of the identity, by which the three names of an element agree; the first where there is none."""
    elements_M = np.arange(len(table_MM))
    identity_M = (table_MM == elements_M).all(axis=1) & (elements_M == table_MM.T).all(axis=1)
    return (int(np.argmax(identity_M)),) * 2


@dataclass(frozen=True, eq=False)
class Labels:
    """Elements of a group for the rows, columns and answers of a table: where it agrees, r(a)·c(b) = s(T(a, b)).

    Attributes:
        rows_M: r, of every row.
        columns_M: c, of every column.
        answers_K: s, of every answer; −1 for an answer that the group has no element for.
    """

    rows_M: Ints
    columns_M: Ints
    answers_K: Ints

    def agrees(self, group: Group, table_MM: Ints) -> Bools:
        """Where a table (−1 for a missing entry) is that of the group under these labels, shape (M, M)."""
        answers_MM = np.where(table_MM >= 0, self.answers_K[table_MM], -1)
        same_MM: Bools = group.table_MM[np.ix_(self.rows_M, self.columns_M)] == answers_MM
        return same_MM

    def mapped(self, image_M: Ints) -> "Labels":
        """The labels after an isomorphism of the group."""
        answers_K = np.where(self.answers_K >= 0, image_M[self.answers_K], -1)
        return Labels(image_M[self.rows_M], image_M[self.columns_M], answers_K)


def group_labels(table_MM: Ints) -> tuple[Ints, Labels] | None:
    """The group that a whole table is up to names, as a table on the answers, with the labels; None if it is none.

    Args:
        table_MM: Entry (a, b), in 0..M − 1.

    Returns:
        The group's table and the labels; where the table has an identity, all three names of an element are its own.

    Cost: see `check_group`.
    """
    isotope_MM = as_group(table_MM)
    try:
        check_group(isotope_MM)
    except InputError:
        return None
    row, column = _reference(table_MM)
    return isotope_MM, Labels(table_MM[:, column], table_MM[row], np.arange(len(table_MM)))


def separation(order: int) -> int:
    """Number of entries in which any two tables differ at least that are groups' up to names, if they differ at all.

    So where a table differs from a group's in less than half as many entries, no other group's table is as near.

    Law: 2M, but 4 for M = 4 and 8 for M = 6 (Dénes 1962; a proof for M > 10 is in the documentation, the others were
    compared one by one). Two tables of one element do not differ.

    Args:
        order: The order M.

    Returns:
        The number.
    """
    return {4: 4, 6: 8}.get(order, 2 * order)
