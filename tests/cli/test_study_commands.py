"""`study run`, `status` and `report`, on a study that takes seconds."""

import json
from pathlib import Path

import pytest
from cli_support import Command

from spectraledge import RunConfig, named_task
from spectraledge.studies import AnalysisConfig, Budget, StudyConfig
from spectraledge.studies.recipes import RECIPES


def tiny(*, seeds: tuple[int, ...] = (42,), budget: Budget = "full") -> StudyConfig:
    seed = seeds[0]
    sizes = {"width": 12, "heads": 2, "hidden": 16}
    settings = {"steps": 60, "every": 5, "batch_size": 16, "seed": seed}
    runs = (
        RunConfig.for_task(named_task("add", modulus=7), sizes, **settings),
        RunConfig.for_task(named_task("mul", modulus=7), sizes, **{**settings, "learning_rate": 1e30}),
    )
    return StudyConfig(name="tiny", runs=runs, analysis=AnalysisConfig(window=6, nulls=5, seed=seed))


@pytest.fixture(autouse=True)
def _tiny_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, "tiny", tiny)


def test_run_status_report(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    ran = command("study", "run", "tiny", "--out", folder, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    page = Path(told["report"])
    assert page.is_file()
    assert told["runs_done"] == 1
    assert told["runs_failed"] == [tiny().runs[1].run_id]
    assert "lower the learning rate" in ran.err
    written = page.stat().st_mtime_ns

    again = command("study", "run", "tiny", "--out", folder, "--json")
    assert json.loads(again.out) == told
    assert page.stat().st_mtime_ns == written

    status = json.loads(command("study", "status", folder, "--json", "--out", tmp_path / "seen").out)
    assert [run["state"] for run in status["runs"]] == ["done", "failed"]
    assert json.loads((tmp_path / "seen" / "status.json").read_text()) == status["runs"]
    assert "failed" in command("study", "status", folder).out

    elsewhere = command("study", "report", folder, "--out", tmp_path / "copy", "--json")
    assert json.loads(elsewhere.out)["report"] == str(tmp_path / "copy" / "report.html")
    assert (tmp_path / "copy" / "figures" / "shares.pdf").is_file()
    assert page.stat().st_mtime_ns == written


def test_the_folder_of_another_seed_is_refused(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    assert command("study", "run", "tiny", "--out", folder).code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*.json")}
    refused = command("study", "run", "tiny", "--seed", 1, "--out", folder)
    assert refused.code == 2
    assert "holds another study" in refused.err
    assert {path: path.read_bytes() for path in folder.rglob("*.json")} == before
