"""What figures and text read from the tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_support import GROKKED_STEP, make_run, make_study

from spectraledge.report.charts import Curve, CurveChart, LaneChart
from spectraledge.report.curves import eigenvalue_figure
from spectraledge.report.data import pictures, published_modes, quantiles, titles, white_noise_concentration
from spectraledge.report.lanes import own_basis_figure, right_basis_figure
from spectraledge.report.text import caution
from spectraledge.report.words import hundredths, listing, percent, probability, ratio, spread, statistic


def test_band_is_the_quantiles():
    band = quantiles(pd.Series(np.arange(101.0)))
    assert (band.low, band.median, band.high) == (5, 50, 95)
    assert quantiles(pd.Series(dtype=float)) is None


def test_white_noise_concentration_against_simulation():
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(20_000, 48))
    simulated = (power.max(axis=1) / power.sum(axis=1)).mean()
    assert white_noise_concentration(make_run("add")) == pytest.approx(simulated, abs=5e-4)


def test_lead_figure_draws_the_edge_and_every_null_of_every_run(tmp_path: Path):
    run = make_run("mul", effect=0.4)
    (panel,) = own_basis_figure(make_study(tmp_path, run, make_run("cubic"))).panels
    (chart,) = panel.charts
    assert isinstance(chart, LaneChart)
    assert [group.title for group in chart.groups] == [run.title, "a³ + ab mod 97, weight decay 1"]
    nulls = ["bulk", "span", "random", "block norms", "run span"]
    singles = ["weights", "gradient", "shuffled labels"]
    assert [lane.label for lane in chart.groups[0].lanes] == ["v1", "v2", "v3", *nulls, *singles]
    mine = run.modes.query("basis == 'dlog_sum' and method == 'jvp'")
    edge = mine[mine["kind"] == "edge"]["energy_share"].tolist()
    assert [lane.points[0].value for lane in chart.groups[0].lanes[:3]] == edge
    for place, kind in ((5, "random"), (7, "run_span")):
        null = mine[mine["kind"] == kind]["energy_share"]
        assert chart.groups[0].lanes[place].band.high == pytest.approx(null.quantile(0.95))
    shuffled = mine[mine["kind"] == "shuffled"]["energy_share"].tolist()
    assert [point.value for point in chart.groups[0].lanes[-1].points] == shuffled
    assert len(shuffled) == 5
    assert all(chart.limits[0] < value < chart.limits[1] for value in edge)


def test_basis_figure_marks_published_values_beside_the_published_method(tmp_path: Path):
    run = make_run("mul", effect=0.4)
    (panel,) = right_basis_figure(make_study(tmp_path, run, make_run("cubic"))).panels
    concentration, share = panel.charts
    own = next(group for group in concentration.groups if group.emphasised)
    assert own.title == "dlog a + dlog b (own)"
    ours, published = own.lanes[0].points
    expected = run.modes.query("kind == 'edge' and basis == 'dlog_sum' and method == 'difference'")["concentration"]
    assert (ours.value, ours.hollow) == (expected.iloc[0], False)
    assert (published.value, published.hollow) == (0.32, True)
    assert [group.title for group in share.groups] == [group.title for group in concentration.groups]
    assert concentration.reference == white_noise_concentration(run)


def test_bases_with_the_same_values_share_a_row(tmp_path: Path):
    run = make_run("add", effect=0.4)
    modes = run.modes
    columns = ["concentration", "energy_share"]
    modes.loc[modes["basis"] == "output", columns] = modes.loc[modes["basis"] == "sum", columns].to_numpy()
    (panel,) = right_basis_figure(make_study(tmp_path, run)).panels
    headings = [group.title for group in panel.charts[0].groups]
    assert headings == ["a + b (own), the answer", "a − b", "a·b", "dlog a + dlog b"]


def test_published_values_only_for_runs_of_the_published_kind():
    assert published_modes(make_run("mul", effect=0.4))
    assert not published_modes(make_run("mul"))
    assert not published_modes(make_run("mul", effect=0.4, weight_decay=0.0))
    assert not published_modes(make_run("cubic", effect=0.4))


def test_spectrum_panel_has_all_eigenvalues_and_the_moment(tmp_path: Path):
    (panel,) = eigenvalue_figure(make_study(tmp_path, make_run("add", effect=0.4))).panels
    spectrum, k_star = panel.charts
    assert [curve.name for curve in spectrum.curves[-3:]] == ["eigenvalue 3", "eigenvalue 2", "eigenvalue 1"]
    assert len(spectrum.curves) == 20
    assert np.isnan(spectrum.curves[0].values_T).all()
    assert spectrum.mark == k_star.mark == GROKKED_STEP
    assert np.isnan(k_star.curves[0].values_T[0])
    assert k_star.curves[0].values_T[1] == 2


def test_eigenvalues_above_the_floor_stand_beside_k_star(tmp_path: Path):
    run = make_run("add", effect=0.4)
    edge = run.edge.assign(above_floor=np.arange(len(run.edge)) % 3)
    spec = eigenvalue_figure(make_study(tmp_path, run.with_tables(edge=edge)))
    counts = spec.panels[0].charts[1]
    assert [curve.name for curve in counts.curves] == ["k*", "eigenvalues above the noise floor"]
    np.testing.assert_array_equal(counts.curves[1].values_T, edge["above_floor"])
    assert "noise floor" in [entry.label for entry in spec.entries][-2]
    plain = eigenvalue_figure(make_study(tmp_path, run))
    assert [curve.name for curve in plain.panels[0].charts[1].curves] == ["k*"]
    assert not any("noise floor" in entry.label for entry in plain.entries)


def test_reordered_picture_is_one_broad_wave():
    first, second = pictures(make_run("add", effect=0.4))
    assert first.raw.shape == (97, 97)
    assert first.ordered.shape == (96, 96)
    positions = np.arange(1, 97)
    expected = np.sqrt(2) * np.cos(2 * np.pi * np.add.outer(positions, positions) / 97)
    np.testing.assert_allclose(first.ordered, expected, atol=1e-12)
    np.testing.assert_allclose(second.ordered, expected, atol=1e-12)
    assert first.basis == "a + b"
    assert first.random.median < first.share


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.9, 80.0], [0.5, 1, 2, 5, 10, 20, 50, 100]),
        ([0.0008, 11.0], [0.0001, 0.001, 0.01, 0.1, 1, 10, 100]),
        ([0.9, 2.4], [0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 2.5, 3, 4]),
        ([0.92, 1.07], [0.9, 0.95, 1, 1.05, 1.1]),
    ],
)
def test_log_ticks(values: list[float], ticks: list[float]):
    curve = Curve("loss", np.array([0.0, 100.0]), np.array(values), "#000000")
    assert CurveChart("", "", (curve,), 100, log=True).ticks == pytest.approx(ticks)


def test_ticks_of_whole_numbers_are_whole():
    curve = Curve("k*", np.array([0.0, 100.0]), np.array([1.0, 2.0]), "#000000", drawn="steps")
    assert CurveChart("", "", (curve,), 100).ticks == [0, 1, 2, 3]


def test_titles_tell_runs_apart(tmp_path: Path):
    runs = (make_run("add", seed=1), make_run("add", seed=2))
    assert list(titles(make_study(tmp_path, *runs)).values()) == [
        "a + b mod 97, weight decay 1, seed 1",
        "a + b mod 97, weight decay 1, seed 2",
    ]
    assert list(titles(make_study(tmp_path, runs[0])).values()) == ["a + b mod 97, weight decay 1"]


def test_words():
    assert percent(0.4201) == "42.0%"
    assert percent(-0.0521) == "−5.2%"
    assert percent(-0.0001) == "0.0%"
    assert percent(float("nan")) == "–"
    assert probability(0.00658) == "0.0066"
    assert statistic("generalises", 3100.0) == "step 3,100"
    assert statistic("right-basis", 3.335) == "3.33×"
    assert [ratio(value) for value in (1.476, 12.34, 1234.5, float("nan"))] == ["1.48", "12.3", "1,234", "–"]
    assert spread(-0.5, 2.0, hundredths) == "−0.50 to 2.00"
    assert spread(float("nan"), 2.0, hundredths) == "–"
    assert statistic("a claim of the future", 0.25) == "0.250"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing([]) == ""


@pytest.mark.parametrize(("shuffled", "above"), [(0.0, 2), (0.99, 0)])
def test_the_caution_counts_runs_whose_edge_beats_shuffled_answers(tmp_path: Path, shuffled: float, above: int):
    runs = [make_run("add", effect=0.4), make_run("mul", effect=0.4), make_run("cubic")]
    for run in runs:
        run.modes.loc[run.modes["kind"] == "shuffled", "energy_share"] = shuffled
    said = caution(make_study(tmp_path, *runs))
    assert said.endswith(f"than every gradient for shuffled answers does in {above} of the 2 runs that generalised.")
    assert caution(make_study(tmp_path, runs[2])) == ""
