"""Scores, thresholds and alarms against loops over their definitions, and planted spikes."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import (
    BandedGram,
    Detector,
    calibrated_threshold,
    change_score,
    edge_position,
    gram_quantities,
    gram_series,
    persistent_score,
    subspace_overlap,
    window_directions,
)

CHANGES = ["high", "low", "rise", "collapse", "plateau", "shift"]


def naive_score(values, place, change):
    so_far = values[: place + 1]
    here = so_far[-1]
    if change == "plateau":
        return min(so_far[-5:]) / max(so_far[-5:]) if len(so_far) >= 5 else 0.0
    if change == "shift":
        before = sorted(so_far[:-1])
        return abs(here - before[(len(before) - 1) // 2]) if before else 0.0
    return {"high": here, "low": -here, "rise": here / min(so_far), "collapse": max(so_far) / here}[change]


def naive_alarms(scores, threshold, consecutive):
    found, standing = [], False
    for place in range(len(scores)):
        recent = scores[max(0, place + 1 - consecutive) : place + 1]
        now = len(recent) == consecutive and all(score > threshold for score in recent)
        if now and not standing:
            found.append(place)
        standing = now
    return found


@pytest.mark.parametrize("change", CHANGES)
@given(seed=st.integers(0, 999), count=st.integers(0, 12))
def test_scores_are_those_of_the_definition(change, seed, count):
    values = np.random.default_rng(seed).uniform(0.1, 2, count)
    expected = [naive_score(values, place, change) for place in range(count)]
    np.testing.assert_allclose(change_score(torch.from_numpy(values), change).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("change", CHANGES)
@given(seed=st.integers(0, 999), consecutive=st.integers(1, 4), threshold=st.floats(-2, 3))
def test_alarms_are_those_of_the_definition(change, seed, consecutive, threshold):
    values = np.random.default_rng(seed).uniform(0.1, 2, 15)
    scores = change_score(torch.from_numpy(values), change).tolist()
    detector = Detector("any", change, threshold, consecutive)
    found = detector.alarm_steps(range(15), torch.from_numpy(values))
    assert found == naive_alarms(scores, threshold, consecutive)
    assert detector.stands(torch.from_numpy(values)) == all(score > threshold for score in scores[-consecutive:])


@pytest.mark.parametrize("change", CHANGES)
@given(seed=st.integers(0, 999), cut=st.integers(0, 15))
def test_what_comes_later_changes_no_alarm(change, seed, cut):
    values = torch.from_numpy(np.random.default_rng(seed).uniform(0.1, 2, 15))
    detector = Detector("any", change, 0.9, 2)
    steps = list(range(0, 1500, 100))
    whole = detector.alarm_steps(steps, values)
    assert detector.alarm_steps(steps[:cut], values[:cut]) == [step for step in whole if step < 100 * cut]


@given(seed=st.integers(0, 999), count=st.integers(1, 45), share=st.floats(0, 0.9), consecutive=st.integers(1, 3))
def test_the_threshold_is_the_smallest_that_keeps_the_share(seed, count, share, consecutive):
    rng = np.random.default_rng(seed)
    controls = [rng.normal(size=rng.integers(3, 9)) for _ in range(count)]
    found = calibrated_threshold(
        [torch.from_numpy(scores) for scores in controls], share=share, consecutive=consecutive
    )

    def alarming(threshold):
        return sum(bool(naive_alarms(scores, threshold, consecutive)) for scores in controls)

    assert alarming(found) <= share * count + 1e-6
    assert alarming(np.nextafter(found, -math.inf)) > share * count - 1e-6


@pytest.mark.parametrize(("share", "promised"), [(0.0, 1 / 40), (0.05, 2 / 40), (0.3, 12 / 40), (0.5, 20 / 40)])
def test_false_alarms_of_new_runs_are_as_often_as_promised(share, promised):
    rng = np.random.default_rng(0)
    trials, alarms = 2_000, 0
    for _ in range(trials):
        # Random walks drift and remember, and are exchangeable with each other.
        runs = torch.from_numpy(rng.normal(size=(40, 12)).cumsum(axis=1))
        detector = Detector("walk", "high", calibrated_threshold(list(runs[1:]), share=share))
        alarms += len(detector.alarm_steps(range(12), runs[0])) > 0
    assert scipy.stats.binomtest(alarms, trials, promised).pvalue > 1e-3


def gram_windows(updates_TP, window):
    gram = BandedGram(window)
    gram.extend(updates_TP)
    return gram.windows()


def training(seed, spike_from=None):
    """Independent updates of changing lengths, which from one on move along a direction they share, forth or back."""
    rng = np.random.default_rng(seed)
    updates_TP = rng.normal(size=(40, 200)) * rng.uniform(0.5, 1.5, size=(40, 1))
    if spike_from is not None:
        updates_TP[spike_from:, 0] += 20 * rng.choice([-1, 1], 40 - spike_from)
    return torch.from_numpy(updates_TP)


@pytest.mark.parametrize("quantity", ["spike", "spike_centered"])
def test_a_planted_spike_raises_an_alarm_soon_and_never_before(quantity):
    def series(updates_TP):
        return gram_quantities(gram_windows(updates_TP, 10))[quantity]

    controls = [change_score(series(training(seed)), "high") for seed in range(30)]
    detector = Detector(quantity, "high", calibrated_threshold(controls))
    first = [detector.alarm_steps(range(9, 40), series(training(seed, 22))) for seed in range(100, 130)]
    assert sum(len(steps) > 0 and 23 <= steps[0] <= 28 for steps in first) >= 27
    silent = [detector.alarm_steps(range(9, 40), series(training(seed))) for seed in range(200, 230)]
    assert sum(len(steps) > 0 for steps in silent) <= 6


@pytest.mark.parametrize(("rank", "scale"), [(None, 1.0), (2, 1e-3)])
def test_quantities_are_those_of_the_definition(rank, scale):
    updates = training(5).numpy() * scale
    if rank is not None:
        updates[:, rank:] = 0.0
    found = gram_quantities(gram_windows(torch.from_numpy(updates), 6))
    for place in range(len(updates) - 5):
        rows = updates[place : place + 6]
        straight = np.diag(np.linalg.norm(rows, axis=1))
        plain, null, centered, null_centered = (
            np.linalg.svd(part, compute_uv=False) ** 2
            for part in (rows, straight, rows - rows.mean(axis=0), straight - straight.mean(axis=0))
        )
        least = 8 * 6 * np.finfo(float).eps * plain.sum()
        plain = np.where(plain > least, plain, 0.0)
        k_star = int(edge_position(torch.from_numpy(np.sqrt(plain))))
        expected = {
            "spike": plain[0] / null[0],
            "spike_centered": centered[0] / null_centered[0],
            "ratio_12": plain[0] / plain[1],
            "ratio_23": plain[1] / max(plain[2], least),
            "g23": plain[1] - plain[2],
            "trace": plain.sum(),
            "k_star": k_star,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(float(found[name][place]), value, rtol=1e-8, err_msg=name)


@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
def test_only_g23_and_the_trace_have_a_unit(seed, scale):
    gram = gram_windows(training(seed)[:15], 5)
    plain, scaled = gram_quantities(gram), gram_quantities(gram * scale**2)
    for name, values in plain.items():
        torch.testing.assert_close(scaled[name], values * (scale**2 if name in ("g23", "trace") else 1))


def test_what_storage_hides_counts_as_its_noise():
    gram = gram_windows(training(0), 6)
    noise_N = 100 * gram.diagonal(dim1=1, dim2=2).sum(-1)
    found = gram_quantities(gram, storage_noise_N=noise_N)
    for name in ("spike", "spike_centered", "ratio_12", "ratio_23"):
        torch.testing.assert_close(found[name], torch.ones_like(noise_N))
    for name in ("g23", "trace", "k_star"):
        torch.testing.assert_close(found[name], torch.zeros_like(noise_N))
    assert (subspace_overlap(gram, storage_noise_N=noise_N) == 0).all()


def test_weights_that_stand_still_have_finite_quantities():
    for values in gram_quantities(torch.zeros(3, 5, 5)).values():
        assert torch.isfinite(values).all()


def test_the_overlap_is_the_smallest_cosine_between_leading_subspaces():
    updates = training(3)
    found = subspace_overlap(gram_windows(updates, 8))
    for place, value in enumerate(found.tolist()):
        earlier, later = (window_directions(updates[start : start + 7]).vectors_KP[:3] for start in (place, place + 1))
        assert value == pytest.approx(float(torch.linalg.svdvals(earlier @ later.T)[-1]), abs=1e-9)


@pytest.mark.parametrize("count", [0, 2, 5, 6, 20])
def test_series_have_the_steps_of_their_windows_and_never_look_ahead(count):
    gram, rows = BandedGram(6), [torch.empty(0, 6)]
    for update_P in training(4)[:count]:
        gram.append(update_P)
        rows.append(gram.latest[None])
    band_TW = torch.cat(rows)
    noise_T = torch.full((count,), 0.5, dtype=torch.float64)
    found = gram_series(range(count), band_TW, noise_T, window=5)
    steps, norms = found.pop("update_norm")
    assert steps == list(range(count))
    torch.testing.assert_close(norms, training(4)[:count].norm(dim=1))
    overlap = found.pop("overlap", ([], torch.empty(0)))
    assert overlap[0] == list(range(5, count))
    if count > 5:
        noise_N = torch.full((count - 5,), 3.0, dtype=torch.float64)
        expected = subspace_overlap(gram_windows(training(4)[:count], 6), storage_noise_N=noise_N)
        torch.testing.assert_close(overlap[1], expected)
    assert bool(found) == (count >= 5)
    if found:
        noise_N = torch.full((count - 4,), 2.5, dtype=torch.float64)
        expected = gram_quantities(gram_windows(training(4)[:count], 5), storage_noise_N=noise_N)
        assert found.keys() == expected.keys()
        for name, (steps, values) in found.items():
            assert steps == list(range(4, count))
            torch.testing.assert_close(values, expected[name])


@pytest.mark.parametrize("consecutive", [1, 3])
def test_persistent_scores_are_minima_of_the_last_few(consecutive):
    scores = torch.from_numpy(np.random.default_rng(1).normal(size=7))
    expected = [
        min(scores.tolist()[place + 1 - consecutive : place + 1]) if place + 1 >= consecutive else -math.inf
        for place in range(7)
    ]
    assert persistent_score(scores, consecutive).tolist() == expected


def test_controls_that_are_too_short_allow_any_score():
    assert calibrated_threshold([torch.ones(1), torch.empty(0)]) == -math.inf


def test_mistakes_are_explained():
    ones = torch.ones(4)
    with pytest.raises(InputError, match="unknown change 'fall'"):
        change_score(ones, "fall")
    with pytest.raises(InputError, match="not negative"):
        change_score(-ones, "rise")
    with pytest.raises(InputError, match="leave out what was not measured"):
        change_score(ones * torch.nan, "high")
    with pytest.raises(InputError, match="at least 1 score"):
        persistent_score(ones, 0)
    with pytest.raises(InputError, match="got 0 controls"):
        calibrated_threshold([])
    with pytest.raises(InputError, match="share in"):
        calibrated_threshold([ones], share=1.0)
    with pytest.raises(InputError, match="4 values and 3 steps"):
        Detector("any", "high", 0.0).alarm_steps([1, 2, 3], ones)
    with pytest.raises(InputError, match="at least 3 updates, got 2"):
        gram_quantities(torch.ones(1, 2, 2))
