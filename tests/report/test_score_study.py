"""The report of a score study, from planted tables."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from planted_score import planted_score
from spectraledge.claims.score_claims import SCORE_CLAIMS, evaluate_score
from spectraledge.report import write_report


@pytest.mark.usefixtures("unrastered")
def test_report_has_every_section_figure_and_table(tmp_path: Path) -> None:
    study = planted_score(tmp_path)
    page = write_report(study, evaluate_score(study.runs)).read_text()
    for words in ("When it appears", "What makes it grow", "Which directions carry it", "Every claim by section"):
        assert words in page
    assert "Not measured in this study" not in page
    assert {file.stem for file in (tmp_path / "figures").glob("*.png")} >= {"onset-leads", "carriers", "score-sum"}
    assert set(pd.read_csv(tmp_path / "tables" / "leads.csv")["unit"]) == {"steps"}
    assert len(pd.read_csv(tmp_path / "claims.csv")) == len(SCORE_CLAIMS)
    assert "spectraledge study run score --seeds 4" in (tmp_path / "card.md").read_text()
    assert (tmp_path / "carrier-curves.csv").is_file()


def test_a_study_without_runs_says_so(tmp_path: Path) -> None:
    study = replace(planted_score(tmp_path), runs=())
    page = write_report(study, evaluate_score(())).read_text()
    assert "Not measured in this study" in page
