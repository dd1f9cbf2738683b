"""What the updates select over training, and the steps at which that changes: a figure and a table."""

from math import ceil, factorial

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.of_runs import ALPHA
from spectraledge.report.charts import Change, Chart, Curve, CurveChart, FigureSpec, KeyEntry, Panel
from spectraledge.report.curves import FLOOR, MARK, count_chart, count_entries, mark
from spectraledge.report.data import curve, own_variables, titles
from spectraledge.report.measurements import Measurement, Rows, run_groups
from spectraledge.report.selected import ratio_limits
from spectraledge.report.style import DASHED, DOTTED, KIND_COLOURS, SOLID, VERMILLION, Dash
from spectraledge.report.words import counted, figures, listing, modes_window, percent, probability, spread, whole
from spectraledge.studies.results import StudyResult

_PIXELS = 200
_DASHES = (SOLID, DASHED, DOTTED)
_NULLS = (("span", DASHED), ("random", DOTTED))


QUANTITIES = {
    "energy_share": "own share of v{}",
    "selection": "selection ratio S",
    "k_star": "k*",
    "signal_count": "eigenvalues above the noise floor",
    "signal_ratio": "largest eigenvalue over its floor (log)",
    "trace": "trace of the Gram (log)",
    "g23": "gap g23 (log)",
    "effective_dimension": "effective dimension",
    "span_cosine": "overlap of the edge with that of the window before",
    "test_accuracy": "test accuracy",
}
"""Quantities of the course in words, in the order of tables."""


def course_figure(study: StudyResult) -> FigureSpec:
    """Own share, selection ratio and counts over training, one panel per run."""
    named = titles(study)
    edge = [KeyEntry(f"edge v{k}", VERMILLION, dash=_dash(k)) for k in range(1, study.config.analysis.edge + 1)]
    nulls = [KeyEntry(f"{kind}: median, 5–95%", KIND_COLOURS[kind], dash=dash, band=True) for kind, dash in _NULLS]
    return FigureSpec(
        key="course",
        title="What the updates select over training",
        caption=(
            f"At windows spread over training ({modes_window(study)}, plotted at the window's last step). Share: as in "
            f"the first figure, of functions of {own_variables(study.runs)}. S: of all own functions, with its 95% "
            f"interval. Below: k*, and how many eigenvalues stand above the noise floor. Thick bars at the bottom of a "
            f"chart: 95% interval of a change point, drawn only where p ≤ {ALPHA}; windows that share updates are not "
            f"independent, so few windows support no change."
        ),
        nothing="the edge's lines would run inside the ribbons, S along the line at 1, and no change would be marked.",
        entries=(
            *edge,
            *nulls,
            KeyEntry("selection ratio S, 95% interval", VERMILLION, dash=SOLID, band=True),
            *count_entries(True),
            MARK,
        ),
        panels=tuple(Panel(named[run.run_id], _charts(run)) for run in study.runs if not run.course.empty),
    )


def change_table(study: StudyResult) -> Measurement:
    """Change points over training, and by how much they precede generalisation."""
    return Measurement(
        "changes",
        "When each quantity changes",
        f"The one change of level that fits a quantity's course best, listed where p ≤ {ALPHA}; p is not adjusted for "
        "the number of quantities. Lead: steps by which it precedes the first test accuracy of 0.95; negative: it "
        "follows.",
        (
            "Quantity",
            "New level from step",
            "95% interval",
            "Change",
            "Variation explained",
            "p",
            "Lead (steps)",
            "95% interval",
        ),
        run_groups(study, "changes", _change_rows, stepped=False),
    )


def _charts(run: RunResult) -> tuple[Chart, ...]:
    course = run.course
    shares = course[course["quantity"] == "energy_share"]
    lines = []
    for kind, dash in _NULLS:
        part = shares[shares["kind"] == kind]
        ends = (curve(part, "low"), curve(part, "high"))
        lines.append(
            Curve(kind, curve(part, "step"), curve(part, "value"), KIND_COLOURS[kind], dash, 1.4, "line", *ends)
        )
    edge = shares[shares["kind"] == "edge"]
    for number in sorted(edge["direction"].unique()):
        part = edge[edge["direction"] == number]
        lines.append(Curve(f"v{number}", curve(part, "step"), curve(part, "value"), VERMILLION, _dash(number), 2.2))
    selection = course[course["quantity"] == "selection"]
    ratio = Curve(
        "S",
        curve(selection, "step"),
        curve(selection, "value", positive=True),
        VERMILLION,
        low_T=curve(selection, "low", positive=True),
        high_T=curve(selection, "high", positive=True),
    )
    share_axis = "share (%)"
    charts: list[CurveChart | None] = [
        CurveChart(
            "Own share",
            share_axis,
            tuple(lines),
            _PIXELS,
            percent=True,
            mark=mark(run),
            reference=0.0,
            changes=_changes(run, "energy_share"),
        ),
        CurveChart(
            "Selection ratio S",
            "S (no unit, log)",
            (ratio,),
            _PIXELS,
            log=True,
            limits=ratio_limits(ratio.extent.tolist()),
            mark=mark(run),
            reference=1.0,
            changes=_changes(run, "selection"),
        ),
        count_chart(
            {
                name: (curve(part, "step"), curve(part, "value"))
                for name, quantity in (("k*", "k_star"), (FLOOR, "signal_count"))
                for part in (course[course["quantity"] == quantity],)
            },
            mark(run),
        ),
    ]
    return tuple(chart for chart in charts if chart)


def _changes(run: RunResult, quantity: str) -> tuple[Change, ...]:
    if run.changes.empty:
        return ()
    found = run.changes[(run.changes["quantity"] == quantity) & (run.changes["p"] <= ALPHA)]
    return tuple(
        Change(
            float(row["step"]), float(row["low"]), float(row["high"]), VERMILLION, _dash(max(int(row["direction"]), 1))
        )
        for row in found.to_dict("records")
    )


def _dash(direction: int) -> Dash:
    return _DASHES[(direction - 1) % len(_DASHES)]


def _change_rows(run: RunResult) -> Rows:
    rows, absent = [], []
    order = {quantity: place for place, quantity in enumerate(QUANTITIES)}
    table = run.changes.sort_values("quantity", key=lambda names: names.map(order), kind="stable")
    for row in table.to_dict("records"):
        name = QUANTITIES.get(str(row["quantity"]), str(row["quantity"])).format(row["direction"])
        if row["p"] > ALPHA:
            absent.append(name)
            continue
        rows.append(
            (
                name,
                whole(row["step"]),
                spread(row["low"], row["high"], whole),
                figures(row["change"]),
                percent(row["share"]),
                probability(row["p"]),
                whole(row["lead"]),
                spread(row["lead_low"], row["lead_high"], whole),
            )
        )
    if not absent:
        return Rows("", tuple(rows))
    which = listing(absent) if rows else f"any of {len(absent)} quantities"
    return Rows("", tuple(rows), f"Change not found for {which}{_too_few(run)}.")


def _too_few(run: RunResult) -> str:
    """Say so where no course of that many windows could show a change."""
    windows, block = int(run.changes["points"].max()), int(run.changes["block"].max())
    if 1 / factorial(ceil(windows / block)) <= ALPHA:
        return ""
    return f"; none could be, {counted(windows, 'window')} in blocks of {block} are too few for p ≤ {ALPHA}"
