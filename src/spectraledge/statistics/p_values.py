"""p-values: how an observed value ranks among null values, and what a family of them supports."""

import numpy as np
import scipy
from numpy.typing import ArrayLike

from spectraledge.arrays import Float
from spectraledge.errors import InputError


def empirical_p(observed: float, null_B: ArrayLike) -> float:
    """One-sided p-value of an observed value among B null values: (1 + number as large) / (1 + B).

    Null: the observed value is one more draw of the same kind. With B draws no p below 1/(1 + B) can be claimed.

    Args:
        observed: The statistic; large means effect.
        null_B: The same statistic under the null.

    Returns:
        The p-value, in [1/(1 + B), 1].

    Raises:
        InputError: if there are no null values, or a value is NaN.
    """
    null = np.asarray(null_B, dtype=np.float64).ravel()
    if len(null) == 0:
        raise InputError("a p-value needs at least one null value, got none")
    if np.isnan(observed) or np.isnan(null).any():
        raise InputError("a p-value needs numbers, got NaN: leave out what could not be measured")
    return (1 + int(np.count_nonzero(null >= observed))) / (1 + len(null))


def two_sided_p(observed: float, null_B: ArrayLike) -> float:
    """Two-sided rank of an observed value among B null values: twice the smaller tail, at most 1.

    Null: the observed value is one more draw of the same kind. Law: the sign of the statistic does not matter; with B
    draws no p below 2/(1 + B) can be claimed.

    Args:
        observed: The statistic.
        null_B: The same statistic under the null.

    Returns:
        The p-value.
    """
    return min(1.0, 2 * min(empirical_p(observed, null_B), empirical_p(-observed, -np.asarray(null_B))))


def at_least(count: int, of: int, p: float) -> float:
    """Probability that at least `count` of `of` independent draws do what one does with probability `p`.

    Null: each of the `of` directions of a window is one more draw from the null. Used with the `empirical_p` of the
    `count`-th largest value, it is the p-value of that many directions standing above the null at once.

    Args:
        count: How many at least.
        of: Number of draws.
        p: Probability for one draw.

    Returns:
        The binomial tail probability.
    """
    return float(scipy.stats.binom.sf(count - 1, of, p))


def false_discovery_rate(p_values: ArrayLike) -> Float:
    """Benjamini–Hochberg adjusted p-values ("q-values") of one family; missing p-values stay missing and do not count.

    Args:
        p_values: p-values of the family, NaN where a member needs none.

    Returns:
        q-values in the same order: rejecting where q ≤ α keeps the expected share of false findings at most α.
    """
    p = np.asarray(p_values, dtype=np.float64)
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = scipy.stats.false_discovery_control(p[tested])
    return q
