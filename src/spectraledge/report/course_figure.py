"""What the updates select over training, and the steps at which that changes: a figure and a table."""

import numpy as np
import pandas as pd

from spectraledge.analyses.comparisons import fewest_windows
from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.verdicts import ALPHA
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Chart, Column, Figure, Panel, Rows, Table
from spectraledge.pages.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.pages.style import KIND_COLOURS, VERMILLION
from spectraledge.report.curves import MARK, count_chart, count_marks
from spectraledge.report.measurements import run_groups
from spectraledge.report.run_names import own_variables, titles
from spectraledge.report.selected import ratio_limits
from spectraledge.report.words import counted, figures, listing, modes_window, percent, probability, spread, whole
from spectraledge.studies.results import StudyResult

_PIXELS = 140
_DASHES = (SOLID, DASHED, DOTTED)
_NULLS = {
    kind: Mark(f"{kind}: median, 5–95%", KIND_COLOURS[kind], dash=dash, band=True, width=1.4)
    for kind, dash in (("span", DASHED), ("random", DOTTED))
}
_SELECTION = Mark("selection ratio S, 95% interval", VERMILLION, dash=SOLID, band=True)

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


def course_figure(study: StudyResult) -> Figure:
    """Own share, selection ratio and counts over training, one panel per run."""
    named = titles(study)
    edge = _edge_marks(study)
    return Figure(
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
        panels=tuple(Panel(_charts(run, edge), named[run.run_id]) for run in study.runs if not run.course.empty),
        entries=(*edge.values(), *_NULLS.values(), _SELECTION, *count_marks(floored=True), MARK),
        across=2,
    )


def change_table(study: StudyResult) -> Table:
    """Change points over training, and by how much they precede generalisation."""
    numbers = ("New level from step", "95% interval", "Change", "Variation explained", "p", "Lead (steps)")
    return Table(
        key="changes",
        title="When each quantity changes",
        columns=(Column("Quantity"), *(Column(name, "number") for name in (*numbers, "95% interval of the lead"))),
        groups=run_groups(study, "changes", _change_rows, stepped=False),
        caption=f"The one change of level that fits a quantity's course best, listed where p ≤ {ALPHA}; p is not "
        "adjusted for the number of quantities. Lead: steps by which it precedes the first test accuracy of 0.95; "
        "negative: it follows.",
    )


def _charts(run: RunResult, edge: dict[str, Mark]) -> tuple[Chart, ...]:
    selection = _part(run, "selection").assign(name="S", mark="selection")
    share = curve_plot(
        _shares(run),
        _NULLS | edge,
        axis="share (%)",
        words="Own share of edge directions and of nulls over training",
        height=_PIXELS,
        title="Own share",
        percent=True,
        mark=run.manifest.grokked_step,
        reference=0.0,
        changes=_changes(run, "energy_share"),
    )
    ratio = curve_plot(
        selection,
        {"selection": _SELECTION},
        axis="S (no unit, log)",
        words="Selection ratio over training",
        height=_PIXELS,
        title="Selection ratio S",
        limits=ratio_limits(selection[["value", "low", "high"]].to_numpy(np.float64).ravel()),
        log=True,
        mark=run.manifest.grokked_step,
        reference=1.0,
        changes=_changes(run, "selection").assign(mark="selection"),
    )
    counts = pd.DataFrame(
        {
            name: _part(run, quantity).set_index("place")["value"]
            for name, quantity in (("k_star", "k_star"), ("above_floor", "signal_count"))
        }
    )
    numbered = count_chart(counts.rename_axis("place").reset_index(), run.manifest.grokked_step)
    return (share, ratio, numbered) if numbered else (share, ratio)


def _part(run: RunResult, quantity: str) -> pd.DataFrame:
    rows = run.course[run.course["quantity"] == quantity]
    return rows.rename(columns={"step": "place"})


def _shares(run: RunResult) -> pd.DataFrame:
    rows = _part(run, "energy_share")
    rows = rows[rows["kind"].isin(["edge", *_NULLS])]
    named = rows["kind"].where(rows["kind"] != "edge", "v" + rows["direction"].astype(str))
    return rows.assign(name=named, mark=named)


def _changes(run: RunResult, quantity: str) -> pd.DataFrame:
    if run.changes.empty:
        return pd.DataFrame(columns=["at", "low", "high", "mark"])
    found = run.changes[(run.changes["quantity"] == quantity) & (run.changes["p"] <= ALPHA)]
    marks = [f"v{max(int(direction), 1)}" for direction in found["direction"]]
    return found.rename(columns={"step": "at"})[["at", "low", "high"]].assign(mark=marks)


def _edge_marks(study: StudyResult) -> dict[str, Mark]:
    return {
        f"v{k}": Mark(f"edge v{k}", VERMILLION, dash=_DASHES[(k - 1) % len(_DASHES)], width=2.2)
        for k in range(1, study.config.analysis.edge + 1)
    }


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
        return Rows.of("", rows)
    which = listing(absent) if rows else f"any of {len(absent)} quantities"
    return Rows.of("", rows, note=f"Change not found for {which}{_too_few(run)}.")


def _too_few(run: RunResult) -> str:
    """Say so where no course of that many windows could show a change."""
    too_few = fewest_windows(run, ALPHA)
    if not too_few:
        return ""
    windows, block = too_few
    return f"; none could be, {counted(windows, 'window')} in blocks of {block} are too few for p ≤ {ALPHA}"
