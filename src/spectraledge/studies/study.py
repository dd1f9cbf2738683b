"""Running a study: every run is one job, in one process per core, that trains, analyses, and can be killed anywhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import joblib
import pandas as pd
import torch

from spectraledge.errors import InputError
from spectraledge.files import write_json, write_table
from spectraledge.studies.analyses import Analysis, analyses_of, carry_out
from spectraledge.studies.claims import evaluate_claims
from spectraledge.studies.config import AnalysisConfig, StudyConfig
from spectraledge.studies.results import (
    STUDY_FILE,
    StudyResult,
    load_study,
    read_study_config,
    run_folder,
    run_progress,
)
from spectraledge.tasks import named_task
from spectraledge.training import NonFiniteLossError, RunConfig, train_in_folder

_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class RunStatus:
    """Where one run of a study stands, read from its folder alone.

    Attributes:
        run_id: Its folder's name.
        state: "waiting", "training" (or killed while it trained), "analysing", "done" or "failed".
        step: Last recorded step.
        budget: Steps it may take.
        test_accuracy: At that step.
        steps_per_second: Over all its sittings; 0 before the first record.
        error: Why it failed, else "".
    """

    run_id: str
    state: Literal["waiting", "training", "analysing", "done", "failed"]
    step: int
    budget: int
    test_accuracy: float
    steps_per_second: float
    error: str = ""


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    jobs: int | None = None,
    on_progress: Callable[[list[RunStatus]], None] | None = None,
) -> StudyResult:
    """Run a study to the end, or on from where it stopped.

    A run whose loss is no longer finite is marked failed, and the others go on.

    Args:
        config: The study.
        folder: Where it lies; made if missing.
        jobs: Runs at a time, one process each. Default: one per core.
        on_progress: Called about every second with the status of every run, and once at the end.

    Returns:
        Its results; the joined tables (see `Analysis`) and `claims.parquet` are in the folder.

    Raises:
        InputError: if the folder holds another study or something else, or an analysis is unknown.
    """
    analyses = {run.run_id: analyses_of(config, run) for run in config.runs}
    _claim_folder(config, folder)
    pending = [run for run in config.runs if not run_progress(config, folder, run).over]
    if pending:
        workers = min(jobs or joblib.cpu_count(), len(pending))
        with _watching(config, folder, on_progress):
            joblib.Parallel(n_jobs=workers)(
                joblib.delayed(_complete_run)(run, run_folder(folder, run), config.analysis, analyses[run.run_id])
                for run in pending
            )
    result = load_study(folder)
    for name in dict.fromkeys(
        name for run in config.runs for found in analyses_of(config, run) for name in found.joined
    ):
        tables = [_labelled(run.table(name), run.run_id, run.config) for run in result.having(name).runs]
        if tables:
            write_table(folder / f"{name}.parquet", pd.concat(tables, ignore_index=True))
    measured = result.having("modes", "characters")
    if measured.runs:
        write_table(folder / "claims.parquet", evaluate_claims(measured))
    return result


def study_status(folder: Path) -> list[RunStatus]:
    """Tell where every run of a study stands.

    Args:
        folder: The study's folder.

    Returns:
        One status per run, in the recipe's order.

    Raises:
        InputError: if the folder is no study.
    """
    config = read_study_config(folder)
    return [_status(config, folder, run) for run in config.runs]


def _claim_folder(config: StudyConfig, folder: Path) -> None:
    if (folder / STUDY_FILE).is_file():
        known = read_study_config(folder)
        if not config.grows(known):
            raise InputError(
                f"{folder} holds another study (another recipe, seed or version): choose another folder with --out"
            )
        if known.hash == config.hash:
            return
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} exists and is no study: choose another folder with --out")
    write_json(folder / STUDY_FILE, {"hash": config.hash, "config": config.model_dump(mode="json")})


def _complete_run(config: RunConfig, folder: Path, settings: AnalysisConfig, analyses: Sequence[Analysis]) -> None:
    """Train and analyse one run, in a process of its own with one thread."""
    torch.set_num_threads(1)
    try:
        train_in_folder(folder, config, named_task(config.task, modulus=config.model.tokens))
    except NonFiniteLossError:
        return
    for analysis in analyses:
        carry_out(folder, analysis, settings)


def _status(config: StudyConfig, folder: Path, run: RunConfig) -> RunStatus:
    progress = run_progress(config, folder, run)
    manifest, error = progress.manifest, progress.error
    if manifest is None:
        return RunStatus(run.run_id, "waiting", 0, run.steps, 0.0, 0.0)
    state: Literal["training", "analysing", "done", "failed"] = "training"
    if progress.over:
        state = "failed" if error else "done"
    elif manifest.status == "done":
        state = "analysing"
    speed = manifest.step / manifest.wall_seconds if manifest.wall_seconds else 0.0
    return RunStatus(run.run_id, state, manifest.step, run.steps, manifest.test_accuracy, speed, error)


@contextmanager
def _watching(
    config: StudyConfig, folder: Path, on_progress: Callable[[list[RunStatus]], None] | None
) -> Iterator[None]:
    # The run folders are the only channel, so any other process sees the same status.
    if on_progress is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_POLL_SECONDS):
            on_progress([_status(config, folder, run) for run in config.runs])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        on_progress([_status(config, folder, run) for run in config.runs])


def _labelled(table: pd.DataFrame, run_id: str, config: RunConfig) -> pd.DataFrame:
    labelled = table.copy()
    labelled.insert(0, "run", run_id)
    labelled.insert(1, "task", config.task)
    labelled.insert(2, "weight_decay", config.weight_decay)
    labelled.insert(3, "seed", config.seed)
    return labelled
