"""The recipe `landscape` through every path: trained, gradients and curvature measured, judged and reported."""

from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.claims.landscape_claims import LANDSCAPE_CLAIMS
from spectraledge.report.report_files import write_results
from spectraledge.studies import Backend, first_seeds, pool, recipe, run_study


@pytest.mark.usefixtures("unrastered")
def test_it_is_trained_judged_and_reported(tmp_path: Path) -> None:
    study = run_study(recipe("landscape", seeds=first_seeds(2), budget="small"), tmp_path, backend=Backend(jobs=1))
    assert (study.failed, study.missing) == ({}, ())
    assert len(study.runs) == 2 * 3
    assert all(len(run.table("commutator")) and len(run.table("curvature")) for run in study.runs)
    assert sum(len(run.table("gradient_selection")) > 0 for run in study.runs) == 2
    claims = pd.read_parquet(tmp_path / "claims.parquet")
    assert list(claims["claim"]) == [claim.id for claim in LANDSCAPE_CLAIMS]
    text = write_results(*pool([tmp_path]), tmp_path / "results").read_text()
    for words in ("Does it tell in advance?", "Does the loss bend along the edge?", "Do gradients select"):
        assert words in text
    assert (tmp_path / "results" / "tables" / "timing-table.csv").is_file()


def test_controls_differ_in_answers_or_pairs_alone() -> None:
    own, permuted, few = recipe("landscape").runs
    assert {name for name in type(own).model_fields if getattr(own, name) != getattr(permuted, name)} == {
        "task",
        "task_digest",
        "steps",
    }
    assert {name for name in type(own).model_fields if getattr(own, name) != getattr(few, name)} == {
        "train_fraction",
        "steps",
    }


def test_there_is_no_published_budget() -> None:
    with pytest.raises(InputError, match="landscape has no published budget"):
        recipe("landscape", budget="published")
