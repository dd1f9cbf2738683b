"""The page of a study of gradients and curvature, from planted tables: what it says was found, and what it does not."""

from pathlib import Path

import numpy as np

from planted_landscape import HALF, RISES, SEEDS, planted
from spectraledge.claims.landscape_claims import evaluate_landscape
from spectraledge.report.study_pages import compose_landscape
from spectraledge.studies import StudyResult, recipe


def page(runs: tuple, folder: Path) -> str:
    study = StudyResult(recipe("landscape", seeds=SEEDS, budget="small"), folder, tuple(runs), {}, ())
    return compose_landscape(study, evaluate_landscape(runs)).headline


def test_it_opens_with_what_was_found(tmp_path: Path) -> None:
    words = page(planted(rises=("defect",), ratios={"update": 1.5, "gradient": 0.25}), tmp_path)
    lead = HALF - np.mean([RISES[place % len(RISES)] for place in range(len(SEEDS))])
    assert f"Over 10 seeds: the published alarm on the commutator defect sounds {lead:,.0f} steps before" in words
    assert "in 0.0% of runs on permuted answers and 0.0% of those on too few pairs" in words
    assert "own functions 1.50 times as much as isotropic directions do, a window of gradients 0.25 times" in words


def test_an_alarm_in_every_control_is_said(tmp_path: Path) -> None:
    words = page(planted(rises=("defect",), controls_rise=True), tmp_path)
    assert "in 100.0% of runs on permuted answers and 100.0% of those on too few pairs, which never do" in words


def test_where_nothing_was_measured_claims_are_counted(tmp_path: Path) -> None:
    assert "17 were not measured" in page((), tmp_path)
