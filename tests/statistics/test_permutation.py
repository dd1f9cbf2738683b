"""Rank agreement against full enumeration, SciPy, and the uniform law of p-values."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import rank_agreement
from spectraledge.streams import numpy_generator

ALTERNATIVES = ["greater", "two-sided"]

lists_of_pairs = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=12).filter(
    lambda pairs: len({x for x, _ in pairs}) > 1 and len({y for _, y in pairs}) > 1
)


def exact_p(statistic, values, alternative):
    """Share of all orders that give as much, ties included."""
    observed = statistic(values)
    found = np.array([statistic(np.array(order)) for order in itertools.permutations(values)])
    above, below = (found >= observed - 1e-12).mean(), (found <= observed + 1e-12).mean()
    return above if alternative == "greater" else min(1.0, 2 * min(above, below))


def assert_estimates(found, expected, count, *, doubled):
    sides = 2 if doubled else 1
    error = sides * math.sqrt(expected / sides * (1 - expected / sides) / count)
    np.testing.assert_allclose(found, expected, atol=4.5 * error + 2 / count)


@given(pairs=lists_of_pairs)
def test_rho_is_that_of_scipy(pairs):
    x, y = zip(*pairs, strict=True)
    found = rank_agreement(x, y, permutations=5, generator=numpy_generator(0))
    np.testing.assert_allclose(found.observed, scipy.stats.spearmanr(x, y).statistic, atol=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(
    ("x", "y"),
    [([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 6, 5]), ([1, 1, 2, 2, 3, 3], [0, 5, 5, 1, 1, 9]), ([3, 1, 2, 9], [1, 4, 2, 0])],
)
def test_agreement_is_tested_against_every_order(x, y, alternative):
    found = rank_agreement(x, y, permutations=20_000, alternative=alternative, generator=numpy_generator(0))
    expected = exact_p(lambda order: scipy.stats.spearmanr(order, y).statistic, np.array(x), alternative)
    assert_estimates(found.p, expected, 20_000, doubled=alternative == "two-sided")


def test_null_values_of_agreement_are_those_of_permuted_ranks():
    x, y = [1.0, 5.0, 5.0, 2.0, 7.0], [2.0, 2.0, 9.0, 1.0, 4.0]
    found = rank_agreement(x, y, permutations=50, generator=numpy_generator(0)).null_B
    every = [scipy.stats.spearmanr(order, y).statistic for order in itertools.permutations(x)]
    nearest = np.abs(found[:, None] - np.array(every)[None]).min(axis=1)
    np.testing.assert_allclose(nearest, 0.0, atol=1e-12)
    assert len(set(found.tolist())) > 5


def test_batches_of_permutations_add_up(monkeypatch):
    monkeypatch.setattr("spectraledge.statistics.permutation._ENTRIES", 30)
    found = rank_agreement(range(10), range(10), permutations=100, generator=numpy_generator(0))
    assert found.null_B.shape == (100,)
    np.testing.assert_allclose((found.observed, found.p), (1.0, 2 / 101))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_agreement_of_unrelated_ranks_has_uniform_p(alternative):
    rng = np.random.default_rng(0)
    found = np.array(
        [
            rank_agreement(
                rng.normal(size=30), rng.normal(size=30), permutations=199, alternative=alternative, generator=rng
            ).p
            for _ in range(1_500)
        ]
    )
    assert scipy.stats.kstest(found, "uniform").statistic < 1.95 / math.sqrt(1_500) + 1 / 100


@given(pairs=lists_of_pairs, seed=st.integers(0, 99))
def test_increasing_maps_change_nothing(pairs, seed):
    x, y = (np.array(values, dtype=float) for values in zip(*pairs, strict=True))
    found = rank_agreement(x, y, permutations=20, generator=numpy_generator(seed))
    mapped = rank_agreement(np.exp(x), y**3 - 7, permutations=20, generator=numpy_generator(seed))
    np.testing.assert_array_equal(mapped.null_B, found.null_B)
    np.testing.assert_allclose((mapped.observed, mapped.p), (found.observed, found.p), rtol=0, atol=0)


def test_reversing_one_side_turns_agreement_around():
    x, y = [1, 2, 3, 4, 5, 6, 7], [1, 3, 2, 4, 5, 7, 6]
    there = rank_agreement(x, y, generator=numpy_generator(0))
    back = rank_agreement(x, [-value for value in y], generator=numpy_generator(0))
    np.testing.assert_allclose((back.observed, back.p), (-there.observed, there.p))


def test_what_cannot_be_tested_is_refused():
    generator = numpy_generator(0)
    with pytest.raises(InputError, match="two lists of equal length, at least 2, got"):
        rank_agreement([1, 2, 3], [1, 2], generator=generator)
    with pytest.raises(InputError, match="two lists of equal length, at least 2, got"):
        rank_agreement([1], [1], generator=generator)
    with pytest.raises(InputError, match="needs two variables that vary, got a constant one"):
        rank_agreement([1, 1, 1], [1, 2, 3], generator=generator)
    with pytest.raises(InputError, match="rank agreement needs numbers, got NaN"):
        rank_agreement([1, 2, math.nan], [1, 2, 3], generator=generator)
    with pytest.raises(InputError, match="needs at least one null value"):
        rank_agreement([1, 2, 3], [1, 2, 3], permutations=0, generator=generator)
    with pytest.raises(InputError, match="unknown alternative 'less': expected 'greater' or 'two-sided'"):
        rank_agreement([1, 2, 3], [1, 2, 3], alternative="less", generator=generator)
