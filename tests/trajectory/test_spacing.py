"""Intervals between snapshots: what is said of them, what is done with uneven ones, and which steps are missing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from spectraledge.errors import InputError
from spectraledge.studies import analyze_folder
from spectraledge.trajectory import Series, describe_intervals, missing_steps

PYTHIA = [0, *(2**i for i in range(10)), *range(1000, 143_001, 1000)]
"""Steps of a published series: doubling, then every thousand."""


def record(folder, theta_TP, steps):
    folder.mkdir(exist_ok=True)
    for vector, step in zip(theta_TP, steps, strict=True):
        save_file({"w": torch.from_numpy(vector)}, folder / f"step_{step}.safetensors")
    return folder


def test_intervals_in_words():
    assert describe_intervals([0, 100, 200]) == describe_intervals([5]) == describe_intervals([]) == ""
    assert describe_intervals([0, 10, 20, 25]) == "10 (2 times), 5 (1 time)"
    assert describe_intervals(PYTHIA).startswith("1000 (142 times), 1 (2 times), 2 (1 time)")
    assert describe_intervals(PYTHIA).endswith(" and 6 more")


STEPS = [0, 100, 200, 600, 650]


@pytest.fixture
def uneven(tmp_path):
    rng = np.random.default_rng(0)
    theta = rng.standard_normal((5, 40)).cumsum(0)
    return theta, record(tmp_path / "uneven", theta, STEPS)


def test_updates_are_kept_by_default(uneven):
    theta, folder = uneven
    updates = torch.stack([update.update_P for update in Series.open(folder).updates()])
    np.testing.assert_array_equal(updates.numpy(), np.diff(theta, axis=0))


def test_scaled_updates_are_divided_by_the_root_of_their_interval(uneven):
    _, folder = uneven
    kept = list(Series.open(folder).updates())
    scaled = list(Series.open(folder, spacing="scale").updates())
    for before, after, interval in zip(kept, scaled, np.diff(STEPS), strict=True):
        ratio = interval / 100
        np.testing.assert_allclose(after.update_P.numpy(), before.update_P.numpy() / np.sqrt(ratio), rtol=1e-15)
        assert after.storage_noise == pytest.approx(before.storage_noise / ratio, rel=1e-15)
        assert after.step == before.step


def test_a_part_or_a_block_of_a_scaled_series_is_scaled_alike(uneven):
    _, folder = uneven
    whole = Series.open(folder, spacing="scale")
    expected = [update.update_P for update in whole.updates()]
    torch.testing.assert_close(next(whole.last(2).updates()).update_P, expected[-1], rtol=0, atol=0)
    blocks = [[update.update_P for update in block.updates()] for block in whole.blocks(7)]
    torch.testing.assert_close(
        torch.stack([torch.cat(parts) for parts in zip(*blocks, strict=True)]), torch.stack(expected)
    )


def test_uneven_steps_are_refused_where_that_is_asked_for(uneven):
    _, folder = uneven
    with pytest.raises(InputError, match=r"unevenly spaced, their intervals are 100 \(2 times\), 400 \(1 time\), 50"):
        Series.open(folder, spacing="refuse")
    with pytest.raises(InputError, match="unknown spacing 'drop'"):
        Series.open(folder, spacing="drop")


@pytest.mark.parametrize("spacing", ["keep", "scale", "refuse"])
def test_nothing_is_done_to_even_steps(tmp_path, spacing):
    theta = np.random.default_rng(0).standard_normal((6, 9)).cumsum(0)
    series = Series.open(record(tmp_path, theta, range(0, 60, 10)), spacing=spacing)
    updates = torch.stack([update.update_P for update in series.updates()])
    np.testing.assert_array_equal(updates.numpy(), np.diff(theta, axis=0))


def test_scaled_steps_of_a_random_walk_have_equal_noise_and_show_a_drift(tmp_path):
    """Planted: every step adds drift and noise. Scaled, the noise has no edge; unscaled, long intervals make one."""
    rng = np.random.default_rng(0)
    intervals = np.tile([10, 10, 10, 160], 5)
    noise = rng.standard_normal((20, 4000)) * np.sqrt(intervals)[:, None]
    steps = [0, *np.cumsum(intervals).tolist()]
    theta = np.concatenate([np.zeros((1, 4000)), noise.cumsum(0)])
    folder = record(tmp_path / "walk", theta, steps)
    spread = {}
    for spacing in ("keep", "scale"):
        values = analyze_folder(folder, window=20, spacing=spacing).spectrum["eigenvalue"].to_numpy()
        spread[spacing] = values[0] / values[-1]
    # White noise of 20 updates and 4,000 numbers: the edges (1 ± √(20/4000))² of Marchenko and Pastur.
    law = ((1 + np.sqrt(20 / 4000)) / (1 - np.sqrt(20 / 4000))) ** 2
    assert spread["scale"] < 1.1 * law
    assert spread["keep"] > 10 * law
    drift = rng.standard_normal(4000) / 20
    moved = record(tmp_path / "drift", theta + np.array(steps)[:, None] * drift, steps)
    updates = torch.stack([update.update_P for update in Series.open(moved, spacing="scale").updates()])
    top = torch.linalg.svd(updates, full_matrices=False).Vh[0].numpy()
    assert abs(top @ drift) / np.linalg.norm(drift) > 0.7


def test_blocks_analyse_a_scaled_series_as_the_whole(uneven):
    _, folder = uneven
    whole, blocks = (analyze_folder(folder, window=3, spacing="scale", block=block) for block in (None, 6))
    np.testing.assert_allclose(blocks.spectrum["eigenvalue"], whole.spectrum["eigenvalue"], rtol=1e-12)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([0, 10, 20, 40, 50], [(30,)]),
        ([0, 10, 40, 50], [(20, 30)]),
        ([0, 10, 20, 40, 60, 70, 80], [(30,), (50,)]),
        ([0, 10, 20, 40, 70, 80], [(30,), (50, 60)]),
        ([0, 20, 30, 40], [(10,)]),
        ([0, 10, 20, 40], [(30,)]),
        ([0, 10, 20, 30, 35], []),
        ([0, 10, 20, 30, 45, 55], []),
        ([0, 10, 30], []),
        ([1, 2, 4, 8, 16], []),
        ([0, 10, 20, 30, 130, 230, 330], []),
        (PYTHIA, []),
        ([step for step in PYTHIA if step not in (5000, 9000, 10_000)], [(5000,), (9000, 10_000)]),
        ([5], []),
        ([], []),
    ],
    ids=str,
)
def test_missing_steps(steps, expected):
    assert missing_steps(steps) == expected


@given(
    count=st.integers(8, 40),
    interval=st.integers(1, 1000),
    start=st.integers(0, 5000),
    data=st.data(),
)
def test_what_is_taken_out_of_a_regular_series_is_missing(count, interval, start, data):
    steps = [start + interval * i for i in range(count)]
    # Three regular steps at both ends stay, so that both sides of every gap are closed.
    gone = data.draw(st.sets(st.sampled_from(range(3, count - 3)), max_size=count // 2))
    left = [step for i, step in enumerate(steps) if i not in gone]
    assert [step for gap in missing_steps(left) for step in gap] == [steps[i] for i in sorted(gone)]
