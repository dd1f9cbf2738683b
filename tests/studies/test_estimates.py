"""What a study will take, and the seeds and budgets of recipes."""

import itertools
from pathlib import Path

import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.studies import (
    AnalysisConfig,
    StudyConfig,
    changed_files,
    estimate_study,
    first_seeds,
    recipe,
    run_study,
    time_steps,
)
from spectraledge.studies.estimates import _wall, shape
from spectraledge.trajectory import Manifest

SIZES = {"width": 12, "heads": 2, "hidden": 16}


def study(*seeds: int, steps: int = 40, **settings: object) -> StudyConfig:
    task = named_task("add", modulus=7)
    chosen = {"steps": steps, "every": 5, "batch_size": 16, "stop_accuracy": 2.0}
    runs = tuple(RunConfig.for_task(task, SIZES, seed=seed, **chosen) for seed in seeds)
    analysis = AnalysisConfig(window=5, surrogates=0, analyses=("spectrum",))
    return StudyConfig(name="timed", runs=runs, analysis=analysis, **settings)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "timed"
    run_study(study(0, 1), folder, jobs=1)
    return folder


def test_before_anything_is_known_only_steps_and_space_are(tmp_path: Path) -> None:
    left = estimate_study(study(0, 1), tmp_path / "none")
    assert (left.runs, left.steps, left.untimed) == (2, 80, 2)
    assert (left.training_seconds, left.analysis_seconds, left.unmeasured) == (0, 0, ("spectrum",))


def test_timed_steps_give_the_time(tmp_path: Path) -> None:
    config = study(0, 1, 2)
    speeds = time_steps(config, tmp_path / "none")
    assert speeds.keys() == {shape(config.runs[0])}
    left = estimate_study(config, tmp_path / "none", jobs=2, speeds=speeds)
    (speed,) = speeds.values()
    assert left.untimed == 0
    assert left.training_seconds == pytest.approx(3 * 40 / speed)
    assert left.wall_seconds == pytest.approx(2 * 40 / speed)


def test_recorded_speeds_and_analyses_are_used(finished: Path) -> None:
    grown = study(0, 1, 2, 3)
    assert time_steps(grown, finished) == {}
    manifests = [Manifest.read(finished / "runs" / run.run_id) for run in grown.runs[:2]]
    speed = sum(manifest.step / manifest.wall_seconds for manifest in manifests) / 2
    left = estimate_study(grown, finished)
    assert (left.runs, left.steps, left.untimed, left.unmeasured) == (2, 80, 0, ())
    assert left.training_seconds == pytest.approx(80 / speed)
    assert left.wall_seconds == pytest.approx(left.training_seconds + left.analysis_seconds)
    assert left.analysis_seconds > 0
    nothing = estimate_study(study(0, 1), finished)
    assert (nothing.runs, nothing.steps, nothing.wall_seconds) == (0, 0, 0)


def test_runs_are_expected_to_end_where_other_seeds_did(finished: Path) -> None:
    path = finished / "runs" / study(0).runs[0].run_id
    manifest = Manifest.read(path)
    try:
        manifest.model_copy(update={"step": 20}).write(path)
        # The median of 20 and 40.
        assert estimate_study(study(0, 1, 2), finished).steps == 30
    finally:
        manifest.write(path)


def test_space_is_that_of_the_files(finished: Path) -> None:
    real = sum(path.stat().st_size for path in finished.glob("runs/*/*/*.safetensors"))
    told = estimate_study(study(0, 1), finished).snapshot_bytes
    # Files have headers, and the first snapshot no moves.
    headers = sum(2048 for _ in finished.glob("runs/*/*/*.safetensors"))
    assert abs(told - real) < headers + 2 * 3 * 4 * 2 * 4 * 12 * 12
    few = estimate_study(study(0, steps=4000), finished).snapshot_bytes
    kept = estimate_study(study(0, steps=4000, keep="window"), finished).snapshot_bytes
    assert kept / few == pytest.approx((80 + 12) / 801)


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_work_is_handed_out_longest_first(jobs: int) -> None:
    seconds = [5.0, 3.0, 3.0, 2.0, 2.0, 2.0]
    wall = _wall(seconds, jobs)
    best = min(
        max(sum(s for s, who in zip(seconds, hands, strict=True) if who == job) for job in range(jobs))
        for hands in itertools.product(range(jobs), repeat=len(seconds))
    )
    # Graham's bound for this rule.
    assert best <= wall <= (4 / 3 - 1 / (3 * jobs)) * best


def test_seeds_come_from_one_list() -> None:
    assert first_seeds(6) == (42, 137, 2024, 1, 2, 3)
    assert first_seeds(1) == (42,)
    assert len(set(first_seeds(3000))) == 3000
    with pytest.raises(InputError, match="at least 1 seed, got 0"):
        first_seeds(0)


def test_quick_of_many_seeds_and_small() -> None:
    many = recipe("quick", seeds=first_seeds(3))
    assert [run.seed for run in many.runs] == [42] * 5 + [137] * 5 + [2024] * 5
    assert many.grows(recipe("quick"))
    assert not recipe("quick").grows(many)
    small = recipe("quick", budget="small")
    assert [(run.task, run.weight_decay) for run in small.runs] == [
        (run.task, run.weight_decay) for run in recipe("quick").runs
    ]
    assert max(run.steps for run in small.runs) <= 400
    assert not small.grows(recipe("quick"))


def test_a_copy_of_a_study_can_be_checked(finished: Path) -> None:
    assert changed_files(finished) == []
    run = study(0).runs[0].run_id
    table = finished / "runs" / run / "edge.parquet"
    content = table.read_bytes()
    table.write_bytes(content + b" ")
    (finished / "new.parquet").write_bytes(b"")
    (finished / "study.json").rename(finished / "gone")
    assert changed_files(finished) == ["new.parquet", f"runs/{run}/edge.parquet", "study.json"]
    (finished / "gone").rename(finished / "study.json")
    (finished / "new.parquet").unlink()
    table.write_bytes(content)
    assert changed_files(finished) == []
    with pytest.raises(InputError, match=r"no manifest.json in"):
        changed_files(finished / "runs")
