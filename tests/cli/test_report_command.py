"""`spectraledge report`: a page of a study, of runs side by side, of an analysis' output, and nothing else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cli_support import TINY, Command

pytestmark = pytest.mark.usefixtures("unrastered")
OPTIONS = ("--window", 6, "--nulls", 3)


@pytest.fixture
def other_run(command: Command, tmp_path: Path) -> Path:
    folder = tmp_path / "other"
    assert command("train", "maximum", *TINY, "--out", folder).code == 0
    return folder


def test_runs_side_by_side(command: Command, tiny_run: Path, other_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "compared"
    said = command("report", tiny_run, other_run, *OPTIONS, "--out", out)
    assert said.code == 0
    page = (out / "report.html").read_text()
    assert "a + b mod" in page
    assert "max(a, b) mod" in page
    assert (out / "figures" / "selection.png").is_file()
    assert "task's own functions" in said.out
    assert (tiny_run / "selection.parquet").is_file()
    written = (tiny_run / "selection.parquet").stat().st_mtime_ns
    again = command("report", tiny_run, other_run, *OPTIONS, "--out", out, "--json")
    assert json.loads(again.out)["report"] == str(out / "report.html")
    # What is measured is not measured again.
    assert (tiny_run / "selection.parquet").stat().st_mtime_ns == written


def test_what_analyze_wrote(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    place = tmp_path / "spectra"
    assert command("analyze", tiny_run, "--window", 6, "--out", place).code == 0
    said = command("report", place)
    assert said.code == 0
    edge = pd.read_parquet(place / "edge.parquet")
    assert f"In {len(edge)} windows up to step {edge['step'].iloc[-1]:,}, the edge is at k* = " in said.out
    assert said.out.split("the edge is at k* = ")[1].startswith(f"{edge['k_star'].iloc[-1]:.0f} in the last")
    assert "Eigenvalues of the window of updates" in (place / "report.html").read_text()

    surrogates = tmp_path / "floors"
    assert command("analyze", tiny_run, "--window", 6, "--surrogates", 19, "--out", surrogates).code == 0
    edge = pd.read_parquet(surrogates / "edge.parquet")
    for above, words in (
        ([1, 3, 2], "between 1 and 3 eigenvalues stand above their noise floor, "),
        ([0, 0, 0], f"Eigenvalues above their noise floor: 0 in each of {len(edge)} windows up to step 120."),
    ):
        edge.assign(above_floor=np.resize(above, len(edge))).to_parquet(surrogates / "edge.parquet")
        assert words in command("report", surrogates).out


def test_mistakes(command: Command, tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    place = tmp_path / "spectra"
    assert command("analyze", tiny_run, "--window", 6, "--out", place).code == 0
    for places, words in (
        ((tmp_path / "empty",), "is no run folder, and no study or output"),
        ((tiny_run, place), f"{place} is no run folder"),
        ((tiny_run, tiny_run, *OPTIONS), "a run is given twice"),
        ((place, *OPTIONS), f"{place} is measured already: leave out --seed, --window and --nulls"),
    ):
        refused = command("report", *places)
        assert (refused.code, words in refused.err) == (2, True)
    (place / "edge.parquet").unlink()
    assert command("report", place).code == 2
    table = pd.read_parquet(place / "spectrum.parquet").rename(columns={"eigenvalue": "value"})
    table.to_parquet(place / "spectrum.parquet")
    assert command("report", place).code == 2
