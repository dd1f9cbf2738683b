"""A mean or a rate over seeds, with an interval that few seeds support and one-sided p-values."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from spectraledge.arrays import Float
from spectraledge.errors import InputError


@dataclass(frozen=True)
class SeedEstimate:
    """What seeds say about one number.

    Attributes:
        value: The estimate.
        low: Lower end of its interval.
        high: Upper end.
        p_above: p-value against the number being the null or less.
        p_below: p-value against its being the null or more.
        null: The null.
        level: Coverage that the interval is made for.
        count: Number of seeds.
    """

    value: float
    low: float
    high: float
    p_above: float
    p_below: float
    null: float
    level: float
    count: int


def mean_estimate(values_S: ArrayLike, *, null: float = 0.0, level: float = 0.95) -> SeedEstimate:
    """Mean over seeds, by Student's t.

    Definition: mean ± t·s/√S with S − 1 degrees of freedom. Exact for normal values whatever their number, where the
    bootstrap is too short; an effect that is a ratio is closer to that in logarithms.
    Null: the mean over all seeds is `null`.
    Law: shifting or scaling values and null does the same to value and ends, and leaves p-values as they are.
    Values without any spread tell nothing of the spread over other seeds (a ceiling, or rounding): the interval is
    unbounded and both p-values are 1, as in `equivalence_p`.

    Args:
        values_S: One value per seed.
        null: What the mean is compared with.
        level: Coverage.

    Returns:
        The mean, its interval and p-values.

    Raises:
        InputError: if there are fewer than two seeds, a value is missing or infinite, or the level is out of range.
    """
    values = seed_values(values_S, "the values")
    _check_level(level)
    count, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / np.sqrt(count)
    if error <= 4 * count * np.finfo(np.float64).eps * float(np.abs(values).max()):
        return SeedEstimate(mean, -np.inf, np.inf, 1.0, 1.0, null, level, count)
    reach = error * float(scipy.stats.t.ppf((1 + level) / 2, count - 1))
    distance = (mean - null) / error
    above, below = (float(scipy.stats.t.sf(side * distance, count - 1)) for side in (1, -1))
    return SeedEstimate(mean, mean - reach, mean + reach, above, below, null, level, count)


def rate_estimate(successes: int, count: int, *, null: float = 0.5, level: float = 0.95) -> SeedEstimate:
    """Rate of seeds in which something happens.

    Definition: Clopper and Pearson 1934: the rates that the exact binomial tests of either side, at half of 1 − level
    each, do not reject. It covers with at least its level, for every rate and every number of seeds.
    Null: it happens in a seed with probability `null`.
    Law: counting what does not happen turns value, low and high into 1 − value, 1 − high and 1 − low.

    Args:
        successes: Seeds in which it happens.
        count: All seeds.
        null: What the rate is compared with. Default one half (ours): it happens more often than not.
        level: Coverage.

    Returns:
        The rate, its interval and p-values.

    Raises:
        InputError: if there are no seeds, more successes than seeds, or the null or level is out of range.
    """
    if not 0 <= successes <= count or count < 1:
        raise InputError(f"a rate is of 0 to `count` successes among at least one seed, got {successes} of {count}")
    if not 0 < null < 1:
        raise InputError(f"the null of a rate lies strictly between 0 and 1, got {null}")
    _check_level(level)
    above = scipy.stats.binomtest(successes, count, null, alternative="greater")
    below = scipy.stats.binomtest(successes, count, null, alternative="less")
    ends = scipy.stats.binomtest(successes, count).proportion_ci(level, method="exact")
    value, low, high = successes / count, float(ends.low), float(ends.high)
    return SeedEstimate(value, low, high, float(above.pvalue), float(below.pvalue), null, level, count)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies strictly between 0 and 1, got {level}")


def seed_values(values_S: ArrayLike, what: str) -> Float:
    """Check one condition's values, a finite one for each of at least two seeds; `what` is the subject of errors."""
    values = np.asarray(values_S, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"{what} must hold one value for each of at least two seeds, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(
            f"{what} must hold finite numbers, got NaN or infinity: leave out seeds that were not measured"
        )
    return values
