"""Series of one training: the test keeps its level where both go somewhere, and finds a link where there is one."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import scipy.signal
import scipy.stats
from numpy.testing import assert_allclose

from spectraledge.errors import InputError
from spectraledge.statistics import beyond_trend

POINTS, TRIALS = 256, 400
TIME = np.arange(POINTS)

Make = Callable[[np.random.Generator], np.ndarray]


def walk(rng: np.random.Generator) -> np.ndarray:
    return np.cumsum(rng.normal(rng.normal(), 1.0, POINTS))


def autoregression(rng: np.random.Generator, memory: float) -> np.ndarray:
    noise = rng.normal(size=POINTS + 200)
    return scipy.signal.lfilter([1.0], [1.0, -memory], noise)[200:] + rng.normal(0, 0.2) * TIME


def decay(rng: np.random.Generator, noise: float) -> np.ndarray:
    return 10 * np.exp(-TIME / rng.uniform(20, POINTS)) + noise * rng.normal(size=POINTS)


def power_law(rng: np.random.Generator) -> np.ndarray:
    return 50 * (TIME + 10.0) ** -rng.uniform(0.3, 1.0) + 0.1 * rng.normal(size=POINTS)


def windows(rng: np.random.Generator) -> np.ndarray:
    """The logarithm of sums over trailing windows, as the trace of a spectrum is, of updates that shrink."""
    squared = rng.exponential(np.exp(-np.arange(POINTS + 19) / 100))
    return np.log(np.convolve(squared, np.ones(20), mode="valid"))


def fading_walk(rng: np.random.Generator) -> np.ndarray:
    """A loss: steps that get smaller, downwards."""
    return np.cumsum(np.exp(-TIME / 60) * rng.normal(-0.5, 1.0, POINTS))


KINDS: dict[str, Make] = {
    "random walk with drift": walk,
    "short memory and a trend": lambda rng: autoregression(rng, 0.5),
    "long memory and a trend": lambda rng: autoregression(rng, 0.95),
    "noisy decay": lambda rng: decay(rng, 1.0),
    "smooth decay": lambda rng: decay(rng, 0.01),
    "power law": power_law,
    "fading walk": fading_walk,
}


def rejected(target: Make, series: Make, *, seed: int) -> int:
    rng = np.random.default_rng(seed)
    found = [beyond_trend(target(rng), series(rng), flips=199, generator=rng).p_S[0] for _ in range(TRIALS)]
    return int(np.count_nonzero(np.array(found) <= 0.05))


def most(trials: int, *, tests: int) -> int:
    """More rejections than this come, at a level of 5 %, once in a thousand times in any of so many tests."""
    return int(scipy.stats.binom.ppf(1 - 0.001 / tests, trials, 0.05))


PAIRS = [*((kind, kind) for kind in KINDS), *((kind, "windows") for kind in KINDS), ("fading walk", "smooth decay")]


@pytest.mark.parametrize(("target", "series"), PAIRS)
def test_independent_series_with_trends_are_found_in_5_percent(target: str, series: str) -> None:
    count = rejected(KINDS[target], (KINDS | {"windows": windows})[series], seed=PAIRS.index((target, series)))
    assert count <= most(TRIALS, tests=len(PAIRS))
    assert count >= scipy.stats.binom.ppf(0.001 / len(PAIRS), TRIALS, 0.05)


def test_the_usual_correlation_finds_most_independent_walks() -> None:
    rng = np.random.default_rng(0)
    found = [scipy.stats.pearsonr(walk(rng), walk(rng)).pvalue <= 0.05 for _ in range(200)]
    assert np.mean(found) > 0.9


@pytest.mark.parametrize(("linked", "power"), [(0.25, 0.6), (0.5, 0.98)])
def test_a_planted_link_under_trends_is_found(linked: float, power: float) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(100):
        common, own = rng.normal(size=POINTS), rng.normal(size=(2, POINTS))
        steps = np.sqrt(linked) * common + np.sqrt(1 - linked) * own
        target, series = np.cumsum(steps, axis=1) + np.outer([-1.0, 3.0], TIME)
        result = beyond_trend(target, -series, flips=199, generator=rng)
        found.append(result.p_S[0] <= 0.05 and result.correlation_S[0] < 0)
    assert np.mean(found) > power


def test_one_of_many_series_is_found_seldom_unless_it_follows() -> None:
    rng = np.random.default_rng(2)
    any_found, planted_found = 0, 0
    for _ in range(TRIALS):
        target, common = walk(rng), walk(rng)
        family = [common + 0.3 * walk(rng) for _ in range(6)] + [walk(rng) for _ in range(6)]
        result = beyond_trend(target, [*family, 0.8 * target + walk(rng)], flips=199, generator=rng)
        alone = beyond_trend(target, family, flips=199, generator=rng)
        any_found += bool((alone.p_family_S <= 0.05).any())
        planted_found += bool(result.p_family_S[-1] <= 0.05)
        assert (alone.p_family_S >= alone.p_S).all()
    assert any_found <= most(TRIALS, tests=1)
    assert planted_found > 0.7 * TRIALS


def test_correlation_is_that_of_a_regression_in_each_block() -> None:
    rng = np.random.default_rng(3)
    target, series = rng.normal(size=133), rng.normal(size=(3, 133)).cumsum(axis=1)
    found = beyond_trend(target, series, block=16, degree=2, flips=9, generator=rng)

    def left(values: np.ndarray) -> np.ndarray:
        place = np.arange(len(values))
        return values - np.polyval(np.polyfit(place, values, 2), place)

    starts = range(133 - 8 * 16, 133, 16)
    naive = [
        np.mean([np.corrcoef(left(target[at : at + 16]), left(one[at : at + 16]))[0, 1] for at in starts])
        for one in series
    ]
    assert_allclose(found.correlation_S, naive, atol=1e-12)
    assert found.blocks == 8


def test_p_is_that_of_all_flips() -> None:
    rng = np.random.default_rng(4)
    target = rng.normal(size=96).cumsum()
    series = 0.5 * target + rng.normal(size=96).cumsum()
    single = [
        beyond_trend(np.tile(target[at : at + 12], 8), np.tile(series[at : at + 12], 8), block=12, generator=rng)
        for at in range(0, 96, 12)
    ]
    within = np.array([one.correlation_S[0] for one in single])
    every = np.array([abs(np.mean(signs * within)) for signs in product([-1, 1], repeat=8)])
    exact = np.mean(every >= abs(within.mean()) - 1e-12)
    found = beyond_trend(target, series, block=12, flips=19_999, generator=rng)
    assert_allclose(found.p_S, exact, atol=4 * np.sqrt(exact / 19_999))


def test_trends_and_scales_of_blocks_change_nothing() -> None:
    rng = np.random.default_rng(5)
    target, series = rng.normal(size=(2, 128)).cumsum(axis=1)
    place = np.tile(np.arange(16.0), 8)
    scales = np.repeat(rng.uniform(0.1, 10, 8), 16)
    trends = np.repeat(rng.normal(size=(3, 8)), 16, axis=1)
    changed = scales * series + trends[0] + trends[1] * place + trends[2] * place**2
    before = beyond_trend(target, series, flips=99, generator=np.random.default_rng(0))
    after = beyond_trend(target, changed, flips=99, generator=np.random.default_rng(0))
    assert_allclose(after.correlation_S, before.correlation_S, atol=1e-10)
    assert_allclose(after.p_S, before.p_S)


def test_what_cannot_be_tested_is_refused() -> None:
    rng = np.random.default_rng(6)
    noise, smooth = rng.normal(size=POINTS), np.exp(-TIME / 50)
    with pytest.raises(InputError, match=r"series \[1\] are smooth curves"):
        beyond_trend(smooth, [noise, 3.0 / (TIME + 20)], generator=rng)
    assert beyond_trend(noise, smooth, generator=rng).p_S[0] > 0
    with pytest.raises(InputError, match="polynomial of degree 2 in every block"):
        beyond_trend(noise, TIME**2, generator=rng)
    with pytest.raises(InputError, match="fewer than 8"):
        beyond_trend(noise[:127], noise[:127], generator=rng)
    with pytest.raises(InputError, match=r"got \(256,\) and \(1, 100\)"):
        beyond_trend(noise, noise[:100], generator=rng)
    with pytest.raises(InputError, match="finite"):
        beyond_trend(noise, np.where(TIME == 9, np.nan, noise), generator=rng)
    with pytest.raises(InputError, match="degree=12"):
        beyond_trend(noise, noise, degree=12, generator=rng)
