"""The page of a tracker's folder, with the function that it watched."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from report_support import Reader
from torch import nn

from spectraledge import InputError, SpectralEdgeTracker
from spectraledge.modes import feature_basis
from spectraledge.report.spectrum_page import write_spectrum_page

INPUTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
SIGNS = feature_basis("signs", {name: INPUTS[:, place].numpy() > 0 for place, name in enumerate("wxyz")})


def tracked(folder: Path, *, watched: bool, steps: int = 9) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    tracker = SpectralEdgeTracker(model, optimizer, params="weight", window=4, every=1)
    if watched:
        tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    with tracker:
        for _ in range(steps):
            optimizer.zero_grad()
            (model(INPUTS) - INPUTS[:, 1:2].sign()).square().mean().backward()
            optimizer.step()
    tracker.save(folder)


@pytest.mark.usefixtures("unrastered")
def test_a_watched_function_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "tracked here"
    tracked(place, watched=True)
    assert capsys.readouterr().err == f"its page: spectraledge report '{place}'\n"
    page, found = write_spectrum_page(place, place)
    assert found.startswith("At step 9, x of signs holds ")
    text = Reader(page.read_text()).text
    assert "Which functions does this model compute?" in text
    assert "In 6 windows up to step 9, the edge is at k* = " in text
    assert {path.name for path in (place / "figures").glob("*.png")} == {"score.png", "eigenvalues.png"}
    ids = [part.split('"')[0] for part in page.read_text().split(' id="')[1:]]
    assert len(ids) == len(set(ids))
    score = pd.read_parquet(place / "score.parquet").drop(columns="chance")
    score.to_parquet(place / "score.parquet")
    with pytest.raises(InputError, match="lacks chance: save the tracker's results again"):
        write_spectrum_page(place, place)


@pytest.mark.usefixtures("unrastered")
def test_the_score_of_a_recorded_run_is_not_taken_for_a_watched_function(tmp_path: Path) -> None:
    tracked(tmp_path, watched=True)
    pd.read_parquet(tmp_path / "score.parquet").assign(readout="logits").to_parquet(tmp_path / "score.parquet")
    assert write_spectrum_page(tmp_path, tmp_path)[1].startswith("In 6 windows up to step 9, the edge is at k* = ")


def test_without_a_full_window_there_is_no_page_to_tell_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tracked(tmp_path, watched=False, steps=2)
    assert capsys.readouterr().err == ""
    with pytest.raises(InputError, match="no window"):
        write_spectrum_page(tmp_path, tmp_path)
