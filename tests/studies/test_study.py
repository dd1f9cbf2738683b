"""A whole study in miniature: jobs, resume, failures, claims."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.step import STEP_TABLES
from spectraledge.claims.of_runs import second_largest
from spectraledge.claims.questions import evaluate_runs
from spectraledge.errors import DamageError
from spectraledge.studies import (
    AnalysisConfig,
    RunResult,
    RunStatus,
    StudyConfig,
    load_study,
    recipe,
    run_study,
    study_status,
)

SIZES = {"width": 12, "heads": 2, "hidden": 16}


def miniature(seed: int = 0) -> StudyConfig:
    add, mul = named_task("add", modulus=7), named_task("mul", modulus=7)
    settings = {"steps": 60, "every": 5, "batch_size": 16, "seed": seed, "stop_accuracy": 2.0}
    runs = (
        RunConfig.for_task(add, SIZES, **settings),
        RunConfig.for_task(mul, SIZES, **settings),
        RunConfig.for_task(add, SIZES, **{**settings, "weight_decay": 0.0}),
        RunConfig.for_task(add, SIZES, **{**settings, "learning_rate": 1e30}),
        RunConfig.for_task(mul, SIZES, **{**settings, "steps": 20}),
    )
    return StudyConfig(name="miniature", runs=runs, analysis=AnalysisConfig(window=6, nulls=5))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "miniature"
    run_study(miniature(), folder, jobs=2)
    return folder


def test_what_lacks_analyses_is_read_on_demand_and_stays_missing(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, folder := tmp_path / "study")
    run = miniature().runs[0].run_id
    for name in ("step", "course"):
        (folder / "runs" / run / "analyses" / f"{name}.json").unlink()
    assert run not in {one.run_id for one in load_study(folder).runs}
    study = load_study(folder, unfinished=True)
    (early,) = (one for one in study.runs if one.run_id == run)
    assert len(early.table("spectrum"))
    assert early.table("modes").empty
    assert run in study.missing


def test_a_table_that_changed_since_the_study_was_read_is_not_taken(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, folder := tmp_path / "study")
    first, other, _ = load_study(folder).runs
    path = folder / "runs" / first.run_id / "moves.parquet"
    shutil.copy(folder / "runs" / other.run_id / "moves.parquet", path)
    assert len(first.modes)
    with pytest.raises(DamageError, match=r"moves\.parquet is not what step wrote"):
        first.table("moves")


def test_good_runs_are_reported_and_bad_ones_named(finished: Path) -> None:
    study = load_study(finished)
    config = miniature()
    assert [run.run_id for run in study.runs] == [run.run_id for run in config.runs[:3]]
    assert set(study.failed) == {config.runs[3].run_id, config.runs[4].run_id}
    assert "lower the learning rate" in study.failed[config.runs[3].run_id]
    assert "window must be in [2, 4]" in study.failed[config.runs[4].run_id]
    assert not study.missing


def test_tables_cover_every_run(finished: Path) -> None:
    names = ("modes", "selection", "course", "claims")
    joined = {name: pd.read_parquet(finished / f"{name}.parquet") for name in names}
    claims = joined["claims"]
    assert {table["run"].nunique() for table in joined.values()} == {3}
    for run in load_study(finished).runs:
        for name in (*(table.name for table in STEP_TABLES), "course", "changes"):
            assert len(getattr(run, name)), name
    assert set(claims["verdict"]) <= {"found", "not found"}
    assert claims["q"].dropna().between(0, 1).all()


def test_a_finished_study_trains_nothing_again(finished: Path) -> None:
    watched = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*.parquet")}
    run_study(miniature(), finished)
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*.parquet")} == watched


def test_a_stopped_study_goes_on(finished: Path, tmp_path: Path) -> None:
    config, seen = miniature(), list[list[RunStatus]]()
    half = config.model_copy(update={"runs": config.runs[:3]})
    folder = tmp_path / "study"
    run_study(half, folder, jobs=1, on_progress=seen.append)
    (folder / "runs" / half.runs[1].run_id / "analyses" / "step.json").unlink()
    assert [status.state for status in study_status(folder)] == ["done", "analysing", "done"]
    assert load_study(folder).missing == (half.runs[1].run_id,)
    run_study(half, folder, jobs=1)
    assert [status.state for status in study_status(folder)] == ["done"] * 3
    assert {status.state for status in seen[-1]} == {"done"}
    # The same runs, trained by another number of processes, are the same to the bit.
    for name in ("modes.parquet", "claims.parquet"):
        again, before = pd.read_parquet(folder / name), pd.read_parquet(finished / name)
        pd.testing.assert_frame_equal(again, before, check_exact=True)


def test_a_folder_belongs_to_one_study(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds another study"):
        run_study(miniature(seed=1), finished)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is no study"):
        run_study(miniature(), tmp_path)
    with pytest.raises(InputError, match="unknown study 'slow': known studies are quick"):
        recipe("slow")


def test_quick_is_what_it_says() -> None:
    runs = recipe("quick").runs
    assert [(run.task, run.weight_decay) for run in runs] == [
        ("add", 1.0),
        ("sub", 1.0),
        ("mul", 1.0),
        ("cubic", 1.0),
        ("add", 0.0),
    ]
    assert {(run.protocol, run.seed, run.model.tokens, run.every) for run in runs} == {("paper", 42, 97, 100)}


def selecting(run: RunResult, **changed: float) -> RunResult:
    """The same run with other numbers for the selection of its own functions."""
    numbers = {"ratio": 1.5, "low": 1.4, "high": 1.6, "p": 1e-4, "window_share": 0.1, "chance": 0.01} | changed
    row = {"basis": run.structure, "subspace": "frequency", **numbers}
    return run.with_tables(selection=pd.DataFrame([row, row | {"subspace": "rest", "p": 1.0}]))


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "found"),
        ({"p": 0.2}, "not found"),
        # A sure sign of less is none of more.
        ({"ratio": 1.02, "low": 0.98}, "not found"),
        # More than random directions, but less than noise: no function of the task's own variable to speak of.
        ({"window_share": 0.005}, "not found"),
    ],
)
def test_selection_needs_an_interval_a_small_q_and_more_than_noise(finished: Path, changed: dict, verdict: str) -> None:
    study = load_study(finished)
    claims = evaluate_runs(dataclasses.replace(study, runs=(selecting(study.runs[0], **changed),)).runs)
    row = claims[claims["claim"] == "selects-own-functions"].iloc[0]
    assert row["verdict"] == verdict
    assert (row["low"], row["high"]) == ({"low": 1.4, **changed}["low"], 1.6)


def test_the_claim_on_selection_is_one_family_over_runs(finished: Path) -> None:
    study = load_study(finished)
    runs = tuple(selecting(run, p=p) for run, p in zip(study.runs, (0.04, 0.9, 0.9), strict=True))
    claims = evaluate_runs(dataclasses.replace(study, runs=runs).runs).query("claim == 'selects-own-functions'")
    np.testing.assert_allclose(claims["q"], [0.12, 0.9, 0.9])
    assert set(claims["verdict"]) == {"not found"}


def test_two_of_three_rule_keeps_its_false_alarm_rate() -> None:
    rng = np.random.default_rng(0)
    p = [
        second_largest({"edge": rng.standard_normal(3), "random": rng.standard_normal(20)}, ("random",)).p
        for _ in range(4000)
    ]
    # Three standard errors of a share of 4,000 draws.
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)
    planted = second_largest({"edge": np.array([9.0, 8.0, 0.0]), "random": rng.standard_normal(20)}, ("random",))
    assert planted.p < 0.01
    assert planted.value == 8.0
    alone = second_largest({"edge": np.array([9.0, 8.0, 7.0]), "random": np.zeros(20)}, ("bulk",))
    assert (alone.p, np.isnan(alone.value)) == (1.0, True), "a window without bulk directions shows nothing about them"
    one = second_largest({"edge": np.array([9.0, -9.0, -9.0]), "random": rng.standard_normal(20)}, ("random",))
    assert one.p > 0.5
