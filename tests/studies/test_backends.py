"""The same jobs on every backend: processes, dask and ray clusters, and submitit's local queue."""

import os
import sys
from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.studies import AnalysisConfig, Backend, StudyConfig, run_study, study, study_status
from spectraledge.studies.jobs import Job, complete, read_trouble

SIZES = {"width": 12, "heads": 2, "hidden": 16}


def config() -> StudyConfig:
    """Two runs, of which the second diverges."""
    settings = {"steps": 40, "every": 5, "batch_size": 16, "stop_accuracy": 2.0}
    runs = tuple(
        RunConfig.for_task(named_task("add", modulus=7), SIZES, learning_rate=rate, **settings) for rate in (1e-3, 1e30)
    )
    return StudyConfig(name="two", runs=runs, analysis=AnalysisConfig(window=5, analyses=("spectrum",), surrogates=0))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The spectrum that one process finds."""
    return run_study(config(), tmp_path_factory.mktemp("studies") / "here", jobs=1).runs[0].spectrum


def one_crashes(job: Job) -> str:
    """Do the first run's job, and break down on the second's."""
    return complete(job) if job.run.learning_rate == 1e-3 else str(1 / 0)


def check(backend: Backend, folder: Path, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run is done as in one process, the other lost and named; tried again at home, it is what it is."""
    monkeypatch.setattr(study, "complete", one_crashes)
    result = run_study(config(), folder, backend=backend)
    assert [status.state for status in study_status(folder)] == ["done", "failed"]
    pd.testing.assert_frame_equal(result.runs[0].spectrum, expected, check_exact=True)
    broken = config().runs[1]
    assert result.crashed == (broken.run_id,)
    trouble = read_trouble(folder, broken)
    assert trouble is not None
    assert trouble.error.startswith("the job was lost: ")
    assert "division by zero" in trouble.traceback
    monkeypatch.undo()
    again = run_study(config(), folder, jobs=1)
    assert "lower the learning rate" in again.failed[broken.run_id]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import what this process does."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))


@pytest.mark.filterwarnings("default")
def test_dask(tmp_path: Path, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        check(Backend("dask", address=cluster.scheduler_address), tmp_path / "study", expected, monkeypatch)


@pytest.mark.filterwarnings("default")
def test_ray(tmp_path: Path, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    # Nothing is written into the home folder, and nobody told.
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        check(Backend("ray"), tmp_path / "study", expected, monkeypatch)
    finally:
        ray.shutdown()


@pytest.mark.filterwarnings("default")
def test_submitit(tmp_path: Path, expected: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    check(Backend("submitit", options={"cluster": "local"}), tmp_path / "study", expected, monkeypatch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "threads"}, "unknown backend 'threads': expected processes, dask, ray, submitit"),
        ({"address": "tcp://here:1"}, "backend 'processes' has no address, got 'tcp://here:1'"),
        ({"name": "ray", "options": {"time": "3"}}, "backend 'ray' has no options, got time"),
        ({"name": "dask"}, "backend 'dask' needs the address of a scheduler"),
    ],
)
def test_what_a_backend_does_not_take_is_refused(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Backend(**settings)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r"needs submitit: install it with pip install 'spectraledge\[submitit\]'"):
        run_study(config(), tmp_path / "study", backend=Backend("submitit"))


def test_cores_are_shared_out() -> None:
    assert Backend(jobs=3).workers == 3
    assert Backend(threads=10**6).workers == 1
    assert Backend("ray").workers == 1
