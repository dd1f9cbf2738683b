"""Fisher's g: how large the largest of several shares of power is when there is no frequency that stands out."""

import math

import numpy as np
import scipy.optimize
from numpy.typing import ArrayLike, NDArray

from spectraledge.errors import InputError

Float = NDArray[np.float64]


def fisher_g(power_F: ArrayLike) -> Float:
    """Largest share of power in one frequency: g = max_ω power(ω) / Σ_ω power(ω).

    Definition: Fisher 1929; the concentration F of Xu 2026, §2.5.
    Null: white noise, for which g is (1 + 1/2 + … + 1/n)/n on average over n frequencies (.093 for 48), not 1/n.

    Args:
        power_F: Powers, shape (..., F), not negative.

    Returns:
        The shares, shape (...); 0 where there is no power.

    Raises:
        InputError: if there are no frequencies, or a power is negative or NaN.
    """
    power = np.asarray(power_F, dtype=np.float64)
    if power.ndim == 0 or power.shape[-1] == 0 or not (power >= 0).all():
        raise InputError(f"Fisher's g needs powers, at least one and none negative or NaN, got shape {power.shape}")
    total = power.sum(axis=-1)
    share: Float = np.where(total > 0, power.max(axis=-1) / np.where(total > 0, total, 1.0), 0.0)
    return share


def fisher_g_p(g: ArrayLike, frequencies: int) -> Float:
    """Probability that white noise concentrates at least as much: P(G ≥ g).

    Definition: Fisher 1929: Σ_j (−1)^(j−1) C(n, j) (1 − j·g)₊^(n−1), j = 1..n, for n frequencies. The sum alternates
    and cancels, so it is done in whole numbers and rounded once: exact for every n.
    Null: independent powers of equal mean and two degrees of freedom each, as those of white noise on Z_M for odd M.
    For even M the Nyquist frequency M/2 has one, which makes large g likelier: the law is then only approximate, and
    `fisher_g_null` has the right one.

    Args:
        g: The largest share, any shape.
        frequencies: Number of frequencies, n: ⌊M/2⌋ on Z_M.

    Returns:
        p-values, same shape.

    Raises:
        InputError: if there are no frequencies, or g is outside [0, 1].

    Cost: O(1/g) products of n·53-bit integers for each.
    """
    shares = np.asarray(g, dtype=np.float64)
    _check(frequencies)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise InputError(f"a largest share lies between 0 and 1, got {shares}")
    p = [_tail(float(share), frequencies) for share in shares.ravel()]
    return np.array(p, dtype=np.float64).reshape(shares.shape)


def fisher_g_quantile(level: float, frequencies: int) -> float:
    """Largest share that white noise stays below with probability `level`: .136 for 95 % over 48 frequencies.

    Null: as for `fisher_g_p`.

    Args:
        level: Probability, strictly between 0 and 1.
        frequencies: Number of frequencies, n.

    Returns:
        The quantile, in [1/n, 1].

    Raises:
        InputError: if there are no frequencies, or the level is no probability strictly between 0 and 1.
    """
    _check(frequencies)
    if not 0 < level < 1:
        raise InputError(f"the level of a quantile lies strictly between 0 and 1, got {level}")
    if frequencies == 1:
        return 1.0
    return float(scipy.optimize.brentq(lambda g: _tail(g, frequencies) - (1 - level), 1 / frequencies, 1.0, xtol=1e-14))


def fisher_g_null(degrees_F: ArrayLike, *, count: int = 9_999, generator: np.random.Generator) -> Float:
    """Null values of Fisher's g where frequencies differ in degrees of freedom, for `empirical_p`.

    Null: white noise. Its powers |DFT|² have equal means at all frequencies, and each is that mean times χ²/degrees. A
    real series on Z_M has 2 degrees at every ω, but 1 at the Nyquist frequency M/2 of an even M; the summed power of D
    independent series has D times as many.

    Args:
        degrees_F: Degrees of freedom of every frequency, positive.
        count: Number of null values, B. Default 9,999 (ours): p down to 1e-4.
        generator: Source of randomness.

    Returns:
        Null values, shape (B,).

    Raises:
        InputError: if degrees are not a list of positive numbers.
    """
    degrees = np.asarray(degrees_F, dtype=np.float64)
    if degrees.ndim != 1 or len(degrees) == 0 or not (degrees > 0).all():
        raise InputError(f"degrees of freedom must be a list of positive numbers, got {degrees}")
    return fisher_g(generator.chisquare(degrees, size=(count, len(degrees))) / degrees)


def _check(frequencies: int) -> None:
    if frequencies < 1:
        raise InputError(f"Fisher's g needs at least one frequency, got {frequencies}")


def _tail(g: float, frequencies: int) -> float:
    share, whole = g.as_integer_ratio()
    if share * frequencies <= whole:
        return 1.0
    terms = whole // share
    sum_of_terms = sum(
        (-1) ** (j - 1) * math.comb(frequencies, j) * (whole - j * share) ** (frequencies - 1)
        for j in range(1, min(frequencies, terms) + 1)
    )
    return sum_of_terms / whole ** (frequencies - 1) if frequencies > 1 else 1.0
