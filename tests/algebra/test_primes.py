"""Primes, primitive roots and discrete logarithms, against SymPy and by their laws."""

import numpy as np
import pytest
import sympy

from spectraledge.algebra import (
    discrete_logarithms,
    is_prime,
    prime_factors,
    primitive_root,
    require_prime,
    root_of_minus_one,
)
from spectraledge.errors import InputError

PRIMES = list(sympy.primerange(2, 260))


def test_is_prime_agrees_with_sympy():
    numbers = range(-5, 3000)
    assert [n for n in numbers if is_prime(n)] == [n for n in numbers if sympy.isprime(n)]


def test_prime_factors_agree_with_sympy():
    for number in range(1, 500):
        assert list(prime_factors(number).items()) == sorted(sympy.factorint(number).items())


def test_primitive_root_agrees_with_sympy():
    assert [primitive_root(p) for p in PRIMES] == [int(sympy.primitive_root(p)) for p in PRIMES]


def test_the_root_of_97_is_the_published_one():
    assert primitive_root(97) == 5


@pytest.mark.parametrize("modulus", PRIMES)
def test_the_powers_of_the_root_are_all_units(modulus):
    root = primitive_root(modulus)
    assert sorted(pow(root, exponent, modulus) for exponent in range(modulus - 1)) == list(range(1, modulus))


@pytest.mark.parametrize("modulus", [2, 3, 5, 7, 11, 97, 101])
def test_discrete_logarithms_agree_with_sympy(modulus):
    root = primitive_root(modulus)
    expected = [-1] + [int(sympy.discrete_log(modulus, unit, root)) for unit in range(1, modulus)]
    np.testing.assert_array_equal(discrete_logarithms(modulus), expected)


@pytest.mark.parametrize("modulus", [2, 3, 5, 7, 13, 97, 113])
def test_the_logarithm_is_a_homomorphism_on_all_pairs(modulus):
    logarithm = discrete_logarithms(modulus)
    units = np.arange(1, modulus)
    of_products = logarithm[np.outer(units, units) % modulus]
    np.testing.assert_array_equal(of_products, np.add.outer(logarithm[units], logarithm[units]) % (modulus - 1))


@pytest.mark.parametrize("modulus", PRIMES)
def test_the_logarithm_is_one_to_one(modulus):
    np.testing.assert_array_equal(np.sort(discrete_logarithms(modulus)), np.arange(-1, modulus - 1))


@pytest.mark.parametrize(
    ("modulus", "advice"),
    [(-4, "use 2$"), (0, "use 2$"), (1, "use 2$"), (4, "use 3 or 5"), (9, "use 7 or 11"), (96, "use 89 or 97")],
)
@pytest.mark.parametrize("function", [primitive_root, discrete_logarithms])
def test_a_modulus_that_is_not_prime_is_refused(function, modulus, advice):
    with pytest.raises(InputError, match=f"needs a prime modulus, got {modulus}: {advice}"):
        function(modulus)


def test_the_refusal_says_what_needs_a_prime():
    with pytest.raises(InputError, match=r"^division needs a prime modulus, got 91: use 89 or 97$"):
        require_prime(91, "division")
    require_prime(97, "division")


@pytest.mark.parametrize("modulus", [p for p in PRIMES if p % 4 == 1])
def test_the_root_of_minus_one_is_the_smaller_of_the_two(modulus):
    roots = [i for i in range(modulus) if (i * i + 1) % modulus == 0]
    assert root_of_minus_one(modulus) == roots[0]
    assert len(roots) == 2


def test_the_root_of_minus_one_at_97_is_the_published_one():
    assert root_of_minus_one(97) == 22


@pytest.mark.parametrize("modulus", [2, *(p for p in PRIMES if p % 4 == 3)])
def test_other_primes_have_no_such_root(modulus):
    with pytest.raises(InputError, match=f"1 mod 4, got {modulus}, which is {modulus % 4} mod 4: use 13"):
        root_of_minus_one(modulus)


def test_a_root_of_minus_one_needs_a_prime():
    with pytest.raises(InputError, match="a square root of −1 needs a prime modulus, got 65: use 61 or 67"):
        root_of_minus_one(65)
