"""Pure mathematics of finite groups: primes, discrete logarithms, Fourier analysis on Z_n, on n bits, on any group."""

from spectraledge.algebra.characters import (
    Characters,
    cyclic_characters,
    irreducible_characters,
    walsh_characters,
)
from spectraledge.algebra.fourier import character_shares, real_characters, spectrum_of_means, without_rounding
from spectraledge.algebra.primes import discrete_logarithms, is_prime, primitive_root, require_prime, root_of_minus_one
from spectraledge.algebra.walsh import cube, parity, subsets, walsh_transform

__all__ = [
    "Characters",
    "character_shares",
    "cube",
    "cyclic_characters",
    "discrete_logarithms",
    "irreducible_characters",
    "is_prime",
    "parity",
    "primitive_root",
    "real_characters",
    "require_prime",
    "root_of_minus_one",
    "spectrum_of_means",
    "subsets",
    "walsh_characters",
    "walsh_transform",
    "without_rounding",
]
