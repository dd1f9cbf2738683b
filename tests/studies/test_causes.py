"""The recipe `causes` through every path: trained, forked, ablated, judged and reported."""

from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.claims.cause_claims import CAUSE_CLAIMS
from spectraledge.claims.questions import QUESTIONS
from spectraledge.report.report_files import write_report
from spectraledge.studies import Backend, StudyResult, recipe, run_study, study_status
from spectraledge.studies.causes import FORK_STEP
from spectraledge.training.saved_state import kept_states


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    folder = tmp_path_factory.mktemp("causes") / "study"
    return run_study(recipe("causes", budget="small"), folder, backend=Backend(jobs=1))


def test_every_run_is_done_and_measured(study: StudyResult) -> None:
    assert study.failed == {}
    assert study.missing == ()
    assert {status.state for status in study_status(study.folder)} == {"done"}
    plain = study.runs[0]
    assert kept_states(study.folder / "runs" / plain.run_id) == [FORK_STEP["small"]]
    assert len(plain.table("ablation"))
    forked = [run for run in study.runs if run.config.fork]
    assert len(forked) == 5
    assert all(set(run.table("branches")["basis"]) == {"sum", "difference"} for run in forked)


@pytest.mark.usefixtures("unrastered")
def test_claims_and_report_are_written(study: StudyResult, tmp_path: Path) -> None:
    claims = pd.read_parquet(study.folder / "claims.parquet")
    assert list(claims["claim"]) == [claim.id for claim in CAUSE_CLAIMS]
    forks = claims[claims["section"] == "forks"]
    assert (forks["seeds"] == 1).all()
    page = write_report(study, QUESTIONS["causes"](study.runs), out=tmp_path)
    assert "What makes the difference?" in page.read_text()
    text = (tmp_path / "report.md").read_text()
    assert "Made with `spectraledge study run causes --seeds 1 --budget small`" in text
    assert (tmp_path / "tables" / "forks-table.csv").is_file()


@pytest.mark.usefixtures("unrastered")
def test_a_report_of_nothing_says_so(study: StudyResult, tmp_path: Path) -> None:
    empty = StudyResult(study.config, study.folder, (), {}, tuple(run.run_id for run in study.config.runs))
    write_report(empty, QUESTIONS["causes"](()), out=tmp_path)
    assert "13 runs did not finish" in (tmp_path / "report.md").read_text()


def test_there_is_no_published_budget() -> None:
    with pytest.raises(InputError, match="causes has no published budget"):
        recipe("causes", budget="published")
