"""What a study will take: steps, hours and space, before it starts and while it runs."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from statistics import median

import torch

from spectraledge.models import architecture_of
from spectraledge.studies.jobs import waves
from spectraledge.studies.results import RunProgress, run_progress
from spectraledge.studies.retention import EVERY
from spectraledge.studies.study_config import StudyConfig
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig, Trainer
from spectraledge.training.step_rules import MOVES
from spectraledge.trajectory import select_parameters

_BYTES = 4

_TIMED_STEPS = 8


@dataclass(frozen=True)
class Estimate:
    """What is left of a study.

    Attributes:
        runs: Runs that are not over.
        steps: Optimiser steps that they may still take: to their budget, or to where finished runs that differ from
            them only by seed ended (median).
        training_seconds: Of one process, for those steps.
        analysis_seconds: Of one process, for analyses that are not done, at the median of what each took in this study.
        wall_seconds: From start to end, so many jobs at a time, longest first.
        snapshot_bytes: Space of all the study's snapshots in the end, and of what moved the weights.
        untimed: Runs of a shape whose speed is not known; their training is not in the seconds.
        unmeasured: Analyses that no run has had yet; they are not in the seconds.
    """

    runs: int
    steps: int
    training_seconds: float
    analysis_seconds: float
    wall_seconds: float
    snapshot_bytes: int
    untimed: int
    unmeasured: tuple[str, ...]


def estimate_study(
    study: StudyConfig, folder: Path, *, jobs: int = 1, speeds: Mapping[str, float] | None = None
) -> Estimate:
    """Estimate what is left of a study from what its folder holds.

    Args:
        study: The study.
        folder: Its folder; it need not exist.
        jobs: Jobs at a time.
        speeds: Steps per second by shape, for shapes that no run of the study has trained yet; see `time_steps`.

    Returns:
        The estimate.

    Raises:
        InputError: if a manifest or a stamp cannot be read, or a run starts from one that is not in the study.
    """
    progress = {run.run_id: run_progress(study, folder, run) for run in study.runs}
    known = {**(speeds or {}), **_speeds(study, progress)}
    ends, taken = _ends(study, progress), _analysis_seconds(progress)
    steps_of, seconds_of, training, analysis, untimed = dict[str, int](), dict[str, float](), 0.0, 0.0, 0
    unmeasured = dict[str, None]()
    for run in study.runs:
        one = progress[run.run_id]
        if one.over:
            continue
        manifest = one.manifest
        left = max(ends[run.run_id] - (manifest.step if manifest else run.begins), 0)
        steps_of[run.run_id] = 0 if manifest and manifest.status == "done" else left
        speed = known.get(shape(run), 0.0)
        untimed += bool(steps_of[run.run_id] and not speed)
        trained = steps_of[run.run_id] / speed if speed else 0.0
        missing = [name for name, stamp in one.stamps.items() if stamp is None]
        measured = sum(taken.get(name, 0.0) for name in missing)
        unmeasured |= dict.fromkeys(name for name in missing if name not in taken)
        training, analysis = training + trained, analysis + measured
        seconds_of[run.run_id] = trained + measured
    wall = sum(
        _wall([seconds_of[run.run_id] for run in wave if run.run_id in seconds_of], jobs) for wave in waves(study.runs)
    )
    space = sum(_space(run, ends[run.run_id], study) for run in study.runs)
    return Estimate(len(steps_of), sum(steps_of.values()), training, analysis, wall, space, untimed, tuple(unmeasured))


def shape(run: RunConfig) -> str:
    """Name what a run's speed depends on: sizes, batch and engine."""
    return f"{run.model.model_dump_json()} {run.batch_size} {run.engine}"


def time_steps(study: StudyConfig, folder: Path) -> dict[str, float]:
    """Train a few steps of every shape that no run of a study has trained yet, without compiling and in memory.

    Args:
        study: The study.
        folder: Its folder.

    Returns:
        Steps per second of one process, by shape. A run that PyTorch compiles is faster, and pays for it.

    Raises:
        InputError: if a run's task is none of ours.

    Cost: about ten steps of each shape.
    """
    progress = {run.run_id: run_progress(study, folder, run) for run in study.runs}
    known = _speeds(study, progress)
    unknown = {shape(run): run for run in study.runs if shape(run) not in known and not progress[run.run_id].over}
    return {name: _time(run) for name, run in unknown.items()}


def _time(run: RunConfig) -> float:
    eager = run.model_copy(update={"engine": "eager", "start": "", "fork": None, "interventions": ()})
    threads = torch.get_num_threads()
    # As in a job: several threads that wait for busy cores take many times as long.
    torch.set_num_threads(1)
    try:
        trainer = Trainer(eager, any_task(run.task, modulus=run.model.tokens))
        # The first steps also set up buffers.
        trainer.stack.advance(2)
        began = time.perf_counter()
        trainer.stack.advance(_TIMED_STEPS)
        return _TIMED_STEPS / (time.perf_counter() - began)
    finally:
        torch.set_num_threads(threads)


def _speeds(study: StudyConfig, progress: Mapping[str, RunProgress]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in study.runs:
        manifest = progress[run.run_id].manifest
        if manifest and manifest.step > run.begins and manifest.wall_seconds:
            found.setdefault(shape(run), []).append((manifest.step - run.begins) / manifest.wall_seconds)
    return {name: median(speeds) for name, speeds in found.items()}


def _ends(study: StudyConfig, progress: Mapping[str, RunProgress]) -> dict[str, int]:
    """Return the step at which each run ends, or may be expected to."""
    alike: dict[str, list[int]] = {}
    kinds = {run.run_id: run.model_copy(update={"seed": 0, "start": "", "fork": None}).hash for run in study.runs}
    for run in study.runs:
        manifest = progress[run.run_id].manifest
        if manifest and manifest.status == "done":
            alike.setdefault(kinds[run.run_id], []).append(manifest.step)
    ends = {}
    for run in study.runs:
        manifest, others = progress[run.run_id].manifest, alike.get(kinds[run.run_id])
        over = manifest is not None and manifest.status != "running"
        expected = int(median(others)) if others else run.steps
        ends[run.run_id] = manifest.step if over and manifest else max(expected, manifest.step if manifest else 0)
    return ends


def _analysis_seconds(progress: Mapping[str, RunProgress]) -> dict[str, float]:
    taken: dict[str, list[float]] = {}
    for one in progress.values():
        for name, stamp in one.stamps.items():
            if stamp and not stamp.error:
                taken.setdefault(name, []).append(stamp.seconds)
    return {name: median(seconds) for name, seconds in taken.items()}


def _wall(seconds: list[float], jobs: int) -> float:
    """Hand out work, longest first, to whoever is free first."""
    busy = [0.0] * jobs
    for one in sorted(seconds, reverse=True):
        busy[busy.index(min(busy))] += one
    return max(busy)


def _space(run: RunConfig, end: int, study: StudyConfig) -> int:
    shapes = architecture_of(run.model).shapes
    watched = select_parameters(shapes, run.watched).matched
    snapshot = _BYTES * sum(prod(size) for size in shapes.values())
    moves = _BYTES * len(MOVES) * sum(prod(shapes[name]) for name in watched)
    count = (end - run.begins) // run.every + 1
    if study.keep == "window":
        # Two windows at most beside one in ten: the last, and the one up to where it generalised.
        count = min(count, count // EVERY + 2 * (study.analysis.window + 1))
    return count * (snapshot + moves)
