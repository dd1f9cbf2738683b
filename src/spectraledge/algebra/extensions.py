"""Every group of a small order, made as extensions of smaller ones by cyclic groups of prime order."""

import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np

from spectraledge.algebra.finite_groups import Group, trusted_group
from spectraledge.algebra.isomorphism import automorphisms, fingerprint, isomorphism
from spectraledge.algebra.named_groups import cyclic
from spectraledge.algebra.primes import prime_factors
from spectraledge.arrays import Ints
from spectraledge.errors import InputError

MOST = 59
"""All groups up to this order are solvable: A5, of order 60, is the first that is not."""


@cache
def groups_of_order(order: int) -> tuple[Group, ...]:
    """All groups of an order up to isomorphism, none twice.

    Definition (Hölder 1895): a solvable group has a normal subgroup N of prime index p, and is N with an element t for
    which t·n·t⁻¹ = σ(n) and t^p = m, where σ is an automorphism of N that fixes m and whose p-th power is conjugation
    by m. All σ up to conjugation by automorphisms, and all m, are tried. Law: 51 groups of order 32 (OEIS A000001).

    Args:
        order: From 1 to `MOST`.

    Returns:
        The groups, as tables without a name of their own.

    Raises:
        InputError: if the order is out of range.

    Cost: seconds at order 32; what is found is kept.
    """
    if not 1 <= order <= MOST:
        raise InputError(f"all groups are made for orders 1 to {MOST}, got {order}")
    if order == 1:
        return (cyclic(1),)
    found: dict[str, list[Group]] = {}
    for prime in prime_factors(order):
        for normal in groups_of_order(order // prime):
            for extension in _extensions(normal, prime):
                alike = found.setdefault(fingerprint(extension), [])
                if all(isomorphism(extension, other) is None for other in alike):
                    alike.append(extension)
    return tuple(itertools.chain.from_iterable(found.values()))


def _extensions(normal: Group, prime: int) -> Iterator[Group]:
    order = len(normal)
    for sigma_M in _up_to_conjugation(automorphisms(normal)):
        powers_PM = [np.arange(order)]
        for _ in range(prime):
            powers_PM.append(sigma_M[powers_PM[-1]])
        for m in np.flatnonzero(sigma_M == np.arange(order)).tolist():
            conjugation_M = normal.quotients_MM[normal.table_MM[m], m]
            if (powers_PM[prime] == conjugation_M).all():
                yield _extension(normal, np.stack(powers_PM[:prime]), m)


def _extension(normal: Group, powers_PM: Ints, m: int) -> Group:
    """The elements n·t^i, number i·M + n: (n·t^i)(k·t^j) = n·σ^i(k)·t^(i+j)."""
    prime, order = powers_PM.shape
    i, n = np.divmod(np.arange(prime * order), order)
    moved = powers_PM[i[:, None], n]
    total = i[:, None] + i
    products = normal.table_MM[n[:, None], moved]
    products = np.where(total >= prime, normal.table_MM[products, m], products)
    return trusted_group(f"extension of order {prime * order}", products + order * (total % prime))


def _up_to_conjugation(automorphisms_AM: Ints) -> Iterator[Ints]:
    inverses_AM = np.argsort(automorphisms_AM, axis=1)
    seen: set[bytes] = set()
    for sigma_M in automorphisms_AM:
        if sigma_M.tobytes() not in seen:
            conjugates_AM = np.take_along_axis(automorphisms_AM, sigma_M[inverses_AM], axis=1)
            seen.update(row.tobytes() for row in conjugates_AM)
            yield sigma_M
