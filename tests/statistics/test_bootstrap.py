"""Intervals over seeds against every resample there is, their laws, and where they cannot be had."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import bootstrap_interval, paired_difference
from spectraledge.streams import numpy_generator

RESAMPLES = 20_000

whole_numbers = st.lists(st.integers(0, 5), min_size=2, max_size=6)


def accelerated_levels(statistic, groups, resampled, level):
    """BCa's corrected levels, from Efron's definition."""
    estimate = statistic(*groups)
    bias = scipy.stats.norm.ppf(np.mean([(value < estimate) + 0.5 * (value == estimate) for value in resampled]))
    top = bottom = 0.0
    for g, group in enumerate(groups):
        left_out = [
            statistic(*[np.delete(other, i) if h == g else other for h, other in enumerate(groups)])
            for i in range(len(group))
        ]
        influence = [(len(group) - 1) * (np.mean(left_out) - value) for value in left_out]
        top += sum(value**3 for value in influence) / len(group) ** 3
        bottom += sum(value**2 for value in influence) / len(group) ** 2
    acceleration = top / (6 * bottom**1.5)
    ends = bias + scipy.stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return scipy.stats.norm.cdf(bias + ends / (1 - acceleration * ends))


def assert_ends_of_every_resample(found, statistic, groups):
    everything = [list(itertools.product(group, repeat=len(group))) for group in groups]
    resampled = np.sort([statistic(*map(np.array, drawn)) for drawn in itertools.product(*everything)])
    levels = accelerated_levels(statistic, groups, resampled, found.level)
    # Four standard errors of a tail and of the bias together.
    slack = 4 * 0.5 / math.sqrt(RESAMPLES)
    for end, target in zip((found.low, found.high), levels, strict=True):
        low, high = np.quantile(resampled, np.clip([target - slack, target + slack], 0, 1))
        assert low - 1e-9 <= end <= high + 1e-9


@pytest.mark.parametrize("statistic", [np.mean, np.std, lambda values: sum(values) ** 3], ids=["mean", "std", "cube"])
def test_ends_are_those_of_every_resample(statistic):
    values = np.array([1.0, 1.7, 2.1, 4.0, 9.5])
    found = bootstrap_interval(values, statistic, level=0.8, resamples=RESAMPLES, generator=numpy_generator(0))
    np.testing.assert_allclose(found.estimate, statistic(values))
    assert (found.level, found.count, found.method) == (0.8, 5, "bca")
    assert_ends_of_every_resample(found, statistic, [values])


def test_paired_differences_are_those_of_the_same_seed():
    rng = np.random.default_rng(0)
    x = 100 * rng.normal(size=12)
    y = x - 1 + 0.1 * rng.normal(size=12)
    found = paired_difference(x, y, generator=numpy_generator(0))
    expected = bootstrap_interval(x - y, generator=numpy_generator(0))
    assert found == expected
    assert 0.8 < found.low < found.estimate < found.high < 1.2


def test_intervals_cover_as_often_as_documented():
    rng = np.random.default_rng(0)
    for count, documented in ((3, 0.70), (10, 0.90)):
        found = [bootstrap_interval(rng.normal(size=count), resamples=500, generator=rng) for _ in range(600)]
        covered = np.mean([interval.low <= 0 <= interval.high for interval in found])
        error = math.sqrt(documented * (1 - documented) / 600)
        np.testing.assert_allclose(covered, documented, atol=4 * error)


@given(
    values=st.lists(st.floats(-100, 100), min_size=3, max_size=8, unique=True),
    scale=st.sampled_from([0.25, 2.0, 1024.0]),
)
def test_scaling_the_values_scales_the_interval(values, scale):
    found = bootstrap_interval(values, resamples=200, generator=numpy_generator(0))
    scaled = bootstrap_interval(scale * np.array(values), resamples=200, generator=numpy_generator(0))
    np.testing.assert_allclose((scaled.low, scaled.high), (scale * found.low, scale * found.high), rtol=1e-9)


def test_a_higher_level_is_wider():
    values = np.random.default_rng(0).normal(size=10)
    inner, outer = (bootstrap_interval(values, level=level, generator=numpy_generator(0)) for level in (0.5, 0.99))
    assert outer.low < inner.low < inner.high < outer.high


@pytest.mark.parametrize(
    ("interval", "estimate"),
    [
        (lambda generator: bootstrap_interval([1.5] * 4, generator=generator), 1.5),
        (lambda generator: paired_difference([2.0, 3.0], [1.0, 2.0], generator=generator), 1.0),
    ],
    ids=["constant", "constant difference"],
)
def test_seeds_that_do_not_differ_have_an_interval_of_one_point(interval, estimate):
    found = interval(numpy_generator(0))
    np.testing.assert_allclose((found.estimate, found.low, found.high), estimate)
    assert found.method == "percentile"


def test_the_fallback_is_the_percentiles_of_every_resample():
    values = [0.0, 0.0, 0.0, 1.0]
    found = bootstrap_interval(values, np.median, level=0.6, generator=numpy_generator(0))
    every = [np.median(drawn) for drawn in itertools.product(values, repeat=4)]
    assert found.method == "percentile"
    np.testing.assert_allclose((found.low, found.high), np.quantile(every, [0.2, 0.8]))


def test_what_has_no_interval_is_refused():
    generator = numpy_generator(0)
    with pytest.raises(
        InputError, match=r"the values must hold one value for each of at least two seeds, got shape \(1,\)"
    ):
        bootstrap_interval([1.0], generator=generator)
    with pytest.raises(InputError, match="the values must hold finite numbers, got NaN or infinity"):
        bootstrap_interval([1.0, math.nan], generator=generator)
    with pytest.raises(InputError, match="the same seeds in both conditions, got 2 and 3"):
        paired_difference([1.0, 2.0], [1.0, 2.0, 3.0], generator=generator)
    with pytest.raises(InputError, match="strictly between 0 and 1, got 95"):
        bootstrap_interval([1.0, 2.0], level=95, generator=generator)
