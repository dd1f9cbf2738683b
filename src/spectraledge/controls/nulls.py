"""Ranks among null values when both large and small values speak against the null."""

import numpy as np
from numpy.typing import ArrayLike

from spectraledge.statistics import empirical_p


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
