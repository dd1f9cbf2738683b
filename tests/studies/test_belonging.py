"""A run folder inside a study is written by the study alone, or by what has its settings."""

from pathlib import Path

import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import SPECTRUM
from spectraledge.analyses.step import STEP
from spectraledge.studies import StudyConfig, run_study
from spectraledge.studies.belonging import check_place

SETTINGS = AnalysisConfig(analyses=("spectrum",), window=5, surrogates=0)


@pytest.fixture(scope="module")
def run_of_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = named_task("add", modulus=7)
    sizes = {"width": 12, "heads": 2, "hidden": 16}
    run = RunConfig.for_task(task, sizes, steps=40, every=5, batch_size=16, stop_accuracy=2.0)
    folder = tmp_path_factory.mktemp("studies") / "one"
    run_study(StudyConfig(name="one", runs=(run,), analysis=SETTINGS), folder, jobs=1)
    return folder / "runs" / run.run_id


def test_what_the_study_measured_may_be_measured_again(run_of_study: Path) -> None:
    check_place(run_of_study, SPECTRUM, SETTINGS)
    # Of settings that an analysis does not read any will do.
    check_place(run_of_study, SPECTRUM, SETTINGS.model_copy(update={"nulls": 7}))


def test_other_settings_and_other_analyses_are_refused(run_of_study: Path) -> None:
    with pytest.raises(InputError, match=r"has other settings: window 5 and not 6; .* choose a folder .* --out"):
        check_place(run_of_study, SPECTRUM, SETTINGS.model_copy(update={"window": 6}))
    with pytest.raises(InputError, match=r"has other settings: params None and not \['\*'\]"):
        check_place(run_of_study, SPECTRUM, SETTINGS.model_copy(update={"params": ("*",)}))
    with pytest.raises(InputError, match="which has no step of this run"):
        check_place(run_of_study, STEP, SETTINGS)


def test_a_run_of_no_study_takes_anything(run_of_study: Path, tmp_path: Path) -> None:
    check_place(tmp_path / "runs" / "mine", STEP, SETTINGS)
    check_place(run_of_study.parent / "stranger", STEP, SETTINGS)
