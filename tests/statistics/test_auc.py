"""The area under the ROC curve against loops and libraries, its interval's coverage, and its p-value's honesty."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from spectraledge.errors import InputError
from spectraledge.statistics import discrimination
from spectraledge.streams import numpy_generator

whole_numbers = st.lists(st.integers(0, 5), min_size=2, max_size=6)


def found_in(x, y, **settings):
    return discrimination(x, y, **{"permutations": 20, "generator": numpy_generator(0), **settings})


@given(x=whole_numbers, y=whole_numbers)
def test_the_area_is_that_of_the_curve(x, y):
    area = found_in(x, y).area
    np.testing.assert_allclose(area, roc_auc_score([1] * len(x) + [0] * len(y), x + y), rtol=1e-12)
    np.testing.assert_allclose(area, scipy.stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)), rtol=1e-12)


@given(x=whole_numbers, y=whole_numbers)
def test_laws(x, y):
    found, exchanged = found_in(x, y), found_in(y, x)
    assert 0 <= found.low <= found.area <= found.high <= 1
    np.testing.assert_allclose(
        (exchanged.area, exchanged.low, exchanged.high), (1 - found.area, 1 - found.high, 1 - found.low), atol=1e-8
    )
    assert found_in(np.exp(x), np.exp(y)) == found


def newcombe_variance(area, first, second):
    """Of Mann-Whitney's statistic, with the probabilities Q of Hanley and McNeil 1982 for exponential values."""
    q_1, q_2 = area / (2 - area), 2 * area**2 / (1 + area)
    mean = (first + second) / 2
    return (area * (1 - area) + (mean - 1) * (q_1 - area**2) + (mean - 1) * (q_2 - area**2)) / (first * second)


@pytest.mark.parametrize(("first", "second", "shift"), [(10, 10, 0.5), (7, 30, 1.5), (12, 25, -0.5)])
def test_ends_are_as_many_standard_errors_away_as_the_level_says(first, second, shift):
    rng = np.random.default_rng(first)
    found = found_in(rng.normal(shift, size=first), rng.normal(size=second), level=0.9)
    quantile = scipy.stats.t.ppf(0.95, min(first, second) - 1)
    for end in (found.low, found.high):
        error = math.sqrt(newcombe_variance(end, first, second))
        np.testing.assert_allclose(abs(found.area - end), quantile * error, rtol=1e-6)
    assert (found.first, found.second, found.seeds, found.design_effect) == (first, second, first + second, 1.0)


def test_groups_that_do_not_overlap_have_an_interval_that_their_number_supports():
    few, many = (found_in(np.arange(n) + 100.0, np.arange(n)) for n in (5, 40))
    assert (few.area, few.high, many.area, many.high) == (1.0, 1.0, 1.0, 1.0)
    assert 0.3 < few.low < 0.75
    assert 0.9 < many.low < 0.97
    below = found_in(np.arange(5), np.arange(5) + 100.0)
    np.testing.assert_allclose((below.area, below.low, below.high), (0.0, 0.0, 1 - few.low), atol=1e-8)


def design_effect(x, y, seeds_x, seeds_y):
    """By loops, from the definition."""

    def won(a, b):
        return 1.0 if a > b else 0.5 if a == b else 0.0

    area = np.mean([won(a, b) for a in x for b in y])
    runs = [(seed, (np.mean([won(a, b) for b in y]) - area) / len(x)) for seed, a in zip(seeds_x, x, strict=True)]
    runs += [(seed, (np.mean([won(a, b) for a in x]) - area) / len(y)) for seed, b in zip(seeds_y, y, strict=True)]
    seeds = sorted({seed for seed, _ in runs})
    together = sum(sum(value for seed, value in runs if seed == one) ** 2 for one in seeds)
    apart = sum(value**2 for _, value in runs)
    return max(1.0, together * len(seeds) / (len(seeds) - 1) / (apart * len(runs) / (len(runs) - 1)))


def related_runs(rng, area, correlation, *, seeds=10, first=4, second=8, spread=1.0):
    """Normal values that runs of one seed and group share in part, with the area that is asked for."""
    shift = scipy.stats.norm.ppf(area) * math.hypot(1, spread)
    groups = []
    for count in (first, second):
        shared = math.sqrt(correlation) * rng.normal(size=(seeds, 1))
        groups.append((shared + math.sqrt(1 - correlation) * rng.normal(size=(seeds, count))).ravel())
    numbers = tuple(np.repeat(np.arange(seeds), count) for count in (first, second))
    return shift + spread * groups[0], groups[1], numbers


def test_related_runs_widen_the_interval():
    x, y, seeds = related_runs(np.random.default_rng(0), 0.8, 0.8)
    apart, related = found_in(x, y), found_in(x, y, seeds=seeds)
    np.testing.assert_allclose(related.design_effect, design_effect(x, y, *seeds), rtol=1e-12)
    assert related.design_effect > 1.5
    assert related.seeds == 10
    assert related.low < apart.low < apart.high < related.high


def test_where_groups_do_not_overlap_ranks_within_them_show_how_related_runs_are():
    x, y, seeds = related_runs(np.random.default_rng(0), 0.8, 0.8)
    separated = found_in(x + 100, y, seeds=seeds)
    ranks = [scipy.stats.rankdata(group) for group in (x, y)]
    runs = [
        (seed, (rank - group.mean()) / len(group) ** 2)
        for group, of_group in zip(ranks, seeds, strict=True)
        for seed, rank in zip(of_group, group, strict=True)
    ]
    together = sum(sum(value for seed, value in runs if seed == one) ** 2 for one in range(10)) * 10 / 9
    expected = together / (sum(value**2 for _, value in runs) * 120 / 119)
    np.testing.assert_allclose(separated.design_effect, expected, rtol=1e-12)
    assert (separated.area, separated.high) == (1.0, 1.0)
    assert 0.6 < separated.low < found_in(x + 100, y).low
    # Runs that are all alike say nothing of it.
    assert found_in(np.ones(40), np.zeros(80), seeds=seeds).design_effect == 8.0


@pytest.mark.parametrize("area", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("count", [10, 40])
@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_intervals_cover(area, count, spread):
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        x, y, _ = related_runs(rng, area, 0.0, seeds=count, first=1, second=1, spread=spread)
        found = discrimination(x, y, permutations=1, generator=rng)
        covered += found.low <= area <= found.high
    assert covered >= 200 * (0.95 - 4 * math.sqrt(0.95 * 0.05 / 200))


@pytest.mark.parametrize("area", [0.5, 0.8, 0.95, 0.99])
def test_intervals_of_related_runs_cover_only_with_seeds(area):
    rng = np.random.default_rng(2)
    covered = {"with": 0, "without": 0}
    for _ in range(200):
        x, y, seeds = related_runs(rng, area, 0.5)
        for name, given_seeds in (("with", seeds), ("without", None)):
            found = discrimination(x, y, seeds=given_seeds, permutations=1, generator=rng)
            covered[name] += found.low <= area <= found.high
    assert covered["with"] >= 200 * (0.95 - 4 * math.sqrt(0.95 * 0.05 / 200))
    assert covered["without"] < covered["with"]


def test_p_is_the_share_of_all_divisions_into_groups():
    x, y = [4.0, 5.5, 2.0], [1.0, 2.0, 3.0, 0.5]
    found = found_in(x, y, permutations=40_000, alternative="greater")
    values = np.array(x + y)
    areas = [
        roc_auc_score([i in chosen for i in range(7)], values) for chosen in itertools.combinations(range(7), len(x))
    ]
    expected = np.mean(np.array(areas) >= found.area - 1e-12)
    np.testing.assert_allclose(found.p, expected, atol=4 * math.sqrt(expected / 40_000))
    np.testing.assert_allclose(found_in(x, y, permutations=40_000).p, 2 * expected, atol=8 * math.sqrt(expected / 4e4))


def test_p_exchanges_runs_within_seeds_only():
    # Within every seed the first group is larger; seeds differ by far more.
    seeds = np.arange(8)
    y = 100.0 * seeds
    x = y + 1
    assert found_in(x, y, permutations=999).p > 0.5
    within = found_in(x, y, seeds=(seeds, seeds), permutations=40_000, alternative="greater").p
    np.testing.assert_allclose(within, 2.0**-8, atol=4 * math.sqrt(2.0**-8 / 40_000))


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_p_is_uniform_under_the_null(alternative):
    rng = np.random.default_rng(3)
    p = []
    for _ in range(400):
        x, y, (of_x, of_y) = related_runs(rng, 0.5, 0.0, seeds=5, first=2, second=4)
        shared = rng.normal(size=5)
        settings = {"seeds": (of_x, of_y), "permutations": 99, "alternative": alternative}
        p.append(discrimination(x + shared[of_x], y + shared[of_y], generator=rng, **settings).p)
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.001


def test_what_has_no_area_is_refused():
    with pytest.raises(InputError, match="the second group must hold one value for each of at least two seeds"):
        found_in([1.0, 2.0], [3.0])
    with pytest.raises(InputError, match="the first group must hold finite numbers"):
        found_in([1.0, math.nan], [3.0, 4.0])
    with pytest.raises(InputError, match="strictly between 0 and 1, got 95"):
        found_in([1.0, 2.0], [3.0, 4.0], level=95)
    with pytest.raises(InputError, match=r"2 and 2 values and seeds of shapes \(2,\) and \(3,\)"):
        found_in([1.0, 2.0], [3.0, 4.0], seeds=([1, 2], [1, 2, 3]))
    with pytest.raises(InputError, match="at least two seeds, got one"):
        found_in([1.0, 2.0], [3.0, 4.0], seeds=([1, 2], [1, 1]))
    with pytest.raises(InputError, match="no seed has runs of both groups"):
        found_in([1.0, 2.0], [3.0, 4.0], seeds=([1, 2], [3, 4]))
    with pytest.raises(InputError, match="unknown alternative 'less': expected 'greater' or 'two-sided'"):
        found_in([1.0, 2.0], [3.0, 4.0], alternative="less")
    with pytest.raises(InputError, match="needs at least one null value, got -1 permutations"):
        found_in([1.0, 2.0], [3.0, 4.0], permutations=-1)
