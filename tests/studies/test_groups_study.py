"""The recipe `groups` through every path: trained, measured, judged and reported."""

from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.claims.group_claims import GROUP_CLAIMS
from spectraledge.claims.questions import QUESTIONS
from spectraledge.report.report_files import write_report
from spectraledge.studies import Backend, StudyResult, recipe, run_study, study_status


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    folder = tmp_path_factory.mktemp("groups") / "study"
    return run_study(recipe("groups", budget="small"), folder, backend=Backend(jobs=1))


def test_every_run_is_done_and_measured(study: StudyResult) -> None:
    assert study.failed == {}
    assert study.missing == ()
    assert {status.state for status in study_status(study.folder)} == {"done"}
    by_task = {run.config.task: run for run in study.runs}
    assert list(by_task) == ["S4", "S5", "D12", "Dic6", "S4-permuted", "latin-0", "loop-0"]
    for task in ("S4", "S5", "D12", "Dic6", "S4-permuted"):
        kinds = by_task[task].table("cosets").groupby("functions")["kind"].value_counts()
        assert kinds.xs("turned", level="kind").tolist() == [20, 20, 20]
    assert by_task["S4-permuted"].table("representations")["basis"].unique().tolist() == ["group:S4"]
    assert by_task["latin-0"].table("cosets").empty


@pytest.mark.usefixtures("unrastered")
def test_claims_and_report_are_written(study: StudyResult, tmp_path: Path) -> None:
    claims = pd.read_parquet(study.folder / "claims.parquet")
    assert list(claims["claim"]) == [claim.id for claim in GROUP_CLAIMS]
    assert claims.set_index("claim").loc["permuted-computes-none", "seeds"] == 1
    page = write_report(study, QUESTIONS["groups"](study.runs), out=tmp_path)
    assert "What does a network learn of a group?" in page.read_text()
    assert (tmp_path / "tables" / "representations-table.csv").is_file()


@pytest.mark.usefixtures("unrastered")
def test_a_report_of_nothing_says_so(study: StudyResult, tmp_path: Path) -> None:
    empty = StudyResult(study.config, study.folder, (), {}, tuple(run.run_id for run in study.config.runs))
    write_report(empty, QUESTIONS["groups"](()), out=tmp_path)
    assert "7 runs did not finish" in (tmp_path / "report.md").read_text()


def test_there_is_no_published_budget() -> None:
    with pytest.raises(InputError, match="groups has no published budget"):
        recipe("groups", budget="published")
