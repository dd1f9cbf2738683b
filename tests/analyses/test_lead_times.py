"""Alarms and lead times against loops over runs, and planted ones."""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

from spectraledge import InputError
from spectraledge.analyses.lead_times import (
    AlarmRun,
    calibrated_detectors,
    first_alarms,
    lead_times,
    read_alarm_runs,
)
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.spectrum import (
    Detector,
    band_windows,
    calibrated_threshold,
    change_score,
    gram_quantities,
    subspace_overlap,
)
from spectraledge.trajectory import Manifest, RecordedGram

STEPS = list(range(100, 3100, 100))


def planted(seed: int, *, grokked_step: int | None, lead: int = 0, task: str = "add") -> AlarmRun:
    """A run with a norm that says nothing and a spike that rises `lead` steps before grokking."""
    rng = np.random.default_rng([seed, grokked_step or 0, len(task)])
    spike = 1 + 0.1 * rng.random(30)
    if grokked_step is not None:
        # Two in a row make an alarm, so it begins one snapshot before.
        spike[STEPS.index(grokked_step - lead) - 1 :] += 3
    series = {
        ("spike", 10): (STEPS, torch.from_numpy(spike)),
        ("weight_norm", 0): (STEPS, torch.from_numpy(rng.random(30))),
        ("k_star", 10): (STEPS, torch.from_numpy(rng.integers(0, 2, 30).astype(float))),
    }
    return AlarmRun(f"{task}-{seed}", task, 1.0, seed, grokked_step, series)


@pytest.fixture(scope="module")
def runs() -> list[AlarmRun]:
    grokking = [
        planted(seed, grokked_step=2000 + 100 * (seed % 7), lead=300 + 100 * (seed % 3), task=task)
        for seed in range(10)
        for task in ("add", "mul")
    ]
    return grokking + [planted(seed, grokked_step=None, task=f"control {n}") for seed in range(10) for n in range(2)]


@pytest.fixture(scope="module")
def alarms(runs: list[AlarmRun]) -> pd.DataFrame:
    return first_alarms(runs)


@pytest.fixture(scope="module")
def table(alarms: pd.DataFrame) -> pd.DataFrame:
    return lead_times(alarms).set_index(["quantity", "change", "window"])


def test_a_planted_lead_is_found(table: pd.DataFrame) -> None:
    row = table.loc[("spike", "high", 10)]
    assert (row["before"], row["ever"], row["grokking"], row["seeds"]) == (1.0, 1.0, 20, 10)
    assert (row["lead"], row["lead_q25"], row["lead_q75"]) == (400, 300, 500)
    # Leads of seeds 0 to 9: four of 300, three of 400, three of 500; the 2nd and the 9th bound the median.
    assert (row["lead_low"], row["lead_high"]) == (300, 500)
    assert row["follows"] > 0.5
    assert row["before_low"] == pytest.approx(0.025 ** (1 / 20))


def test_what_says_nothing_has_no_lead(table: pd.DataFrame) -> None:
    row = table.loc[("weight_norm", "high", 0)]
    assert row["before"] < 0.4
    assert row["lead"] == row["lead_low"] == -math.inf


def test_every_change_is_followed_that_means_something(table: pd.DataFrame) -> None:
    changes = table.reset_index().groupby("quantity")["change"].apply(list)
    assert changes["spike"] == ["high", "low", "rise", "collapse", "plateau"]
    assert changes["k_star"] == ["shift"]


def test_each_run_is_judged_by_controls_of_other_seeds(runs: list[AlarmRun], alarms: pd.DataFrame) -> None:
    assert alarms.groupby("seed")["half"].nunique().eq(1).all()
    assert alarms.drop_duplicates(["seed"])["half"].value_counts().tolist() == [5, 5]
    by_name = {run.name: run for run in runs}
    assert len(alarms) == len(runs) * 11
    half_of = alarms.groupby("seed")["half"].first()
    for row in alarms.itertuples():
        others = [run for run in runs if run.grokked_step is None and half_of[run.seed] != row.half]
        key = (row.quantity, row.window)
        threshold = calibrated_threshold([change_score(run.series[key][1], row.change) for run in others])
        assert row.threshold == threshold
        found = Detector(row.quantity, row.change, threshold).alarm_steps(*by_name[row.run].series[key])
        assert (found[0] if found else None) == (None if row.alarm_step is pd.NA else row.alarm_step)


def test_rates_quantiles_and_intervals_are_those_of_the_definition(alarms: pd.DataFrame) -> None:
    for row in lead_times(alarms).itertuples():
        chosen = (alarms["quantity"] == row.quantity) & (alarms["change"] == row.change)
        own = alarms[chosen & (alarms["window"] == row.window)]
        leads, seeds, false = [], [], 0
        for run in own.itertuples():
            if run.grokked_step is pd.NA:
                false += run.alarm_step is not pd.NA
                continue
            leads.append(-math.inf if run.alarm_step is pd.NA else run.grokked_step - run.alarm_step)
            seeds.append(run.seed)
        assert row.before == sum(lead > 0 for lead in leads) / 20
        assert row.ever == sum(lead > -math.inf for lead in leads) / 20
        assert row.false_alarms == false / 20
        exact = scipy.stats.binomtest(false, 20).proportion_ci(0.95, "exact")
        assert (row.false_low, row.false_high) == (exact.low, exact.high)
        assert [row.lead_q25, row.lead, row.lead_q75] == [sorted(leads)[place] for place in (4, 9, 14)]
        steps = own.dropna(subset=["grokked_step", "alarm_step"]).astype({"grokked_step": float, "alarm_step": float})
        ranks = [
            scipy.stats.rankdata(of_task[["alarm_step", "grokked_step"]], axis=0) - (len(of_task) + 1) / 2
            for _, of_task in steps.groupby("task")
        ]
        moved = np.concatenate([np.empty((0, 2)), *ranks])
        if (moved**2).sum(axis=0).all():
            assert row.follows == pytest.approx(np.corrcoef(moved.T)[0, 1])
        else:
            assert math.isnan(row.follows)
        # Of two runs per seed the lower median is the smaller; of ten seeds the 2nd and 9th bound the median.
        of_seeds = sorted(
            min(lead for lead, own in zip(leads, seeds, strict=True) if own == seed) for seed in range(10)
        )
        assert (row.lead_low, row.lead_high) == (of_seeds[1], of_seeds[8])


def test_alarms_that_only_tell_tasks_apart_follow_nothing() -> None:
    late = {"add": 0, "mul": 500}
    runs = [planted(seed, grokked_step=2000 + late[task], lead=300, task=task) for seed in range(6) for task in late]
    controls = [planted(seed, grokked_step=None, task=f"control {n}") for seed in range(6) for n in range(2)]
    table = lead_times(first_alarms(runs + controls)).set_index(["quantity", "change"])
    assert table.loc[("spike", "high"), "before"] == 1
    assert math.isnan(table.loc[("spike", "high"), "follows"])


def test_few_seeds_bound_nothing(runs: list[AlarmRun]) -> None:
    row = lead_times(first_alarms([run for run in runs if run.seed < 4])).iloc[0]
    assert (row["lead_low"], row["lead_high"]) == (-math.inf, math.inf)


def test_a_run_folder_is_read_without_snapshots(run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("snapshots", "moves")))
    read = AlarmRun.read(folder, windows=(5,))
    recorded = RecordedRun.open(run)
    vectors = np.stack([vector.numpy() for _, vector, _ in recorded.series.vectors()])
    updates = np.diff(vectors, axis=0)
    steps, lengths = read.series["update_norm", 0]
    assert steps == recorded.steps[1:]
    np.testing.assert_allclose(lengths.numpy(), np.linalg.norm(updates, axis=1), rtol=1e-6)
    steps, spikes = read.series["spike_centered", 5]
    assert steps == recorded.steps[5:]
    rows = updates[3:8] - updates[3:8].mean(axis=0)
    straight = np.diag(np.linalg.norm(updates[3:8], axis=1))
    first, null = (np.linalg.svd(part, compute_uv=False)[0] ** 2 for part in (rows, straight - straight.mean(axis=0)))
    assert float(spikes[3]) == pytest.approx(first / null, rel=1e-6)
    gram = RecordedGram.read(run)
    steps, overlap = read.series["overlap", 5]
    assert steps == recorded.steps[6:]
    torch.testing.assert_close(overlap, subspace_overlap(band_windows(gram.band_TW, 6)))
    assert set(gram_quantities(band_windows(gram.band_TW, 5))) < {name for name, _ in read.series}
    metrics = pd.read_parquet(run / "metrics.parquet")
    np.testing.assert_array_equal(read.series["train_loss", 0][1].numpy(), metrics["train_loss"])


def test_joint_and_unfinished_runs_are_passed_over(run: Path, tmp_path: Path) -> None:
    for name, change in (("kept", {}), ("joint", {"task": "add+"}), ("running", {})):
        folder = Path(shutil.copytree(run, tmp_path / name))
        manifest = Manifest.read(folder)
        manifest.config |= change
        manifest.status = "running" if name == "running" else "done"
        manifest.write(folder)
    found = read_alarm_runs(sorted(tmp_path.iterdir()), windows=(5,))
    assert [one.name for one in found] == ["kept"]


def test_mistakes_are_explained(runs: list[AlarmRun], alarms: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="at least two seeds"):
        first_alarms(runs[:2])
    with pytest.raises(InputError, match="each half"):
        first_alarms([run for run in runs if run.grokked_step is not None])
    with pytest.raises(InputError, match="same quantities"):
        calibrated_detectors([runs[-1], replace(runs[-2], series={})])
    with pytest.raises(InputError, match="has no spike"):
        first_alarms([replace(runs[0], series={}), *runs[1:]])
    with pytest.raises(InputError, match="add the missing kind"):
        lead_times(alarms[alarms["grokked_step"].notna()])
