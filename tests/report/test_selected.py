"""Figures and tables of what the updates select, over functions, frequencies and training, and of what goes with it."""

from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from report_support import (
    CHANGE_ENDS,
    CHANGE_QUANTITIES,
    CHANGE_STEP,
    COURSE_STEPS,
    GROKKED_STEP,
    SELECTED_FREQUENCIES,
    drawn,
    in_lane,
    lanes,
    make_run,
    make_study,
    rows_of,
    unmeasured,
)

from spectraledge.pages.document import Table
from spectraledge.pages.printed import draw_charts
from spectraledge.report.course_figure import change_table, course_figure
from spectraledge.report.measurements import measurements
from spectraledge.report.selected import frequency_figure, ratio_limits, selection_figure
from spectraledge.studies.results import StudyResult

FIGURES = (selection_figure, frequency_figure, course_figure)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    runs = (make_run("mul", effect=0.4), make_run("cubic"), make_run("sub", effect=0.4))
    return make_study(tmp_path_factory.mktemp("study"), *runs)


@pytest.fixture(scope="module")
def tables(study: StudyResult) -> dict[str, Table]:
    return {table.key: table for table in measurements(study)}


def test_selection_figure_shows_own_functions_first_with_their_interval(study: StudyResult):
    (panel,) = selection_figure(study).panels
    (chart,) = panel.charts
    assert list(lanes(chart).values()) == [
        ["own functions", "a alone", "b alone", "dlog a − dlog b", "the rest"],
        ["own functions", "a alone", "b alone", "a + b", "a − b", "the rest"],
        ["own functions", "a alone", "b alone", "a + b", "the rest"],
    ]
    axes = [layer["encoding"]["x"] for layer in chart.spec["layer"] if "x" in layer["encoding"]]
    low, high = axes[0]["scale"]["domain"]
    for run in study.runs:
        own = run.selection.query(f"basis == '{run.structure}' and subspace == 'frequency'").iloc[0]
        (point,) = in_lane(chart, run.title, "own functions").to_dict("records")
        ends = [point[end] for end in ("value", "low", "high")]
        np.testing.assert_allclose(ends, own[["ratio", "low", "high"]].astype(float))
        assert low < own["low"] < own["high"] < high
    assert {axis["scale"]["type"] for axis in axes} == {"log"}
    assert set(drawn(chart, "value", "row", "end")["value"]) == {1.0}


def test_functions_with_less_than_noise_has_are_hollow(study: StudyResult):
    (chart,) = selection_figure(study).panels[0].charts
    title = study.runs[0].title
    marks = {lane: in_lane(chart, title, lane)["mark"].iloc[0] for lane in lanes(chart)[title]}
    assert marks == {
        "own functions": "own",
        "a alone": "other",
        "b alone": "other",
        "dlog a − dlog b": "other, little",
        "the rest": "other",
    }
    hollow = [layer for layer in chart.spec["layer"] if layer["mark"].get("filled") is False]
    names = {layer["data"]["name"] for layer in hollow}
    assert {row["mark"] for name in names for row in chart.spec["datasets"][name]} == {"other, little"}


def test_frequencies_of_runs_that_generalised(study: StudyResult):
    figure = frequency_figure(study)
    assert [panel.title.split(" mod")[0] for panel in figure.panels] == ["a·b", "a − b"]
    (chart,) = figure.panels[0].charts
    marks = drawn(chart, "mark", "place", "value")
    selected = marks[marks["mark"] == "selected"]
    assert sorted(selected["place"]) == sorted(SELECTED_FREQUENCIES)
    assert (marks["mark"] == "not selected").sum() == 48 - len(SELECTED_FREQUENCIES)
    np.testing.assert_allclose(selected["high"], 9.0 * 1.05)
    assert sorted(drawn(chart, "words")["words"]) == ["ω 26", "ω 3"]
    across = {layer["encoding"]["x"]["title"] for layer in chart.spec["layer"] if "x" in layer["encoding"]}
    assert across == {"frequency ω of dlog a + dlog b"}


@pytest.mark.parametrize(
    ("ends", "limits"),
    [((0.5, 3.0, np.inf, np.nan, 0.0), (0.5 / 1.08, 3 * 1.08)), ((1.0,), (0.95 / 1.08, 1.05 * 1.08))],
)
def test_ratio_axis_holds_one_and_all_ratios(ends: tuple[float, ...], limits: tuple[float, float]):
    assert ratio_limits(ends) == pytest.approx(limits)


def test_course_draws_the_table(study: StudyResult):
    panels = course_figure(study).panels
    shares, selection, counts = panels[0].charts
    course = study.runs[0].course
    lines = drawn(shares, "name", "place", "value")
    assert list(dict.fromkeys(lines["name"])) == ["span", "random", "v1", "v2", "v3"]
    first = course.query("quantity == 'energy_share' and kind == 'edge' and direction == 1")
    one = lines[lines["name"] == "v1"]
    np.testing.assert_allclose(one["value"], first["value"])
    np.testing.assert_array_equal(one["place"], COURSE_STEPS)
    ratios = course[course["quantity"] == "selection"]
    ribbon = drawn(selection, "low", "high", "place")
    ribbon = ribbon[ribbon["drawn"] == "area"]
    np.testing.assert_allclose(ribbon[["low", "high"]], ratios[["low", "high"]])
    names = drawn(counts, "name", "value")["name"]
    assert list(dict.fromkeys(names)) == ["k*", "eigenvalues above the noise floor"]
    for panel, marked in ((panels[0], {GROKKED_STEP}), (panels[1], set())):
        assert all(set(drawn(chart, "at", "words")["at"]) == marked for chart in panel.charts)


def test_only_changes_that_chance_does_not_give_are_marked(study: StudyResult):
    learned, null, _ = course_figure(study).panels
    for chart in learned.charts[:2]:
        (change,) = drawn(chart, "at", "low", "high").to_dict("records")
        assert (change["at"], change["low"], change["high"]) == (CHANGE_STEP, *CHANGE_ENDS)
    assert all(drawn(chart, "at", "low", "high").empty for chart in (learned.charts[2], *null.charts))


def test_change_table_says_lead_or_not_found(study: StudyResult):
    learned, null, _ = change_table(study).groups
    numbers = ("2,400", "2,300 to 2,500", "−0.123", "91.2%", "0.002", "200", "100 to 300")
    assert rows_of(learned) == {"own share of v1": numbers, "selection ratio S": numbers}
    assert learned.note == "Change not found for k* and trace of the Gram (log)."
    assert null.rows == ()
    assert null.note == f"Change not found for any of {len(CHANGE_QUANTITIES)} quantities."


def test_a_course_that_cannot_show_a_change_says_so(tmp_path: Path):
    run = make_run("add")
    short = run.with_tables(changes=run.changes.assign(points=9, block=4))
    (group,) = change_table(make_study(tmp_path, short)).groups
    assert group.note.endswith("; none could be, 9 windows in blocks of 4 are too few for p ≤ 0.05.")


def test_selection_table_has_every_kind_once_with_its_numbers(tables: dict[str, Table], study: StudyResult):
    multiplication, control, _ = tables["selection-table"].groups
    own = study.runs[0].selection.query("basis == 'dlog_sum' and subspace == 'frequency'").iloc[0]
    shares = tuple(f"{own[name]:.1%}" for name in ("window_share", "edge_share", "random_share", "chance"))
    # The answer's functions are the same ones.
    assert rows_of(multiplication)["dlog a + dlog b (own functions), the answer"] == (
        "96", "5.00", "4.75 to 5.25", "1e-06", "0.001", *shares,
    )  # fmt: skip
    assert rows_of(control)["the answer (own functions)"][1] == "1.00"
    assert "dlog a + dlog b, beyond a + b" in rows_of(control)


def test_key_frequencies_of_edge_and_random_directions(tables: dict[str, Table]):
    learned, null, _ = tables["keys"].groups
    assert rows_of(learned)["v1"] == ("2", "ω 26 (20.0%), ω 3 (12.3%)")
    assert rows_of(learned)["random 1"] == ("1", "ω 26 (20.0%)")
    assert learned.note == "Key along the edge, along no random direction: ω 3."
    assert set(rows_of(null).values()) == {("0", "not found")}
    assert null.note == "Key along the edge, along no random direction: not found."


def test_probes_stand_beside_random_directions_and_features(tables: dict[str, Table]):
    learned, null, _ = tables["probes"].groups
    assert rows_of(learned)["waves of a + b"] == (
        "96", "0.39 to 0.41", "−0.02", "−0.02", "−0.02", "−0.02", "−0.02", "0.10", "0.10", "0.10",
    )  # fmt: skip
    assert learned.note.startswith(
        "Unseen rows and columns are predicted best by waves of a + b: R² up to 0.41 at the edge, up to −0.02 along "
        "random directions."
    )
    # Up to 0.01 in the control: more than nothing, and said as it is.
    assert "R² up to 0.01 at the edge" in null.note


def test_probes_that_predict_nothing_are_not_found(tmp_path: Path):
    run = make_run("add")
    study = make_study(tmp_path, run.with_tables(probes=run.probes.assign(r2=-0.02)))
    (group,) = next(table for table in measurements(study) if table.key == "probes").groups
    assert group.note.startswith("Features that predict unseen rows and columns of the edge's response: not found.")


def test_what_moves_the_weights(tables: dict[str, Table]):
    rows = rows_of(tables["moves"].groups[0])
    parts = ("81.2%", "30.0%", "−11.2%", "0.25", "0.31")
    assert rows["whole window"] == ("40", *parts)
    assert rows["v3"] == ("3", *parts)
    assert list(rows) == ["whole window", "v1", "v2", "v3", "bulk, median"]


def test_agreement_compares_the_edge_with_random_directions(tables: dict[str, Table]):
    (group, *_) = tables["agreement"].groups
    assert rows_of(group)["logits"] == ("0.71", "0.0002", "0.81", "0.0002", "0.75", "0.0002")
    assert group.note == "The edge agrees better than random directions in 0 of 3."


def test_contrasts_name_read_outs_halves_and_the_largest_head(tables: dict[str, Table]):
    rows = rows_of(tables["contrasts"].groups[0])
    assert rows["logits"] == ("1.0% to 3.0%", "3.0%", "1.2% to 4.8%")
    assert {"residual stream", "training pairs", "held-out pairs"} < set(rows)
    assert rows["head 3 of layer 2, the largest of 8 heads"][0] == "51.0% to 53.0%"


def test_tables_that_no_run_has_are_left_out(tmp_path: Path):
    bare = unmeasured(make_run("add", effect=0.4))
    assert measurements(make_study(tmp_path, bare)) == []
    assert [figure(make_study(tmp_path, bare)).panels for figure in FIGURES] == [()] * 3
    without_moves = make_run("add").with_tables(moves=pd.DataFrame(columns=["step", "direction"]))
    assert "moves" not in {table.key for table in measurements(make_study(tmp_path, without_moves))}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_chart_is_valid_and_can_be_drawn(study: StudyResult, figure):
    spec = figure(study)
    for _, _, chart in spec.charts:
        alt.LayerChart.from_dict(chart.spec, validate=True)
    images = draw_charts(spec)
    assert list(images) == [name for name, _, _ in spec.charts]
    assert all(image.width > 300 and "<path" in image.content for image in images.values())
