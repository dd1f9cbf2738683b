"""The score of a study's runs: its sentences, its pictures and what they draw."""

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_support import STEPS, drawn, make_run, make_study

from spectraledge.analyses.run_result import RunResult
from spectraledge.pages.document import Chart
from spectraledge.report.quick import compose_by_run
from spectraledge.report.score_figure import _SHADES
from spectraledge.report.score_page import score_sections

RISE, LAST = 1000, 3000


def scored(run: RunResult, basis: str, *, learns: bool) -> RunResult:
    """Give a run a score of three frequencies, of which the second rises from a step on where it learns."""
    rows = []
    for half in ("all", "train", "test"):
        for step in STEPS:
            for frequency in (1, 2, 3):
                share = 0.01 + (0.2 if learns and frequency == 2 and step >= RISE else 0.0)
                rows.append((int(step), "logits", basis, f"frequency {frequency}", share, 0.01, half))
            rows.append((int(step), "logits", basis, "rest", 0.5, 0.9, half))
    columns = ["step", "readout", "basis", "subspace", "share", "chance", "half"]
    return run.with_tables(score=pd.DataFrame(rows, columns=columns))


@pytest.fixture
def runs() -> list[RunResult]:
    return [
        scored(make_run("add", effect=0.4), "sum", learns=True),
        scored(make_run("permuted_add"), "sum", learns=False),
        scored(make_run("add", weight_decay=0.0), "sum", learns=False),
    ]


def test_a_study_opens_with_what_was_learned_and_when(tmp_path: Path, runs: list[RunResult]) -> None:
    page = compose_by_run(make_study(tmp_path, *runs), pd.DataFrame())
    section = page.sections[0]
    sentence, figure = section.blocks
    assert page.number(figure) == 1
    assert sentence.startswith(
        "a + b mod 97, weight decay 1: On pairs that it never saw, functions of a + b hold 23.0%"
    )
    assert "most in frequencies 2, 1, 3" in sentence
    # One control dates nothing.
    assert (
        "not dated: against one control a false alarm has a chance of up to 0.5; 19 controls make it 0.05" in sentence
    )


def test_a_run_of_which_nothing_else_is_measured_yet_is_in_the_score_alone(
    tmp_path: Path, runs: list[RunResult]
) -> None:
    early = [replace(run, tables={"score": run.table("score")}) for run in runs]
    page = compose_by_run(make_study(tmp_path, *early), pd.DataFrame())
    assert page.headline.startswith("a + b mod 97, weight decay 1: On pairs that it never saw, functions of a + b hold")
    assert [section.key for section in page.sections] == ["score", "found", "published", "runs", "methods"]
    assert page.stage is not None
    later = compose_by_run(make_study(tmp_path, runs[0], *early[1:]), pd.DataFrame())
    assert not later.headline.startswith("a + b mod 97, weight decay 1: On pairs")
    assert later.stage is not None
    assert len(later.stage.acts) == 2


def test_representations_of_a_group_are_called_by_their_names(tmp_path: Path) -> None:
    run = scored(make_run("add", effect=0.4), "sum", learns=True)
    names = {f"frequency {k}": name for k, name in enumerate(("sign", "dimension 2", "standard"), start=1)}
    named = run.with_tables(score=run.table("score").replace({"subspace": names}))
    sentence, figure = score_sections(make_study(tmp_path, named))[0].blocks
    assert "(chance 3.0%; most in dimension 2, sign, standard)" in sentence
    assert "Each row of a picture is an irreducible representation" in figure.caption
    chart = figure.panels[0].charts[0]
    assert "Strongest in the end: dimension 2 (21.0%), sign (1.0%)" in chart.words
    assert '["sign", "dimension 2", "standard"][datum.value - 1]' in str(chart.spec)


def pixels(chart: Chart) -> np.ndarray:
    """Colours of the picture of a score, shape (frequencies, columns, 3)."""
    (url,) = [row["url"] for rows in chart.spec["datasets"].values() for row in rows if "url" in row]
    image = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    return np.array(image.convert("RGB")).astype(int)


def test_learned_runs_stand_beside_controls_alike_in_all_but_the_answers(tmp_path: Path, runs: list[RunResult]) -> None:
    (section,) = score_sections(make_study(tmp_path, *runs))
    figure = section.figures[0]
    assert [panel.title for panel in figure.panels] == [
        "a + b mod 97, weight decay 1",
        "a + b, answers permuted mod 97, weight decay 1",
    ]
    picture, curves = figure.panels[0].charts
    # White is none and the darkest all of the largest share in any picture; a row for each frequency, the last on top.
    image = pixels(picture)
    np.testing.assert_array_equal(image[1, -20], _SHADES[-1])
    np.testing.assert_array_equal(image[:, 0], [_SHADES[0]] * 3)
    assert image[1, len(image[1]) // 5].sum() > image[1, -20].sum() + 200
    lines = drawn(curves, "mark", "place", "value")
    assert lines.query(f"mark == 'test' and place == {LAST}")["value"].iloc[0] == pytest.approx(0.23)
    assert lines.query("mark == 'chance'")["value"].eq(0.03).all()
    (control, _) = figure.panels[1].charts
    # On the same scale nothing of the control is dark.
    assert pixels(control).sum(axis=-1).min() > image.sum(axis=-1).min() + 200


def test_without_a_control_nothing_is_dated(tmp_path: Path, runs: list[RunResult]) -> None:
    (section,) = score_sections(make_study(tmp_path, runs[0], runs[2]))
    assert "is not dated" in section.blocks[0]
    assert len(section.figures[0].panels) == 1


def test_studies_without_a_score_have_no_such_section(tmp_path: Path) -> None:
    assert score_sections(make_study(tmp_path, make_run("add", effect=0.4))) == ()
    assert score_sections(make_study(tmp_path, scored(make_run("cubic"), "sum", learns=False))) == ()
