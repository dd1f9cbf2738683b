"""Jobs: alone at their run, in waves, resumed wherever they stopped, and named where they end early."""

import fcntl
import random
import threading
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.studies import ANALYSES, Analysis, AnalysisConfig, StudyConfig, busy, run_study, study_status
from spectraledge.studies import jobs as jobs_module
from spectraledge.studies.jobs import BUSY, Job, complete, forked_at, read_trouble, shared_out, waves
from spectraledge.tasks import joint_task
from spectraledge.training import train_in_folder
from spectraledge.training.config import Fork

SIZES = {"width": 12, "heads": 2, "hidden": 16}
SETTINGS = AnalysisConfig(window=5, surrogates=0, analyses=("spectrum",))


def small(seed: int = 0, **settings: object) -> RunConfig:
    chosen = {"steps": 40, "every": 5, "batch_size": 16, "stop_accuracy": 2.0, **settings}
    return RunConfig.for_task(named_task("add", modulus=7), SIZES, seed=seed, **chosen)


def study(*runs: RunConfig, **settings: object) -> StudyConfig:
    return StudyConfig(name="jobs", runs=runs, analysis=SETTINGS, **settings)


def job(folder: Path, run: RunConfig) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(run, folder, SETTINGS, (ANALYSES["spectrum"],))


def chain(length: int) -> list[RunConfig]:
    """Runs of which each starts from the one before."""
    runs = [small()]
    while len(runs) < length:
        runs.append(small(start=runs[-1].hash))
    return runs


@pytest.mark.parametrize("seed", range(5))
def test_waves_keep_what_starts_from_another_behind_it(seed: int) -> None:
    rng = random.Random(seed)
    runs = [small(number, steps=40 * rng.randint(1, 4)) for number in range(4)]
    for number in range(4, 12):
        runs.append(small(number, start=rng.choice(runs).hash, steps=40 * rng.randint(1, 4)))
    rng.shuffle(runs)
    sorted_in = waves(runs)
    level = {run.hash: place for place, wave in enumerate(sorted_in) for run in wave}
    assert len(level) == len(runs)
    for run in runs:
        assert level[run.hash] == (level[run.start] + 1 if run.start else 0)
    for wave in sorted_in:
        assert [run.steps for run in wave] == sorted((run.steps for run in wave), reverse=True)


def test_work_of_a_scheduler_grows_as_its_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No two runs are compared, and none but the run itself is hashed to find its forks: both would grow as squares."""
    runs = [small(number) for number in range(3)]
    fork = Fork(run=runs[0].hash, step=20)
    runs += [small(number, fork=fork) for number in (3, 4)]
    with monkeypatch.context() as patched:
        patched.setattr(RunConfig, "__eq__", lambda *_: pytest.fail("two runs were compared"))
        sorted_in = waves(runs)
    assert sorted_in == [runs[:3], runs[3:]]
    asked, hash_ = list[RunConfig](), RunConfig.hash.fget
    assert hash_ is not None
    monkeypatch.setattr(RunConfig, "hash", property(lambda run: asked.append(run) or hash_(run)))
    assert forked_at(runs, runs[0]) == (20,)
    assert len(asked) == 1


def test_a_start_outside_the_study_is_refused() -> None:
    with pytest.raises(InputError, match="which the study does not have: add it"):
        waves(chain(2)[1:])


def test_runs_that_start_from_others_are_trained_after_them(tmp_path: Path) -> None:
    parts = [named_task(name, modulus=7) for name in ("add", "mul")]
    settings = {"steps": 40, "every": 5, "batch_size": 16, "stop_accuracy": 2.0}
    first = RunConfig.for_task(joint_task(parts), SIZES, **settings)
    second = RunConfig.for_task(joint_task([named_task("square_sum", modulus=7)]), SIZES, start=first.hash, **settings)
    result = run_study(study(second, first), tmp_path / "study", jobs=1)
    assert not result.failed
    assert [len(run.spectrum) > 0 for run in result.runs] == [True, True]
    assert [run.formula for run in result.runs] == ["a² + b²", "a + b and a·b"]
    assert [run.structure for run in result.runs] == ["output", "dlog_sum"]


def test_a_run_whose_start_failed_is_named_too(tmp_path: Path) -> None:
    first = small(learning_rate=1e30)
    second = small(start=first.hash)
    folder = tmp_path / "study"
    result = run_study(study(first, second), folder, jobs=1)
    assert "lower the learning rate" in result.failed[first.run_id]
    assert "not there or not finished" in result.failed[second.run_id]
    assert [status.state for status in study_status(folder)] == ["failed", "failed"]
    assert not result.crashed
    assert not result.missing


def test_a_run_belongs_to_one_job_at_a_time(tmp_path: Path) -> None:
    work = job(tmp_path / "study", small())
    lock = tmp_path / "study" / "jobs" / f"{work.run.run_id}.lock"
    assert not busy(work.study, work.run)
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert busy(work.study, work.run)
        assert complete(work) == BUSY
        assert not work.folder.exists()
    assert not busy(work.study, work.run)
    assert complete(replace(work, wait=True)) == ""
    assert (work.folder / "spectrum.parquet").is_file()


def test_runs_that_others_are_at_come_last_and_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, seen = [small(seed) for seed in range(3)], list[tuple[int, bool]]()

    def taken(work: Job) -> str:
        seen.append((work.run.seed, work.wait))
        return BUSY if work.run.seed == 0 and not work.wait else complete(work)

    monkeypatch.setattr("spectraledge.studies.study.complete", taken)
    result = run_study(study(*runs), tmp_path / "study", jobs=1)
    assert seen == [(0, False), (1, False), (2, False), (0, True)]
    assert len(result.runs) == 3


@pytest.mark.parametrize(("runs", "workers"), [(1, 2), (2, 2), (4, 2), (5, 2), (5, 3), (7, 4), (2, 8)])
def test_jobs_are_shared_out_so_that_the_last_ones_are_helped(tmp_path: Path, runs: int, workers: int) -> None:
    jobs = [job(tmp_path / "study", small(seed)) for seed in range(runs)]
    arranged = shared_out(jobs, workers)
    assert [one for one in arranged if one.part == "whole"] == jobs
    early = [one.run for one in arranged if one.part == "training"]
    left = runs % workers if runs > workers else 0
    assert early == ([one.run for one in jobs[-left:]] if left else [])
    for run in early:
        # Everybody else is still at a first job when these begin.
        assert [one.run for one in arranged].index(run) <= workers - 1 + len(early)
    helps = [one.run for one in arranged if one.part == "help"]
    assert set(helps) == {one.run for one in jobs[-workers:]}
    assert [one.part for one in arranged[-len(helps) :]] == ["help"] * len(helps)


def test_one_worker_and_what_is_repaired_have_no_help(tmp_path: Path) -> None:
    jobs = [job(tmp_path / "study", small(seed)) for seed in range(3)]
    assert shared_out(jobs, 1) == jobs
    mended = [replace(one, repair=True) for one in jobs]
    assert shared_out(mended, 2) == mended
    assert shared_out([], 2) == []


def test_help_is_given_to_trained_runs_alone(tmp_path: Path) -> None:
    work = job(tmp_path / "study", small())
    assert complete(replace(work, part="help")) == ""
    assert not work.folder.exists()
    assert complete(replace(work, part="training")) == ""
    assert not (work.folder / "spectrum.parquet").exists()
    assert complete(replace(work, part="help")) == ""
    helped = (work.folder / "spectrum.parquet").stat().st_mtime_ns
    assert complete(work) == ""
    assert (work.folder / "spectrum.parquet").stat().st_mtime_ns == helped


def test_a_job_waits_for_the_analysis_that_another_is_at(tmp_path: Path) -> None:
    work = job(tmp_path / "study", small())
    complete(replace(work, part="training"))
    lock = tmp_path / "study" / "jobs" / f"{work.run.run_id}.spectrum.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        at_work = threading.Thread(target=complete, args=(work,))
        at_work.start()
        at_work.join(timeout=1.0)
        assert at_work.is_alive()
        assert not (work.folder / "spectrum.parquet").exists()
        # Another helper goes past it.
        assert complete(replace(work, part="help")) == ""
    # Whoever was at it is gone, killed before its end.
    at_work.join(timeout=60.0)
    assert (work.folder / "spectrum.parquet").is_file()


def test_what_goes_wrong_in_helping_is_named_by_the_job_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
        raise RuntimeError("a bug")

    analysis = Analysis("spectrum", broken, (), settings=())
    work = replace(job(tmp_path / "study", small()), analyses=(analysis,))
    complete(replace(work, part="training"))
    assert complete(replace(work, part="help")) == ""
    assert read_trouble(work.study, work.run) is None
    complete(work)
    trouble = read_trouble(work.study, work.run)
    assert trouble is not None
    assert trouble.error == "RuntimeError: a bug"


def test_runs_that_are_there_already_are_taken_up(tmp_path: Path) -> None:
    run, folder = small(), tmp_path / "study"
    train_in_folder(folder / "runs" / run.run_id, run, named_task("add", modulus=7))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}
    assert len(run_study(study(run), folder, jobs=1).runs) == 1
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")} == before


def test_a_job_killed_anywhere_goes_on_to_the_same_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = job(tmp_path / "whole", small())
    complete(whole)
    killed = job(tmp_path / "killed", small())

    class KilledError(BaseException):
        pass

    def kill(at: int) -> None:
        """Die when the given file is about to get its name."""
        left = iter(range(at))
        replace_file = Path.replace

        def replacing(self: Path, target: Path) -> Path:
            if next(left, None) is None:
                raise KilledError
            return replace_file(self, target)

        monkeypatch.setattr(Path, "replace", replacing)

    for at in (1, 6, 2, 9, 14, 1, 2):
        kill(at)
        with pytest.raises(KilledError):
            complete(killed)
        monkeypatch.undo()
    complete(killed)
    for name in ("spectrum", "edge", "metrics"):
        expected = pd.read_parquet(whole.folder / f"{name}.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(killed.folder / f"{name}.parquet"), expected, check_exact=True)
    for path in (whole.folder / "snapshots").iterdir():
        assert (killed.folder / "snapshots" / path.name).read_bytes() == path.read_bytes()


def test_a_mistake_of_ours_is_named_kept_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
        raise RuntimeError("a bug\nwith details")

    monkeypatch.setitem(ANALYSES, "spectrum", Analysis("spectrum", broken, (), settings=()))
    folder, run = tmp_path / "study", small()
    result = run_study(study(run), folder, jobs=1)
    assert result.failed == {run.run_id: "RuntimeError: a bug"}
    assert result.crashed == (run.run_id,)
    trouble = read_trouble(folder, run)
    assert trouble is not None
    assert 'raise RuntimeError("a bug\\nwith details")' in trouble.traceback
    monkeypatch.undo()
    assert not run_study(study(run), folder, jobs=1).failed
    assert read_trouble(folder, run) is None


def test_a_refusal_of_the_system_stops_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jobs_module, "train_in_folder", full)
    with pytest.raises(OSError, match="No space left"):
        run_study(study(small()), tmp_path / "study", jobs=1)


def test_a_folder_that_the_worker_does_not_see_is_named(tmp_path: Path) -> None:
    said = complete(Job(small(), tmp_path / "elsewhere", SETTINGS, ()))
    assert "is not seen where the job runs" in said
    assert not (tmp_path / "elsewhere").exists()
