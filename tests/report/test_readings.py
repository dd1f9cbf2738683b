"""What figures and text read from the tables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from report_support import GROKKED_STEP, drawn, in_lane, lanes, make_run, make_study

from spectraledge.analyses.forming import own_functions
from spectraledge.analyses.readings import _parts, band, pictures, white_noise_concentration
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Chart
from spectraledge.pages.marks import SOLID, Mark
from spectraledge.pages.plots import log_ticks
from spectraledge.pages.style import TINT
from spectraledge.report.curves import eigenvalue_figure
from spectraledge.report.lanes import own_basis_figure, right_basis_figure
from spectraledge.report.run_names import published_modes, titles
from spectraledge.report.text import caution
from spectraledge.report.words import hundredths, listing, percent, probability, ratio, spread, statistic
from spectraledge.tasks import grouping, task_from_table


def test_band_is_the_quantiles():
    found = band(pd.Series(np.arange(101.0)))
    assert (found.low, found.median, found.high) == (5, 50, 95)
    assert band(pd.Series(dtype=float)) is None


def test_white_noise_concentration_against_simulation():
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(20_000, 48))
    simulated = (power.max(axis=1) / power.sum(axis=1)).mean()
    assert white_noise_concentration(make_run("add")) == pytest.approx(simulated, abs=5e-4)


def test_lead_figure_draws_the_edge_and_every_null_of_every_run(tmp_path: Path):
    run = make_run("mul", effect=0.4)
    figure = own_basis_figure(make_study(tmp_path, run, make_run("cubic")))
    (chart,) = figure.panels[0].charts
    assert list(lanes(chart)) == [run.title, "a³ + ab mod 97, weight decay 1"]
    nulls = ["bulk", "span", "random", "block norms", "run span"]
    singles = ["weights", "gradient", "shuffled labels"]
    assert lanes(chart)[run.title] == ["v1", "v2", "v3", *nulls, *singles]
    mine = run.modes.query("basis == 'dlog_sum' and method == 'jvp'")
    edge = mine[mine["kind"] == "edge"]["energy_share"]
    np.testing.assert_allclose(
        [in_lane(chart, run.title, f"v{k}")["value"].iloc[0] for k in (1, 2, 3)], edge, rtol=1e-5
    )
    for lane, kind in (("random", "random"), ("run span", "run_span")):
        null = mine[mine["kind"] == kind]["energy_share"]
        (drawn_band,) = in_lane(chart, run.title, lane).to_dict("records")
        ends = [drawn_band[end] for end in ("low", "value", "high")]
        np.testing.assert_allclose(ends, null.quantile([0.05, 0.5, 0.95]), rtol=1e-5)
    shuffled = mine[mine["kind"] == "shuffled"]["energy_share"]
    assert len(shuffled) == 5
    np.testing.assert_allclose(in_lane(chart, run.title, "shuffled labels")["value"], shuffled, rtol=1e-5)
    low, high = next(layer["encoding"]["x"] for layer in chart.spec["layer"] if "x" in layer["encoding"])["scale"][
        "domain"
    ]
    assert low < edge.min() < edge.max() < high
    assert {entry.label.partition(":")[0] for entry in figure.entries} >= {"edge v1", "edge v3", *nulls}


def test_basis_figure_marks_published_values_beside_the_published_method(tmp_path: Path):
    run = make_run("mul", effect=0.4)
    (panel,) = right_basis_figure(make_study(tmp_path, run, make_run("cubic"))).panels
    concentration, share = panel.charts
    own = "dlog a + dlog b (own)"
    tinted = [layer for layer in concentration.spec["layer"] if layer["mark"].get("color") == TINT]
    (tint,) = concentration.spec["datasets"][tinted[0]["data"]["name"]]
    v1 = lanes(concentration)[own][0]
    assert v1 == "v1, ω 26"
    found = in_lane(concentration, own, v1).set_index("mark")["value"]
    assert (tint["row"] < in_lane(concentration, own, v1)["row"]).all()
    expected = run.modes.query("kind == 'edge' and basis == 'dlog_sum' and method == 'difference'")["concentration"]
    assert found["v1"] == pytest.approx(expected.iloc[0], rel=1e-5)
    assert found["published 1"] == 0.32
    assert list(lanes(share)) == list(lanes(concentration))
    noise = set(drawn(concentration, "value", "row", "end")["value"])
    assert noise == {white_noise_concentration(run)}


def test_bases_with_the_same_values_share_a_row(tmp_path: Path):
    run = make_run("add", effect=0.4)
    modes = run.modes
    columns = ["concentration", "energy_share"]
    modes.loc[modes["basis"] == "output", columns] = modes.loc[modes["basis"] == "sum", columns].to_numpy()
    (panel,) = right_basis_figure(make_study(tmp_path, run)).panels
    assert list(lanes(panel.charts[0])) == ["a + b (own), the answer", "a − b", "a·b", "dlog a + dlog b"]


def test_published_values_only_for_runs_of_the_published_kind():
    assert published_modes(make_run("mul", effect=0.4))
    assert not published_modes(make_run("mul"))
    assert not published_modes(make_run("mul", effect=0.4, weight_decay=0.0))
    assert not published_modes(make_run("cubic", effect=0.4))


def test_spectrum_panel_has_all_eigenvalues_and_the_moment(tmp_path: Path):
    (panel,) = eigenvalue_figure(make_study(tmp_path, make_run("add", effect=0.4))).panels
    spectrum, k_star = panel.charts
    lines = drawn(spectrum, "name", "place", "value")
    # The leading ones last, so that they lie on top.
    assert list(dict.fromkeys(lines["name"]))[-3:] == ["eigenvalue 3", "eigenvalue 2", "eigenvalue 1"]
    assert lines["name"].nunique() == 20
    assert lines.loc[lines["name"] == "eigenvalue 20", "value"].isna().all()
    assert all(list(drawn(chart, "at", "words")["at"]) == [GROKKED_STEP] for chart in panel.charts)
    counts = drawn(k_star, "name", "place", "value")["value"]
    assert np.isnan(counts[0])
    assert counts[1] == 2


def test_eigenvalues_above_the_floor_stand_beside_k_star(tmp_path: Path):
    run = make_run("add", effect=0.4)
    edge = run.edge.assign(above_floor=np.arange(len(run.edge)) % 3)
    figure = eigenvalue_figure(make_study(tmp_path, run.with_tables(edge=edge)))
    counts = drawn(figure.panels[0].charts[1], "name", "place", "value")
    assert list(dict.fromkeys(counts["name"])) == ["k*", "eigenvalues above the noise floor"]
    above = counts[counts["name"] == "eigenvalues above the noise floor"]["value"]
    np.testing.assert_array_equal(above, edge["above_floor"])
    assert "noise floor" in [entry.label for entry in figure.entries][-2]
    plain = eigenvalue_figure(make_study(tmp_path, run))
    assert set(drawn(plain.panels[0].charts[1], "name", "value")["name"]) == {"k*"}
    assert not any("noise floor" in entry.label for entry in plain.entries)


def test_reordered_picture_is_one_broad_wave():
    first, second = pictures(make_run("add", effect=0.4))
    assert first.raw.shape == (97, 97)
    assert first.ordered.shape == (96, 96)
    positions = np.arange(1, 97)
    expected = np.sqrt(2) * np.cos(2 * np.pi * np.add.outer(positions, positions) / 97)
    np.testing.assert_allclose(first.ordered, expected, atol=1e-12)
    np.testing.assert_allclose(second.ordered, expected, atol=1e-12)
    assert first.basis == "sum"
    assert first.random.median < first.share


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [
        ((0.9, 80.0), [0.5, 1, 2, 5, 10, 20, 50, 100]),
        ((0.0008, 11.0), [0.0001, 0.001, 0.01, 0.1, 1, 10, 100]),
        ((0.9, 2.4), [0.5, 0.6, 0.8, 1, 1.2, 1.5, 2, 2.5, 3, 4]),
        ((0.92, 1.07), [0.9, 0.95, 1, 1.05, 1.1]),
    ],
)
def test_log_ticks(ends: tuple[float, float], ticks: list[float]):
    assert log_ticks(*ends) == pytest.approx(ticks)


def ticks_of(chart: Chart) -> list[float]:
    (found,) = {tuple(layer["encoding"]["y"]["axis"]["values"]) for layer in chart.spec["layer"]}
    return list(found)


@pytest.mark.parametrize(("values", "ticks"), [([1, 2], [0, 1, 2, 3]), ([0, 11], [0, 3, 6, 9, 12])])
def test_ticks_of_whole_numbers_are_whole(values: list[float], ticks: list[float]):
    table = pd.DataFrame({"name": "k*", "mark": "k*", "place": [0, 100], "value": values})
    marks = {"k*": Mark("k*", "#000000", dash=SOLID)}
    chart = curve_plot(table, marks, axis="k*", words="", height=50, whole=True, limits=(-0.2, 13.0))
    assert ticks_of(chart) == [tick for tick in ticks if tick <= 13]


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


def test_parts_of_a_task_some_of_whose_frequencies_hold_no_function_of_their_own():
    # Of seven residues two are no answer, so that frequencies 1 and 2 hold every function of the answer.
    own = grouping(task_from_table([[a * b % 5 for b in range(7)] for a in range(4)]), "output")
    a, b = np.indices((4, 7)).reshape(2, -1)
    forming = pd.DataFrame({"step": 0, "place_a": a, "place_b": b, "element": own.groups_N})
    run = make_run("add").with_tables(own_functions=own_functions(own), forming=forming)
    parts = _parts(run, ["frequency 1", "frequency 2", "frequency 3"])
    assert parts is not None
    assert parts.ends_S.tolist() == [2, 4, 4]
    assert parts.functions_EK.shape == (7, 4)
