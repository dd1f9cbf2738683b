"""The spectrum of a folder, against singular values of every window computed one by one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from spectraledge import InputError
from spectraledge.studies import analyze_folder
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig, train_in_folder
from spectraledge.trajectory import Series


def write_series(
    folder: Path, vectors: np.ndarray, *, stride: int = 100, name: str = "step_{:08d}.safetensors"
) -> None:
    """Write each vector as a snapshot of two tensors, `a.attn.weight` (the first four numbers) and `b.bias`."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, vector in enumerate(vectors):
        tensor = torch.from_numpy(vector)
        tensors = {"a.attn.weight": tensor[:4].reshape(2, 2).clone(), "b.bias": tensor[4:].clone()}
        save_file(tensors, folder / name.format(index * stride))


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("window", [2, 5, 20])
def test_tables_equal_svd_of_every_window(tmp_path: Path, window: int, center: bool) -> None:
    rng = np.random.default_rng(0)
    theta = np.cumsum(rng.standard_normal((31, 50)) * np.linspace(3, 0.1, 50), axis=0)
    write_series(tmp_path, theta)
    tables = analyze_folder(tmp_path, window=window, center=center)
    updates = np.diff(theta, axis=0)
    for last in range(window - 1, 30):
        rows = updates[last - window + 1 : last + 1]
        rows = rows - rows.mean(axis=0) if center else rows
        singular = np.linalg.svd(rows, compute_uv=False)
        step = (last + 1) * 100
        ours = tables.spectrum[tables.spectrum["step"] == step]
        assert ours["k"].tolist() == list(range(1, window + 1))
        np.testing.assert_allclose(ours["eigenvalue"], singular**2, rtol=0, atol=1e-8 * singular[0] ** 2)
        np.testing.assert_allclose(ours["share"], singular**2 / np.sum(singular**2), atol=1e-8)
        edge = tables.edge[tables.edge["step"] == step].iloc[0]
        np.testing.assert_allclose(edge["trace"], np.sum(singular**2), rtol=1e-8)
        np.testing.assert_allclose(edge["g12"], singular[0] ** 2 - singular[1] ** 2, rtol=1e-8)
        if window > 2:
            np.testing.assert_allclose(edge["g23"], singular[1] ** 2 - singular[2] ** 2, rtol=1e-8, atol=1e-8)
            drops = [singular[k] / singular.sum() * singular[k] / singular[k + 1] for k in range(min(10, window - 2))]
            assert edge["k_star"] == int(np.argmax(drops)) + 1


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("block", [None, 7])
def test_fluctuations_under_a_drift_a_million_times_larger(tmp_path: Path, block: int | None, center: bool) -> None:
    generator = np.random.default_rng(0)
    updates = 1e6 * generator.standard_normal(20) + generator.standard_normal((7, 20))
    for step, row in enumerate(np.concatenate([np.zeros((1, 20)), updates.cumsum(0)])):
        save_file({"weight": torch.from_numpy(row.copy())}, tmp_path / f"step_{step}.safetensors")
    table = analyze_folder(tmp_path, window=5, center=center, block=block).spectrum
    read = np.stack([update.update_P.numpy() for update in Series.open(tmp_path).updates()])
    for step, part in table.groupby("step"):
        rows = read[step - 5 : step]
        rows = rows - rows.mean(0) if center else rows
        expected = np.linalg.svd(rows, compute_uv=False) ** 2
        np.testing.assert_allclose(part["eigenvalue"][: 5 - center], expected[: 5 - center], rtol=1e-8)


def test_planted_rank_is_the_edge(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    planted = rng.standard_normal((25, 3)) @ rng.standard_normal((3, 400)) * 10
    write_series(
        tmp_path, np.cumsum(np.vstack([np.zeros(400), planted + 0.01 * rng.standard_normal((25, 400))]), axis=0)
    )
    assert analyze_folder(tmp_path, window=20).edge["k_star"].unique().tolist() == [3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_updates_have_no_centred_edge(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(2)
    theta = rng.standard_normal(60) + np.arange(30)[:, None] * rng.standard_normal(60)
    write_series(tmp_path, theta.astype(dtype))
    centred = analyze_folder(tmp_path, window=10, center=True)
    np.testing.assert_array_equal(centred.spectrum["eigenvalue"], 0.0)
    assert centred.edge["k_star"].isna().all()
    assert analyze_folder(tmp_path, window=10, center=False).edge["k_star"].unique().tolist() == [1]


def test_pattern_chooses_tensors(tmp_path: Path) -> None:
    theta = np.cumsum(np.random.default_rng(3).standard_normal((12, 9)), axis=0)
    write_series(tmp_path, theta, name="model-{}.safetensors")
    tables = analyze_folder(tmp_path, patterns=["*attn*weight"], window=4)
    assert tables.selection.matched == ("a.attn.weight",)
    assert tables.selection.others == ("b.bias",)
    expected = np.linalg.svd(np.diff(theta[-5:, :4], axis=0), compute_uv=False) ** 2
    np.testing.assert_allclose(tables.spectrum["eigenvalue"].tail(4), expected, rtol=1e-8)


@pytest.mark.parametrize("window", [1, 6, 100])
def test_window_must_fit(tmp_path: Path, window: int) -> None:
    write_series(tmp_path, np.random.default_rng(4).standard_normal((6, 9)))
    with pytest.raises(InputError, match=r"window must be in \[2, 5\] for 6 snapshots"):
        analyze_folder(tmp_path, window=window)


def test_a_recorded_run_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = named_task("add", modulus=7)
    config = RunConfig.for_task(task, {"width": 8, "heads": 2, "hidden": 8}, steps=60, every=5, batch_size=8)
    train_in_folder(tmp_path, config, task)
    read = analyze_folder(tmp_path / "snapshots", patterns=config.watched, window=6)
    monkeypatch.setattr(Series, "updates", lambda _: pytest.fail("the snapshots were read"))
    recorded = analyze_folder(tmp_path, patterns=config.watched, window=6)
    pd.testing.assert_frame_equal(recorded.spectrum, read.spectrum, rtol=1e-9, atol=1e-15)
    pd.testing.assert_frame_equal(recorded.edge, read.edge, rtol=1e-9, atol=1e-15)
    with pytest.raises(pytest.fail.Exception, match="the snapshots were read"):
        analyze_folder(tmp_path, patterns=["head.*"], window=6)


@pytest.mark.parametrize("block", [1, 7, 50, 1000])
def test_blocks_of_parameters_give_the_same_tables(tmp_path: Path, block: int) -> None:
    write_series(tmp_path, np.cumsum(np.random.default_rng(0).standard_normal((12, 50)), axis=0))
    whole, parts = (analyze_folder(tmp_path, window=4, block=size) for size in (None, block))
    pd.testing.assert_frame_equal(parts.spectrum, whole.spectrum, rtol=1e-12)
    pd.testing.assert_frame_equal(parts.edge, whole.edge, rtol=1e-12)


def test_the_noise_floor_stands_beside_every_window(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    updates = rng.standard_normal((30, 400))
    # One direction that all coordinates share, with a course of its own, in the second half of the run.
    updates[15:] += 3 * rng.standard_normal((15, 1)) * rng.standard_normal(400)
    write_series(tmp_path, np.cumsum(updates, axis=0))
    edge = analyze_folder(tmp_path, window=12, surrogates=39).edge
    assert edge["above_floor"].iloc[0] == 0
    assert edge["above_floor"].iloc[-1] >= 1
    assert edge["floor_ratio"].iloc[-1] > 1.5 > edge["floor_ratio"].iloc[0]
    again = analyze_folder(tmp_path, window=12, surrogates=39).edge
    pd.testing.assert_frame_equal(edge, again, check_exact=True)


def test_a_noise_floor_in_blocks_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path, np.random.default_rng(0).standard_normal((12, 50)))
    with pytest.raises(InputError, match="whole windows in memory"):
        analyze_folder(tmp_path, window=4, surrogates=9, block=10)
