"""`study run`, `status` and `report`, on a study that takes seconds."""

import json
from pathlib import Path

import pandas as pd
import pytest
from cli_support import Command

from spectraledge import RunConfig, named_task
from spectraledge.studies import AnalysisConfig, Budget, StudyConfig, StudyResult
from spectraledge.studies.recipes import RECIPES

pytestmark = pytest.mark.usefixtures("unrastered")


def tiny(*, seeds: tuple[int, ...] = (42,), budget: Budget = "matched") -> StudyConfig:
    sizes = {"width": 12, "heads": 2, "hidden": 16}
    settings = {"steps": 60, "every": 5, "batch_size": 16}
    good = [RunConfig.for_task(named_task("add", modulus=7), sizes, seed=seed, **settings) for seed in seeds]
    bad = RunConfig.for_task(named_task("mul", modulus=7), sizes, seed=seeds[0], **{**settings, "learning_rate": 1e30})
    return StudyConfig(name="tiny", runs=(*good, bad), analysis=AnalysisConfig(window=6, nulls=5, seed=seeds[0]))


@pytest.fixture(autouse=True)
def _tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "tiny", tiny)


def test_run_status_report(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "study"
    ran = command("study", "run", "tiny", "--jobs", 1, "--out", folder, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    page = Path(told["report"])
    assert page.is_file()
    assert told["runs_done"] == 1
    assert told["runs_failed"] == [tiny().runs[1].run_id]
    assert "lower the learning rate" in ran.err
    assert f"its page: spectraledge report {folder}" in ran.err
    written = page.stat().st_mtime_ns

    again = command("study", "run", "tiny", "--jobs", 1, "--out", folder, "--json")
    assert json.loads(again.out) == told
    assert page.stat().st_mtime_ns == written

    assert "to do: 2 runs, up to 120 steps, at most 0 min at" in ran.err
    assert "GB are free" in ran.err
    assert "to do" not in again.err

    told = json.loads(command("study", "status", folder, "--json", "--out", tmp_path / "seen").out)
    assert (told["at_work"], told["left"]["runs"]) == (0, 0)
    status = told
    assert [run["state"] for run in status["runs"]] == ["done", "failed"]
    assert json.loads((tmp_path / "seen" / "status.json").read_text()) == status["runs"]
    shown = command("study", "status", folder)
    assert "failed" in shown.out
    assert "1 done, 1 failed; 0 at work now" in shown.err
    assert command("study", "verify", folder).code == 0
    (folder / "modes.parquet").write_bytes(b"")
    changed = command("study", "verify", folder, "--json", "--out", tmp_path / "seen")
    assert changed.code == 2
    assert json.loads(changed.out)["changed"] == ["modes.parquet"]
    assert "1 files of" in changed.err

    elsewhere = command("study", "report", folder, "--out", tmp_path / "copy", "--json")
    assert json.loads(elsewhere.out)["report"] == str(tmp_path / "copy" / "report.html")
    assert (tmp_path / "copy" / "figures" / "shares.pdf").is_file()
    assert page.stat().st_mtime_ns == written

    refused = command("study", "report", folder, "--markdown")
    assert refused.code == 2
    assert "--markdown is for studies with claims over seeds, tiny has claims on runs" in refused.err
    # A recipe that asks something else of the same runs: nothing is trained again.
    monkeypatch.setitem(RECIPES, "tiny", lambda **asked: tiny(**asked).model_copy(update={"questions": "paper"}))
    trained = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/snapshots/*")}
    assert command("study", "run", "tiny", "--jobs", 1, "--out", folder).code == 0
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/snapshots/*")} == trained
    small = tmp_path / "small"
    told = json.loads(command("study", "report", folder, "--markdown", "--out", small, "--json").out)
    assert told["report"] == str(small / "report.md")
    assert {path.name for path in small.iterdir()} >= {"card.md", "claims.csv", "claims-by-seed.csv", "tables"}
    assert not (small / "report.html").exists()
    assert command("study", "report", folder, "--out", tmp_path / "whole").code == 0
    assert "verdict" in (tmp_path / "whole" / "report.html").read_text()


def test_a_report_that_cannot_be_written_meanwhile_stops_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, written = tmp_path / "study", []

    def write(result: StudyResult, claims: object, *, out: Path | None = None, progress: str = "") -> Path:
        written.append(progress)
        if progress:
            raise RuntimeError("a bug in a figure")
        return folder / "report.html"

    monkeypatch.setattr("spectraledge.cli.study_commands.write_report", write)
    # The watcher looks once a second; here it looks whenever something may be new.
    monkeypatch.setattr("spectraledge.studies.study._POLL_SECONDS", 0.01)
    monkeypatch.setattr("spectraledge.studies.study._POLL_REST", 0)
    ran = command("study", "run", "tiny", "--out", folder, "--jobs", 1)
    assert ran.code == 0
    first, last = written
    assert first.startswith("1 of 2 runs: this page was written at ")
    assert last == ""
    assert "was not written, and the study goes on: a bug in a figure" in ran.err
    # Stopped after its last run and before its report: the page of some runs is not taken for that of all.
    for page, times in (('<p id="progress">1 of 2 runs</p>', 3), ("<p>all runs</p>", 3)):
        (folder / "report.html").write_text(page)
        assert command("study", "run", "tiny", "--out", folder).code == 0
        assert len(written) == times


def test_a_report_of_effects_alone_says_what_it_took_together(command: Command, tmp_path: Path) -> None:
    kept = Path(__file__).parents[2] / "docs" / "results" / "networks"
    rows = pd.read_csv(kept / "effects.csv")
    done = command("study", "report", kept, "--markdown", "--out", tmp_path, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["runs_done"] == 0
    assert (told["effects"], told["runs_measured"]) == (len(rows), len(set(rows["run"])))
    assert told["seeds"] == sorted(set(rows["seed"]))
    assert len(pd.read_csv(tmp_path / "effects.csv")) == len(rows)
    refused = command("study", "report", kept)
    assert (refused.code, "say where with --out" in refused.err) == (2, True)


def test_the_folder_of_another_seed_is_refused(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert command("study", "run", "tiny", "--out", folder).code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    refused = command("study", "run", "tiny", "--seed", 1, "--out", folder)
    assert refused.code == 2
    assert "holds another study" in refused.err
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before


def test_more_seeds_go_on_in_the_same_folder(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert command("study", "run", "tiny", "--seeds", 1, "--jobs", 1, "--out", folder, "--keep", "window").code == 0
    written = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*.parquet")}
    grown = command("study", "run", "tiny", "--seeds", 2, "--out", folder, "--jobs", 1, "--json")
    assert json.loads(grown.out)["runs_done"] == 2
    assert {path: path.stat().st_mtime_ns for path in written} == written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 2, "--seed", 7), "--seeds 2 takes the first 2 of a fixed list, --seed 7 is one: give only one"),
        (("--backend", "dask"), "needs the address of a scheduler"),
        (("--backend", "submitit", "--option", "time"), "--option takes name=value, such as partition=gpu, got 'time'"),
    ],
)
def test_mistakes_leave_nothing_behind(
    command: Command, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    refused = command("study", "run", "tiny", "--out", tmp_path / "study", *options)
    assert refused.code == 2
    assert message in refused.err
    assert not (tmp_path / "study").exists()


def test_a_job_that_broke_down_is_an_exit_code_of_ours(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("spectraledge.studies.jobs.train_in_folder", broken)
    ran = command("study", "run", "tiny", "--out", tmp_path / "study", "--jobs", 1, "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["runs_done"] == 0
    assert "RuntimeError: a bug" in ran.err
    assert "2 jobs broke down" in ran.err
