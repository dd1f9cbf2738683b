"""Finite groups as tables: the group itself, products, orders of elements, classes of conjugates."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from spectraledge.algebra.latin_squares import is_latin
from spectraledge.algebra.primes import prime_factors
from spectraledge.arrays import Ints
from spectraledge.devices import given_array
from spectraledge.errors import InputError

LARGEST = 2048
"""Order above which no group is made (our choice: a table of it takes 32 MB)."""


@dataclass(frozen=True, eq=False)
class Group:
    """A finite group on the elements 0..M − 1.

    Attributes:
        name: As a person writes it, "S4"; of a group without a name, any words.
        table_MM: Entry (x, y) is x·y.
        identity: The element e with e·x = x·e = x.
        inverses_M: The element x⁻¹ of every x.
    """

    name: str
    table_MM: Ints
    identity: int
    inverses_M: Ints

    def __len__(self) -> int:
        """Return the order of the group, M."""
        return len(self.table_MM)

    @property
    def is_abelian(self) -> bool:
        """Whether x·y = y·x for all x and y."""
        return bool((self.table_MM == self.table_MM.T).all())

    @cached_property
    def quotients_MM(self) -> Ints:
        """Entry (x, y) is x·y⁻¹."""
        return self.table_MM[:, self.inverses_M]

    @cached_property
    def orders_M(self) -> Ints:
        """The order of every element x: the smallest k ≥ 1 with x^k = e."""
        elements_M = np.arange(len(self))
        orders_M, powers_M = np.ones_like(elements_M), elements_M
        while (going_M := powers_M != self.identity).any():
            orders_M += going_M
            powers_M = np.where(going_M, self.table_MM[powers_M, elements_M], powers_M)
        return orders_M

    @cached_property
    def commutators_MM(self) -> Ints:
        """Entry (x, y) is x·y·x⁻¹·y⁻¹."""
        commutators_MM: Ints = self.quotients_MM[self.table_MM, self.table_MM.T]
        return commutators_MM

    @cached_property
    def prime_powers_PM(self) -> Ints:
        """The power x^p of every element, for every prime p that divides the order, in a row each."""
        primes = prime_factors(len(self))
        powers_PM = np.full((len(primes), len(self)), self.identity)
        for row, prime in enumerate(primes):
            for _ in range(prime):
                powers_PM[row] = self.table_MM[powers_PM[row], np.arange(len(self))]
        return powers_PM

    def powers(self, element: int) -> list[int]:
        """The powers e, x, x², … of an element, each once."""
        found = [self.identity]
        while (power := int(self.table_MM[found[-1], element])) != self.identity:
            found.append(power)
        return found

    def generated(self, elements: Sequence[int]) -> Ints:
        """The smallest subgroup with these elements, ascending.

        Args:
            elements: Any elements.

        Returns:
            Its elements.

        Cost: O(M) for each of them.
        """
        inside_M = np.zeros(len(self), dtype=bool)
        inside_M[self.identity] = True
        fresh = np.array([self.identity])
        while len(fresh):
            reached = np.unique(self.table_MM[np.ix_(fresh, np.asarray(elements))])
            fresh = reached[~inside_M[reached]]
            inside_M[fresh] = True
        return np.flatnonzero(inside_M)

    def renamed(self, name: str) -> "Group":
        """The same group under another name."""
        return Group(name, self.table_MM, self.identity, self.inverses_M)


def check_group(table_MM: Ints) -> None:
    """Check that an operation table is that of a group.

    It is associative if (x·g)·y = x·(g·y) for elements g of which all others are products (Light 1949).

    Args:
        table_MM: Entry (x, y) is x·y, in 0..M − 1.

    Raises:
        InputError: if it is not, with what it lacks.

    Cost: O(M²) for each of those elements, of which a group needs log₂ M at most.
    """
    if not is_latin(table_MM):
        raise InputError("expected the table of a group, in which every row and column has every answer once")
    if all((table_MM[table_MM[:, g]] == table_MM[:, table_MM[g]]).all() for g in _generators(table_MM)):
        return
    for x, row_M in enumerate(table_MM):
        if (left := table_MM[row_M] != row_M[table_MM]).any():
            y, z = np.argwhere(left)[0]
            raise InputError(f"expected the table of a group, but (x·y)·z is not x·(y·z) for x, y, z = {x}, {y}, {z}")


def _generators(table_MM: Ints) -> Iterator[int]:
    """Elements of which all others are products, each outside what those before it make."""
    inside_M = np.zeros(len(table_MM), dtype=bool)
    chosen: list[int] = []
    while not inside_M.all():
        chosen.append(int(np.argmin(inside_M)))
        yield chosen[-1]
        inside_M[chosen[-1]] = True
        fresh = np.flatnonzero(inside_M)
        while len(fresh):
            reached = np.unique(table_MM[np.ix_(fresh, np.array(chosen))])
            fresh = reached[~inside_M[reached]]
            inside_M[fresh] = True


def group_from_table(table: ArrayLike, *, name: str = "table") -> Group:
    """The group that a table is.

    A finite table that is associative, with every element once in every row and column, has an identity and inverses.

    Args:
        table: Entry (x, y) is x·y: as many rows as columns, elements numbered from 0.
        name: What to call it.

    Returns:
        The group.

    Raises:
        InputError: if the table is not square, has an entry outside 0..M − 1, or lacks what makes a group.

    Cost: see `check_group`.
    """
    table_MM = operation_table(table)
    low, high = int(table_MM.min()), int(table_MM.max())
    if low < 0 or high >= len(table_MM):
        raise InputError(
            f"a group of {len(table_MM)} elements has the entries 0..{len(table_MM) - 1}, got {low}..{high}: "
            "number the elements from 0"
        )
    check_group(table_MM)
    return trusted_group(name, table_MM)


def operation_table(table: ArrayLike | Tensor) -> Ints:
    """A table as integers, with as many rows as columns.

    Args:
        table: What is given.

    Returns:
        The table, int64.

    Raises:
        InputError: if it is no square of integers, is empty or has too many rows.
    """
    given = given_array(table)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not given.size or given.dtype.kind not in "biu":
        raise InputError(
            f"an operation's table has a row and a column of integers for every element, got {given.dtype} of shape "
            f"{' × '.join(map(str, given.shape))}"
        )
    if len(given) > LARGEST:
        raise InputError(f"tables of groups are read up to {LARGEST:,} elements, got {len(given):,}")
    return given.astype(np.int64)


def trusted_group(name: str, table_MM: Ints) -> Group:
    """Make the group of a table that is known to be one."""
    identity = int(np.flatnonzero(table_MM[:, 0] == 0)[0])
    return Group(name, table_MM, identity, np.argmax(table_MM == identity, axis=1))


def direct_product(*factors: Group) -> Group:
    """The direct product; the element (x, y, …) has the number x·|H| + y and so on, the last factor fastest.

    Args:
        factors: One or more groups.

    Returns:
        The product, named after its factors, "C2xS3".
    """
    table_MM = factors[0].table_MM
    for factor in factors[1:]:
        both_MM = table_MM[:, None, :, None] * len(factor) + factor.table_MM[None, :, None, :]
        table_MM = both_MM.reshape(len(table_MM) * len(factor), -1)
    return trusted_group("x".join(factor.name for factor in factors), table_MM)


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of conjugates of a group, by the order of their elements, then by size; the identity's first.

    Attributes:
        class_M: The class of every element, in 0..C − 1.
        sizes_C: Number of elements of every class.
        representatives_C: The smallest element of every class.
    """

    class_M: Ints
    sizes_C: Ints
    representatives_C: Ints

    def __len__(self) -> int:
        """Return the number of classes, C."""
        return len(self.sizes_C)


def conjugacy_classes(group: Group) -> Classes:
    """The classes {g·x·g⁻¹} of a group.

    Args:
        group: The group.

    Returns:
        Its classes.

    Cost: O(M²).
    """
    conjugates_MM = group.table_MM[group.table_MM, group.inverses_M[:, None]]
    smallest_M = conjugates_MM.min(axis=0)
    representatives_C, sizes_C = np.unique(smallest_M, return_counts=True)
    order_C = np.lexsort((representatives_C, sizes_C, group.orders_M[representatives_C]))
    place_M = np.empty(len(group), dtype=np.int64)
    place_M[representatives_C[order_C]] = np.arange(len(order_C))
    return Classes(place_M[smallest_M], sizes_C[order_C], representatives_C[order_C])
