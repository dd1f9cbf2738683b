"""Equivalence against SciPy's one-sided t-tests, and the errors that the verdicts make."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import compare, equivalence_p

seeds = st.integers(0, 9_999).map(np.random.default_rng)


def two_one_sided(x, y, margin):
    """SciPy's one-sided tests against either end."""
    if y is None:
        return max(
            scipy.stats.ttest_1samp(x, -margin, alternative="greater").pvalue,
            scipy.stats.ttest_1samp(x, margin, alternative="less").pvalue,
        )
    return max(
        scipy.stats.ttest_ind(x + margin, y, equal_var=False, alternative="greater").pvalue,
        scipy.stats.ttest_ind(x - margin, y, equal_var=False, alternative="less").pvalue,
    )


@given(rng=seeds, count=st.integers(2, 12), margin=st.floats(0.01, 5), shift=st.floats(-3, 3))
def test_paired_tests_agree_with_scipy(rng, count, margin, shift):
    x = shift + rng.normal(size=count)
    found = compare(x, margin=margin)
    np.testing.assert_allclose(found.p_equivalent, two_one_sided(x, None, margin), rtol=1e-8)
    np.testing.assert_allclose(found.p_different, scipy.stats.ttest_1samp(x, 0).pvalue, rtol=1e-8)
    np.testing.assert_allclose(found.difference, x.mean(), rtol=1e-12)


@given(rng=seeds, counts=st.tuples(st.integers(2, 9), st.integers(2, 9)), margin=st.floats(0.01, 5))
def test_unpaired_tests_agree_with_scipy(rng, counts, margin):
    x, y = rng.normal(size=counts[0]), 0.5 + 3 * rng.normal(size=counts[1])
    found = compare(x, y, margin=margin)
    np.testing.assert_allclose(found.p_equivalent, two_one_sided(x, y, margin), rtol=1e-8)
    np.testing.assert_allclose(found.p_different, scipy.stats.ttest_ind(x, y, equal_var=False).pvalue, rtol=1e-8)
    np.testing.assert_allclose(equivalence_p(x, y, margin=margin), found.p_equivalent, rtol=0)


@given(rng=seeds, margin=st.floats(0.1, 3), alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_verdicts_follow_the_rule(rng, margin, alpha):
    x, y = rng.normal(size=6), rng.normal() + rng.normal(size=6)
    found = compare(x, y, margin=margin, alpha=alpha)
    expected = "inconclusive"
    if scipy.stats.ttest_ind(x, y, equal_var=False).pvalue <= alpha:
        expected = "different"
    if two_one_sided(x, y, margin) <= alpha:
        expected = "equivalent"
    assert (found.verdict, found.margin, found.alpha) == (expected, margin, alpha)


@given(rng=seeds, margin=st.floats(0.1, 3))
def test_exchanging_the_conditions_changes_only_the_sign(rng, margin):
    x, y = rng.normal(size=5), rng.normal(size=7)
    there, back = compare(x, y, margin=margin), compare(y, x, margin=margin)
    np.testing.assert_allclose(
        (back.difference, back.p_different, back.p_equivalent),
        (-there.difference, there.p_different, there.p_equivalent),
    )


@pytest.mark.parametrize("paired", [True, False])
def test_a_difference_of_the_margin_is_called_equivalent_as_often_as_the_level_says(paired):
    rng = np.random.default_rng(0)
    p = [
        equivalence_p(1.0 + rng.normal(size=8) / 4, None if paired else rng.normal(size=8) / 4, margin=1.0)
        for _ in range(2_000)
    ]
    np.testing.assert_allclose(np.mean(np.array(p) <= 0.05), 0.05, atol=4 * math.sqrt(0.05 * 0.95 / 2_000))


def test_equal_conditions_are_called_different_as_often_as_the_level_says():
    rng = np.random.default_rng(0)
    verdicts = [compare(rng.normal(size=8), rng.normal(size=8), margin=0.2).verdict for _ in range(2_000)]
    np.testing.assert_allclose(verdicts.count("different") / 2_000, 0.05, atol=4 * math.sqrt(0.05 * 0.95 / 2_000))
    assert verdicts.count("inconclusive") > 1_800


def test_planted_conditions_get_their_verdicts():
    noise = 0.1 * np.random.default_rng(0).normal(size=(2, 12))
    assert compare(noise[0], noise[1], margin=0.5).verdict == "equivalent"
    assert compare(noise[0] + 1.0, noise[1], margin=0.5).verdict == "different"
    assert compare(noise[0] * 50, noise[1] * 50, margin=0.5).verdict == "inconclusive"
    # A difference that is real and does not matter.
    small = compare(noise[0] - noise[0].mean() + 0.2, noise[1] - noise[1].mean(), margin=0.5)
    assert small.p_different < 0.001
    assert small.verdict == "equivalent"


@pytest.mark.parametrize(
    ("x", "y"), [([0.1] * 3, [0.3] * 4), ([0.1] * 3, None), ([0.0, 1e-17, 0.0], None), ([1.0, 1.0], [1.0, 1.0])]
)
def test_values_without_spread_decide_nothing(x, y):
    found = compare(x, y, margin=10.0)
    assert found.verdict == "inconclusive"
    np.testing.assert_array_equal((found.p_different, found.p_equivalent), (1.0, 1.0))


def test_a_condition_at_its_ceiling_is_compared_by_the_spread_of_the_other():
    x, y = np.ones(5), np.array([0.9, 0.95, 1.0, 0.92])
    np.testing.assert_allclose(compare(x, y, margin=0.2).p_equivalent, two_one_sided(x[:4] - y, None, 0.2), rtol=1e-8)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_is_positive(margin):
    with pytest.raises(InputError, match="the margin of equivalence must be positive"):
        compare([1.0, 2.0], margin=margin)


@pytest.mark.parametrize("alpha", [0.0, 0.95, math.nan])
def test_a_level_of_confidence_is_no_chance_of_an_error(alpha):
    with pytest.raises(InputError, match=r"alpha is the chance of an error, strictly between 0 and \.5"):
        compare([1.0, 2.0], margin=1.0, alpha=alpha)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0], "must hold one value for each of at least two seeds"),
        ([[1.0, 2.0]], r"at least two seeds, got shape \(1, 2\)"),
        ([1.0, math.nan], "must hold finite numbers"),
    ],
)
def test_a_comparison_needs_two_seeds_that_were_measured(values, message):
    with pytest.raises(InputError, match=f"the first condition .*{message}"):
        compare(values, margin=1.0)
    with pytest.raises(InputError, match=f"the second condition .*{message}"):
        equivalence_p([1.0, 2.0], values, margin=1.0)
