"""Change points against a least-squares fit at every position, and p-values and intervals against simulated series."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import change_point
from spectraledge.statistics.changepoints import _drawn_blocks, _permuted_blocks
from spectraledge.streams import numpy_generator

KINDS = ["mean", "slope"]

kinds = pytest.mark.parametrize("kind", KINDS)


def squares_left(design, series):
    weights = np.linalg.lstsq(np.array(design), series, rcond=None)[0]
    return float(((series - np.array(design) @ weights) ** 2).sum()), weights


def naive_change(series, kind, shortest):
    """Position, change and share by fitting the series anew at every position."""
    times = range(len(series))
    without, _ = squares_left([[1.0] if kind == "mean" else [1.0, t] for t in times], series)
    found = []
    for position in range(shortest, len(series) - shortest + (kind == "mean")):
        if kind == "mean":
            design = [[1.0, float(t >= position)] for t in times]
        else:
            design = [[1.0, t, max(t - position, 0)] for t in times]
        left, weights = squares_left(design, series)
        found.append((1 - left / without, position, weights[-1]))
    share, position, change = max(found)
    return position, change, share


def changed_series(kind, position, change, length, noise, seed=0):
    steps = np.arange(length) - position
    shape = (steps >= 0) if kind == "mean" else np.maximum(steps, 0)
    return 2.0 + change * shape + noise * np.random.default_rng(seed).normal(size=length)


def autocorrelated(rng, length, correlation):
    noise = rng.normal(size=length + 50)
    for t in range(1, length + 50):
        noise[t] += correlation * noise[t - 1]
    return noise[50:]


@given(kind=st.sampled_from(KINDS), length=st.integers(7, 25), shortest=st.integers(2, 3), seed=st.integers(0, 999))
def test_changes_agree_with_a_fit_at_every_position(kind, length, shortest, seed):
    series = np.random.default_rng(seed).normal(size=length).cumsum()
    found = change_point(series, kind=kind, shortest=shortest, resamples=2, generator=numpy_generator(0))
    position, change, share = naive_change(series, kind, shortest)
    assert found.position == position
    np.testing.assert_allclose((found.change, found.share), (change, share), rtol=1e-8)


@kinds
@pytest.mark.parametrize("block", [1, 3])
def test_p_values_and_intervals_agree_with_fits_of_every_resample(kind, block):
    length, count = 14, 60
    times = np.arange(length)
    series = changed_series(kind, 6, 0.7 if kind == "mean" else 0.2, length, 0.6)
    found = change_point(series, kind=kind, block=block, level=0.75, resamples=count, generator=numpy_generator(0))
    generator = numpy_generator(0)
    permuted = _permuted_blocks(length, block, count, generator)
    drawn = _drawn_blocks(length, block, count, generator)

    position, _, share = naive_change(series, kind, 2)
    level = np.ones((length, 1)) if kind == "mean" else np.stack([np.ones(length), times], axis=1)
    residual = series - level @ squares_left(level, series)[1]
    as_large = sum(naive_change(residual[index], kind, 2)[2] >= share - 1e-9 for index in permuted)
    np.testing.assert_allclose(found.p, (1 + as_large) / (1 + count))
    assert 0 < as_large < count

    shape = times >= position if kind == "mean" else np.maximum(times - position, 0)
    design = np.column_stack([level, shape])
    fit = design @ squares_left(design, series)[1]
    noise = (series - fit) * math.sqrt(length / (length - design.shape[1] - 1))
    refitted = sorted(naive_change(fit + noise[index], kind, 2)[0] for index in drawn)
    low = min(place for place in refitted if sum(other <= place for other in refitted) >= 0.125 * count)
    high = min(place for place in refitted if sum(other <= place for other in refitted) >= 0.875 * count)
    assert (found.low, found.high) == (low, high)
    assert low < high


@kinds
@pytest.mark.parametrize("position", [2, 3, 250, 497])
def test_changes_near_an_end_of_a_long_series_are_not_lost_in_rounding(kind, position):
    series = changed_series(kind, position, 3.0, 500, 1e-3)
    found = change_point(series, kind=kind, resamples=2, generator=numpy_generator(0))
    expected = naive_change(series, kind, 2)
    assert found.position == expected[0]
    np.testing.assert_allclose((found.change, found.share), expected[1:], rtol=1e-6)


@kinds
@pytest.mark.parametrize("position", [2, 13, 37])
def test_a_planted_change_is_found_exactly_without_noise(kind, position):
    series = changed_series(kind, position, -0.5, 40, 0.0)
    found = change_point(series, kind=kind, resamples=99, generator=numpy_generator(0))
    assert (found.position, found.low, found.high) == (position, position, position)
    np.testing.assert_allclose((found.change, found.share, found.p), (-0.5, 1.0, 0.01), rtol=1e-9)


@kinds
@given(scale=st.sampled_from([-4.0, 0.5, 32.0]), shift=st.integers(-8, 8), seed=st.integers(0, 99))
def test_scaling_and_shifting_change_nothing_but_the_size(kind, scale, shift, seed):
    series = changed_series(kind, 9, 1.0, 24, 1.0, seed)
    line = shift * np.arange(24) if kind == "slope" else shift
    there = change_point(series, kind=kind, resamples=30, generator=numpy_generator(0))
    moved = change_point(scale * series + line, kind=kind, resamples=30, generator=numpy_generator(0))
    assert (moved.position, moved.low, moved.high) == (there.position, there.low, there.high)
    np.testing.assert_allclose((moved.change, moved.share), (scale * there.change, there.share), rtol=1e-8)
    np.testing.assert_allclose(moved.p, there.p, rtol=1e-12)


@kinds
@given(seed=st.integers(0, 999))
def test_a_reversed_series_changes_at_the_mirrored_place(kind, seed):
    series = np.random.default_rng(seed).normal(size=20).cumsum()
    there, back = (
        change_point(values, kind=kind, resamples=2, generator=numpy_generator(0)) for values in (series, series[::-1])
    )
    assert back.position == (20 if kind == "mean" else 19) - there.position
    np.testing.assert_allclose(back.change, -there.change if kind == "mean" else there.change, rtol=1e-8)
    np.testing.assert_allclose(back.share, there.share, rtol=1e-8)


@kinds
def test_p_values_are_uniform_when_nothing_changes(kind):
    rng = np.random.default_rng(0)
    found = np.array(
        [change_point(rng.normal(size=30) + 0.3, kind=kind, resamples=19, generator=rng).p for _ in range(1_500)]
    )
    counts = np.bincount(np.rint(found * 20).astype(int), minlength=21)[1:]
    np.testing.assert_allclose(counts, 75, atol=4 * math.sqrt(75))


def test_blocks_keep_p_values_honest_where_noise_is_autocorrelated():
    rng = np.random.default_rng(0)
    false = {
        block: np.mean(
            [
                change_point(autocorrelated(rng, 200, 0.8), block=block, resamples=39, generator=rng).p <= 0.05
                for _ in range(250)
            ]
        )
        for block in (1, 20)
    }
    np.testing.assert_allclose(false[1], 0.93, atol=4 * math.sqrt(0.93 * 0.07 / 250))
    np.testing.assert_allclose(false[20], 0.06, atol=4 * math.sqrt(0.06 * 0.94 / 250))


@pytest.mark.parametrize(("kind", "change"), [("mean", 1.5), ("slope", 0.2)])
def test_intervals_cover_the_planted_position(kind, change):
    rng = np.random.default_rng(0)
    found = [
        change_point(changed_series(kind, 25, change, 60, 1.0, seed), kind=kind, resamples=99, generator=rng)
        for seed in range(300)
    ]
    covered = np.mean([change.low <= 25 <= change.high for change in found])
    assert covered > 0.95 - 4 * math.sqrt(0.95 * 0.05 / 300)
    assert np.mean([change.high - change.low for change in found]) < 25
    assert np.mean([change.p <= 0.05 for change in found]) > 0.9


def test_a_higher_level_is_wider():
    series = changed_series("mean", 25, 1.0, 60, 1.0)
    inner, outer = (change_point(series, level=level, generator=numpy_generator(0)) for level in (0.5, 0.99))
    assert outer.low < inner.low <= inner.high < outer.high


@given(length=st.integers(4, 30), data=st.data())
def test_permuted_blocks_are_whole_and_each_comes_once(length, data):
    block = data.draw(st.integers(1, length // 2))
    for row in _permuted_blocks(length, block, 5, numpy_generator(0)).tolist():
        assert sorted(row) == list(range(length))
        breaks = [t for previous, t in itertools.pairwise(row) if t != previous + 1]
        assert all(t % block == 0 for t in [row[0], *breaks])


def test_every_order_of_blocks_is_as_likely():
    orders = _permuted_blocks(6, 2, 6_000, numpy_generator(0))[:, ::2]
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    np.testing.assert_allclose(counts, 1_000, atol=4 * math.sqrt(1_000))


@given(length=st.integers(4, 30), data=st.data())
def test_drawn_blocks_are_stretches_of_the_series(length, data):
    block = data.draw(st.integers(1, length // 2))
    index = _drawn_blocks(length, block, 200, numpy_generator(0))
    assert index.shape == (200, length)
    for row in index[:5].tolist():
        for start in range(0, length, block):
            stretch = row[start : start + block]
            assert stretch == list(range(stretch[0], stretch[0] + len(stretch)))
    assert set(index[:, 0].tolist()) == set(range(length - block + 1))


@pytest.mark.parametrize("series", [np.full(20, 0.1), np.full(20, 1e6 / 3)])
def test_a_constant_series_has_no_change(series):
    with pytest.raises(InputError, match="a series that is constant has no change to look for"):
        change_point(series, generator=numpy_generator(0))


@pytest.mark.parametrize("series", [np.full(20, 0.1), 0.1 * np.arange(20) - 7])
def test_a_line_has_no_change_of_slope(series):
    with pytest.raises(InputError, match="a series that is a line has no change to look for"):
        change_point(series, kind="slope", generator=numpy_generator(0))


@pytest.mark.parametrize(
    ("series", "settings", "message"),
    [
        ([1, 2, 3], {}, "needs a series of at least 4 points"),
        ([1, 2, 3, 5], {"kind": "slope"}, "a change of the slope needs a series of at least 5 points"),
        ([1, 2, 3, 5, 1], {"shortest": 3}, "needs a series of at least 6 points"),
        ([1, 2, 3, 5, 1], {"shortest": 1}, "at least 2 points on either side, got shortest=1"),
        ([1, 2, 3, 5, 1], {"resamples": 0}, "need at least one resample, got 0"),
        ([1, 2, math.nan, 5, 1], {}, "needs finite numbers"),
        ([1, 2, 3, 5, 1], {"block": 3}, r"block must be in \[1, 2\] for 5 points, got 3"),
        ([1, 2, 3, 5, 1], {"level": 1.0}, "strictly between 0 and 1, got 1.0"),
        ([1, 2, 3, 5, 1], {"kind": "variance"}, "of the mean or of the slope, got kind 'variance'"),
    ],
)
def test_what_cannot_be_searched_is_refused(series, settings, message):
    with pytest.raises(InputError, match=message):
        change_point(series, generator=numpy_generator(0), **settings)
