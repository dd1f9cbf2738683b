"""The noise floor: silent on noise of every kind that its null covers, and planted signals are counted."""

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import (
    effective_dimension,
    noise,
    noise_floor,
    surrogate_updates,
    window_directions,
    window_eigenvalues,
)
from spectraledge.spectrum.windows import center_gram

NULLS = ["lengths", "stationary", "phase", "sign"]


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=stream(seed))


def autoregressive(rng, coefficient, window, size, burn=60):
    course = [np.zeros(size)]
    for shock in rng.normal(size=(burn + window, size)):
        course.append(coefficient * course[-1] + shock)
    return np.array(course[-window:])


def planted(rng, window, size, strengths, in_time=None):
    """Signals of given singular values in white noise of variance 1/P, their time courses free of a mean by default."""
    count = len(strengths)
    random = np.linalg.qr(np.column_stack([np.ones(window), rng.normal(size=(window, count))]))[0][:, 1:]
    in_time = random if in_time is None else in_time
    in_space = np.linalg.qr(rng.normal(size=(size, count)))[0]
    noise_WP = rng.normal(size=(window, size)) / size**0.5
    return torch.from_numpy(in_time * strengths @ in_space.T + noise_WP), in_space, in_time


def periodogram(updates_WP):
    return np.abs(np.fft.rfft(updates_WP.numpy(), axis=0)) ** 2


@given(window=st.integers(3, 11), size=st.integers(1, 6), seed=st.integers(0, 999))
def test_phases_are_randomised_and_nothing_else(window, size, seed):
    updates_WP = normal(window, size, seed=seed)
    found = surrogate_updates(updates_WP, generator=stream(seed), null="phase")
    np.testing.assert_allclose(periodogram(found), periodogram(updates_WP), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.mean(0), updates_WP.mean(0), rtol=1e-10, atol=1e-12)
    assert float((found - updates_WP).abs().max()) > 1e-6


@pytest.mark.parametrize("window", [7, 8])
def test_phases_are_uniform_and_independent(window):
    course_WP = torch.arange(window, dtype=torch.float64)[:, None].square().expand(window, 4000)
    found = np.fft.rfft(surrogate_updates(course_WP, generator=stream(), null="phase").numpy(), axis=0)
    paired = slice(1, (window + 1) // 2)
    phases = np.angle(found[paired]) / (2 * np.pi) + 0.5
    for row in phases:
        assert scipy.stats.kstest(row, "uniform").pvalue > 1e-3
    unit = np.exp(2j * np.pi * phases)
    overlaps = unit @ unit.conj().T / 4000 - np.eye(len(unit))
    assert np.abs(overlaps).max() < 4 / 4000**0.5
    if window % 2 == 0:
        assert abs(np.sign(found[-1].real).sum()) < 4 * 4000**0.5


@given(window=st.integers(3, 10), seed=st.integers(0, 999))
def test_signs_are_flipped_and_nothing_else(window, seed):
    updates_WP = normal(window, 50, seed=seed)
    found = surrogate_updates(updates_WP, generator=stream(seed), null="sign")
    torch.testing.assert_close(found.abs(), updates_WP.abs(), rtol=0, atol=0)
    flipped = int((found != updates_WP).sum())
    assert abs(flipped - 25 * window) < 4 * (12.5 * window) ** 0.5


@pytest.mark.parametrize("window", [9, 10])
def test_many_coordinates_make_the_gram_circulant_or_toeplitz(window):
    rng = np.random.default_rng(0)
    updates_WP = torch.from_numpy(autoregressive(rng, 0.8, window, 40_000) + rng.normal(size=40_000))

    def gram(null):
        drawn = surrogate_updates(updates_WP, generator=stream(), null=null)
        return center_gram(drawn @ drawn.T) / 40_000

    pooled = periodogram(updates_WP).mean(1) / window
    lag = np.abs(np.subtract.outer(np.arange(window), np.arange(window)))
    power = np.r_[0, pooled[1:], pooled[1 : (window + 1) // 2][::-1]]
    autocovariance = np.fft.ifft(power).real
    np.testing.assert_allclose(gram("phase").numpy(), autocovariance[lag], rtol=0, atol=0.1)
    law = center_gram(torch.from_numpy(0.8**lag / (1 - 0.8**2)))
    np.testing.assert_allclose(gram("stationary").numpy(), law.numpy(), rtol=0, atol=0.1)
    assert float((gram("phase") - law).abs().max()) > 0.5


def test_equal_lengths_change_nothing():
    updates_WP = torch.nn.functional.normalize(normal(8, 30))
    for seed in range(3):
        found = surrogate_updates(updates_WP, generator=stream(seed), null="lengths")
        expected = surrogate_updates(updates_WP, generator=stream(seed), null="stationary")
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@given(factors=st.lists(st.floats(1e-3, 1e3), min_size=8, max_size=8), seed=st.integers(0, 99))
def test_a_common_factor_of_any_course_is_kept(factors, seed):
    updates_WP = torch.nn.functional.normalize(normal(8, 30, seed=seed))
    factor_W1 = torch.tensor(factors, dtype=torch.float64)[:, None]
    found = surrogate_updates(updates_WP * factor_W1, generator=stream(seed), null="lengths")
    expected = surrogate_updates(updates_WP, generator=stream(seed), null="lengths") * factor_W1
    torch.testing.assert_close(found / factor_W1, expected / factor_W1, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("window", [3, 6, 7])
def test_the_floor_is_that_of_surrogates_drawn_one_by_one(null, window):
    updates_WP, generator = normal(window, 40) * torch.linspace(1, 2, window)[:, None], stream()
    found = noise_floor(updates_WP, generator=stream(), null=null, surrogates=19, level=0.1)
    drawn = [surrogate_updates(updates_WP, generator=generator, null=null) for _ in range(19)]

    def eigenvalues(rows_WP):
        values = np.zeros(window)
        singular = np.linalg.svd((rows_WP - rows_WP.mean(0)).numpy(), compute_uv=False)
        values[: len(singular)] = singular**2
        return values

    by_rank = np.sort([eigenvalues(rows_WP) for rows_WP in drawn], axis=0)
    expected = eigenvalues(updates_WP)
    np.testing.assert_allclose(found.eigenvalues_W.numpy(), expected, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.floor_W.numpy(), by_rank[-2], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(found.ratio_W[:-1].numpy(), (expected / by_rank[-2])[:-1], rtol=1e-6)
    assert float(found.ratio_W[-1]) == 0
    above = [*(expected[:-1] > by_rank[-2][:-1]), False]
    assert (found.count, found.false_alarms) == (above.index(False), 0.1)


@pytest.mark.parametrize("null", NULLS)
def test_blocks_of_parameters_change_nothing_but_the_draws(monkeypatch, null):
    rng = np.random.default_rng(0)
    updates_WP = planted(rng, 8, 3000, [3.0])[0]
    monkeypatch.setattr(noise, "_COLUMNS", 700)
    in_blocks = noise_floor(updates_WP, generator=stream(), null=null)
    monkeypatch.setattr(noise, "_COLUMNS", 3000)
    whole = noise_floor(updates_WP, generator=stream(), null=null)
    torch.testing.assert_close(in_blocks.eigenvalues_W, whole.eigenvalues_W, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(in_blocks.floor_W, whole.floor_W, rtol=0.1, atol=1e-10)
    assert in_blocks.count == whole.count == 1


def kinds(rng, window, size):
    shrinking = np.exp(-np.arange(window) / 6)[:, None]
    return {
        "white": lambda: rng.normal(size=(window, size)),
        "white, unequal coordinates": lambda: rng.normal(size=(window, size)) * np.exp(2 * rng.normal(size=size)),
        "slow": lambda: autoregressive(rng, 0.9, window, size),
        "fast": lambda: autoregressive(rng, -0.5, window, size),
        "differences": lambda: np.diff(rng.normal(size=(window + 1, size)), axis=0),
        "drifting": lambda: rng.normal(size=(window, size)) + 5 * rng.normal(size=size),
        "shrinking": lambda: shrinking * rng.normal(size=(window, size)),
        "uneven": lambda: np.exp(rng.normal(size=(window, 1))) * autoregressive(rng, 0.5, window, size),
        "shrinking drift": lambda: shrinking * (rng.normal(size=(window, size)) + 3 * rng.normal(size=size)),
    }


def alarms(kind, size, null, draws, window=10):
    rng, generator = np.random.default_rng(1), stream(1)
    make = kinds(rng, window, size)[kind]
    floors = (noise_floor(torch.from_numpy(make()), generator=generator, null=null) for _ in range(draws))
    return sum(floor.count > 0 for floor in floors)


def allowed_alarms(draws, level=0.05):
    """As many as chance gives once in 10,000 times at the stated rate."""
    return scipy.stats.binom.isf(1e-4, draws, level)


@pytest.mark.parametrize("size", [30, 400])
@pytest.mark.parametrize(
    ("null", "kind"),
    [
        ("phase", "white"),
        ("phase", "drifting"),
        *[
            ("stationary", kind)
            for kind in ("white", "white, unequal coordinates", "slow", "fast", "differences", "drifting")
        ],
        *[
            ("lengths", kind)
            for kind in ("white", "slow", "fast", "differences", "uneven", "shrinking", "shrinking drift")
        ],
        ("sign", "white"),
        ("sign", "shrinking"),
    ],
)
def test_noise_is_no_signal(null, kind, size):
    assert alarms(kind, size, null, 60) <= allowed_alarms(60)


@pytest.mark.parametrize("null", ["phase", "sign"])
def test_the_rate_of_false_alarms_is_exact_where_it_is_said_to_be(null):
    draws = 400
    low, high = scipy.stats.binom.interval(1 - 1e-4, draws, 0.05)
    assert low <= alarms("white", 20, null, draws, window=6) <= high


@pytest.mark.parametrize(
    ("null", "kind"),
    [
        ("phase", "slow"),
        ("phase", "fast"),
        ("phase", "shrinking"),
        ("stationary", "shrinking"),
        ("sign", "slow"),
        ("sign", "differences"),
    ],
)
def test_noise_beyond_a_null_is_taken_for_signal(null, kind):
    assert alarms(kind, 1000, null, 20) >= 18


@pytest.mark.parametrize(("window", "size"), [(100, 4000), (80, 500)])
@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_a_planted_signal_stands_where_random_matrices_put_it(window, size, strength):
    # Noise of variance 1/P; a signal shows above (W/P)^(1/4) (Benaych-Georges and Nadakuditi 2012).
    square, aspect, rng = strength**2, (window - 1) / size, np.random.default_rng(0)
    found = []
    for _ in range(10):
        updates_WP, in_space, in_time = planted(rng, window, size, [strength])
        directions = window_directions(updates_WP, center=True)
        centred_WP = updates_WP - updates_WP.mean(0)
        leading_W = torch.linalg.eigh(centred_WP @ centred_WP.T)[1][:, -1].numpy()
        overlap = float((directions.vectors_KP[0].numpy() @ in_space[:, 0]) ** 2)
        found.append([float(directions.eigenvalues_K[0]), overlap, (leading_W @ in_time[:, 0]) ** 2])
    eigenvalue, overlap_in_space, overlap_in_time = np.mean(found, 0)
    np.testing.assert_allclose(eigenvalue, (1 + square) * (aspect + square) / square, rtol=0.03)
    np.testing.assert_allclose(overlap_in_space, 1 - (aspect + square) / (square * (square + 1)), atol=0.03)
    np.testing.assert_allclose(overlap_in_time, 1 - aspect * (1 + square) / (square * (square + aspect)), atol=0.03)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("strengths", [[1.0], [3.0, 2.5], [1.5, 1.2]])
@pytest.mark.parametrize("window", [20, 21])
def test_planted_signals_are_counted(null, strengths, window):
    rng, generator = np.random.default_rng(0), stream()
    counts = [
        noise_floor(planted(rng, window, 2000, strengths)[0], generator=generator, null=null).count for _ in range(5)
    ]
    # A signal may be followed by one false alarm, at no more than the level.
    assert [count for count in counts if count < len(strengths)] == []
    assert counts.count(len(strengths)) >= 4


def test_what_cannot_be_detected_is_not_counted():
    rng, generator = np.random.default_rng(0), stream()
    floors = [noise_floor(planted(rng, 20, 60, [0.5])[0], generator=generator) for _ in range(50)]
    assert sum(floor.count for floor in floors) <= allowed_alarms(50)


TIME = np.arange(20)
COURSES = {
    "a jump": np.where(TIME < 15, 0.0, 1.0),
    "an arc": np.sin(np.pi * TIME / 20),
    "an oscillation": np.cos(2 * np.pi * 3 * TIME / 20),
    "an oscillation between frequencies": np.cos(2 * np.pi * 7.3 * TIME / 20),
}


@pytest.mark.parametrize("null", ["lengths", "stationary", "phase"])
@pytest.mark.parametrize("course", COURSES)
def test_a_course_that_coordinates_share_is_a_signal_whatever_its_shape(null, course):
    in_time = COURSES[course] - COURSES[course].mean()
    in_time = in_time[:, None] / np.linalg.norm(in_time)
    updates_WP = planted(np.random.default_rng(0), 20, 2000, [3.0], in_time)[0]
    assert noise_floor(updates_WP, generator=stream(), null=null).count >= 1


def test_the_highest_frequency_of_an_even_window_cannot_be_torn_apart():
    counts = []
    for window in (20, 21):
        in_time = (-1.0) ** np.arange(window)[:, None] / window**0.5
        updates_WP = planted(np.random.default_rng(0), window, 2000, [3.0], in_time)[0]
        counts.append(noise_floor(updates_WP, generator=stream(), null="phase").count)
    assert counts == [0, 1]


@pytest.mark.parametrize(
    ("course", "seen"),
    [(TIME - TIME.mean(), ["phase", "sign"]), (np.where(TIME == 7, 1.0, 0.0), ["stationary", "phase"])],
    ids=["ramp", "pulse"],
)
def test_a_ramp_looks_like_slow_noise_and_a_pulse_like_a_noisier_update(course, seen):
    in_time = course[:, None] / np.linalg.norm(course)
    updates_WP = planted(np.random.default_rng(0), 20, 2000, [3.0], in_time)[0]
    counted = [null for null in NULLS if noise_floor(updates_WP, generator=stream(), null=null).count]
    assert counted == seen


@pytest.mark.parametrize("null", NULLS)
def test_scaling_changes_no_ratio(null):
    updates_WP = normal(8, 100)
    found = noise_floor(updates_WP * 1e-9, generator=stream(), null=null)
    expected = noise_floor(updates_WP, generator=stream(), null=null)
    torch.testing.assert_close(found.ratio_W, expected.ratio_W, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found.floor_W, expected.floor_W * 1e-18, rtol=1e-8, atol=1e-26)


@pytest.mark.parametrize("null", NULLS)
@pytest.mark.parametrize("updates_WP", [torch.zeros(6, 9), torch.ones(6, 9)], ids=["zero", "constant"])
def test_updates_that_do_not_change_have_no_signal(null, updates_WP):
    floor = noise_floor(updates_WP, generator=stream(), null=null)
    assert floor.count == 0
    torch.testing.assert_close(floor.eigenvalues_W, torch.zeros(6, dtype=torch.float64), rtol=0, atol=0)


def test_an_update_of_zero_has_no_length_to_divide_by():
    updates_WP = normal(8, 200)
    updates_WP[3] = 0
    floor = noise_floor(updates_WP, generator=stream(), null="lengths")
    assert bool(torch.isfinite(floor.floor_W).all())
    assert floor.count == 0


def test_eigenvalues_up_to_the_storage_noise_are_not_counted():
    updates_WP = planted(np.random.default_rng(0), 20, 2000, [3.0])[0]
    assert noise_floor(updates_WP, generator=stream(), storage_noise=20.0).count == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_types_are_compared_in_float64(dtype):
    updates_WP = normal(8, 300).to(dtype)
    found = noise_floor(updates_WP, generator=stream())
    expected = noise_floor(updates_WP.double(), generator=stream())
    torch.testing.assert_close(found.ratio_W, expected.ratio_W, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("surrogates", "level"), [(18, 0.05), (39, 0.02), (39, 0.0), (39, 1.0), (0, 0.5)])
def test_too_few_surrogates_for_the_level_are_refused(surrogates, level):
    with pytest.raises(InputError, match=rf"a level of {level} with {surrogates} surrogates gives no floor"):
        noise_floor(normal(5, 9), generator=stream(), surrogates=surrogates, level=level)


@pytest.mark.parametrize("call", [noise_floor, surrogate_updates])
def test_wrong_input_is_refused(call):
    with pytest.raises(InputError, match=r"shape \(W ≥ 3, P\), got \(2, 5\)"):
        call(normal(2, 5), generator=stream())
    with pytest.raises(InputError, match=r"shape \(W ≥ 3, P\), got \(5,\)"):
        call(normal(5), generator=stream())
    with pytest.raises(InputError, match="values that are not finite"):
        call(torch.tensor([[1.0], [float("nan")], [0.0]]), generator=stream())
    with pytest.raises(InputError, match="unknown null 'shuffle': expected 'lengths', 'stationary', 'phase' or 'sign'"):
        call(normal(5, 9), generator=stream(), null="shuffle")


@given(rank=st.integers(1, 9), zeros=st.integers(0, 5), scale=st.floats(1e-6, 1e6))
def test_the_effective_dimension_of_equal_eigenvalues_is_their_number(rank, zeros, scale):
    values = torch.tensor([scale] * rank + [0.0] * zeros, dtype=torch.float64)
    np.testing.assert_allclose(float(effective_dimension(values)), rank, rtol=1e-12)


def test_the_effective_dimension_of_each_window_and_of_none():
    found = effective_dimension(torch.tensor([[3.0, 1.0], [0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([1.6, 0.0]))


def test_the_effective_dimension_of_white_noise():
    values = window_eigenvalues((lambda rows: rows @ rows.T)(normal(50, 200)))
    np.testing.assert_allclose(float(effective_dimension(values)), 50 / (1 + 50 / 200), rtol=0.03)
