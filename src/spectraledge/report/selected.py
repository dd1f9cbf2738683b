"""The figures of selection: how much more the updates move each kind of function than isotropic updates would."""

from collections.abc import Iterable
from math import inf
from typing import Any

import pandas as pd

from spectraledge.analyses.readings import selected_frequencies
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import numbered
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.lane_plot import lane_plot
from spectraledge.pages.marks import CIRCLE, SQUARE, Mark
from spectraledge.pages.style import BLUE, INK, PALE, VERMILLION
from spectraledge.report.run_names import OWN, function_label, own_variables, selected_parts, titles
from spectraledge.report.words import modes_window, sentence, step_word
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import basis_formula

RATIO_AXIS = "selection ratio S (no unit, log)"

_FREQUENCY_PIXELS = 175
_LABELLED = 3
_NEAR = (0.95, 1.05)
_ROOM = 1.08

_PARTS = {
    "own": Mark(OWN, VERMILLION, CIRCLE),
    "other": Mark("other functions of the pair", BLUE, SQUARE),
    "own, little": Mark(OWN, VERMILLION, CIRCLE, hollow=True),
    "other, little": Mark("other functions of the pair", BLUE, SQUARE, hollow=True),
}
_LITTLE = Mark("hollow: the updates' share is no more than noise has", INK, SQUARE, hollow=True)
_FREQUENCIES = {
    "not selected": Mark("not selected", PALE, CIRCLE),
    "selected": Mark("selected: interval above 1, share above that of noise", VERMILLION, CIRCLE),
}


def selection_figure(study: StudyResult) -> Figure:
    """Selection ratio of the own functions and of the parts of the pairs, in every run."""
    named = titles(study)
    rows: list[dict[str, Any]] = [
        {
            "group": named[run.run_id],
            "lane": part.label,
            "mark": ("own" if part.own else "other")
            + (", little" if part.row["window_share"] <= part.row["chance"] else ""),
            "value": float(part.row["ratio"]),
            "low": float(part.row["low"]),
            "high": float(part.row["high"]),
            "name": part.label,
        }
        for run in study.runs
        for part in selected_parts(run)
    ]
    panels = []
    if rows:
        limits = ratio_limits(row[end] for row in rows for end in ("value", "low", "high"))
        words = "Selection ratio of own functions and of other functions of the pair, by run"
        chart = lane_plot(
            pd.DataFrame(rows), _PARTS, axis=RATIO_AXIS, words=words, limits=limits, log=True, reference=1.0
        )
        panels.append(Panel((chart,)))
    return Figure(
        key="selection",
        title="Which functions the weight updates select",
        caption=(
            f"Selection ratio S: the share that functions of one kind have in the response to the window's updates, "
            f"over their share in the response to isotropic updates of the same network; bars: 95% intervals. Own "
            f"functions: those of {own_variables(study.runs)}. The other rows split all functions of the pair: of a "
            f"alone, of b alone, of the other diagonal, and the rest; logarithms where the own variable has them. "
            f"{sentence(modes_window(study))}."
        ),
        nothing="own functions would lie on either side of 1, no further from it than other functions do.",
        panels=tuple(panels),
        entries=(_PARTS["own"], _PARTS["other"], _LITTLE),
    )


def ratio_limits(ends: Iterable[float]) -> tuple[float, float]:
    """Limits of an axis of selection ratios: around all that are finite and positive, and 1."""
    known = [end for end in ends if 0 < end < inf]
    return min([_NEAR[0], *known]) / _ROOM, max([_NEAR[1], *known]) * _ROOM


def frequency_figure(study: StudyResult) -> Figure:
    """Selection ratio of every frequency of the own variable, one panel per run that generalised."""
    named = titles(study)
    runs = [run for run in study.runs if run.grokked and not run.selection.empty]
    return Figure(
        key="frequencies",
        title="Which functions of the own variable the updates select, one by one",
        caption=(
            f"S of every single frequency ω of the task's own variable, or of every irreducible representation of its "
            f"group, for runs that generalised. Bars: 95% intervals, each for itself, not adjusted for their number. "
            f"The largest selected ones are labelled. {sentence(modes_window(study))}, at the step in each "
            f"panel's title."
        ),
        nothing="the marks would scatter around the line at 1, and none would stand out.",
        panels=tuple(
            Panel((_frequency_chart(run),), f"{named[run.run_id]}, {step_word(run.modes_step)}") for run in runs
        ),
        entries=(_FREQUENCIES["selected"], _FREQUENCIES["not selected"]),
        across=2,
    )


def _frequency_chart(run: RunResult) -> Chart:
    table = selected_frequencies(run)
    marks = table["selected"].map({True: "selected", False: "not selected"})
    drawn = table[["low", "high"]].assign(name=marks, mark=marks, place=table["frequency"], value=table["ratio"])
    top = table[table["selected"]].nlargest(_LABELLED, "ratio")
    labels = pd.DataFrame({"place": top["frequency"], "value": top["high"], "words": top["subspace"]})
    variable, by_number = basis_formula(run.structure), numbered(table["subspace"])
    return curve_plot(
        drawn,
        _FREQUENCIES,
        axis=RATIO_AXIS,
        words=f"Selection ratio of every {'frequency' if by_number else 'representation'} of the own variable",
        height=_FREQUENCY_PIXELS,
        across=f"frequency ω of {variable}" if by_number else f"representation, functions of {variable}",
        names=() if by_number else table["subspace"].tolist(),
        limits=ratio_limits(drawn[["value", "low", "high"]].to_numpy().ravel()),
        log=True,
        reference=1.0,
        labels=labels.assign(words=labels["words"].map(function_label)),
    )
