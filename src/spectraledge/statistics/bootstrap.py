"""Confidence intervals by resampling seeds: the seed is the unit, whatever was measured within one."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike, NDArray

from spectraledge.errors import InputError
from spectraledge.statistics.seeds import seed_values

Float = NDArray[np.float64]

_ENTRIES = 1 << 20


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval.

    Attributes:
        estimate: The statistic of the seeds at hand.
        low: Lower end.
        high: Upper end.
        level: Coverage that the interval is made for.
        count: Number of seeds it rests on.
        method: How the ends were found: "bca", or "percentile" where BCa is undefined.
    """

    estimate: float
    low: float
    high: float
    level: float
    count: int
    method: Literal["bca", "percentile"]


def bootstrap_interval(
    values_S: ArrayLike,
    statistic: Callable[..., Any] = np.mean,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    generator: np.random.Generator,
) -> Interval:
    """Confidence interval of a statistic over seeds.

    Definition: bias-corrected and accelerated bootstrap (Efron 1987), which is exact to second order. It is undefined
    where seeds or resamples do not differ, or all lie on one side of the estimate; then the ends are the percentiles of
    the resamples, and `method` says so.
    Assumes that seeds are independent draws. With few of them the interval is too short: the mean of normal noise is
    inside the interval of level .95 in .70 of the cases for 3 seeds, .83 for 5, .90 for 10 and .93 for 20.

    Args:
        values_S: One value per seed.
        statistic: Maps values to a number. If it takes an `axis`, resamples are done at once.
        level: Coverage.
        resamples: Number of bootstrap samples. Default 10,000 (ours): a relative error of 4 % in each tail of .025.
        generator: Source of randomness.

    Returns:
        Estimate and interval.

    Raises:
        InputError: if there are fewer than two seeds, or a value is missing or infinite.
    """
    return _interval(seed_values(values_S, "the values"), statistic, level, resamples, generator)


def paired_difference(
    x_S: ArrayLike,
    y_S: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    generator: np.random.Generator,
) -> Interval:
    """Mean of x − y over seeds that were run both ways, with its interval (see `bootstrap_interval`).

    Args:
        x_S: One value per seed in the first condition.
        y_S: The same seeds in the second, in the same order.
        level: Coverage.
        resamples: Number of bootstrap samples.
        generator: Source of randomness.

    Returns:
        Mean difference and interval.

    Raises:
        InputError: if the conditions differ in their number of seeds, have fewer than two, or a value is missing.
    """
    x, y = seed_values(x_S, "the first condition"), seed_values(y_S, "the second condition")
    if len(x) != len(y):
        raise InputError(f"a paired difference needs the same seeds in both conditions, got {len(x)} and {len(y)}")
    return _interval(x - y, np.mean, level, resamples, generator)


def _interval(
    values: Float, statistic: Callable[..., Any], level: float, resamples: int, generator: np.random.Generator
) -> Interval:
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies strictly between 0 and 1, got {level}")
    estimate = float(statistic(values))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # SciPy warns and gives NaN where BCa is undefined, which is looked for below.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = scipy.stats.bootstrap(
            [values],
            statistic,
            n_resamples=resamples,
            batch=max(1, _ENTRIES // len(values)),
            confidence_level=level,
            method="BCa",
            random_state=generator,
        )
    low, high = (float(end) for end in found.confidence_interval)
    method: Literal["bca", "percentile"] = "bca"
    if np.isnan(low) or np.isnan(high):
        tail = (1 - level) / 2
        low, high = (float(end) for end in np.quantile(found.bootstrap_distribution, [tail, 1 - tail]))
        method = "percentile"
    return Interval(estimate, low, high, level, len(values), method)
