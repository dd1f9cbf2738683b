"""Orders of elements along an axis of a picture: nested cosets of a chain of subgroups, or divisors of a modulus."""

from dataclasses import dataclass

import numpy as np

from spectraledge.algebra import Group, double_cosets, identify, subgroup, subgroups, unit_turns, with_conjugates
from spectraledge.arrays import Bools, Float, Ints

_DIGITS = 9
"""To which shares are compared, so that rounding does not choose between equal ones."""

_LEAST = 0.1
"""Share below which cosets count as none that the picture knows of (our choice)."""

_MOST = 0.5
"""The same where no cosets of a maximal subgroup are known: of many small ones some have a tenth of noise."""


@dataclass(frozen=True)
class Level:
    """Parts that elements are sorted by, within those of the level before.

    Attributes:
        parts: In words: "right cosets of S3"; "cosets of A4" of a normal subgroup; "greatest common divisors with 12".
        share: Share of the energy that varies along the axis, in functions that are constant on each, corrected for
            chance: 0 as much as noise, 1 all of it.
    """

    parts: str
    share: float


@dataclass(frozen=True, eq=False)
class ElementOrder:
    """An order of elements.

    Attributes:
        places_M: Place of every element, from 0.
        levels: Parts from the largest to the smallest, single elements left out.
    """

    places_M: Ints
    levels: tuple[Level, ...]

    @property
    def words(self) -> str:
        """The order in words."""
        # Rounded first, so that no share is written as −0%.
        parts = [f"{level.parts} ({round(level.share, 2) + 0.0:.0%})" for level in self.levels]
        return ", within them by ".join([*parts, "phase"])


def coset_order(picture_MR: Float, group: Group) -> ElementOrder:
    """Return the elements along one axis of a picture in the order of nested cosets, of subgroups that it chooses.

    Definition (ours): from the whole group down, the next subgroup is that maximal one of the last, on whose cosets the
    picture is constant for the largest share of its energy (`Level.share`). Where none reaches `_LEAST` it is any
    subgroup of the last, chosen alike; where none of these reaches `_MOST`, the trivial one of a cyclic group, so that
    turns stand by phase, and else the largest. Cosets are left or right, as the first is better. Within a coset of one
    level those of the next stand by their phase: the angle of their mean rows in the plane in which these vary most,
    from that with the smallest element on.
    Law: a picture of any function of cosets of a maximal subgroup, or of a smaller one if it has no share on cosets of
    maximal ones, right ones for f(a·b) along a and left ones along b, is made of solid blocks.

    Cost: O(M·R) for each subgroup that is tried.
    """
    centred_MR = picture_MR - picture_MR.mean(axis=0)
    identity = np.array([group.identity])
    known = [np.asarray(elements) for elements in with_conjugates(group, subgroups(group))]
    inside_SM = np.stack([np.isin(np.arange(len(group)), elements) for elements in known])
    chain: list[Ints] = []
    levels: list[Level] = []
    sides: tuple[str, ...] = ("right", "left")
    current_M = np.ones(len(group), dtype=bool)
    while current_M.sum() > 1:
        smaller = _inside(inside_SM, current_M)
        for places, least in ((_maximal(inside_SM, smaller), _LEAST), (smaller, _MOST)):
            found = [
                (round(constant_share(centred_MR, cosets_M), _DIGITS), side, place, cosets_M)
                for place in places
                for side in sides
                for cosets_M in [_cosets(group, known[place], identity, side)]
            ]
            share, side, place, cosets_M = max(found, key=lambda one: (max(one[0], least), len(known[one[2]])))
            if share >= least:
                break
        else:
            if group.orders_M[current_M].max() == current_M.sum():
                chain.append(np.arange(len(group)))
                break
        sides, current_M = (side,), inside_SM[place]
        chain.append(cosets_M)
        if current_M.sum() > 1:
            other_M = _cosets(group, known[place], identity, "left" if side == "right" else "right")
            handed = "" if (cosets_M == other_M).all() else f"{side} "
            levels.append(Level(f"{handed}cosets of {_name(group, known[place])}", share))
    order_M = _sorted(centred_MR, np.arange(len(group)), chain)
    return ElementOrder(np.argsort(order_M), tuple(levels))


def _cosets(group: Group, elements: Ints, identity: Ints, side: str) -> Ints:
    return double_cosets(group, elements, identity) if side == "right" else double_cosets(group, identity, elements)


def _inside(inside_SM: Bools, current_M: Bools) -> list[int]:
    """The subgroups inside one, itself left out."""
    size_S = inside_SM.sum(axis=1)
    return np.flatnonzero(~(inside_SM & ~current_M).any(axis=1) & (size_S < current_M.sum())).tolist()


def _maximal(inside_SM: Bools, within: list[int]) -> list[int]:
    """Those of some subgroups that lie in no other of them."""
    return [s for s in within if all((inside_SM[s] & ~inside_SM[t]).any() for t in within if t != s)]


def constant_share(centred_MR: Float, cosets_M: Ints) -> float:
    """Share of the energy of centred rows in functions that are constant on cosets, or other parts, as of `Level`."""
    count_C = np.bincount(cosets_M)
    total, chance = float(np.square(centred_MR).sum()), (len(count_C) - 1) / max(len(cosets_M) - 1, 1)
    if total == 0.0 or chance == 1.0:
        return 0.0
    means_CR = part_means(centred_MR, cosets_M, len(count_C))
    return float((np.square(means_CR).sum(axis=1) @ count_C / total - chance) / (1 - chance))


def part_means(values_MR: Float, parts_M: Ints, count: int) -> Float:
    """Means of rows by the number of their part; 0 of a part without any."""
    member_CM = np.arange(count)[:, None] == parts_M
    means_CR: Float = member_CM @ values_MR / np.maximum(member_CM.sum(axis=1, keepdims=True), 1)
    return means_CR


def _sorted(centred_MR: Float, elements: Ints, chain: list[Ints]) -> Ints:
    if len(elements) == 1 or not chain:
        return elements
    numbers, place = np.unique(chain[0][elements], return_inverse=True)
    around = _around(part_means(centred_MR[elements], place, len(numbers)))
    return np.concatenate([_sorted(centred_MR, elements[place == child], chain[1:]) for child in around])


def _around(rows_CR: Float) -> list[int]:
    """Rows by their angle in the plane in which they vary most, from the first one on, towards the earlier of two."""
    centred_CR = rows_CR - rows_CR.mean(axis=0)
    if len(rows_CR) < 3:
        return list(range(len(rows_CR)))
    axes_CK, sizes_K, _ = np.linalg.svd(centred_CR, full_matrices=False)
    if sizes_K[0] == 0.0 or len(sizes_K) < 2:
        return list(range(len(rows_CR)))
    across_C, up_C = (axes_CK[:, :2] * sizes_K[:2]).T
    order = np.argsort(np.arctan2(up_C, across_C), kind="stable")
    order = np.roll(order, -int(np.flatnonzero(order == 0)[0]))
    return [0, *map(int, order[1:] if order[1] < order[-1] else order[:0:-1])]


def _name(group: Group, elements: Ints) -> str:
    found = identify(subgroup(group, elements))
    return found.group.name if found.is_named else f"a subgroup of order {len(elements)}"


def divisor_order(picture_MR: Float, frequency: int) -> ElementOrder:
    """Return residues along one axis of a picture in the order of divisors, within them along a character of the units.

    Definition (ours): by greatest common divisor with the modulus, ascending, so that 0 is the last; those of one
    divisor by `unit_turns`, then ascending. Rows that are not in the domain are NaN throughout.
    Law: of a function of a·b in the subspace of one character, the block of two divisors depends on the sum of both
    turns alone: a stripe for a character of high order, solid blocks for one of order 2, one block for the divisors'.
    """
    modulus = len(picture_MR)
    residues_M = np.arange(modulus)
    divisors_M = np.gcd(residues_M, modulus)
    kept_M = ~np.isnan(picture_MR).all(axis=1)
    rows_mR = np.nan_to_num(picture_MR[kept_M])
    share = constant_share(rows_mR - rows_mR.mean(axis=0), np.unique(divisors_M[kept_M], return_inverse=True)[1])
    order_M = np.lexsort((residues_M, unit_turns(modulus, frequency), divisors_M))
    return ElementOrder(np.argsort(order_M), (Level(f"greatest common divisors with {modulus}", share),))
