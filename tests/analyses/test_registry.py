"""The registry of analyses: stamps, what makes them stale, and runs that are analysed differently."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses import stamps
from spectraledge.analyses.analysis import Column, Table
from spectraledge.analyses.registry import TABLES
from spectraledge.analyses.stamps import carry_out, measure, read_stamp, read_tables
from spectraledge.studies import ANALYSES, Analysis, AnalysisConfig, StudyConfig, load_study, run_study, study_status
from spectraledge.studies.results import RUN_TABLES
from spectraledge.trajectory import Manifest

SIZES = {"width": 12, "heads": 2, "hidden": 16}
SETTINGS = AnalysisConfig(window=5, nulls=2, surrogates=0)
COUNTS = Table("counts", "run", {"snapshots": Column("their number")})
NEVER = Table("never", "nothing", {})


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

    analysis = Analysis("count", measure, (COUNTS,), settings=(), joined=("counts",))
    monkeypatch.setitem(ANALYSES, "count", analysis)
    return analysis


def broken(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    raise InputError("this one never works")


class Recording:
    """Settings that remember which of them were asked for."""

    def __init__(self, settings: AnalysisConfig) -> None:
        self.settings, self.read = settings, set[str]()

    def __getattr__(self, name: str) -> Any:
        derived = getattr(AnalysisConfig, name, None)
        if isinstance(derived, property):
            return derived.fget(self)
        self.read.add(name)
        return getattr(self.settings, name)


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_says_what_it_reads_and_makes(run: Path, group_run: Path, name: str) -> None:
    analysis, settings = ANALYSES[name], Recording(SETTINGS.model_copy(update={"surrogates": 19}))
    tables = analysis.measure(group_run if name == "cosets" else run, settings)
    # Where it is computed changes no table, and is in no hash.
    assert settings.read - {"device"} == set(analysis.settings)
    assert set(tables) == {table.name for table in analysis.tables}
    assert set(analysis.joined) <= set(tables)
    for table in analysis.tables:
        made = [str(column) for column in tables[table.name]]
        assert made[: len(table.columns)] == [column for column in table.columns if column in made]
        assert table.misfit(made) == ""


def test_what_a_column_holds_and_in_which_unit_is_said() -> None:
    for table in TABLES.values():
        assert table.row
        for column in table.columns.values():
            assert column.meaning
    ratios = TABLES["sharedness"].columns["sharedness"], TABLES["autoencoder"].columns["jaccard"]
    assert [column.unit for column in ratios] == ["index", "index"]
    assert TABLES["probes"].columns["r2"].unit == "R²"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (lambda table: table.drop(columns="snapshots"), "lacks snapshots and has unknown extra"),
        (lambda table: table, "has unknown extra"),
    ],
)
def test_a_table_with_other_columns_is_refused_by_name(
    copied: Path, counted: Analysis, changed: Any, words: str
) -> None:
    carry_out(copied, counted, SETTINGS)
    path = copied / "counts.parquet"
    changed(pd.read_parquet(path)).assign(extra=1).to_parquet(path)
    with pytest.raises(
        InputError, match=f"counts.parquet {words}, so it is not what count writes: run its study again"
    ):
        read_tables(copied, counted)


def test_no_table_is_made_twice() -> None:
    tables = [table.name for analysis in ANALYSES.values() for table in analysis.tables]
    assert len(tables) == len({*tables, "metrics", "domain", "gram"}) - 3


def test_a_stamp_holds_until_settings_that_it_depends_on_change(copied: Path, counted: Analysis) -> None:
    stamp = carry_out(copied, counted, SETTINGS)
    assert stamp.error == ""
    assert stamp.parameters == 2 * (3 * 12 * 12 + 12 * 12)
    assert carry_out(copied, counted, SETTINGS.model_copy(update={"window": 6})) == stamp
    assert (copied / ".counts").read_text() == "once\n"
    windowed = Analysis("count", counted.measure, (COUNTS,), settings=("window",))
    assert read_stamp(copied, windowed, SETTINGS) is None
    first = carry_out(copied, windowed, SETTINGS)
    second = carry_out(copied, windowed, SETTINGS.model_copy(update={"window": 6}))
    assert first.hash != second.hash
    newer = Analysis("count", counted.measure, (COUNTS,), settings=("window",), version=2)
    carry_out(copied, newer, SETTINGS)
    assert (copied / ".counts").read_text() == "once\n" * 4


def test_a_stamp_is_gone_while_tables_are_written(
    copied: Path, counted: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    carry_out(copied, counted, SETTINGS)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    newer = Analysis("count", killed, (COUNTS,), settings=(), version=2)
    with pytest.raises(KeyboardInterrupt):
        carry_out(copied, newer, SETTINGS)
    # Nothing was written yet: what is there is still of its stamp.
    assert read_stamp(copied, counted, SETTINGS)
    monkeypatch.setattr(stamps, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        measure(copied, counted, SETTINGS)
    assert read_stamp(copied, counted, SETTINGS) is None


def test_a_run_that_went_on_is_measured_again(copied: Path, counted: Analysis) -> None:
    carry_out(copied, counted, SETTINGS)
    manifest = Manifest.read(copied)
    manifest.step += 20
    manifest.write(copied)
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
    monkeypatch.setitem(ANALYSES, "failing", Analysis("failing", broken, (NEVER,), settings=()))
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


def test_every_table_has_a_name_of_its_own() -> None:
    names = [table.name for analysis in ANALYSES.values() for table in analysis.tables]
    assert len(names) == len(set(names))
