"""What moved the weights, against loops over the updates and planted splits."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from recorded_runs import unlisted
from spectraledge.analyses.move_table import move_table
from spectraledge.observed.recorded_run import RecordedRun

WINDOW, STEP = 5, 200


def table_of(folder: Path, *, center: bool):
    recorded = RecordedRun.open(folder)
    return move_table(recorded, recorded.window(STEP, window=WINDOW, center=center))


@pytest.mark.parametrize("center", [True, False])
def test_shares_equal_a_second_computation(run: Path, center: bool) -> None:
    table = table_of(run, center=center)
    steps = range(STEP - 20 * WINDOW, STEP + 1, 20)
    names = sorted(
        name for name in load_file(run / "snapshots" / f"step_{STEP:08d}.safetensors") if ".attention." in name
    )
    names = [name for name in names if name.endswith("weight")]

    def rows(kind, prefix):
        return np.stack(
            [
                np.concatenate(
                    [load_file(run / kind / f"step_{s:08d}.safetensors")[prefix + n].double().ravel() for n in names]
                )
                for s in steps
                if kind == "snapshots" or s > steps[0]
            ]
        )

    updates, decay = np.diff(rows("snapshots", ""), axis=0), rows("moves", "decay/")
    adam = updates - decay
    gradient, clipped = rows("moves", "gradient/"), rows("moves", "clipped/")
    centred = [part - part.mean(axis=0) * center for part in (updates, adam, decay)]
    left, singular, right = np.linalg.svd(centred[0], full_matrices=False)
    for k in range(WINDOW - center):
        row = table[table["direction"] == k + 1].iloc[0]
        adam_k, decay_k = centred[1] @ right[k], centred[2] @ right[k]
        expected = np.array([adam_k @ adam_k, decay_k @ decay_k, 2 * adam_k @ decay_k]) / singular[k] ** 2
        np.testing.assert_allclose(row[["adam", "decay", "cross"]].astype(float), expected, atol=1e-9)
        np.testing.assert_allclose(row["eigenvalue"], singular[k] ** 2, rtol=1e-9)
        step, down = left[:, k] @ adam, -left[:, k] @ gradient
        cosine = step @ down / np.linalg.norm(step) / np.linalg.norm(down)
        np.testing.assert_allclose(row["gradient_cosine"], cosine, atol=1e-8)
    total = table[table["direction"] == 0].iloc[0]
    grams = [np.trace(centred[i] @ centred[j].T) for i, j in ((1, 1), (2, 2), (1, 2))]
    grams[2] *= 2
    np.testing.assert_allclose(total["eigenvalue"], np.trace(centred[0] @ centred[0].T), rtol=1e-9)
    np.testing.assert_allclose(total[["adam", "decay", "cross"]].astype(float), grams / np.sum(grams), atol=1e-9)
    moved, down = adam.sum(axis=0), -clipped.sum(axis=0)
    np.testing.assert_allclose(
        total["clipped_cosine"], moved @ down / np.linalg.norm(moved) / np.linalg.norm(down), atol=1e-8
    )


def test_a_planted_quarter_of_decay(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "planted"
    shutil.copytree(run, folder)
    unlisted(folder)
    recorded = RecordedRun.open(folder)
    for update in recorded.series.updates():
        parts = {"decay": 0.25 * update.update_P, "gradient": -3 * update.update_P, "clipped": -0.5 * update.update_P}
        tensors = {
            f"{part}/{name}": value.contiguous()
            for part, vector in parts.items()
            for name, value in recorded.series.layout.split(vector).items()
        }
        save_file(tensors, folder / "moves" / f"step_{update.step:08d}.safetensors")
    table = table_of(folder, center=True)
    np.testing.assert_allclose(table["adam"], 0.5625, rtol=1e-6)
    np.testing.assert_allclose(table["decay"], 0.0625, rtol=1e-6)
    np.testing.assert_allclose(table["cross"], 0.375, rtol=1e-6)
    np.testing.assert_allclose(table[["gradient_cosine", "clipped_cosine"]], 1.0, rtol=1e-6)


def test_a_run_that_does_not_say_gives_no_rows(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(run, folder)
    unlisted(folder)
    (folder / "moves" / f"step_{STEP - 20:08d}.safetensors").unlink()
    table = table_of(folder, center=True)
    assert len(table) == 0
    assert table.columns.tolist() == table_of(run, center=True).columns.tolist()
