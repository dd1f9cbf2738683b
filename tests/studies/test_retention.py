"""Thinning: which snapshots stay, what can still be measured, and what says that it cannot."""

import shutil
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.stamps import carry_out
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.studies import ANALYSES, AnalysisConfig, StudyConfig, analyze_folder, load_study, run_study
from spectraledge.studies.retention import EVERY, kept_steps, thin
from spectraledge.training import train_in_folder
from spectraledge.trajectory import Manifest

WINDOW = 4
SIZES = {"width": 12, "heads": 2, "hidden": 16}


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Addition mod 7, 41 snapshots."""
    folder = tmp_path_factory.mktemp("runs") / "long"
    task = named_task("add", modulus=7)
    settings = {"steps": 80, "every": 2, "batch_size": 16, "stop_accuracy": 2.0}
    train_in_folder(folder, RunConfig.for_task(task, SIZES, **settings), task)
    return folder


@pytest.fixture
def thinned(long_run: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(long_run, tmp_path / "thinned")
    thin(folder, window=WINDOW)
    return folder


@given(st.integers(1, 200), st.integers(2, 30), st.data())
def test_windows_stay_whole_and_little_else(count: int, window: int, data: st.DataObject) -> None:
    steps = list(range(0, 7 * count, 7))
    ends = data.draw(st.lists(st.sampled_from(steps), max_size=3))
    kept = kept_steps(steps, window=window, ends=ends)
    assert kept <= set(steps)
    for end in (*ends, steps[-1]):
        place = steps.index(end)
        assert set(steps[max(place - window, 0) : place + 1]) <= kept
    others = [step for step in kept if not any(0 <= end - step <= 7 * window for end in (*ends, steps[-1]))]
    assert set(others) <= set(steps[::EVERY])
    assert set(steps[::EVERY]) <= kept


def test_what_stays_is_untouched_and_what_goes_is_named(long_run: Path, thinned: Path) -> None:
    before, after = (sorted(path.name for path in (run / "snapshots").iterdir()) for run in (long_run, thinned))
    gone = {f"step_{step:08d}.safetensors" for step in Manifest.read(thinned).thinned}
    assert gone
    assert set(before) - set(after) == gone
    # A move is of the update that ends at its step: both snapshots must be there.
    moves = sorted(path.name for path in (thinned / "moves").iterdir())
    assert moves == [now for last, now in pairwise(before) if {last, now} <= set(after)]
    for name in ("gram.parquet", "metrics.parquet", "domain.parquet"):
        assert (thinned / name).read_bytes() == (long_run / name).read_bytes()
    last = after[-1]
    assert load_file(thinned / "snapshots" / last).keys() == load_file(long_run / "snapshots" / last).keys()


def test_thinning_that_was_cut_short_goes_on(long_run: Path, thinned: Path, tmp_path: Path) -> None:
    half = shutil.copytree(long_run, tmp_path / "half")
    shutil.copy(thinned / "run.json", half / "run.json")
    (half / "snapshots" / "step_00000002.safetensors").unlink()
    assert thin(half, window=WINDOW) == thin(thinned, window=WINDOW)
    for kind in ("snapshots", "moves"):
        names = [sorted(path.name for path in (run / kind).iterdir()) for run in (half, thinned)]
        assert names[0] == names[1]


def test_a_thinned_run_is_not_trained_again(thinned: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in thinned.rglob("*.safetensors")}
    config = RunConfig.of_run(thinned)
    train_in_folder(thinned, config, named_task("add", modulus=7))
    assert {path: path.stat().st_mtime_ns for path in thinned.rglob("*.safetensors")} == before


def test_the_spectrum_is_still_there_from_the_gram(long_run: Path, thinned: Path) -> None:
    patterns = RunConfig.of_run(thinned).watched
    whole, left = (analyze_folder(run, patterns=patterns, window=WINDOW) for run in (long_run, thinned))
    pd.testing.assert_frame_equal(left.spectrum, whole.spectrum, check_exact=True)
    pd.testing.assert_frame_equal(left.edge, whole.edge, check_exact=True)
    for asked in ({"surrogates": 19}, {"block": 100}, {"patterns": ("*",)}, {"spacing": "scale"}):
        with pytest.raises(InputError, match="were thinned, so that it has a spectrum only of"):
            analyze_folder(thinned, **{"patterns": patterns, "window": WINDOW, **asked})


def test_a_window_with_a_gap_is_refused(long_run: Path, thinned: Path) -> None:
    whole, left = RecordedRun.open(long_run), RecordedRun.open(thinned)
    last = left.steps[-1]
    ours = left.window(last, window=WINDOW, center=True)
    assert (ours.updates_WP == whole.window(last, window=WINDOW, center=True).updates_WP).all()
    with pytest.raises(InputError, match=rf"were thinned, so that no window of {WINDOW} updates up to step 60"):
        left.window(60, window=WINDOW, center=True)


def test_an_analysis_that_needs_what_is_gone_says_so(thinned: Path) -> None:
    stamp = carry_out(thinned, ANALYSES["course"], AnalysisConfig(window=WINDOW))
    assert stamp.error.endswith("course needs them all: train the run again in another folder, keeping all")


def test_a_study_thins_what_it_has_analysed_and_nothing_that_failed(tmp_path: Path) -> None:
    task = named_task("add", modulus=7)
    settings = {"every": 2, "batch_size": 16, "stop_accuracy": 2.0}
    runs = (
        RunConfig.for_task(task, SIZES, steps=80, **settings),
        RunConfig.for_task(task, SIZES, steps=6, **settings),
    )
    folder = tmp_path / "study"
    analysis = AnalysisConfig(window=WINDOW, surrogates=0, analyses=("spectrum",))
    everything = StudyConfig(name="thin", runs=runs, analysis=analysis)
    run_study(everything, folder, jobs=1)
    manifests = [Manifest.read(folder / "runs" / run.run_id) for run in runs]
    assert [len(manifest.thinned) for manifest in manifests] == [0, 0]
    run_study(everything.model_copy(update={"keep": "window"}), folder, jobs=1)
    manifests = [Manifest.read(folder / "runs" / run.run_id) for run in runs]
    assert [len(manifest.thinned) > 0 for manifest in manifests] == [True, False]
    assert runs[1].run_id in load_study(folder).failed
    added = everything.model_copy(update={"analysis": analysis.model_copy(update={"analyses": ("spectrum", "course")})})
    assert "course needs them all" in run_study(added, folder, jobs=1).failed[runs[0].run_id]
