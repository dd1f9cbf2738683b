"""The figures of selection: how much more the updates move each kind of function than isotropic updates would."""

from collections.abc import Iterable
from math import inf

from spectraledge.analyses.run_result import RunResult
from spectraledge.report.charts import (
    Curve,
    CurveChart,
    FigureSpec,
    Float,
    Group,
    KeyEntry,
    Label,
    Lane,
    LaneChart,
    Panel,
    Point,
)
from spectraledge.report.data import (
    OWN,
    basis_label,
    curve,
    own_variables,
    selected_frequencies,
    selected_parts,
    titles,
)
from spectraledge.report.style import BLUE, INK, SHAPES, SOLID, VERMILLION
from spectraledge.report.words import modes_window, step_word
from spectraledge.studies.results import StudyResult

RATIO_AXIS = "selection ratio S (no unit, log)"

_FREQUENCY_PIXELS = 210
_LABELLED = 3
_NOT_SELECTED = "#a8a8a8"
_NEAR = (0.95, 1.05)
_ROOM = 1.08


def selection_figure(study: StudyResult) -> FigureSpec:
    """Selection ratio of the own functions and of the parts of the pairs, in every run."""
    named = titles(study)
    groups = [Group(named[run.run_id], lanes) for run in study.runs if (lanes := _lanes(run))]
    points = [point for group in groups for lane in group.lanes for point in lane.points]
    ends = [end for point in points for end in (point.interval or (point.value,))]
    chart = LaneChart(
        "Selection ratio",
        RATIO_AXIS,
        tuple(groups),
        ratio_limits(ends),
        percent=False,
        reference=1.0,
        log=True,
    )
    return FigureSpec(
        key="selection",
        title="Which functions the weight updates select",
        caption=(
            f"Selection ratio S: the share that functions of one kind have in the response to the window's updates, "
            f"over their share in the response to isotropic updates of the same network; bars: 95% intervals. Own "
            f"functions: those of {own_variables(study.runs)}. The other rows split all functions of the pair: of a "
            f"alone, of b alone, of the other diagonal, and the rest; logarithms where the own variable has them. "
            f"{_sentence(modes_window(study))}."
        ),
        nothing="own functions would lie on either side of 1, no further from it than other functions do.",
        entries=(
            KeyEntry(OWN, VERMILLION, shape=SHAPES[0]),
            KeyEntry("other functions of the pair", BLUE, shape=SHAPES[1]),
            KeyEntry("hollow: the updates' share is no more than noise has", INK, shape=SHAPES[1], hollow=True),
        ),
        panels=(Panel("", (chart,)),) if groups else (),
        beside=True,
    )


def ratio_limits(ends: Iterable[float]) -> tuple[float, float]:
    """Limits of an axis of selection ratios: all of them, and 1.

    Args:
        ends: Ratios and ends of intervals; what is not finite or not positive is left out.

    Returns:
        The limits.
    """
    known = [end for end in ends if 0 < end < inf]
    return min([_NEAR[0], *known]) / _ROOM, max([_NEAR[1], *known]) * _ROOM


def frequency_figure(study: StudyResult) -> FigureSpec:
    """Selection ratio of every frequency of the own variable, one panel per run that generalised."""
    named = titles(study)
    runs = [run for run in study.runs if run.grokked and not run.selection.empty]
    return FigureSpec(
        key="frequencies",
        title="Which frequencies of the own variable the updates select",
        caption=(
            f"S of every single frequency ω of the task's own variable, for runs that generalised. Bars: 95% "
            f"intervals, each for itself, not adjusted for the number of frequencies. The largest selected ones are "
            f"labelled. {_sentence(modes_window(study))}, at the step in each panel's title."
        ),
        nothing="the marks would scatter around the line at 1, and no frequency would stand out.",
        entries=(
            KeyEntry("selected: interval above 1, share above that of noise", VERMILLION, shape=SHAPES[0]),
            KeyEntry("not selected", _NOT_SELECTED, shape=SHAPES[0]),
        ),
        panels=tuple(
            Panel(
                f"{named[run.run_id]}, {step_word(run.modes_step)}",
                (_frequency_chart(run),),
            )
            for run in runs
        ),
    )


def _lanes(run: RunResult) -> tuple[Lane, ...]:
    lanes = []
    for part in selected_parts(run):
        colour, shape = (VERMILLION, SHAPES[0]) if part.own else (BLUE, SHAPES[1])
        interval = (float(part.row["low"]), float(part.row["high"]))
        little = bool(part.row["window_share"] <= part.row["chance"])
        point = Point(float(part.row["ratio"]), part.label, colour, shape, little, interval)
        lanes.append(Lane(part.label, colour, (point,)))
    return tuple(lanes)


def _frequency_chart(run: RunResult) -> CurveChart:
    table = selected_frequencies(run)
    curves = []
    for wanted, name, colour in ((False, "not selected", _NOT_SELECTED), (True, "selected", VERMILLION)):
        part = table[table["selected"] == wanted]
        if len(part):
            ends: list[Float] = [curve(part, end, positive=True) for end in ("low", "high")]
            values = curve(part, "ratio", positive=True)
            curves.append(Curve(name, curve(part, "frequency"), values, colour, SOLID, 1.0, "points", *ends))
    top = table[table["selected"]].nlargest(_LABELLED, "ratio")
    labels = [
        Label(float(place), float(high), f"ω {place}")
        for place, high in zip(top["frequency"], top["high"], strict=True)
    ]
    return CurveChart(
        "Selection ratio by frequency",
        RATIO_AXIS,
        tuple(curves),
        _FREQUENCY_PIXELS,
        log=True,
        limits=ratio_limits(float(end) for part in curves for end in part.extent),
        reference=1.0,
        labels=tuple(labels),
        across=f"frequency ω of {basis_label(run.structure)}",
    )


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]
