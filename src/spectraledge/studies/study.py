"""Running a study: every run is one job, done wherever the backend says, and the study can be killed anywhere."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.errors import DamageError, InputError
from spectraledge.files import write_sealed, write_table
from spectraledge.studies.backends import Backend
from spectraledge.studies.hashes import distrust_altered, write_hashes
from spectraledge.studies.jobs import BUSY, Job, Trouble, complete, forked_at, shared_out, waves, write_trouble
from spectraledge.studies.results import (
    STUDY_FILE,
    StudyResult,
    damages_of,
    load_study,
    read_study_config,
    run_progress,
)
from spectraledge.studies.study_config import StudyConfig, analyses_of
from spectraledge.training import RunConfig

OPENING = "score"
"""The analysis that is done before others: reports open with it."""

_POLL_SECONDS = 1.0
_POLL_REST = 50
"""Least time between looks at all runs, over the time that a look takes."""


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
        scored: Whether its score is measured, which reports open with.
    """

    run_id: str
    state: Literal["waiting", "training", "analysing", "done", "failed"]
    step: int
    budget: int
    test_accuracy: float
    steps_per_second: float
    error: str = ""
    scored: bool = False


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    backend: Backend | None = None,
    jobs: int | None = None,
    repair: bool = False,
    on_progress: Callable[[list[RunStatus]], None] | None = None,
) -> StudyResult:
    """Run a study to the end, or on from where it stopped.

    Every run is a job (see `complete`); a run that starts from another's weights is done after it, and long ones come
    first. A run that fails is named in the result, and the others go on. What a folder has of the study is not done
    again; a study that has grown, by runs or analyses, goes on in its folder. Several processes may run one study at
    once: each does the jobs that no other is at, then waits for the rest.

    Args:
        config: The study.
        folder: Where it lies; made if missing.
        backend: Where jobs are done. Default: processes of this machine.
        jobs: Jobs at a time, where no backend is given. Default: one per core.
        repair: Whether runs of which files are not what was written are made again, see `train_in_folders`, and so is
            `study.json`; all files are read for that. Tables are measured again in any case.
        on_progress: Called about every second with the status of every run, and once at the end.

    Returns:
        Its results; the joined tables (see `Analysis`), `claims.parquet`, for claims over seeds
        also `claims_by_seed.parquet`, and `manifest.json` are in the folder, but for a study with damaged runs, which
            keeps what it had.

    Raises:
        InputError: if the folder holds another study or something else, a value is not allowed, an analysis is
            unknown, a run starts from one that is not in the study, or the backend cannot be used.
        OSError: if the system refuses to write.
    """
    config, backend = config.checked(), backend or Backend(jobs=jobs)
    analyses = {
        run.run_id: tuple(sorted(analyses_of(config, run), key=lambda found: found.name != OPENING))
        for run in config.runs
    }
    ordered = waves(config.runs)
    _claim_folder(config, folder, repair=repair)
    distrust_altered(folder)
    place = folder.resolve()
    with _watching(config, folder, on_progress):
        for wave in ordered:
            work = [
                Job(
                    run,
                    place,
                    config.analysis,
                    analyses[run.run_id],
                    config.keep,
                    backend.threads,
                    forked_at(config.runs, run),
                    repair=repair,
                )
                for run in wave
                if not run_progress(config, folder, run).over or damages_of(config, folder, run, quick=not repair)
            ]
            _do(backend, _do(backend, work))
    if config.keep == "window":
        _thin(config, folder)
    result = load_study(folder)
    if result.damaged:
        return result
    for name in dict.fromkeys(name for found in analyses.values() for one in found for name in one.joined):
        tables = [_labelled(run.table(name), run.run_id, run.config) for run in result.having(name).runs]
        if tables:
            write_table(folder / f"{name}.parquet", pd.concat(tables, ignore_index=True))
    _evaluate(result, folder)
    write_hashes(folder)
    return result


def _evaluate(result: StudyResult, folder: Path) -> None:
    answers = QUESTIONS[result.config.questions](result.runs)
    if isinstance(answers, Verdicts):
        write_table(folder / "claims.parquet", answers.claims)
        write_table(folder / "claims_by_seed.parquet", answers.by_seed)
        write_table(folder / "effects.parquet", answers.effects.rows)
    elif len(answers):
        write_table(folder / "claims.parquet", answers)


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


def _claim_folder(config: StudyConfig, folder: Path, *, repair: bool) -> None:
    if (folder / STUDY_FILE).is_file():
        try:
            known = read_study_config(folder)
        except DamageError:
            if not repair:
                raise
            known = config
            _write_config(config, folder)
        if not config.grows(known):
            raise InputError(
                f"{folder} holds another study (another recipe, seed or version): choose another folder with --out"
            )
        if known == config:
            return
    # Runs that were trained without a study are welcome: each folder is checked against its run.
    elif folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {"runs"}):
        raise InputError(f"{folder} exists and is no study: choose another folder with --out")
    _write_config(config, folder)


def _write_config(config: StudyConfig, folder: Path) -> None:
    write_sealed(folder / STUDY_FILE, {"hash": config.hash, "config": config.model_dump(mode="json")})


def _do(backend: Backend, jobs: Sequence[Job]) -> list[Job]:
    """Do jobs, note those that were lost, and return those that others are at, to be waited for."""
    # On a cluster a job that only helps would take another's place in the queue.
    arranged = shared_out(jobs, backend.workers if backend.name == "processes" else 1)
    said = backend.run(complete, arranged, logs=jobs[0].study / "jobs" / backend.name) if jobs else []
    whole = [(job, words) for job, words in zip(arranged, said, strict=True) if job.part == "whole"]
    for job, words in whole:
        if words not in ("", BUSY):
            write_trouble(job.study, job.run, Trouble(error=words.splitlines()[0], traceback=words))
    return [replace(job, wait=True) for job, words in whole if words == BUSY]


def _thin(config: StudyConfig, folder: Path) -> None:
    """Thin runs that were over before they were to be thinned."""
    for run in config.runs:
        progress = run_progress(config, folder, run)
        if progress.over and not progress.error and progress.manifest and not progress.manifest.thinned:
            analyses = tuple(analyses_of(config, run))
            kept = forked_at(config.runs, run)
            complete(Job(run, folder, config.analysis, analyses, config.keep, keep_states=kept, wait=True))


def _status(config: StudyConfig, folder: Path, run: RunConfig) -> RunStatus:
    progress = run_progress(config, folder, run)
    manifest, error = progress.manifest, progress.error
    if manifest is None:
        return RunStatus(run.run_id, "failed" if error else "waiting", 0, run.steps, 0.0, 0.0, error)
    state: Literal["training", "analysing", "done", "failed"] = "training"
    if progress.over or progress.trouble or progress.damage:
        state = "failed" if error else "done"
    elif manifest.status == "done":
        state = "analysing"
    speed = manifest.step / manifest.wall_seconds if manifest.wall_seconds else 0.0
    score = progress.stamps.get(OPENING)
    scored = score is not None and not score.error
    return RunStatus(run.run_id, state, manifest.step, run.steps, manifest.test_accuracy, speed, error, scored)


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
        pause = _POLL_SECONDS
        while not over.wait(pause):
            began = time.monotonic()
            on_progress([_status(config, folder, run) for run in config.runs])
            # Many runs take long to read; jobs need the cores.
            pause = max(_POLL_SECONDS, _POLL_REST * (time.monotonic() - began))

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
