"""Pure mathematics of finite abelian groups: primes, discrete logarithms, Fourier analysis on Z_n and on n bits."""

from spectraledge.algebra.fourier import character_shares, real_characters, spectrum_of_means, without_rounding
from spectraledge.algebra.primes import discrete_logarithms, is_prime, primitive_root, require_prime, root_of_minus_one
from spectraledge.algebra.walsh import cube, parity, subsets, walsh_transform

__all__ = [
    "character_shares",
    "cube",
    "discrete_logarithms",
    "is_prime",
    "parity",
    "primitive_root",
    "real_characters",
    "require_prime",
    "root_of_minus_one",
    "spectrum_of_means",
    "subsets",
    "walsh_transform",
    "without_rounding",
]
