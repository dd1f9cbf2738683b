"""The results of a study, read from its folder: what reports are made from."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from spectraledge.errors import InputError
from spectraledge.files import read_json, read_table
from spectraledge.studies.config import StudyConfig
from spectraledge.studies.step import TABLES
from spectraledge.tasks import OPERATIONS
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

STUDY_FILE = "study.json"
ANALYSIS_FILE = "analysis.json"
RUN_TABLES = ("spectrum", "edge", "modes", "waves", "characters", *TABLES, "course", "changes")


@dataclass(frozen=True)
class RunResult:
    """One analysed run.

    Attributes:
        config: Its configuration.
        manifest: Its manifest.
        metrics: One row per evaluation: step, losses (nats), accuracies, gradient_norm, weight_norm.
        spectrum: See `SpectrumTables`.
        edge: See `SpectrumTables`.
        modes: `ModesResult.table`.
        waves: See `ModesResult`.
        characters: See `ModesResult`.
        structure: Name of the task's own basis ("output" if it has no group).
        formula: The operation as a person writes it.
        parameters: How many numbers are watched, P.
        selection: See `StepAnalysis`, like all that follow up to `probes`; tables without rows where not measured.
        keys: Key frequencies.
        contrasts: Other read-outs, heads and halves.
        moves: What moved the weights.
        frequencies: Energies per frequency of weights and movement.
        agreement: How well those agree.
        probes: Linear probes.
        course: See `CourseTables`.
        changes: See `CourseTables`.
    """

    config: RunConfig
    manifest: Manifest
    metrics: pd.DataFrame
    spectrum: pd.DataFrame
    edge: pd.DataFrame
    modes: pd.DataFrame
    waves: pd.DataFrame
    characters: pd.DataFrame
    structure: str
    formula: str
    parameters: int
    selection: pd.DataFrame = field(default_factory=pd.DataFrame)
    keys: pd.DataFrame = field(default_factory=pd.DataFrame)
    contrasts: pd.DataFrame = field(default_factory=pd.DataFrame)
    moves: pd.DataFrame = field(default_factory=pd.DataFrame)
    frequencies: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: pd.DataFrame = field(default_factory=pd.DataFrame)
    course: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def run_id(self) -> str:
        """Name of its folder."""
        return self.config.run_id

    @property
    def title(self) -> str:
        """The run in a few words."""
        return f"{self.formula} mod {self.config.model.tokens}, weight decay {self.config.weight_decay:g}"

    @property
    def grokked(self) -> bool:
        """Whether test accuracy ever reached 0.95."""
        return self.manifest.grokked_step is not None

    @property
    def modes_step(self) -> int:
        """The step at which modes were measured."""
        return int(self.modes["step"].iloc[0])


@dataclass(frozen=True)
class StudyResult:
    """All of a study that is finished.

    Attributes:
        config: The study's configuration.
        folder: Where it lies.
        runs: Its analysed runs, in the recipe's order.
        failed: Message of each run that failed, by run id.
        missing: Ids of runs that are not finished.
    """

    config: StudyConfig
    folder: Path
    runs: tuple[RunResult, ...]
    failed: dict[str, str]
    missing: tuple[str, ...]


def run_folder(study: Path, config: RunConfig) -> Path:
    """Return where a run lies in a study's folder."""
    return study / "runs" / config.run_id


def read_study_config(folder: Path) -> StudyConfig:
    """Read `study.json`.

    Args:
        folder: The study's folder.

    Returns:
        The configuration.

    Raises:
        InputError: if there is none, or it is not one of ours.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        raise InputError(f"no {STUDY_FILE} in {folder}: start one with `spectraledge study run quick --out {folder}`")
    try:
        return StudyConfig.model_validate(read_json(path)["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a study of this version: choose another folder") from error


def failure(run: Path, manifest: Manifest) -> str:
    """Return why a run's training or analysis failed, "" if it did not."""
    if manifest.status == "failed" or not (run / ANALYSIS_FILE).is_file():
        return manifest.error
    return str(read_json(run / ANALYSIS_FILE).get("error", ""))


def load_study(folder: Path) -> StudyResult:
    """Read every finished run of a study.

    Args:
        folder: The study's folder.

    Returns:
        The results; runs that failed or are not finished are named, not hidden.

    Raises:
        InputError: if the folder is no study, or a table cannot be read.
    """
    config = read_study_config(folder)
    runs, failed, missing = [], {}, []
    for run in config.runs:
        place = run_folder(folder, run)
        manifest = Manifest.read(place) if Manifest.present(place) else None
        if manifest and (error := failure(place, manifest)):
            failed[run.run_id] = error
        elif manifest and (place / ANALYSIS_FILE).is_file():
            analysis = read_json(place / ANALYSIS_FILE)
            tables = {name: read_table(place / f"{name}.parquet") for name in ("metrics", *RUN_TABLES)}
            operation = OPERATIONS[run.task]
            runs.append(
                RunResult(
                    config=run,
                    manifest=manifest,
                    structure=operation.structure,
                    formula=operation.formula,
                    parameters=analysis["parameters"],
                    **tables,
                )
            )
        else:
            missing.append(run.run_id)
    return StudyResult(config, folder, tuple(runs), failed, tuple(missing))
