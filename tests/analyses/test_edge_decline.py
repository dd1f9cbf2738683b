"""Declines of a run against loops over its snapshots, and planted ones."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recorded_runs import unlisted
from spectraledge import InputError
from spectraledge.analyses.edge_decline import declines, window_spectra
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.spectrum import BandedGram, noise_floor
from spectraledge.streams import torch_generator
from spectraledge.studies import AnalysisConfig
from spectraledge.trajectory import Manifest, RecordedGram, snapshot_path

SETTINGS = AnalysisConfig(window=5, surrogates=19)


@pytest.fixture(scope="module")
def table(run: Path) -> pd.DataFrame:
    return declines(run, SETTINGS)["declines"]


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    folder = Path(shutil.copytree(run, tmp_path / "copy"))
    unlisted(folder)
    return folder


def updates_of(folder: Path) -> np.ndarray:
    vectors = [vector.numpy() for _, vector, _ in RecordedRun.open(folder).series.vectors()]
    return np.diff(np.stack(vectors), axis=0)


def series_of(table: pd.DataFrame, quantity: str, definition: str, window: int, centered: bool) -> pd.DataFrame:
    chosen = (table["quantity"] == quantity) & (table["definition"] == definition) & (table["window"] == window)
    return table[chosen & (table["centered"] == centered)].set_index("step")


def quantities(eigenvalues: np.ndarray) -> dict[str, float]:
    gap = eigenvalues[1] - eigenvalues[2]
    trace = eigenvalues.sum()
    return {"g23": gap, "trace": trace, "g23_share": gap / trace, "ratio_23": eigenvalues[1] / eigenvalues[2]}


def naive_spectra(updates: np.ndarray, window: int, centered: bool) -> list[dict[str, float]]:
    found = []
    for last in range(window, len(updates) + 1):
        rows = updates[last - window : last]
        rows = rows - rows.mean(axis=0) * centered
        found.append(quantities(np.linalg.svd(rows, compute_uv=False) ** 2))
    return found


@pytest.mark.parametrize("window", [5, 10])
@pytest.mark.parametrize("centered", [False, True])
def test_values_and_declines_are_those_of_the_definition(
    run: Path, table: pd.DataFrame, window: int, centered: bool
) -> None:
    updates = updates_of(run)
    lengths = np.linalg.norm(updates, axis=1)
    # The null: the same lengths, at right angles.
    for column, rows in (("value", updates), ("null", np.diag(lengths))):
        expected = naive_spectra(rows, window, centered)
        for quantity in ("g23", "trace", "g23_share", "ratio_23"):
            values = [at[quantity] for at in expected]
            found = series_of(table, quantity, "value", window, centered)[column]
            assert found.index.tolist() == list(range(20 * window, 201, 20))
            np.testing.assert_allclose(found, values, rtol=1e-6)
            first = series_of(table, quantity, "since_first", window, centered)[column]
            np.testing.assert_allclose(first, [values[0] / value for value in values], rtol=1e-6)
            peak = series_of(table, quantity, "since_peak", window, centered)[column]
            np.testing.assert_allclose(
                peak, [max(values[: t + 1]) / value for t, value in enumerate(values)], rtol=1e-6
            )


def test_the_weight_norm_is_beside_that_of_decay_alone(run: Path, table: pd.DataFrame) -> None:
    metrics = RecordedRun.open(run).metrics
    found = series_of(table, "weight_norm", "value", 0, False)
    np.testing.assert_allclose(found["value"], metrics["weight_norm"])
    alone = [metrics["weight_norm"].iloc[0]]
    for _ in range(200):
        alone.append(alone[-1] * (1 - 1e-3))
    np.testing.assert_allclose(found["null"], np.array(alone)[metrics["step"]], rtol=1e-10)
    first = series_of(table, "weight_norm", "since_first", 0, False)
    np.testing.assert_allclose(first["value"], alone[0] / metrics["weight_norm"].to_numpy(), rtol=1e-10)
    np.testing.assert_allclose(first["null"].iloc[-1], (1 - 1e-3) ** -200, rtol=1e-10)


def test_noise_floors_stand_at_the_marked_step_every_tenth_snapshot_and_the_last(run: Path) -> None:
    table = declines(run, SETTINGS, step=120)["declines"]
    counts = series_of(table, "above_floor", "value", 5, True)
    ratios = series_of(table, "floor_ratio", "value", 5, True)
    assert counts.index.tolist() == ratios.index.tolist() == [120, 200]
    for step, rows in ((120, updates_of(run)[1:6]), (200, updates_of(run)[5:])):
        floor = noise_floor(
            torch.from_numpy(rows), surrogates=19, generator=torch_generator(SETTINGS.seed, "surrogates", step)
        )
        assert counts.loc[step, "value"] == floor.count
        assert counts.loc[step, "null"] == floor.false_alarms == 0.05
        np.testing.assert_allclose(ratios.loc[step, "value"], float(floor.ratio_W[0]), rtol=1e-9)
        assert ratios.loc[step, "null"] == 1.0


@pytest.mark.parametrize(
    ("most", "expected"), [(10, [100, 120, 140, 160, 180, 200]), (5, [120, 160, 200]), (2, [160, 200])]
)
def test_noise_floors_of_a_long_run_are_further_apart(
    run: Path, monkeypatch: pytest.MonkeyPatch, most: int, expected: list[int]
) -> None:
    monkeypatch.setattr("spectraledge.analyses.edge_decline.FLOOR_EVERY", 1)
    monkeypatch.setattr("spectraledge.analyses.edge_decline.FLOORS", most)
    table = declines(run, SETTINGS)["declines"]
    assert series_of(table, "floor_ratio", "value", 5, True).index.tolist() == expected


def test_every_value_is_finite_and_one_step_is_marked(table: pd.DataFrame) -> None:
    assert np.isfinite(table[["value", "null"]]).all(axis=None)
    # It never generalised, so the last.
    assert set(table.loc[table["matched"], "step"]) == {200}
    assert not table.duplicated(["quantity", "definition", "window", "centered", "step"]).any()


def test_the_marked_step_is_the_first_that_generalises(copied: Path) -> None:
    Manifest.read(copied).model_copy(update={"grokked_step": 140}).write(copied)
    no_floors = AnalysisConfig(window=5, surrogates=0)
    table = declines(copied, no_floors)["declines"]
    assert set(table.loc[table["matched"], "step"]) == {140}
    assert set(table["quantity"]).isdisjoint({"above_floor", "floor_ratio"})
    other = declines(copied, no_floors, step=200)["declines"]
    assert set(other.loc[other["matched"], "step"]) == {200}
    pd.testing.assert_frame_equal(other.drop(columns="matched"), table.drop(columns="matched"))


def test_snapshots_that_were_thinned_cost_their_noise_floors_alone(copied: Path, table: pd.DataFrame) -> None:
    snapshot_path(copied, 20).unlink()
    pd.testing.assert_frame_equal(declines(copied, SETTINGS)["declines"], table)
    snapshot_path(copied, 100).unlink()
    thinned = declines(copied, SETTINGS)["declines"]
    floors = table["quantity"].isin(["above_floor", "floor_ratio"])
    pd.testing.assert_frame_equal(thinned, table[~floors])


def test_a_window_that_is_the_tables_is_measured_once(run: Path) -> None:
    table = declines(run, AnalysisConfig(window=10, surrogates=0))["declines"]
    assert set(table["window"]) == {0, 10}
    assert not table.duplicated(["quantity", "definition", "window", "centered", "step"]).any()


def recorded(updates: np.ndarray, window: int) -> RecordedGram:
    gram = BandedGram(window)
    band = []
    for update in torch.from_numpy(updates):
        gram.append(update)
        band.append(gram.latest)
    return RecordedGram(
        list(range(1, len(updates) + 1)), torch.stack(band), torch.full((len(updates),), 1e-12).double()
    )


def test_shrinking_updates_decline_as_their_null_does_and_a_planted_edge_does_not() -> None:
    rng = np.random.default_rng(0)
    updates = rng.standard_normal((40, 50_000)) * np.geomspace(1, 0.1, 40)[:, None]
    found, null, noise = window_spectra(recorded(updates, 10), 10, center=False)
    np.testing.assert_allclose(found.gaps_TW[:, 1] / found.trace_T, null.gaps_TW[:, 1] / null.trace_T, atol=0.02)
    np.testing.assert_allclose(noise, 1e-11)
    # Two directions that all updates share, the second with as much as a third of their squared length.
    shared = rng.standard_normal((2, 50_000)) * np.array([[1.0], [0.7]])
    course = np.stack([np.ones(40), np.tile([1.0, -1.0], 20)], axis=1) * np.geomspace(1, 0.1, 40)[:, None]
    planted = window_spectra(recorded(updates + course @ shared, 10), 10, center=False)[0]
    assert float((planted.gaps_TW[:, 1] / planted.trace_T).min()) > 0.1 > float(null.shares_TW[-1, 1]) / 3


def test_what_cannot_be_measured_is_refused(copied: Path) -> None:
    with pytest.raises(InputError, match=r"no update ends at step 130 .*: the nearest is at step 120"):
        declines(copied, SETTINGS, step=130)
    with pytest.raises(InputError, match=r"window must be in \[2, 10\] for 11 snapshots, got 20"):
        declines(copied, AnalysisConfig())
    with pytest.raises(InputError, match=r"a window must be in \[3, 20\] for g_23 .*, got 2"):
        declines(copied, AnalysisConfig(window=2))
    manifest = Manifest.read(copied)
    manifest.model_copy(update={"status": "running", "step": 220}).write(copied)
    with pytest.raises(InputError, match=r"not finished: .* up to step 200, its snapshots up to 220; train it to its"):
        declines(copied, SETTINGS)
    manifest.write(copied)
    (copied / "gram.parquet").unlink()
    with pytest.raises(InputError, match=r"no gram\.parquet in"):
        declines(copied, SETTINGS)
