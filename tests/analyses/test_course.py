"""Key numbers over training: against the analysis of single steps, in both precisions, and planted changes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from spectraledge import InputError
from spectraledge.analyses.course import change_table, follow_course
from spectraledge.analyses.mode_tables import mode_table
from spectraledge.analyses.move_table import move_table
from spectraledge.analyses.selection_tables import selection_table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.observed.observation import observe_run
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View
from spectraledge.spectrum import effective_dimension, noise_floor
from spectraledge.streams import torch_generator

WINDOW = 3
SETTINGS = AnalysisConfig(window=WINDOW, stride=2)


@pytest.fixture(scope="module")
def followed(run: Path) -> dict[str, pd.DataFrame]:
    return follow_course(run, SETTINGS, nulls=4, dtype=torch.float64)


def value(course: pd.DataFrame, step: int, quantity: str, kind: str = "window", direction: int = 0) -> pd.Series:
    at = (course["step"] == step) & (course["quantity"] == quantity) & (course["kind"] == kind)
    rows = course[at & (course["direction"] == direction)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_last_snapshot_is_measured_and_every_second_before(followed: dict[str, pd.DataFrame]) -> None:
    assert sorted(followed["course"]["step"].unique()) == [80, 120, 160, 200]


@pytest.mark.parametrize("step", [120, 200])
def test_each_point_is_what_a_single_step_gives(run: Path, followed: dict[str, pd.DataFrame], step: int) -> None:
    seen = observe_run(run, View(step=step, window=WINDOW, nulls=4))
    modes = mode_table(seen, SETTINGS).query("method == 'jvp' and basis == 'dlog_sum'")
    for row in modes[modes["kind"] == "edge"].itertuples():
        found = value(followed["course"], step, "energy_share", "edge", row.direction)
        np.testing.assert_allclose(found["value"], row.energy_share, atol=1e-12)
    for kind in ("span", "random"):
        null = modes.loc[modes["kind"] == kind, "energy_share"]
        found = value(followed["course"], step, "energy_share", kind)
        np.testing.assert_allclose(
            found[["low", "value", "high"]].astype(float), np.quantile(null, [0.05, 0.5, 0.95]), atol=1e-12
        )
    own = selection_table(seen, SETTINGS).query("basis == 'dlog_sum' and subspace == 'frequency'").iloc[0]
    found = value(followed["course"], step, "selection")
    np.testing.assert_allclose(
        found[["value", "low", "high"]].astype(float), own[["ratio", "low", "high"]].astype(float), rtol=1e-10
    )
    np.testing.assert_allclose(value(followed["course"], step, "selection_p")["value"], own["p"], rtol=1e-8)


def test_the_spectrum_of_each_window(run: Path, followed: dict[str, pd.DataFrame]) -> None:
    recorded = RecordedRun.open(run)
    vectors = np.stack([vector.numpy() for _, vector, _ in recorded.series.until(200).vectors()])
    rows = np.diff(vectors, axis=0)[-WINDOW:]
    rows_centred = rows - rows.mean(axis=0)
    eigenvalues = np.linalg.svd(rows_centred, compute_uv=False) ** 2
    expected = {
        "trace": eigenvalues.sum(),
        "g23": eigenvalues[1] - eigenvalues[2],
        "effective_dimension": float(effective_dimension(torch.from_numpy(eigenvalues))),
        "k_star": 1.0,
    }
    for quantity, number in expected.items():
        np.testing.assert_allclose(value(followed["course"], 200, quantity)["value"], number, rtol=1e-8)
    floor = noise_floor(torch.from_numpy(rows), generator=torch_generator(42, "noise"))
    assert value(followed["course"], 200, "signal_count")["value"] == floor.count
    np.testing.assert_allclose(value(followed["course"], 200, "signal_ratio")["value"], floor.ratio_W[0], rtol=1e-8)
    before = np.diff(vectors, axis=0)[-2 * WINDOW : -WINDOW]
    axes = [np.linalg.svd(part - part.mean(axis=0), full_matrices=False)[2][:2] for part in (before, rows)]
    cosines = np.linalg.svd(axes[0] @ axes[1].T, compute_uv=False)
    np.testing.assert_allclose(value(followed["course"], 200, "span_cosine")["value"], np.mean(cosines**2), atol=1e-8)
    # The first windows have no other before them.
    assert "span_cosine" not in set(followed["course"].loc[followed["course"]["step"] == 80, "quantity"])


def test_single_precision_gives_the_same_shares(run: Path, followed: dict[str, pd.DataFrame]) -> None:
    single = follow_course(run, SETTINGS, nulls=4)
    assert single["course"][["step", "quantity", "kind", "direction"]].equals(
        followed["course"][["step", "quantity", "kind", "direction"]]
    )
    shares = followed["course"]["quantity"].isin(["energy_share", "selection"])
    difference = (single["course"]["value"] - followed["course"]["value"])[shares].abs()
    assert 0 < difference.max() < 1e-4


@pytest.mark.parametrize("step", [80, 200])
def test_what_moved_the_weights_at_each_point(run: Path, followed: dict[str, pd.DataFrame], step: int) -> None:
    recorded = RecordedRun.open(run)
    expected = move_table(recorded, recorded.window(step, window=WINDOW, center=True)).set_index("direction")
    for direction in expected.index[:4]:
        kind = "edge" if direction else "window"
        found = [value(followed["course"], step, name, kind, direction)["value"] for name in ("adam", "decay", "cross")]
        np.testing.assert_allclose(found, expected.loc[direction, ["adam", "decay", "cross"]], rtol=1e-10, atol=1e-12)
        assert sum(found) == pytest.approx(1.0)
    assert set(followed["changes"]["quantity"]).isdisjoint({"adam", "decay", "cross"})


def planted_course(rng: np.random.Generator) -> pd.DataFrame:
    steps = np.arange(100, 6100, 100)
    share = 0.1 * (np.arange(60) >= 25) + 0.01 * rng.standard_normal(60)
    flat = rng.standard_normal(60)
    rows = [(step, "energy_share", "edge", 1, value) for step, value in zip(steps, share, strict=True)]
    rows += [(step, "selection", "window", 0, value) for step, value in zip(steps, flat, strict=True)]
    rows += [(step, "k_star", "window", 0, 2.0) for step in steps]
    rows += [(step, "trace", "window", 0, 0.0) for step in steps]
    table = pd.DataFrame(rows, columns=["step", "quantity", "kind", "direction", "value"])
    return table.assign(low=np.nan, high=np.nan)


def test_a_planted_change_and_its_lead_are_found() -> None:
    changes = change_table(planted_course(np.random.default_rng(0)), 4000, block=3, seed=0).set_index("quantity")
    share = changes.loc["energy_share"]
    assert share["step"] == 2600
    assert share["low"] <= 2600 <= share["high"]
    assert share["p"] < 0.01
    np.testing.assert_allclose(share["change"], 0.1, atol=0.01)
    assert (share["lead"], share["lead_low"], share["lead_high"]) == (1400, 4000 - share["high"], 4000 - share["low"])
    assert changes.loc["selection", "p"] > 0.05
    # What does not vary, or has no logarithm, has no change.
    assert set(changes.index) == {"energy_share", "selection"}


def test_a_run_that_never_generalises_has_no_lead() -> None:
    changes = change_table(planted_course(np.random.default_rng(0)), None, block=3, seed=0)
    assert changes[["lead", "lead_low", "lead_high"]].isna().all(axis=None)
    assert changes["step"].notna().all()


def test_a_short_course_supports_no_change(followed: dict[str, pd.DataFrame]) -> None:
    assert len(followed["changes"])
    assert followed["changes"]["p"].min() > 0.05
    assert followed["changes"]["block"].max() <= 2


def test_bad_input(run: Path) -> None:
    with pytest.raises(InputError, match="stride: Input should be greater than or equal to 1, got 0"):
        AnalysisConfig.checked(window=WINDOW, stride=0)
    with pytest.raises(InputError, match=r"window must be in \[2, 10\] for 11 snapshots, got 20"):
        follow_course(run, AnalysisConfig())
