"""The recipe `networks` through every path: trained, its spectra measured, judged and reported."""

from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.claims.network_claims import CONTROLS, NETWORK_CLAIMS
from spectraledge.claims.questions import QUESTIONS
from spectraledge.report.report_files import write_report
from spectraledge.studies import Backend, recipe, run_study


@pytest.mark.usefixtures("unrastered")
def test_it_is_trained_judged_and_reported(tmp_path: Path) -> None:
    study = run_study(recipe("networks", budget="small"), tmp_path / "study", backend=Backend(jobs=1))
    assert (study.failed, study.missing) == ({}, ())
    assert len(study.runs) == 1 + len(CONTROLS) + 2
    assert all(len(run.spectrum) and len(run.edge) for run in study.runs)
    claims = pd.read_parquet(study.folder / "claims.parquet")
    assert list(claims["claim"]) == [claim.id for claim in NETWORK_CLAIMS]
    assert claims.set_index("claim").loc["muon-nearer-edge", "seeds"] == 1
    page = write_report(study, QUESTIONS["networks"](study.runs), out=tmp_path)
    assert "Generalising, or weight decay?" in page.read_text()
    text = (tmp_path / "report.md").read_text()
    assert "Made with `spectraledge study run networks --seeds 1 --budget small`" in text
    assert (tmp_path / "tables" / "optimizer-table.csv").is_file()


def test_it_is_the_published_network() -> None:
    published = recipe("networks").runs[0]
    assert (published.model.tokens, published.model.hidden, published.model.bias) == (71, 2048, False)
    assert (published.steps, published.every, published.batch_size, published.weight_decay) == (400, 1, 0, 2e-4)


def test_there_is_no_published_budget() -> None:
    with pytest.raises(InputError, match="networks has no published budget"):
        recipe("networks", budget="published")
