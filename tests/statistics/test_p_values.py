"""p-values: what they are by definition, and what they are when there is no effect."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import at_least, empirical_p, false_discovery_rate

probabilities = st.floats(0, 1)


def naive_adjusted(p_values):
    """Benjamini and Hochberg's step-up procedure, one p-value at a time."""
    tested = [p for p in p_values if not math.isnan(p)]
    count = len(tested)
    adjusted = []
    for p in p_values:
        candidates = [other * count / sum(smaller <= other for smaller in tested) for other in tested if not other < p]
        adjusted.append(min(1.0, *candidates) if not math.isnan(p) else math.nan)
    return adjusted


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30, unique=True))
def test_p_values_are_uniform_when_the_observed_value_is_one_of_the_null(values):
    found = sorted(empirical_p(value, values[:i] + values[i + 1 :]) for i, value in enumerate(values))
    np.testing.assert_allclose(found, np.arange(1, len(values) + 1) / len(values), rtol=1e-12)


@given(values=st.lists(st.integers(0, 5), min_size=2, max_size=30))
def test_ties_make_p_values_larger_never_smaller(values):
    found = np.array([empirical_p(value, values[:i] + values[i + 1 :]) for i, value in enumerate(values)])
    levels = np.arange(1, len(values) + 1) / len(values)
    rejected = (found[None, :] <= levels[:, None] + 1e-12).mean(axis=1)
    np.testing.assert_array_less(rejected, levels + 1e-12)


def test_p_values_are_uniform_in_simulation():
    rng = np.random.default_rng(0)
    found = [empirical_p(row[0], row[1:]) for row in rng.normal(size=(5_000, 20))]
    counts = np.bincount(np.rint(np.array(found) * 20).astype(int), minlength=21)[1:]
    np.testing.assert_allclose(counts, 250, atol=4.5 * math.sqrt(250))


@given(null=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30), observed=st.floats(-1e3, 1e3))
def test_a_p_value_counts_the_null_values_that_are_as_large(null, observed):
    expected = (1 + sum(value >= observed for value in null)) / (1 + len(null))
    found = empirical_p(observed, null)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert 1 / (1 + len(null)) <= found <= 1


def test_a_p_value_is_never_zero():
    np.testing.assert_allclose(empirical_p(math.inf, np.zeros(99)), 0.01)


def test_no_null_values_no_p_value():
    with pytest.raises(InputError, match="needs at least one null value, got none"):
        empirical_p(1.0, [])


@given(of=st.integers(1, 9), p=probabilities, data=st.data())
def test_at_least_sums_over_every_outcome(of, p, data):
    count = data.draw(st.integers(0, of + 1))
    expected = sum(
        math.prod(p if hit else 1 - p for hit in outcome)
        for outcome in itertools.product([False, True], repeat=of)
        if sum(outcome) >= count
    )
    np.testing.assert_allclose(at_least(count, of, p), expected, rtol=1e-9, atol=1e-12)


@given(p_values=st.lists(probabilities | st.just(math.nan), max_size=15))
def test_q_values_agree_with_the_step_up_procedure(p_values):
    np.testing.assert_allclose(false_discovery_rate(p_values), naive_adjusted(p_values), rtol=1e-10, atol=1e-300)


def test_missing_p_values_stay_missing_and_do_not_count():
    np.testing.assert_allclose(
        false_discovery_rate([0.01, math.nan, 0.04, math.nan, 0.03]), [0.03, math.nan, 0.04, math.nan, 0.04]
    )
    np.testing.assert_array_equal(false_discovery_rate([math.nan, math.nan]), [math.nan, math.nan])
    assert false_discovery_rate([]).shape == (0,)


@given(p_values=st.lists(probabilities, min_size=1, max_size=15), order=st.randoms(use_true_random=False))
def test_q_values_follow_their_p_values(p_values, order):
    places = list(range(len(p_values)))
    order.shuffle(places)
    shuffled = false_discovery_rate([p_values[place] for place in places])
    np.testing.assert_allclose(shuffled, false_discovery_rate(p_values)[places], rtol=1e-12)
    assert float(np.min(false_discovery_rate(p_values) - p_values)) >= -1e-15


def test_rejecting_by_q_keeps_the_share_of_false_findings():
    rng = np.random.default_rng(0)
    false_share = []
    for _ in range(2_000):
        p_values = np.concatenate([rng.random(15), rng.random(5) * 1e-3])
        found = false_discovery_rate(p_values) <= 0.2
        false_share.append(found[:15].sum() / max(found.sum(), 1))
    # The expectation is exactly α·(share of true nulls) = .15 for independent p-values.
    standard_error = np.std(false_share) / math.sqrt(len(false_share))
    np.testing.assert_allclose(np.mean(false_share), 0.15, atol=4 * standard_error)


@pytest.mark.parametrize(("observed", "null"), [(float("nan"), [1.0, 2.0]), (1.0, [2.0, float("nan")])])
def test_a_p_value_of_what_was_not_measured_is_refused(observed, null):
    with pytest.raises(InputError, match="needs numbers, got NaN"):
        empirical_p(observed, null)
