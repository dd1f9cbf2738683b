"""Prime moduli, primitive roots and discrete logarithms: the multiplicative group mod p as the cyclic group Z_(p−1)."""

import math

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError


def is_prime(number: int) -> bool:
    """Tell whether `number` is prime, by trial division (moduli here are small)."""
    if number < 2:
        return False
    return all(number % factor for factor in range(2, math.isqrt(number) + 1))


def prime_factors(number: int) -> dict[int, int]:
    """Factorise a number, by trial division.

    Args:
        number: The number, at least 1.

    Returns:
        The exponent of every prime that divides it, by prime, ascending; none of 1.
    """
    found: dict[int, int] = {}
    for factor in range(2, number + 1):
        while number % factor == 0:
            found[factor] = found.get(factor, 0) + 1
            number //= factor
    return found


def require_prime(modulus: int, purpose: str, *, instead: str = "") -> None:
    """Check that a modulus is prime.

    Args:
        modulus: The modulus.
        purpose: What needs it to be prime, as the start of the error message ("division").
        instead: What else can be done, as the end of that message.

    Raises:
        InputError: if it is not, naming the nearest primes.
    """
    if is_prime(modulus):
        return
    below = next((n for n in range(modulus - 1, 1, -1) if is_prime(n)), None)
    above = next(n for n in range(max(modulus + 1, 2), 2 * abs(modulus) + 4) if is_prime(n))
    nearest = f"{below} or {above}" if below else f"{above}"
    raise InputError(
        f"{purpose} needs a prime modulus, got {modulus}: use {nearest}{f', or {instead}' if instead else ''}"
    )


def primitive_root(modulus: int) -> int:
    """Smallest generator of the multiplicative group of a prime modulus (5 for 97, as in Xu 2026, §2.5).

    Args:
        modulus: A prime.

    Returns:
        The generator, in 1..modulus − 1.

    Raises:
        InputError: if the modulus is not prime.
    """
    require_prime(modulus, "a primitive root")
    order = modulus - 1
    factors = prime_factors(order)
    return next(g for g in range(1, modulus) if all(pow(g, order // f, modulus) != 1 for f in factors))


def discrete_logarithms(modulus: int) -> Ints:
    """Discrete logarithm of every residue to the smallest primitive root.

    Law: dlog(a·b) = dlog(a) + dlog(b) mod (modulus − 1) for all non-zero a, b.

    Args:
        modulus: A prime.

    Returns:
        Array of shape (modulus,): the logarithm in 0..modulus − 2, and −1 for residue 0, which has none.

    Raises:
        InputError: if the modulus is not prime.
    """
    root = primitive_root(modulus)
    logarithms = np.full(modulus, -1, dtype=np.int64)
    value = 1
    for exponent in range(modulus - 1):
        logarithms[value] = exponent
        value = value * root % modulus
    return logarithms


def root_of_minus_one(modulus: int) -> int:
    """Smaller i with i² ≡ −1, by which a² + b² = (a + i·b)(a − i·b) mod p (22 for 97, as in Xu 2026, §2.5).

    Args:
        modulus: A prime that is 1 mod 4; no other odd prime has such a root.

    Returns:
        The root, in 1..(modulus − 1)/2.

    Raises:
        InputError: if the modulus is no such prime.
    """
    require_prime(modulus, "a square root of −1")
    if modulus % 4 != 1:
        raise InputError(
            f"a square root of −1 needs a prime modulus that is 1 mod 4, got {modulus}, which is {modulus % 4} mod 4: "
            "use 13, 29, 97 or 101"
        )
    # −1 is g^((p−1)/2), so its roots are ±g^((p−1)/4).
    root = pow(primitive_root(modulus), (modulus - 1) // 4, modulus)
    return min(root, modulus - root)
