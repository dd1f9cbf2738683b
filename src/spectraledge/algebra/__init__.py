"""Pure mathematics of finite cyclic groups: primes, discrete logarithms, Fourier analysis on Z_n."""

from spectraledge.algebra.fourier import character_shares, real_characters, spectrum_of_means, without_rounding
from spectraledge.algebra.primes import discrete_logarithms, is_prime, primitive_root, require_prime, root_of_minus_one

__all__ = [
    "character_shares",
    "discrete_logarithms",
    "is_prime",
    "primitive_root",
    "real_characters",
    "require_prime",
    "root_of_minus_one",
    "spectrum_of_means",
    "without_rounding",
]
