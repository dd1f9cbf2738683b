"""Means and rates over seeds against SciPy's tests and the definition of their intervals."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import mean_estimate, rate_estimate

seeds = st.integers(0, 9_999).map(np.random.default_rng)


@given(rng=seeds, count=st.integers(2, 12), null=st.floats(-2, 2), level=st.sampled_from([0.8, 0.95]))
def test_mean_agrees_with_scipy(rng, count, null, level):
    values = rng.normal(size=count)
    found = mean_estimate(values, null=null, level=level)
    above = scipy.stats.ttest_1samp(values, null, alternative="greater")
    below = scipy.stats.ttest_1samp(values, null, alternative="less")
    ends = scipy.stats.ttest_1samp(values, null).confidence_interval(level)
    np.testing.assert_allclose([found.p_above, found.p_below], [above.pvalue, below.pvalue], rtol=1e-8)
    np.testing.assert_allclose([found.low, found.high], [ends.low, ends.high], rtol=1e-8)
    np.testing.assert_allclose(found.value, values.mean(), rtol=1e-12)
    assert (found.null, found.level, found.count) == (null, level, count)


@given(rng=seeds, shift=st.floats(-5, 5), scale=st.floats(0.1, 10))
def test_mean_follows_shifts_and_scales(rng, shift, scale):
    values = rng.normal(size=5)
    found, moved = mean_estimate(values, null=0.3), mean_estimate(shift + scale * values, null=shift + scale * 0.3)
    ends = np.array([found.value, found.low, found.high])
    np.testing.assert_allclose([moved.value, moved.low, moved.high], shift + scale * ends, atol=1e-9)
    np.testing.assert_allclose([moved.p_above, moved.p_below], [found.p_above, found.p_below], rtol=1e-6)


@pytest.mark.parametrize("count", [3, 5, 10])
def test_interval_of_few_seeds_covers_as_often_as_it_says(count):
    draws = np.random.default_rng(count).normal(size=(4_000, count))
    found = [mean_estimate(values) for values in draws]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / len(draws))
    assert scipy.stats.kstest([one.p_above for one in found], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [0.0, 0.0], [0.1 + 0.2, 0.3, 0.3]])
def test_values_without_spread_support_nothing(values):
    found = mean_estimate(values, null=-1)
    assert (found.low, found.high, found.p_above, found.p_below) == (-math.inf, math.inf, 1.0, 1.0)


@given(count=st.integers(1, 30), data=st.data(), null=st.floats(0.05, 0.95))
def test_rate_is_that_of_its_binomial_tails(count, data, null):
    successes = data.draw(st.integers(0, count))
    found = rate_estimate(successes, count, null=null)
    chances = [math.comb(count, k) * null**k * (1 - null) ** (count - k) for k in range(count + 1)]
    np.testing.assert_allclose(found.p_above, sum(chances[successes:]), rtol=1e-8)
    np.testing.assert_allclose(found.p_below, sum(chances[: successes + 1]), rtol=1e-8)
    if successes > 0:
        np.testing.assert_allclose(scipy.stats.binom.sf(successes - 1, count, found.low), 0.025, rtol=1e-6)
    if successes < count:
        np.testing.assert_allclose(scipy.stats.binom.cdf(successes, count, found.high), 0.025, rtol=1e-6)
    other = rate_estimate(count - successes, count)
    np.testing.assert_allclose([other.low, other.high], [1 - found.high, 1 - found.low], atol=1e-10)


@pytest.mark.parametrize(
    ("successes", "ends"), [(10, (0.691502892, 1.0)), (0, (0.0, 0.308497108)), (3, (0.066739511, 0.652452856))]
)
def test_known_intervals_of_ten(successes, ends):
    found = rate_estimate(successes, 10)
    np.testing.assert_allclose([found.low, found.high], ends, atol=1e-6)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="at least two seeds"):
        mean_estimate([1.0])
    with pytest.raises(InputError, match="finite numbers"):
        mean_estimate([1.0, np.nan])
    with pytest.raises(InputError, match="strictly between 0 and 1, got 1"):
        mean_estimate([1.0, 2.0], level=1)
    with pytest.raises(InputError, match="got 4 of 3"):
        rate_estimate(4, 3)
    with pytest.raises(InputError, match="got 0 of 0"):
        rate_estimate(0, 0)
    with pytest.raises(InputError, match="null of a rate"):
        rate_estimate(1, 3, null=0)
