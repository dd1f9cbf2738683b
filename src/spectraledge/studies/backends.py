"""Where jobs are done: processes of this machine, a dask or ray cluster that is there, or a queue such as Slurm's."""

import functools
import importlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import joblib

from spectraledge.errors import InputError
from spectraledge.studies.jobs import Job

BackendName = Literal["processes", "dask", "ray", "submitit"]

Work = Callable[[Job], str]

_LOOK = 1.0
"""Seconds from one look at whether the parent is there to the next."""

_SHARED = ("name", "timeout_min", "mem_gb", "cpus_per_task", "tasks_per_node", "nodes", "gpus_per_node")
"""Parameters that submitit has for every queue; others are Slurm's own."""


@dataclass(frozen=True)
class Backend:
    """Where and how jobs are done.

    Attributes:
        name: "processes", "dask", "ray" or "submitit".
        jobs: How many at a time, at most. Default: for processes one per core (over `threads`), else as many as the
            cluster takes.
        threads: Threads and cores of each job.
        address: Of the dask scheduler (tcp://host:8786), or of the ray cluster (default "auto": this machine's).
        options: Of submitit: `cluster` ("slurm" or "local"; default what is there), and parameters of the queue, such
            as `partition`, `time` (minutes) or `mem_gb`.
    """

    name: BackendName = "processes"
    jobs: int | None = None
    threads: int = 1
    address: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in _BACKENDS:
            raise InputError(f"unknown backend {self.name!r}: expected {', '.join(_BACKENDS)}")
        if self.address and self.name not in ("dask", "ray"):
            raise InputError(f"backend {self.name!r} has no address, got {self.address!r}: leave it out")
        if self.options and self.name != "submitit":
            raise InputError(f"backend {self.name!r} has no options, got {', '.join(self.options)}: leave them out")
        if self.name == "dask" and not self.address:
            raise InputError("backend 'dask' needs the address of a scheduler, such as tcp://host:8786")

    @property
    def workers(self) -> int:
        """How many jobs are done at a time, where that is known; 1 where only the cluster knows."""
        return self.jobs or (max(1, joblib.cpu_count() // self.threads) if self.name == "processes" else 1)

    def run(self, work: Work, jobs: Sequence[Job], *, logs: Path) -> list[str]:
        """Do jobs, in their order where not all can be done at once.

        Args:
            work: What is done with each; it says "" when all is well.
            jobs: The jobs.
            logs: Folder for what a queue needs and writes.

        Returns:
            What each said, or all that is known of how it was lost.

        Raises:
            InputError: if a library is missing or no cluster is found.
        """
        return _BACKENDS[self.name](self, work, jobs, logs) if jobs else []


def _processes(backend: Backend, work: Work, jobs: Sequence[Job], logs: Path) -> list[str]:
    workers = min(backend.workers, len(jobs))
    # One by one and not in batches: jobs take minutes to hours.
    run = joblib.Parallel(n_jobs=workers, batch_size=1)
    with warnings.catch_warnings():
        # A worker that has grown by what a job left in its memory is replaced between two jobs, and nothing is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
        return list(run(joblib.delayed(_attended)(work, os.getpid(), job) for job in jobs))


def _attended(work: Work, parent: int, job: Job) -> str:
    """Do a job in a worker that ends with its parent: killed at any moment, a job goes on when it is done again."""
    if os.getpid() != parent:
        _end_with(parent)
    return work(job)


@functools.cache
def _end_with(parent: int) -> None:
    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _dask(backend: Backend, work: Work, jobs: Sequence[Job], logs: Path) -> list[str]:
    distributed = _library("distributed", "dask")
    try:
        client = distributed.Client(backend.address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"no dask scheduler answers at {backend.address} ({error}): start one, or mend it") from error
    with client:
        waiting, futures, said = list(enumerate(jobs)), dict[Any, int](), [""] * len(jobs)
        completed = distributed.as_completed(loop=client.loop)
        for place, job in waiting[: backend.jobs]:
            futures[client.submit(work, job, pure=False, retries=0)] = place
        completed.update(futures)
        del waiting[: len(futures)]
        for future in completed:
            failure = future.exception()
            if isinstance(failure, OSError):
                raise failure
            said[futures[future]] = future.result() if failure is None else _lost(failure)
            if waiting:
                place, job = waiting.pop(0)
                following = client.submit(work, job, pure=False, retries=0)
                futures[following] = place
                completed.add(following)
    return said


def _ray(backend: Backend, work: Work, jobs: Sequence[Job], logs: Path) -> list[str]:
    ray = _library("ray", "ray")
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(address=backend.address or "auto", log_to_driver=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"no ray cluster found ({error}): start one with `ray start --head`") from error
    try:
        remote = ray.remote(num_cpus=backend.threads, max_retries=0)(work)
        waiting, places, said = list(enumerate(jobs)), dict[Any, int](), [""] * len(jobs)
        at_once = backend.jobs or len(jobs)
        while waiting or places:
            while waiting and len(places) < at_once:
                place, job = waiting.pop(0)
                places[remote.remote(job)] = place
            (done,), _ = ray.wait(list(places), num_returns=1)
            place = places.pop(done)
            try:
                said[place] = ray.get(done)
            except OSError:
                raise
            except ray.exceptions.RayError as error:
                said[place] = _lost(getattr(error, "cause", error))
    finally:
        if ours:
            ray.shutdown()
    return said


def _submitit(backend: Backend, work: Work, jobs: Sequence[Job], logs: Path) -> list[str]:
    submitit = _library("submitit", "submitit")
    options = dict(backend.options)
    cluster = options.pop("cluster", None)
    executor = submitit.AutoExecutor(folder=logs, cluster=cluster)
    parameters: dict[str, Any] = {"name": "spectraledge", "cpus_per_task": backend.threads}
    if backend.jobs:
        parameters["slurm_array_parallelism"] = backend.jobs
    for name, value in options.items():
        known = name in _SHARED or name.startswith("slurm_")
        parameters[name if known else f"slurm_{name}"] = int(value) if value.isdecimal() else value
    executor.update_parameters(**parameters)
    said = []
    for job in executor.map_array(work, jobs):
        error = job.exception()
        said.append(job.result() if error is None else _lost(error))
    return said


def _lost(error: BaseException) -> str:
    return f"the job was lost: {type(error).__name__}: {error}"


def _library(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"backend {extra!r} needs {module}: install it with pip install 'spectraledge[{extra}]'"
        ) from error


_BACKENDS: dict[str, Callable[[Backend, Work, Sequence[Job], Path], list[str]]] = {
    "processes": _processes,
    "dask": _dask,
    "ray": _ray,
    "submitit": _submitit,
}
