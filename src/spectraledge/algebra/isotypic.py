"""Isotypic parts of functions on a group and on its pairs: what of a function belongs to which representations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from spectraledge.algebra.finite_groups import Group
from spectraledge.algebra.representations import CharacterTable, character_table
from spectraledge.arrays import Float, Ints
from spectraledge.errors import InputError

PAIR_ELEMENTS: Mapping[str, Callable[[Group], Ints]] = {
    "a": lambda group: np.repeat(np.arange(len(group)), len(group)).reshape(len(group), -1),
    "b": lambda group: np.tile(np.arange(len(group)), (len(group), 1)),
    "ab": lambda group: group.table_MM,
    "ba": lambda group: group.table_MM.T,
    "ab^-1": lambda group: group.quotients_MM,
    "a^-1b": lambda group: group.table_MM[group.inverses_M],
}
"""Maps from pairs (a, b) to an element, each of which every element is the image of M pairs."""


@dataclass(frozen=True, eq=False)
class IsotypicParts:
    """The real functions on a group, split by irreducible representation.

    Laws: the projectors are symmetric, orthogonal to each other and sum to the identity; they commute with all
    translations, from the left and from the right.

    Attributes:
        names: Of each part: "ρ(2,0)", or "ρ(1,1)+ρ(1,2)" of two conjugate representations, which real functions cannot
            tell apart. The constants come first, then by dimension of the part.
        dimensions_F: Dimension of every part: d², or 2d² of two.
        projectors_FMM: On the functions of the element.
    """

    names: tuple[str, ...]
    dimensions_F: Ints
    projectors_FMM: Float

    def split(self, values_M: Float) -> Float:
        """The parts of functions of the element.

        Args:
            values_M: The function, shape (M, ...).

        Returns:
            Shape (F, M, ...); they sum to the function.
        """
        parts_FM: Float = np.tensordot(self.projectors_FMM, values_M, axes=1)
        return parts_FM

    def split_pairs(self, values_MM: Float, elements_MM: Ints) -> Float:
        """The parts of a function of pairs that are functions of one element, such as ab.

        Law: their squares sum to those of the function's means over the pairs with one element.

        Args:
            values_MM: The function of (a, b).
            elements_MM: The element of each pair, M pairs to each (`PAIR_ELEMENTS`).

        Returns:
            Shape (F, M, M); they sum to the mean over the pairs with the same element.

        Raises:
            InputError: if some element has not M pairs.
        """
        order = len(elements_MM)
        if (np.bincount(elements_MM.ravel(), minlength=order) != order).any():
            raise InputError(
                f"a map of pairs to {order} elements has {order} pairs to each: choose one of those listed"
            )
        means_M = np.bincount(elements_MM.ravel(), weights=values_MM.ravel(), minlength=order) / order
        return self.split(means_M)[:, elements_MM]


def isotypic_parts(group: Group) -> IsotypicParts:
    """Split the real functions on a group by irreducible representation.

    Definition: P = (d/M) Σ_x χ(x)·L_x over a representation and its conjugate (Serre 1977, §2.6).

    Args:
        group: The group.

    Returns:
        The parts and their projectors.

    Cost: O(F·M²) memory.
    """
    table = character_table(group)
    kernels_FM = isotypic_kernels(table)
    names = tuple("+".join(map(table.name, rows)) for rows in real_rows(table))
    dimensions_F = np.rint(len(group) * kernels_FM[:, group.identity]).astype(np.int64)
    return IsotypicParts(names, dimensions_F, kernels_FM[:, group.quotients_MM])


def isotypic_kernels(table: CharacterTable) -> Float:
    """The functions k with P(x, y) = k(x·y⁻¹) for the projectors P on the parts, in their order, shape (F, M)."""
    on_elements_CM = table.on_elements_CM.real
    kernels = [
        len(rows) * table.dimensions_C[rows[0]] / on_elements_CM.shape[1] * on_elements_CM[rows[0]]
        for rows in real_rows(table)
    ]
    return np.stack(kernels)


def real_rows(table: CharacterTable) -> list[tuple[int, ...]]:
    """Rows of each part: one with a real character, or two conjugate ones."""
    rows = [tuple(sorted({row, int(other)})) for row, other in enumerate(table.conjugates_C)]
    return sorted(set(rows), key=lambda each: (each[0] > 0, len(each) * table.dimensions_C[each[0]] ** 2, each))


def double_cosets(group: Group, left: Ints, right: Ints) -> Ints:
    """The two-sided cosets HxK of two subgroups.

    Args:
        group: The group.
        left: Elements of H; the trivial subgroup makes left cosets of K.
        right: Elements of K.

    Returns:
        The coset of every element, numbered from 0 by smallest element, shape (M,).
    """
    smallest_M = group.table_MM[np.ix_(left, np.arange(len(group)))].min(axis=0)
    smallest_M = smallest_M[group.table_MM[:, right]].min(axis=1)
    return np.unique(smallest_M, return_inverse=True)[1].astype(np.int64)


def coset_projector(cosets_M: Ints) -> Float:
    """The projector on functions that are constant on every coset, or other part, of a set.

    Law: that of two-sided cosets of a group commutes with the projectors of `isotypic_parts`.

    Args:
        cosets_M: The number of the part that each element lies in.

    Returns:
        Shape (M, M).
    """
    same_MM = cosets_M[:, None] == cosets_M
    projector_MM: Float = same_MM / same_MM.sum(axis=1)
    return projector_MM
