"""The registry of analyses: stamps, what makes them stale, and runs that are analysed differently."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.registry import carry_out, read_stamp
from spectraledge.studies import ANALYSES, Analysis, AnalysisConfig, StudyConfig, load_study, run_study, study_status
from spectraledge.studies.results import RUN_TABLES

SIZES = {"width": 12, "heads": 2, "hidden": 16}
SETTINGS = AnalysisConfig(window=5, nulls=2, surrogates=0)


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "run")


def study(*analyses: str, **other: tuple[str, ...]) -> StudyConfig:
    """Two runs of addition; others' analyses by index, such as `run1`."""
    task = named_task("add", modulus=7)
    settings = {"steps": 60, "every": 5, "batch_size": 16, "stop_accuracy": 2.0}
    runs = tuple(RunConfig.for_task(task, SIZES, seed=seed, **settings) for seed in (0, 1))
    return StudyConfig(
        name="counted",
        runs=runs,
        analysis=SETTINGS.model_copy(update={"analyses": analyses}),
        other_analyses={runs[int(name[3:])].run_id: names for name, names in other.items()},
    )


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Analysis:
    """An analysis that counts the snapshots, and adds a line to a file whenever it does."""

    def measure(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
        with (folder / ".counts").open("a") as file:
            file.write("once\n")
        return {"counts": pd.DataFrame({"snapshots": [len(list((folder / "snapshots").iterdir()))]})}

    analysis = Analysis("count", measure, ("counts",), settings=(), joined=("counts",))
    monkeypatch.setitem(ANALYSES, "count", analysis)
    return analysis


def broken(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    raise InputError("this one never works")


class Recording:
    """Settings that remember which of them were asked for."""

    def __init__(self, settings: AnalysisConfig) -> None:
        self.settings, self.read = settings, set[str]()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self.settings, name)


@pytest.mark.parametrize("name", AnalysisConfig().analyses)
def test_every_analysis_says_what_it_reads_and_makes(run: Path, name: str) -> None:
    analysis, settings = ANALYSES[name], Recording(SETTINGS)
    tables = analysis.measure(run, settings)  # type: ignore[arg-type]
    assert settings.read == set(analysis.settings)
    assert set(tables) == set(analysis.tables)
    assert set(analysis.joined) <= set(analysis.tables)


def test_no_table_is_made_twice() -> None:
    tables = [table for analysis in ANALYSES.values() for table in analysis.tables]
    assert len(tables) == len({*tables, "metrics", "domain", "gram"}) - 3


def test_a_stamp_holds_until_settings_that_it_depends_on_change(copied: Path, counted: Analysis) -> None:
    stamp = carry_out(copied, counted, SETTINGS)
    assert stamp.error == ""
    assert stamp.parameters == 2 * (3 * 12 * 12 + 12 * 12)
    assert carry_out(copied, counted, SETTINGS.model_copy(update={"window": 6})) == stamp
    assert (copied / ".counts").read_text() == "once\n"
    windowed = Analysis("count", counted.measure, ("counts",), settings=("window",))
    assert read_stamp(copied, windowed, SETTINGS) is None
    first = carry_out(copied, windowed, SETTINGS)
    second = carry_out(copied, windowed, SETTINGS.model_copy(update={"window": 6}))
    assert first.hash != second.hash
    newer = Analysis("count", counted.measure, ("counts",), settings=("window",), version=2)
    carry_out(copied, newer, SETTINGS)
    assert (copied / ".counts").read_text() == "once\n" * 4


def test_a_stamp_is_gone_while_tables_are_written(copied: Path, counted: Analysis) -> None:
    carry_out(copied, counted, SETTINGS)

    def killed(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(copied, Analysis("count", killed, ("counts",), settings=(), version=2), SETTINGS)
    assert read_stamp(copied, counted, SETTINGS) is None


def test_a_mistake_is_remembered_and_a_broken_stamp_refused(copied: Path) -> None:
    failing = Analysis("failing", broken, (), settings=())
    stamp = carry_out(copied, failing, SETTINGS)
    assert stamp.error == "this one never works"
    assert read_stamp(copied, failing, SETTINGS) == stamp
    (copied / "analyses" / "failing.json").write_text("{}")
    with pytest.raises(InputError, match="is no stamp of an analysis"):
        read_stamp(copied, failing, SETTINGS)


def test_an_analysis_added_to_a_finished_study_is_all_that_is_done(tmp_path: Path, counted: Analysis) -> None:
    folder = tmp_path / "study"
    run_study(study("spectrum"), folder, jobs=1)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*.parquet")}
    result = run_study(study("spectrum", "count"), folder, jobs=1)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [run.table("counts")["snapshots"].tolist() for run in result.runs] == [[13], [13]]
    assert pd.read_parquet(folder / "counts.parquet")["seed"].tolist() == [0, 1]
    assert all(run.modes.empty and len(run.spectrum) for run in result.runs)
    assert not result.having("modes").runs


def test_runs_may_be_analysed_differently(tmp_path: Path, counted: Analysis) -> None:
    result = run_study(study("spectrum", run1=("count",)), tmp_path / "study", jobs=1)
    assert [sorted(run.tables) for run in result.runs] == [["edge", "spectrum"], ["counts"]]
    assert [len(result.having(name).runs) for name in ("spectrum", "counts", "modes")] == [1, 1, 0]
    with pytest.raises(ValueError, match="names no run of the study: nobody"):
        StudyConfig(name="x", runs=(), other_analyses={"nobody": ()})
    with pytest.raises(InputError, match="unknown analysis 'guess': known analyses are spectrum, step, course"):
        run_study(study("guess"), tmp_path / "other", jobs=1)
    assert not (tmp_path / "other").exists()


def test_an_analysis_that_fails_is_named_and_the_others_go_on(
    tmp_path: Path, counted: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ANALYSES, "failing", Analysis("failing", broken, ("never",), settings=()))
    folder = tmp_path / "study"
    config = study("count", run1=("failing", "count"))
    result = run_study(config, folder, jobs=1)
    assert [status.state for status in study_status(folder)] == ["done", "failed"]
    assert result.failed == {config.runs[1].run_id: "failing: this one never works"}
    assert [sorted(run.tables) for run in load_study(folder).runs] == [["counts"], ["counts"]]


def test_usual_tables_can_be_read_as_attributes(run: Path, copied: Path) -> None:
    result = run_study(study(*AnalysisConfig().analyses), copied.parent / "study", jobs=1).runs[0]
    for name in RUN_TABLES:
        assert getattr(result, name) is result.tables[name]
    changed = result.with_tables(modes=pd.DataFrame())
    assert changed.modes.empty
    assert changed.selection is result.selection
