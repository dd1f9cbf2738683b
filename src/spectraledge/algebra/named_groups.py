"""Groups by name: cyclic, dihedral, dicyclic, symmetric, alternating, affine groups and their products.

How the elements are numbered is part of each definition, so that labels found in a table mean the same everywhere.
"""

import itertools
import math
import re
from collections.abc import Callable

import numpy as np

from spectraledge.algebra.finite_groups import LARGEST, Group, direct_product, trusted_group
from spectraledge.algebra.primes import require_prime
from spectraledge.arrays import Ints
from spectraledge.errors import InputError


def cyclic(order: int) -> Group:
    """C_n, of order n: x·y = x + y mod n.

    Args:
        order: Number of elements n, at least 1.

    Returns:
        The group "Cn".

    Raises:
        InputError: if the order is out of range.
    """
    _check_size(f"C{order}", order, order)
    elements = np.arange(order)
    return trusted_group(f"C{order}", (elements[:, None] + elements) % order)


def dihedral(sides: int) -> Group:
    """D_n, of order 2n: turns and reflections of a polygon. Element k < n is r^k, element n + k is r^k·s.

    Definition: r^n = s² = 1, s·r·s = r⁻¹. D_1 is C2, and D_2 is C2xC2.

    Args:
        sides: Number of sides n, at least 1.

    Returns:
        The group "Dn".

    Raises:
        InputError: if the number is out of range.
    """
    _check_size(f"D{sides}", sides, 2 * sides)
    flip, turn = np.divmod(np.arange(2 * sides), sides)
    turns = (turn[:, None] + np.where(flip[:, None], -turn, turn)) % sides
    return trusted_group(f"D{sides}", turns + sides * (flip[:, None] ^ flip))


def dicyclic(half: int) -> Group:
    """Dic_n, of order 4n: element k < 2n is a^k, element 2n + k is a^k·x.

    Definition: a^(2n) = 1, x² = a^n, x·a·x⁻¹ = a⁻¹. Dic_1 is C4, Dic_2 is Q8, Dic_4 is the quaternion group Q16.

    Args:
        half: Half the order n of a, at least 1.

    Returns:
        The group "Dicn".

    Raises:
        InputError: if the number is out of range.
    """
    _check_size(f"Dic{half}", half, 4 * half)
    x, k = np.divmod(np.arange(4 * half), 2 * half)
    both = x[:, None] & x
    turns = (k[:, None] + np.where(x[:, None], -k, k) + half * both) % (2 * half)
    return trusted_group(f"Dic{half}", turns + 2 * half * (x[:, None] ^ x))


def quaternion(order: int = 8) -> Group:
    """Q_n, of order n: Q8 is 1, i, −1, −i, j, k, −j, −k in this order; others are Dic_(n/4), a power of two.

    Args:
        order: 8, 16, 32, …

    Returns:
        The group "Qn".

    Raises:
        InputError: if the order is no power of two from 8.
    """
    if order < 8 or order & (order - 1):
        raise InputError(f"quaternion groups have order 8, 16, 32, …, got {order}: Dic{max(order // 4, 1)} is near")
    return dicyclic(order // 4).renamed(f"Q{order}")


def symmetric(letters: int) -> Group:
    """S_n, of order n!: permutations of 0..n − 1 in lexicographic order, (x·y)(k) = x(y(k)).

    Args:
        letters: Number of letters n, at least 1.

    Returns:
        The group "Sn".

    Raises:
        InputError: if the number is out of range.
    """
    _check_size(f"S{letters}", letters, math.factorial(min(max(letters, 0), 20)))
    return _of_permutations(f"S{letters}")


def alternating(letters: int) -> Group:
    """A_n, of order n!/2: the even permutations of 0..n − 1 in lexicographic order, (x·y)(k) = x(y(k)).

    Args:
        letters: Number of letters n, at least 1.

    Returns:
        The group "An".

    Raises:
        InputError: if the number is out of range.
    """
    _check_size(f"A{letters}", letters, -(-math.factorial(min(max(letters, 0), 20)) // 2))
    return _of_permutations(f"A{letters}")


def affine(modulus: int) -> Group:
    """Aff_p, of order p(p − 1): the maps z ↦ a·z + b mod p, composed. Element (a − 1)·p + b is the map (a, b).

    Definition: (a, b)·(c, d) = (ac, ad + b). Aff_3 is S3.

    Args:
        modulus: A prime p.

    Returns:
        The group "Affp".

    Raises:
        InputError: if the modulus is no prime, or too large.
    """
    require_prime(modulus, "the affine group")
    _check_size(f"Aff{modulus}", modulus, modulus * (modulus - 1))
    scale, shift = np.divmod(np.arange(modulus * (modulus - 1)), modulus)
    scale += 1
    scales = scale[:, None] * scale % modulus
    shifts = (scale[:, None] * shift + shift[:, None]) % modulus
    return trusted_group(f"Aff{modulus}", (scales - 1) * modulus + shifts)


def units(modulus: int) -> Group:
    """U_n, of order φ(n): the residues mod n that have an inverse, ascending, multiplied. U_97 is C96.

    Args:
        modulus: The modulus n, at least 1.

    Returns:
        The group "Un".

    Raises:
        InputError: if the modulus is out of range.
    """
    _check_size(f"U{modulus}", modulus, 1)
    # Up to the largest order every modulus is below ten times it: n/φ(n) grows as log log n.
    if modulus > 10 * LARGEST:
        raise InputError(f"U{modulus} is of order above {LARGEST:,}, up to which groups are made: choose a smaller one")
    residues = np.array([n for n in range(modulus) if math.gcd(n, modulus) == 1])
    _check_size(f"U{modulus}", modulus, len(residues))
    products = residues[:, None] * residues % modulus
    return trusted_group(f"U{modulus}", np.searchsorted(residues, products))


_FAMILIES: dict[str, Callable[[int], Group]] = {
    "C": cyclic,
    "Z": cyclic,
    "D": dihedral,
    "Dic": dicyclic,
    "Q": quaternion,
    "S": symmetric,
    "A": alternating,
    "Aff": affine,
    "U": units,
}


def named_group(name: str) -> Group:
    """The group of a name.

    Args:
        name: "C12", "D7" (of order 14), "Dic5" (of order 20), "Q8", "S4", "A5", "Aff7", "U15" (of residues), or a
            product of such, "C3xS3".

    Returns:
        The group; its elements are numbered as its constructor says, those of a product as `direct_product` does.

    Raises:
        InputError: if the name is none of these, or the group is too large.
    """
    factors = []
    for part in name.split("x"):
        found = re.fullmatch(r"([A-Za-z]+)([0-9]+)", part)
        if not found or found[1] not in _FAMILIES:
            raise InputError(
                f"unknown group {name!r}: known are C12, D7 (of order 14), Dic5 (of order 20), Q8, S4, A5, Aff7, "
                "U15 (of residues) and products such as C3xS3, each with any number"
            )
        factors.append(_FAMILIES[found[1]](int(found[2])))
        _check_size(name, 1, math.prod(map(len, factors)))
    return direct_product(*factors) if len(factors) > 1 else factors[0]


def _check_size(name: str, number: int, order: int) -> None:
    if number < 1:
        raise InputError(f"the number of a group is at least 1, got {name}")
    if order > LARGEST:
        raise InputError(f"{name} is of order {order:,}, and groups are made up to {LARGEST:,}: choose a smaller one")


def _is_even(permutation: tuple[int, ...]) -> bool:
    return sum(i > j for i, j in itertools.combinations(permutation, 2)) % 2 == 0


def permutations(name: str) -> Ints:
    """The elements of S_n or A_n in their order.

    Args:
        name: "S4", "A5".

    Returns:
        Where each sends the letters 0..n − 1, shape (M, n).
    """
    every = itertools.permutations(range(int(name[1:])))
    kept = [permutation for permutation in every if name[0] == "S" or _is_even(permutation)]
    return np.array(kept, dtype=np.int64).reshape(len(kept), -1)


def _of_permutations(name: str) -> Group:
    letters_Mn = permutations(name)
    weights_n = letters_Mn.shape[1] ** np.arange(letters_Mn.shape[1])[::-1]
    # Lexicographic order is the order of the numbers whose digits the letters are.
    products_MM = (letters_Mn[:, letters_Mn] @ weights_n).astype(np.int64)
    return trusted_group(name, np.searchsorted(letters_Mn @ weights_n, products_MM))
