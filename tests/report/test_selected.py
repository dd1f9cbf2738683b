"""Figures and tables of what the updates select, over functions, frequencies and training, and of what goes with it."""

from pathlib import Path

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
    make_run,
    make_study,
    unmeasured,
)

from spectraledge.report.charts import FigureSpec
from spectraledge.report.course import change_table, course_figure
from spectraledge.report.figures import draw
from spectraledge.report.interactive import plotly_figure
from spectraledge.report.measurements import Measurement, Rows, measurements
from spectraledge.report.selected import frequency_figure, ratio_limits, selection_figure
from spectraledge.studies.results import StudyResult

FIGURES = (selection_figure, frequency_figure, course_figure)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    runs = (make_run("mul", effect=0.4), make_run("cubic"), make_run("sub", effect=0.4))
    return make_study(tmp_path_factory.mktemp("study"), *runs)


@pytest.fixture(scope="module")
def tables(study: StudyResult) -> dict[str, Measurement]:
    return {table.key: table for table in measurements(study)}


def rows_of(group: Rows) -> dict[str, tuple[str, ...]]:
    return {row[0]: row[1:] for row in group.rows}


def test_selection_figure_shows_own_functions_first_with_their_interval(study: StudyResult):
    (panel,) = selection_figure(study).panels
    (chart,) = panel.charts
    assert [[lane.label for lane in group.lanes] for group in chart.groups] == [
        ["own functions", "a alone", "b alone", "dlog a − dlog b", "the rest"],
        ["own functions", "a alone", "b alone", "a + b", "a − b", "the rest"],
        ["own functions", "a alone", "b alone", "a + b", "the rest"],
    ]
    for run, group in zip(study.runs, chart.groups, strict=True):
        own = run.selection.query(f"basis == '{run.structure}' and subspace == 'frequency'").iloc[0]
        (point,) = group.lanes[0].points
        assert (point.value, *point.interval) == (own["ratio"], own["low"], own["high"])
        assert chart.limits[0] < own["low"] < own["high"] < chart.limits[1]
    assert (chart.log, chart.reference) == (True, 1.0)


def test_functions_with_less_than_noise_has_are_hollow(study: StudyResult):
    multiplication = selection_figure(study).panels[0].charts[0].groups[0]
    assert {lane.label: lane.points[0].hollow for lane in multiplication.lanes} == {
        "own functions": False,
        "a alone": False,
        "b alone": False,
        "dlog a − dlog b": True,
        "the rest": False,
    }


def test_frequencies_of_runs_that_generalised(study: StudyResult):
    spec = frequency_figure(study)
    assert [panel.title.split(" mod")[0] for panel in spec.panels] == ["a·b", "a − b"]
    (chart,) = spec.panels[0].charts
    curves = {curve.name: curve for curve in chart.curves}
    assert sorted(curves["selected"].places_T) == sorted(SELECTED_FREQUENCIES)
    assert len(curves["not selected"].places_T) == 48 - len(SELECTED_FREQUENCIES)
    np.testing.assert_allclose(curves["selected"].high_T, 9.0 * 1.05)
    assert sorted(label.text for label in chart.labels) == ["ω 26", "ω 3"]
    assert chart.across == "frequency ω of dlog a + dlog b"


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
    assert [curve.name for curve in shares.curves] == ["span", "random", "v1", "v2", "v3"]
    first = course.query("quantity == 'energy_share' and kind == 'edge' and direction == 1")
    np.testing.assert_array_equal(shares.curves[2].values_T, first["value"])
    np.testing.assert_array_equal(shares.curves[2].places_T, COURSE_STEPS)
    ratios = course[course["quantity"] == "selection"]
    np.testing.assert_array_equal(selection.curves[0].ends, ratios[["low", "high"]].to_numpy().T)
    assert [curve.name for curve in counts.curves] == ["k*", "eigenvalues above the noise floor"]
    assert {chart.mark for chart in panels[0].charts} == {GROKKED_STEP}
    assert {chart.mark for chart in panels[1].charts} == {None}


def test_only_changes_that_chance_does_not_give_are_marked(study: StudyResult):
    learned, null, _ = course_figure(study).panels
    for chart in learned.charts[:2]:
        (change,) = chart.changes
        assert (change.at, change.low, change.high) == (CHANGE_STEP, *CHANGE_ENDS)
    assert all(not chart.changes for chart in (learned.charts[2], *null.charts))


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


def test_selection_table_has_every_kind_once_with_its_numbers(tables: dict[str, Measurement], study: StudyResult):
    multiplication, control, _ = tables["selection-table"].groups
    own = study.runs[0].selection.query("basis == 'dlog_sum' and subspace == 'frequency'").iloc[0]
    shares = tuple(f"{own[name]:.1%}" for name in ("window_share", "edge_share", "random_share", "chance"))
    # The answer's functions are the same ones.
    assert rows_of(multiplication)["dlog a + dlog b (own functions), the answer"] == (
        "96", "5.00", "4.75 to 5.25", "1e-06", "0.001", *shares,
    )  # fmt: skip
    assert rows_of(control)["the answer (own functions)"][1] == "1.00"
    assert "dlog a + dlog b, beyond a + b" in rows_of(control)


def test_key_frequencies_of_edge_and_random_directions(tables: dict[str, Measurement]):
    learned, null, _ = tables["keys"].groups
    assert rows_of(learned)["v1"] == ("2", "ω 26 (20.0%), ω 3 (12.3%)")
    assert rows_of(learned)["random 1"] == ("1", "ω 26 (20.0%)")
    assert learned.note == "Key along the edge, along no random direction: ω 3."
    assert set(rows_of(null).values()) == {("0", "not found")}
    assert null.note == "Key along the edge, along no random direction: not found."


def test_probes_stand_beside_random_directions_and_features(tables: dict[str, Measurement]):
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


def test_what_moves_the_weights(tables: dict[str, Measurement]):
    rows = rows_of(tables["moves"].groups[0])
    parts = ("81.2%", "30.0%", "−11.2%", "0.25", "0.31")
    assert rows["whole window"] == ("40", *parts)
    assert rows["v3"] == ("3", *parts)
    assert list(rows) == ["whole window", "v1", "v2", "v3", "bulk, median"]


def test_agreement_compares_the_edge_with_random_directions(tables: dict[str, Measurement]):
    (group, *_) = tables["agreement"].groups
    assert rows_of(group)["logits"] == ("0.71", "0.0002", "0.81", "0.0002", "0.75", "0.0002")
    assert group.note == "The edge agrees better than random directions in 0 of 3."


def test_contrasts_name_read_outs_halves_and_the_largest_head(tables: dict[str, Measurement]):
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
def test_both_renderers_draw_the_same_numbers(study: StudyResult, figure):
    spec: FigureSpec = figure(study)
    drawn = {round(float(x), 4) for ax in draw(spec).axes for line in ax.lines for x in np.ravel(line.get_xdata())}
    for panel in spec.panels:
        for chart in panel.charts:
            for trace in plotly_figure(chart).data:
                if trace.mode and "markers" in trace.mode:
                    assert {round(float(x), 4) for x in trace.x} <= drawn
