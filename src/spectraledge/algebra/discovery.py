"""Which group the table of an operation is, whatever its rows, columns and answers are called, or which is nearest."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from spectraledge.algebra.extensions import groups_of_order
from spectraledge.algebra.finite_groups import Group, operation_table, trusted_group
from spectraledge.algebra.group_names import candidate_names, identify
from spectraledge.algebra.isomorphism import fingerprint
from spectraledge.algebra.isotopes import Labels, group_labels, separation
from spectraledge.algebra.latin_squares import is_latin
from spectraledge.algebra.named_groups import named_group
from spectraledge.algebra.nearest_labels import best_labels, improved, random_labels, repaired
from spectraledge.arrays import Bools, Ints
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator

LARGEST_TRIED = 7
"""Order up to which all labels of all groups are tried for a table that is no group's."""

ALL_KNOWN = 32
"""Order up to which a table without a near group is compared with all groups, above with those that have a name."""

_ENOUGH = 0.75
"""Share of entries that agree, from which no other group is tried (our choice: random names lead to fewer)."""

WORK = 1 << 18
"""Entries of the tables that are compared from random names, over all groups; each at least once (our choice)."""


@dataclass(frozen=True, eq=False)
class Discovery:
    """The group that is nearest to a table.

    Attributes:
        group: The group, as its name makes it; its own table where it has no name here.
        is_named: Whether it has a name (`named_group`).
        also: Other names of it.
        labels: The elements of rows, columns and answers.
        agreeing_MM: Where the table is that of the group under the labels.
        missing: Entries that the table lacks; they do not agree.
        is_latin: Whether the table has every answer once in every row and column.
        is_exact: Whether no group's table is nearer; else the distance is an upper bound.
    """

    group: Group
    is_named: bool
    also: tuple[str, ...]
    labels: Labels
    agreeing_MM: Bools
    missing: int
    is_latin: bool
    is_exact: bool

    @property
    def changes(self) -> int:
        """Number of entries to change or to fill in, so that the table is the group's up to names."""
        return int((~self.agreeing_MM).sum())

    @property
    def distance(self) -> float:
        """Share of entries to change."""
        return self.changes / self.agreeing_MM.size

    @property
    def is_group(self) -> bool:
        """Whether the table is a group's, up to names."""
        return self.changes == 0


def discover(table: ArrayLike | Tensor, *, work: int = WORK) -> Discovery:
    """Find the group that a table is, a ∘ b = σ(π(a)·τ(b)), or else a nearest one.

    Definition: the distance of a table from a group is the least share of its entries to change so that it is the
    group's under some names π of rows, τ of columns and σ of answers, each one to one. A table at distance 0 is
    recognised by its principal isotope (Albert 1943) and named by comparison with the groups of its order (`identify`).
    For others all names of all groups are tried up to order 7; above, wrong entries are outvoted by quadrangles
    (`repaired`), names are improved in turn (`improved`), and where fewer than three quarters of the entries then agree
    groups of the order are tried from random names. The distance is certain up to order 7, and where at most half of
    `separation` is to be changed; else it is an upper bound.

    Args:
        table: One row and one column for each of M elements; the answers numbered from 0, −1 for a missing entry.
        work: Entries of the tables that are compared from random names where names are not found otherwise, over all
            groups; each is tried once at least.

    Returns:
        The group, its labels and the distance.

    Raises:
        InputError: if the table is not square, is no table of integers, or has no entry.

    Cost: O(M³); at order 128 a tenth of a second for a group's table, two seconds for one at random.
    """
    table_MM = _checked(table)
    answers = int(table_MM.max()) + 1
    found = group_labels(table_MM) if answers == len(table_MM) else None
    if found is not None:
        return _named(table_MM, found[1], trusted_group("", found[0]), is_exact=True)
    all_tried = len(table_MM) <= LARGEST_TRIED
    near = _nearest(table_MM, answers) if all_tried else _near(table_MM, answers, work)
    agreeing, labels, group = max(near, key=lambda each: each[0])
    changes = table_MM.size - agreeing
    return _named(table_MM, labels, group, is_exact=all_tried or 2 * changes <= separation(len(table_MM)))


def _checked(table: ArrayLike | Tensor) -> Ints:
    table_MM = np.maximum(operation_table(table), -1)
    if (table_MM < 0).all():
        raise InputError("the table has no entry: there is nothing to compare")
    if table_MM.max() >= table_MM.size:
        raise InputError(f"a table of {table_MM.size} entries has no answer {table_MM.max()}: number them from 0")
    return table_MM


def _named(table_MM: Ints, labels: Labels, group: Group, *, is_exact: bool) -> Discovery:
    identified = identify(group)
    labels = labels.mapped(identified.image_M)
    return Discovery(
        identified.group,
        identified.is_named,
        identified.also,
        labels,
        labels.agrees(identified.group, table_MM),
        int((table_MM < 0).sum()),
        bool(table_MM.min() >= 0) and is_latin(np.unique(table_MM, return_inverse=True)[1].reshape(table_MM.shape)),
        is_exact,
    )


def _nearest(table_MM: Ints, answers: int) -> Iterator[tuple[int, Labels, Group]]:
    """All groups of a small order under the best of all labels: how many entries agree, the labels, the group."""
    for group in _known_groups(len(table_MM)):
        yield (*best_labels(group, table_MM, answers), group)


def _near(table_MM: Ints, answers: int, work: int) -> Iterator[tuple[int, Labels, Group]]:
    """Groups near a table: how many entries agree, the labels, the group."""
    order = len(table_MM)
    found = repaired(table_MM, answers)
    if found is not None:
        group = trusted_group("", found[0])
        agreeing, labels = improved(group, table_MM, found[1])
        yield agreeing, labels, group
        if agreeing >= _ENOUGH * table_MM.size:
            return
    generator = numpy_generator(0, "names to begin with")
    groups = _known_groups(order)
    for _ in range(max(1, work // (order**2 * len(groups)))):
        for group in groups:
            yield (*improved(group, table_MM, random_labels(order, answers, generator)), group)


@cache
def _known_groups(order: int) -> list[Group]:
    """All groups of a small order, of others those that have a name, each once."""
    if order <= ALL_KNOWN:
        return list(groups_of_order(order))
    found: dict[str, Group] = {}
    for name in candidate_names(order):
        group = named_group(name)
        found.setdefault(fingerprint(group), group)
    return list(found.values())
