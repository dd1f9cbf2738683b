"""Pure mathematics of finite cyclic groups: primes, discrete logarithms, Fourier analysis on Z_n."""

from spectraledge.algebra.fourier import character_shares, spectrum_of_means, without_rounding
from spectraledge.algebra.primes import discrete_logarithms, is_prime, primitive_root, require_prime

__all__ = [
    "character_shares",
    "discrete_logarithms",
    "is_prime",
    "primitive_root",
    "require_prime",
    "spectrum_of_means",
    "without_rounding",
]
