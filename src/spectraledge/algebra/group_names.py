"""The name of a finite group that is given by its table, among those of `named_group`.

A group has many names: S3 is D3 and Aff3, D6 is C2xS3, C12 is C3xC4. The first that holds is its name here:

1. of a commutative group its invariant factors, each of which divides the next: C12, C2xC6;
2. S_n, A_n, D_n, Q8, Dic_n, Aff_p, in this order;
3. a product of groups that are none themselves: first the invariant factors of its commutative ones, then those of
   rule 2 by order: C3xS3, C2xC2xD4, Q8xS3. By Krull and Schmidt there is at most one.

Others have no name here, such as C7 with C3 acting on it; of them orders, classes and a fingerprint are said.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from spectraledge.algebra.finite_groups import Group, conjugacy_classes
from spectraledge.algebra.isomorphism import fingerprint, isomorphism
from spectraledge.algebra.named_groups import named_group
from spectraledge.algebra.primes import is_prime, prime_factors
from spectraledge.arrays import Ints


@dataclass(frozen=True, eq=False)
class Identified:
    """What group a group is.

    Attributes:
        group: The group as its name makes it, or itself where it has none.
        image_M: The element of that group for every element of the given one: an isomorphism.
        is_named: Whether it has a name here.
        also: Other names of it.
    """

    group: Group
    image_M: Ints
    is_named: bool
    also: tuple[str, ...]


def identify(group: Group) -> Identified:
    """Find the name of a group, and an isomorphism to the group that the name makes.

    Args:
        group: The group.

    Returns:
        Its name by the rules of this module, and other names.

    Cost: a comparison of O(M²) with each product of named groups of its order; a few dozen at order 128.
    """
    mine, profile = fingerprint(group), _profile(group)
    names = []
    image_M: Ints | None = None
    for name in candidate_names(len(group), is_abelian=group.is_abelian):
        if _profile_of(name) != profile or _fingerprint_of(name) != mine:
            continue
        found = isomorphism(group, named_group(name))
        if found is not None:
            names.append(name)
            image_M = found if image_M is None else image_M
    if image_M is None:
        return Identified(group.renamed(description(group)), np.arange(len(group)), is_named=False, also=())
    return Identified(named_group(names[0]), image_M, is_named=True, also=tuple(names[1:]))


def description(group: Group) -> str:
    """A group without a name in words, different for groups that differ in their fingerprint."""
    classes = len(conjugacy_classes(group))
    kind = "commutative" if group.is_abelian else "not commutative"
    return (
        f"group of order {len(group)}, {kind}, {classes} classes, no name here (fingerprint {fingerprint(group)[:8]})"
    )


def candidate_names(order: int, *, is_abelian: bool | None = None) -> list[str]:
    """Names of groups of an order, the name of each group before its other names.

    Args:
        order: The order M.
        is_abelian: Only commutative groups, or only others. Default: both.

    Returns:
        The names. Products of commutative groups are listed by invariant factors and by powers of primes.
    """
    names: list[str] = []
    if is_abelian is not False:
        names += [*_invariant_factors(order), *_families(order, abelian=True), *_prime_powers(order)]
    if is_abelian is not True:
        products = [(parts, commutative) for parts, commutative in _products(order) if commutative or len(parts) > 1]
        # Products of groups that are no products themselves, under their own names, come first: they are the names.
        products.sort(key=lambda each: sum(map(_is_another_name, each[0])))
        names += [*_families(order), *("x".join([*commutative, *parts]) for parts, commutative in products)]
    return list(dict.fromkeys(names))


@cache
def _profile_of(name: str) -> tuple[int, ...]:
    return _profile(named_group(name))


@cache
def _fingerprint_of(name: str) -> str:
    return fingerprint(named_group(name))


def _profile(group: Group) -> tuple[int, ...]:
    """How many elements have each order: what tells most groups apart at once."""
    return tuple(np.bincount(group.orders_M).tolist())


def _partitions(total: int, most: int) -> Iterator[list[int]]:
    if total == 0:
        yield []
    for first in range(min(total, most), 0, -1):
        for others in _partitions(total - first, first):
            yield [first, *others]


def _abelian_types(order: int) -> Iterator[list[list[int]]]:
    """For each commutative group of an order the powers of primes of its cyclic factors, by prime, largest first."""
    factors = prime_factors(order).items()
    choices = [[[p**k for k in part] for part in _partitions(total, total)] for p, total in factors]
    for chosen in itertools.product(*choices):
        yield list(chosen)


def _invariant_factors(order: int) -> list[str]:
    names = []
    for powers in _abelian_types(order):
        factors = [math.prod(column) for column in itertools.zip_longest(*powers, fillvalue=1)]
        names.append("x".join(f"C{factor}" for factor in reversed(factors or [1])))
    return names


def _prime_powers(order: int) -> list[str]:
    found = [sorted(itertools.chain(*powers)) for powers in _abelian_types(order)]
    return ["x".join(f"C{power}" for power in each) for each in found if each]


def _families(order: int, *, abelian: bool = False) -> list[str]:
    """Names of groups of an order that are no products, of commutative ones or of others, in the order of the rules."""
    found = []
    for letters in range(1, 8):
        if math.factorial(letters) == order and (letters < 3) == abelian:
            found.append((0, f"S{letters}"))
        if -(-math.factorial(letters) // 2) == order and (letters < 4) == abelian:
            found.append((1, f"A{letters}"))
    if order % 2 == 0 and (order <= 4) == abelian:
        found.append((2, f"D{order // 2}"))
    if order % 4 == 0 and (order == 4) == abelian:
        found.append((4, f"Dic{order // 4}"))
        if order >= 8 and order & (order - 1) == 0:
            found.append((3 if order == 8 else 5, f"Q{order}"))
    side = math.isqrt(order) + 1
    if side * (side - 1) == order and is_prime(side) and (side == 2) == abelian:
        found.append((6, f"Aff{side}"))
    return [name for _, name in sorted(found)]


def _is_another_name(name: str) -> bool:
    """Whether a group that is not commutative has a name before this one, or is a product."""
    number = int(name.lstrip("ADQScfi"))
    return (
        name in ("D3", "Aff3", "Dic2")
        or (name.startswith("Q") and number > 8)
        or (name[:2] != "Di" and name[0] == "D" and number % 4 == 2)
    )


def _products(order: int) -> Iterator[tuple[list[str], list[str]]]:
    """Products of groups that are not commutative, by order, with one that is: both as names; the latter may lack."""
    for size in (n for n in range(6, order + 1) if order % n == 0):
        commutative = [[name] for name in _invariant_factors(order // size)] if size < order else [[]]
        yield from itertools.product(_noncommutative(size, 6), commutative)


def _noncommutative(order: int, at_least: int) -> Iterator[list[str]]:
    for size in (n for n in range(at_least, order + 1) if order % n == 0):
        for name in _families(size):
            if size == order:
                yield [name]
            for others in _noncommutative(order // size, size):
                yield [name, *others]
