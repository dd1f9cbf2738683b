"""The results of a study, read from its folder: what reports are made from."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pandas as pd

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import Stamp, misfits, read_stamp, read_tables
from spectraledge.analyses.stored_tables import StoredTables
from spectraledge.display import Displayed
from spectraledge.errors import DamageError, InputError
from spectraledge.files import read_sealed
from spectraledge.studies.jobs import Trouble, read_trouble, run_folder
from spectraledge.studies.study_config import StudyConfig, analyses_of
from spectraledge.tasks import formula_of, part_names, structure_of
from spectraledge.training import RunConfig
from spectraledge.training.metrics_tables import PARTS_FILE, read_metrics, read_parts
from spectraledge.trajectory import Manifest, whole
from spectraledge.trajectory.inventory import damages

STUDY_FILE = "study.json"
PARTS = Path(PARTS_FILE).stem
"""Table of a run of several parts: accuracies of each, one row per evaluation and part."""

RUN_TABLES = tuple(table.name for name in AnalysisConfig().analyses for table in ANALYSES[name].tables)
"""Tables of a run that is analysed as usual, beside its metrics."""


@dataclass(frozen=True)
class StudyResult(Displayed):
    """All of a study that is finished.

    Attributes:
        config: The study's configuration.
        folder: Where it lies.
        runs: Its analysed runs, in the recipe's order; where an analysis failed, without its tables.
        failed: Message of each run whose job, training or any analysis failed, by run id.
        missing: Ids of runs that are not finished.
        crashed: Ids of failed runs whose job broke down; `jobs/<run-id>.json` has what is known of it.
        damaged: Ids of failed runs of which files are not what was written.
    """

    kind = "study"

    config: StudyConfig
    folder: Path
    runs: tuple[RunResult, ...]
    failed: dict[str, str]
    missing: tuple[str, ...]
    crashed: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def refuse_damaged(self) -> None:
        """Raise `DamageError` where runs are damaged, with what makes them again."""
        if self.damaged:
            raise DamageError(
                f"{len(self.damaged)} runs are damaged ({self.failed[self.damaged[0]]}): spectraledge study run with "
                f"the study's recipe and --out {self.folder} --repair makes them again; the report and the tables of "
                "the study stay as they were"
            )

    def having(self, *tables: str) -> "StudyResult":
        """Return the study with only those runs that have rows in all of some tables."""
        return replace(self, runs=tuple(run for run in self.runs if all(len(run.table(name)) for name in tables)))


def read_study_config(folder: Path) -> StudyConfig:
    """Read `study.json`.

    Args:
        folder: The study's folder.

    Returns:
        The configuration.

    Raises:
        InputError: if there is none, or it is not one of ours.
        DamageError: if it is not what was written.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        raise InputError(f"no {STUDY_FILE} in {folder}: start one with `spectraledge study run quick --out {folder}`")
    try:
        content, _ = read_sealed(path)
    except DamageError as error:
        raise DamageError(f"{error}; the command that made the study, given --repair, writes it again") from error
    try:
        return StudyConfig.model_validate(content["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a study of this version: choose another folder") from error


@dataclass(frozen=True)
class RunProgress:
    """How far a run of a study has come: its manifest, None before training; the stamp of each analysis, or None.

    `trouble` is why its last job ended early; it is tried again when the study is run again. `damage` is why its
    manifest or a stamp cannot be read.
    """

    manifest: Manifest | None
    stamps: dict[str, Stamp | None]
    trouble: Trouble | None = None
    damage: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing is left to do: training failed, or all analyses are done or failed."""
        if self.manifest is None or self.manifest.status == "running":
            return False
        return self.manifest.status == "failed" or all(self.stamps.values())

    @property
    def error(self) -> str:
        """Why its training or analyses failed, "" if they did not."""
        if self.manifest and self.manifest.error:
            return self.manifest.error
        if self.trouble:
            return self.trouble.error
        if self.damage:
            return self.damage
        return "; ".join(f"{name}: {stamp.error}" for name, stamp in self.stamps.items() if stamp and stamp.error)


def run_progress(study: StudyConfig, folder: Path, run: RunConfig) -> RunProgress:
    """Read how far a run of a study has come from its folder alone."""
    place = run_folder(folder, run)
    manifest, stamps, damage = None, dict[str, Stamp | None](), ""
    try:
        manifest = Manifest.read(place) if Manifest.present(place) else None
        for found in analyses_of(study, run):
            stamps[found.name] = None
            stamps[found.name] = read_stamp(place, found, study.analysis)
    except DamageError as error:
        damage = str(error)
    return RunProgress(manifest, stamps, read_trouble(folder, run), damage)


def damages_of(study: StudyConfig, folder: Path, run: RunConfig, *, quick: bool = False) -> list[str]:
    """Find what of a run is damaged: its own files, and tables that its stamps are not of.

    Args:
        study: The study.
        folder: The study's folder.
        run: One of its runs.
        quick: Whether to look at the sizes of its own files alone; tables are always read.

    Returns:
        What is wrong with each file.
    """
    place = run_folder(folder, run)
    if own := damages(place, quick=quick):
        return own
    return [fault for found in analyses_of(study, run) for fault in misfits(place, found)]


def load_study(folder: Path, *, unfinished: bool = False) -> StudyResult:
    """Read every finished run of a study.

    Args:
        folder: The study's folder.
        unfinished: Whether trained runs that lack analyses are read too, with the tables that they have; they are
            among the missing all the same.

    Returns:
        The results; runs that failed, are damaged or are not finished are named, not hidden. Their tables are read when
        they are asked for (see `StoredTables`), which raises `DamageError` where one has changed since.

    Raises:
        InputError: if the folder is no study.
        DamageError: if the metrics of a run are not what was written.
    """
    config = read_study_config(folder)
    task_of = {run.hash: run.task for run in config.runs}
    runs, failed, crashed, missing, damaged = [], {}, [], [], []
    for run in config.runs:
        place = run_folder(folder, run)
        progress = run_progress(config, folder, run)
        if progress.error:
            failed[run.run_id] = progress.error
        if progress.trouble and progress.trouble.traceback:
            crashed.append(run.run_id)
        if faults := damages_of(config, folder, run, quick=True):
            damaged.append(run.run_id)
            failed[run.run_id] = "; ".join(faults)
            continue
        if not progress.over:
            missing += [] if progress.error else [run.run_id]
            if not (unfinished and any(progress.stamps.values())):
                continue
        measured = [name for name, stamp in progress.stamps.items() if stamp and not stamp.error]
        # A run of which nothing is to be measured still says when it generalised.
        if measured or not (progress.stamps or progress.error):
            tables = {
                table.name: partial(_one_table, place, ANALYSES[one], table.name)
                for one in measured
                for table in ANALYSES[one].tables
            }
            if whole(place / PARTS_FILE).is_file():
                tables[PARTS] = partial(read_parts, place)
            manifest, part = Manifest.read(place), part_names(run.task)[-1]
            runs.append(
                RunResult(
                    config=run,
                    manifest=manifest,
                    metrics=read_metrics(place),
                    structure=manifest.structures.get(part) or structure_of(run.task),
                    formula=formula_of(run.task),
                    after=task_of.get(run.start, "unknown") if run.start else "",
                    parameters=max((stamp.parameters for stamp in progress.stamps.values() if stamp), default=0),
                    tables=StoredTables(tables),
                )
            )
    return StudyResult(config, folder, tuple(runs), failed, tuple(missing), tuple(crashed), tuple(damaged))


def _one_table(place: Path, analysis: Analysis, name: str) -> pd.DataFrame:
    return read_tables(place, analysis, name)[name]
