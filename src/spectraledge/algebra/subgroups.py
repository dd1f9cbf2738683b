"""Subgroups of a finite group up to conjugacy."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spectraledge.algebra.finite_groups import Group, trusted_group
from spectraledge.algebra.primes import is_prime, prime_factors
from spectraledge.arrays import Ints

MOST = 1000
"""Classes of subgroups that are listed unless more are asked for: S5 has 19, D64 has 20, C2⁵ has 374, C2⁶ 2,825."""


@dataclass(frozen=True, eq=False)
class SubgroupClass:
    """A subgroup and its conjugates.

    Attributes:
        elements: Of one of them, ascending.
        conjugates: How many there are; 1 for a normal subgroup.
    """

    elements: Ints
    conjugates: int

    def __len__(self) -> int:
        """Return the order of the subgroup."""
        return len(self.elements)


@dataclass(frozen=True, eq=False)
class Subgroups:
    """Subgroups of a group up to conjugacy, by order.

    Attributes:
        classes: One for each class that was found.
        complete: Whether these are all; else the search was cut, and any may be missing.
    """

    classes: tuple[SubgroupClass, ...]
    complete: bool


def subgroups(group: Group, *, most: int = MOST, largest: int | None = None) -> Subgroups:
    """The subgroups of a group, one of each class of conjugates.

    Every subgroup is reached from the trivial one by adding elements one by one; one of each class is enough to add to.

    Args:
        group: The group.
        most: Number of classes after which the search is cut, at least 1.
        largest: Order above which subgroups are not sought. Default: none.

    Returns:
        The classes; `complete` says whether these are all up to that order.

    Cost: O(K·Z·M) for K classes and Z cyclic subgroups.
    """
    generators = list(_cyclic_generators(group))
    trivial = np.array([group.identity])
    found = [SubgroupClass(trivial, 1)]
    seen = {trivial.tobytes()}
    for each in found:
        covered_M = np.zeros(len(group), dtype=bool)
        covered_M[each.elements] = True
        for element in generators:
            if covered_M[element]:
                continue
            larger = group.generated([*_basis(group, each.elements), element])
            if is_prime(len(larger) // len(each)):
                covered_M[larger] = True
            if larger.tobytes() in seen or (largest is not None and len(larger) > largest):
                continue
            if len(found) == most:
                return Subgroups(tuple(sorted(found, key=len)), complete=False)
            conjugates = _conjugates(group, larger)
            seen |= conjugates
            found.append(SubgroupClass(larger, len(conjugates)))
    return Subgroups(tuple(sorted(found, key=len)), complete=True)


def with_conjugates(group: Group, found: Subgroups) -> list[Ints]:
    """List subgroups one by one.

    Args:
        group: The group.
        found: Its subgroups up to conjugacy.

    Returns:
        Elements of every subgroup of those classes, ascending.
    """
    return [
        np.frombuffer(elements, dtype=np.int64)
        for each in found.classes
        for elements in sorted(_conjugates(group, each.elements))
    ]


def subgroup(group: Group, elements: Ints) -> Group:
    """Make a subgroup a group of its own.

    Args:
        group: The group.
        elements: Those of the subgroup, ascending.

    Returns:
        The subgroup, its elements numbered in that order.
    """
    return trusted_group("subgroup", np.searchsorted(elements, group.table_MM[np.ix_(elements, elements)]))


def _cyclic_generators(group: Group) -> Iterator[int]:
    """One generator of each cyclic subgroup of prime power order, which together generate any subgroup."""
    seen = set()
    for x in np.argsort(group.orders_M, kind="stable").tolist():
        powers = tuple(sorted(group.powers(x)))
        if len(prime_factors(len(powers))) == 1 and powers not in seen:
            seen.add(powers)
            yield x


def _basis(group: Group, elements: Ints) -> list[int]:
    """Some elements that generate a subgroup, each outside what those before it generate."""
    chosen: list[int] = []
    inside = np.array([group.identity])
    while len(inside) < len(elements):
        chosen.append(int(np.setdiff1d(elements, inside)[0]))
        inside = group.generated(chosen)
    return chosen or [group.identity]


def _conjugates(group: Group, elements: Ints) -> set[bytes]:
    moved_Mh = np.sort(group.quotients_MM[group.table_MM[:, elements], np.arange(len(group))[:, None]], axis=1)
    return {row.tobytes() for row in np.unique(moved_Mh, axis=0)}
