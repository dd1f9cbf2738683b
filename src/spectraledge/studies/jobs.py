"""Jobs of a study: one run from training to its last table, done by one process and safe against all others."""

import fcntl
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import Stamp, carry_out
from spectraledge.devices import usable_device
from spectraledge.errors import DamageError, InputError
from spectraledge.files import read_json, write_json
from spectraledge.studies.retention import thin
from spectraledge.studies.study_config import Keep
from spectraledge.tasks import any_task
from spectraledge.training import NonFiniteLossError, RunConfig, train_in_folder
from spectraledge.trajectory import Manifest
from spectraledge.trajectory.inventory import damages

BUSY = "busy"
"""What a job says when another process is at its run."""

_LOOK = 0.5
"""Seconds from one look at whether a run is trained to the next."""


@dataclass(frozen=True)
class Job:
    """One run of a study, trained and analysed; what of it is done already is not done again.

    Attributes:
        run: The run.
        study: The study's folder, the same path wherever jobs are done.
        settings: How it is analysed.
        analyses: By what.
        keep: Which snapshots stay when all is done; see `thin`.
        threads: Of PyTorch. Numbers are bit-identical at equal threads.
        keep_states: Steps at which its state is kept, for the study's forks of it.
        wait: Whether to wait for another process that is at the run.
        repair: Whether a run of which something is damaged is made again; see `train_in_folders`.
        part: What of it is done: all, the training alone, or analyses beside the process that is at the run.
    """

    run: RunConfig
    study: Path
    settings: AnalysisConfig
    analyses: tuple[Analysis, ...]
    keep: Keep = "all"
    threads: int = 1
    keep_states: tuple[int, ...] = ()
    wait: bool = False
    repair: bool = False
    part: Literal["whole", "training", "help"] = "whole"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return run_folder(self.study, self.run)


class Trouble(BaseModel):
    """Why a job ended before its run was trained, `jobs/<run-id>.json` of a study; gone when it is tried again.

    In one line; and all that is known of it, where the job broke down (a mistake of ours, a worker that was killed).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    error: str
    traceback: str = ""


def run_folder(study: Path, run: RunConfig) -> Path:
    """Return where a run lies in a study's folder."""
    return study / "runs" / run.run_id


def trouble_path(study: Path, run: RunConfig) -> Path:
    """Return where a job leaves why it ended early."""
    return study / "jobs" / f"{run.run_id}.json"


def read_trouble(study: Path, run: RunConfig) -> Trouble | None:
    """Read why a run's last job ended early, None where it did not."""
    path = trouble_path(study, run)
    return Trouble.model_validate(read_json(path)) if path.is_file() else None


def write_trouble(study: Path, run: RunConfig, trouble: Trouble) -> None:
    """Write why a run's job ended early."""
    write_json(trouble_path(study, run), trouble.model_dump(mode="json"))


def complete(job: Job) -> str:
    """Do a job: train, analyse, thin. Killed at any moment, it goes on from there when it is done again.

    An analysis is done by whoever gets to it first, the process that has the run or one that helps. What goes wrong in
    helping is left to the former, which does it again.

    A run whose loss is no longer finite and analyses that fail are marked in the run folder. Whatever else ends the job
    is left as `Trouble`; only errors of the system (no space, no permission) are raised, as they will meet all jobs.

    Returns:
        "" when it is over, `BUSY` where another process is at the run and the job does not wait, or why nothing could
        be done here.

    Raises:
        OSError: if the system refuses.
    """
    if not job.study.is_dir():
        return (
            f"{job.study} is not seen where the job runs: jobs need the study on a file system that all machines share"
        )
    if job.part == "help":
        with suppress(Exception):
            _help(job)
        return ""
    with _held(_lock_path(job.study, job.run), wait=job.wait) as alone:
        if not alone:
            return BUSY
        trouble_path(job.study, job.run).unlink(missing_ok=True)
        try:
            _complete(job)
        except OSError:
            raise
        except NonFiniteLossError:
            return ""
        except InputError as error:
            write_trouble(job.study, job.run, Trouble(error=str(error)))
        except Exception as error:
            lines = f"{type(error).__name__}: {error}".splitlines()
            write_trouble(job.study, job.run, Trouble(error=lines[0], traceback=traceback.format_exc()))
    return ""


def waves(runs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Sort runs into waves: each comes after the one it starts from, which must be there; long ones first in a wave."""
    left, waves, placed = list(runs), list[list[RunConfig]](), {""}
    while left:
        wave = [run for run in left if run.parent in placed]
        if not wave:
            raise InputError(
                f"{left[0].run_id} starts from the run with hash {left[0].parent[:8]}…, which the study does not have: "
                "add it"
            )
        waves.append(sorted(wave, key=length, reverse=True))
        left = [run for run in left if run.parent not in placed]
        placed |= {run.hash for run in wave}
    return waves


def shared_out(jobs: Sequence[Job], workers: int) -> list[Job]:
    """Return jobs in an order that leaves no worker idle while others do the last of them.

    Jobs that do not fill a round of all workers are trained early and analysed last, when every worker that is free
    takes some of their analyses; so it does of the jobs of the last round. Every job is there whole, once; trainings of
    some before, and help for some after.
    """
    left = len(jobs) % workers
    if workers < 2 or any(job.repair for job in jobs):
        return list(jobs)
    early = [replace(job, part="training") for job in jobs[-left:]] if 0 < left < len(jobs) else []
    last = jobs[-workers:]
    copies = min(workers - 1, max((len(job.analyses) for job in last), default=0))
    helps = [replace(job, part="help") for _ in range(copies) for job in last]
    return [*jobs[: workers - 1], *early, *jobs[workers - 1 :], *helps]


def forked_at(runs: Sequence[RunConfig], run: RunConfig) -> tuple[int, ...]:
    """Return the steps at which other runs fork one, ascending."""
    mine = run.hash
    return tuple(sorted({one.fork.step for one in runs if one.fork and one.fork.run == mine}))


def length(run: RunConfig) -> int:
    """Return about how long a run may take, in inputs times what each takes."""
    pairs = run.batch_size or round(run.train_fraction * run.model.tokens**2)
    return (run.steps - run.begins) * pairs * run.model.work


def busy(study: Path, run: RunConfig) -> bool:
    """Tell whether a process is at a run, as far as locks are seen from this machine."""
    lock = _lock_path(study, run)
    if not lock.is_file():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_path(study: Path, run: RunConfig) -> Path:
    return trouble_path(study, run).with_suffix(".lock")


def _complete(job: Job) -> None:
    usable_device(job.settings.device)
    torch.set_num_threads(job.threads)
    if (faults := damages(job.folder, quick=True)) and not job.repair:
        raise DamageError(faults[0])
    task = any_task(job.run.task, modulus=job.run.model.tokens)
    train_in_folder(job.folder, job.run, task, repair=job.repair, keep_states=job.keep_states)
    if job.part == "training":
        return
    mine = _carry_out(job, job.analyses, wait=False)
    others = [analysis for analysis in job.analyses if analysis.name not in mine]
    stamps = {**mine, **_carry_out(job, others, wait=True)}
    if job.keep == "window" and not any(stamp.error for stamp in stamps.values()):
        thin(job.folder, window=job.settings.window)


def _carry_out(job: Job, analyses: Iterable[Analysis], *, wait: bool) -> dict[str, Stamp]:
    """Carry analyses out, those that another process is at only if told to wait for it; stamps by name."""
    found = {}
    for analysis in analyses:
        lock = trouble_path(job.study, job.run).with_suffix(f".{analysis.name}.lock")
        with _held(lock, wait=wait) as held:
            if held:
                found[analysis.name] = carry_out(job.folder, analysis, job.settings)
    return found


def _help(job: Job) -> None:
    """Carry analyses out beside the process that is at a run, the last first, as soon as it is trained."""
    torch.set_num_threads(job.threads)
    while busy(job.study, job.run) and not _trained(job):
        time.sleep(_LOOK)
    if _trained(job):
        _carry_out(job, reversed(job.analyses), wait=False)


def _trained(job: Job) -> bool:
    return Manifest.present(job.folder) and Manifest.read(job.folder).status == "done"


@contextmanager
def _held(lock: Path, *, wait: bool) -> Iterator[bool]:
    """Hold a lock if no other process does, or wait for it; yield whether it is held."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
