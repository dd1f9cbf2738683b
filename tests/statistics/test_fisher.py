"""Fisher's g: its law against closed forms, exact fractions, geometry and simulated noise."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import empirical_p, fisher_g, fisher_g_null, fisher_g_p, fisher_g_quantile
from spectraledge.streams import numpy_generator


def tail_by_fractions(g, frequencies):
    g = Fraction(g)
    return sum(
        (-1) ** (j - 1) * math.comb(frequencies, j) * max(1 - j * g, Fraction(0)) ** (frequencies - 1)
        for j in range(1, frequencies + 1)
    )


def tail_by_recursion(g, frequencies):
    """P(G ≥ g) by taking one frequency's share s away, which has density (n−1)(1−s)^(n−2): the rest is n − 1 shares."""
    if g <= 1 / frequencies:
        return 1.0
    if g >= 1:
        return 0.0

    def below(s):
        return (frequencies - 1) * (1 - s) ** (frequencies - 2) * (1 - tail_by_recursion(g / (1 - s), frequencies - 1))

    kinks = sorted(point for k in range(1, frequencies) if 0 < (point := 1 - k * g) < g)
    return 1 - scipy.integrate.quad(below, 0, g, points=kinks or None)[0]


@given(powers=st.lists(st.floats(0, 1e6), min_size=1, max_size=10))
def test_g_is_the_largest_share(powers):
    total = math.fsum(powers)
    expected = max(power / total for power in powers) if total > 0 else 0.0
    np.testing.assert_allclose(fisher_g(powers), expected, rtol=1e-12)


def test_g_is_taken_along_the_last_axis():
    power_KF = np.random.default_rng(0).random((2, 3, 5))
    expected = [[max(row) / sum(row) for row in block] for block in power_KF]
    np.testing.assert_allclose(fisher_g(power_KF), expected, rtol=1e-12)


@given(g=st.floats(0, 1))
def test_the_law_of_up_to_three_frequencies_is_its_closed_form(g):
    two = 1.0 if g <= 1 / 2 else 2 * (1 - g)
    three = 1.0 if g <= 1 / 3 else 3 * (1 - g) ** 2 - 3 * max(1 - 2 * g, 0.0) ** 2
    np.testing.assert_allclose([fisher_g_p(g, n) for n in (1, 2, 3)], [1.0, two, three], rtol=1e-12, atol=1e-15)


@given(g=st.floats(0, 1), frequencies=st.integers(2, 60))
def test_the_law_is_exact(g, frequencies):
    np.testing.assert_allclose(fisher_g_p(g, frequencies), float(tail_by_fractions(g, frequencies)), rtol=1e-15)


@pytest.mark.parametrize("g", [0.0021, 0.005, 0.011, 0.014, 0.02, 0.05, 0.5])
def test_the_law_is_exact_for_many_frequencies(g):
    found = float(fisher_g_p(g, 500))
    np.testing.assert_allclose(found, float(tail_by_fractions(g, 500)), rtol=1e-15)
    assert 0 <= found <= 1


@pytest.mark.parametrize("frequencies", [2, 3, 4])
@pytest.mark.parametrize("g", [0.3, 0.45, 0.6, 0.9])
def test_the_law_follows_from_taking_one_frequency_away(g, frequencies):
    np.testing.assert_allclose(fisher_g_p(g, frequencies), tail_by_recursion(g, frequencies), atol=1e-7)


@pytest.mark.parametrize(("frequencies", "count"), [(2, 4_000), (5, 4_000), (48, 4_000), (500, 200)])
def test_the_law_is_that_of_exponential_powers(frequencies, count):
    shares = fisher_g(np.random.default_rng(0).exponential(size=(count, frequencies)))
    p = fisher_g_p(shares, frequencies)
    assert scipy.stats.kstest(p, "uniform").statistic < 1.95 / math.sqrt(count)
    mean = sum(1 / k for k in range(1, frequencies + 1)) / frequencies
    np.testing.assert_allclose(shares.mean(), mean, atol=4.5 * shares.std() / math.sqrt(count))


def test_the_law_is_that_of_white_noise_on_an_odd_group():
    power = np.abs(np.fft.rfft(np.random.default_rng(0).normal(size=(4_000, 97))))[:, 1:] ** 2
    p = fisher_g_p(fisher_g(power), 48)
    assert scipy.stats.kstest(p, "uniform").statistic < 1.95 / math.sqrt(4_000)


@given(frequencies=st.integers(2, 100), level=st.floats(1e-3, 0.9999))
def test_quantiles_invert_the_law(frequencies, level):
    g = fisher_g_quantile(level, frequencies)
    np.testing.assert_allclose(fisher_g_p(g, frequencies), 1 - level, rtol=1e-7)


def test_the_documented_numbers():
    np.testing.assert_allclose(fisher_g_quantile(0.95, 48), 0.136, atol=5e-4)
    np.testing.assert_allclose(sum(1 / k for k in range(1, 49)) / 48, 0.093, atol=5e-4)
    np.testing.assert_allclose(fisher_g_quantile(0.95, 1), 1.0)


@given(frequencies=st.integers(2, 60), pair=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_the_law_falls_with_g_from_one_to_zero(frequencies, pair):
    low, high = sorted(pair)
    assert fisher_g_p(low, frequencies) >= fisher_g_p(high, frequencies)
    np.testing.assert_array_equal(fisher_g_p([0.0, 1 / (2 * frequencies), 1.0], frequencies), [1.0, 1.0, 0.0])


def test_equal_degrees_of_two_give_fishers_law():
    null = fisher_g_null([2] * 20, count=4_000, generator=numpy_generator(0))
    assert scipy.stats.kstest(fisher_g_p(null, 20), "uniform").statistic < 1.95 / math.sqrt(4_000)


@pytest.mark.parametrize("order", [4, 8, 96])
def test_the_null_of_an_even_group_is_that_of_white_noise_on_it(order):
    power = np.abs(np.fft.rfft(np.random.default_rng(0).normal(size=(5_000, order))))[:, 1:] ** 2
    degrees = [2] * (order // 2 - 1) + [1]
    null = fisher_g_null(degrees, count=5_000, generator=numpy_generator(0))
    assert scipy.stats.ks_2samp(fisher_g(power), null).statistic < 1.95 * math.sqrt(2 / 5_000)
    assert fisher_g_p(null, order // 2).mean() < 0.5 - 2 / math.sqrt(12 * 5_000)


def test_the_null_of_summed_series_is_that_of_their_noise():
    noise = np.random.default_rng(0).normal(size=(4_000, 5, 13))
    power = (np.abs(np.fft.rfft(noise))[..., 1:] ** 2).sum(axis=1)
    null = fisher_g_null([10] * 6, count=4_000, generator=numpy_generator(0))
    assert scipy.stats.ks_2samp(fisher_g(power), null).statistic < 1.95 * math.sqrt(2 / 4_000)


def test_a_planted_frequency_is_found_against_either_null():
    series = np.cos(2 * np.pi * 7 * np.arange(96) / 96) + 0.5 * np.random.default_rng(0).normal(size=96)
    share = float(fisher_g(np.abs(np.fft.rfft(series))[1:] ** 2))
    null = fisher_g_null([2] * 47 + [1], count=999, generator=numpy_generator(0))
    assert fisher_g_p(share, 48) < 1e-10
    np.testing.assert_allclose(empirical_p(share, null), 1e-3)


def test_what_has_no_law_is_refused():
    with pytest.raises(InputError, match="at least one and none negative or NaN"):
        fisher_g([1.0, -1.0])
    with pytest.raises(InputError, match="at least one and none negative or NaN"):
        fisher_g([1.0, math.nan])
    with pytest.raises(InputError, match="at least one and none negative or NaN"):
        fisher_g([])
    with pytest.raises(InputError, match="needs at least one frequency, got 0"):
        fisher_g_p(0.5, 0)
    with pytest.raises(InputError, match="needs at least one frequency, got 0"):
        fisher_g_quantile(0.5, 0)
    with pytest.raises(InputError, match="lies between 0 and 1"):
        fisher_g_p([0.5, math.nan], 3)
    with pytest.raises(InputError, match="strictly between 0 and 1, got 1"):
        fisher_g_quantile(1.0, 3)
    with pytest.raises(InputError, match="must be a list of positive numbers"):
        fisher_g_null([2, 0], generator=numpy_generator(0))
