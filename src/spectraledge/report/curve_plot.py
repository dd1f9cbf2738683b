"""Curves over training steps, or over frequencies: lines, steps or points, with intervals, marks and change points."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.report.document import Chart
from spectraledge.report.marks import DOTTED, Mark
from spectraledge.report.plots import (
    POINTER,
    REFERENCE_WIDTH,
    limits_of,
    marked,
    number_form,
    points,
    rounded,
    specification,
    tooltip,
    value_axis,
)
from spectraledge.report.style import INK, QUIET, RIBBON

STEPS = "training step"

STEP_ROOM = 0.02
"""Beside the first and the last step, in parts of the steps between."""

_WHOLE_TICKS = 5
LABEL_PIXELS = 44
"""Room for the labels of values, so that axes of steps stand one below the other."""

_POINT_SIZE = 32
_NAMES_ANGLE = -30
_CHANGE_PIXELS = (8, 10)


def curve_plot(
    table: pd.DataFrame,
    marks: Mapping[str, Mark],
    *,
    axis: str,
    words: str,
    height: int,
    title: str = "",
    across: str = STEPS,
    names: Sequence[str] = (),
    room: int = LABEL_PIXELS,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    percent: bool = False,
    whole: bool = False,
    mark: int | None = None,
    reference: float | None = None,
    changes: pd.DataFrame | None = None,
    labels: pd.DataFrame | None = None,
) -> Chart:
    """Draw values over steps.

    Args:
        table: One row per value, with columns `name` (of its curve), `mark`, `place` (where on the horizontal axis) and
            `value` (NaN where there is none, which parts a line), and `low` and `high` where values have intervals.
        marks: How the rows of each mark are drawn, bottom to top: with `dash` as a line, with `shape` as points that
            are not joined.
        axis: Title of the value axis, with its unit.
        words: What the chart shows, for those who cannot see it.
        height: Of the plot, in pixels.
        title: What it shows, above it.
        across: Title of the horizontal axis.
        names: What its places 1, 2, … are called. Default: they are numbers.
        room: For the labels of values, in pixels.
        limits: Of the value axis. Default: a little more than all that is drawn, and `reference`.
        log: Whether the value axis is logarithmic; what is not positive is not drawn.
        percent: Whether values are shares.
        whole: Whether values are whole numbers, which lines keep until the next one.
        mark: A step to mark: when test accuracy reached 0.95.
        reference: A value to mark: what nothing would give.
        changes: Change points, with columns `at`, `low`, `high` and `mark`.
        labels: Words at points, with columns `place`, `value` and `words`.

    Returns:
        The chart.
    """
    drawn = table if "low" in table else table.assign(low=np.nan, high=np.nan)
    if log:
        drawn = drawn.assign(**{name: drawn[name].where(drawn[name] > 0) for name in ("value", "low", "high")})
    ends = drawn[["value", "low", "high"]].to_numpy(np.float64).ravel()
    ends = ends[np.isfinite(ends)]
    up = value_axis(
        limits or limits_of(ends, log=log, around=() if reference is None else (reference,)),
        axis,
        log=log,
        percent=percent,
        ticks=_whole_ticks(ends) if whole else (),
    )
    up["axis"].minExtent = room
    up["axis"].labelOverlap = False
    first, last = float(drawn["place"].min()), float(drawn["place"].max())
    beside = STEP_ROOM * max(last - first, 1.0)
    along = value_axis((first - beside, last + beside), across, names=names)
    if names:
        along["axis"].labelAngle = _NAMES_ANGLE
    x = alt.X("place", type="quantitative", **along)
    y = alt.Y("value", type="quantitative", **up)
    form, places = number_form(percent=percent), {"place": "step" if across == STEPS else "at"}
    layers = []
    if reference is not None:
        dotted = alt.Chart(pd.DataFrame({"value": [reference]})).mark_rule(strokeDash=list(DOTTED), color=INK)
        layers.append(dotted.encode(y=y, size=alt.value(REFERENCE_WIDTH)))
    if changes is not None and len(changes):
        layers += _changes(changes, marks, height, along)
    ends_known = ["low", "high"] if drawn["low"].notna().any() else []
    says = tooltip({name: name for name in ("value", *ends_known)}, form=form, places=places)
    seen = rounded(drawn[["mark", "name", "place", "value", *ends_known]])
    layers += _intervals(drawn, marks, x, up)
    layers += _lines(seen, marks, whole=whole, x=x, y=y, tooltip=says)
    shapes = {name: one for name, one in marks.items() if one.shape}
    layers += points(seen[seen["value"].notna()], shapes, size=_POINT_SIZE, x=x, y=y, tooltip=says)
    if mark is not None:
        layers += _marked(mark, along, right=mark > (first + last) / 2)
    if labels is not None and len(labels):
        layers.append(alt.Chart(rounded(labels)).mark_text(dy=-4, baseline="bottom").encode(x=x, y=y, text="words:N"))
    return Chart(specification(layers, height=height), title, words, over_steps=across == STEPS)


def _whole_ticks(values: NDArray[np.float64]) -> list[float]:
    top = int(max(values, default=0.0)) + 1
    return [float(tick) for tick in range(0, top + 1, -(-top // _WHOLE_TICKS))]


def _lines(table: pd.DataFrame, marks: Mapping[str, Mark], *, whole: bool, **channels: Any) -> Sequence[alt.Chart]:
    """One layer of lines, those of later marks on top."""
    lines = {name: mark for name, mark in marks.items() if mark.dash is not None}
    order = {name: place for place, name in enumerate(lines)}
    drawn = table[table["mark"].isin(list(lines))].sort_values(
        "mark", key=lambda names: names.map(order), kind="stable"
    )
    if drawn.empty:
        return []
    dashes = alt.Scale(domain=list(lines), range=[list(mark.dash or (1, 0)) for mark in lines.values()])
    widths = alt.Scale(type="ordinal", domain=list(lines), range=[mark.width for mark in lines.values()])
    style: dict[str, Any] = {"interpolate": "step-after", "point": {"size": 14}} if whole else {}
    layer = alt.Chart(drawn).mark_line(clip=True, **style)
    return [
        layer.encode(
            detail="name:N",
            color=marked(marks),
            strokeDash=alt.StrokeDash("mark", type="nominal", scale=dashes, legend=None),
            strokeWidth=alt.StrokeWidth("mark", type="ordinal", scale=widths, sort=list(lines), legend=None),
            **channels,
        ),
        alt.Chart(drawn, name=POINTER).mark_point(size=90, opacity=0, filled=True).encode(**channels),
    ]


def _intervals(table: pd.DataFrame, marks: Mapping[str, Mark], x: alt.X, up: dict[str, Any]) -> Sequence[alt.Chart]:
    """Ribbons around lines, bars at points."""
    part = table[table["low"].notna() & table["high"].notna()][["name", "mark", "place", "low", "high"]]
    joined = part["mark"].map({name: mark.dash is not None for name, mark in marks.items()}).astype(bool)
    channels: dict[str, Any] = {
        "x": x,
        "y": alt.Y("low", type="quantitative", **up),
        "y2": "high",
        "color": marked(marks),
    }
    layers = []
    if joined.any():
        ribbon = alt.Chart(rounded(part[joined])).mark_area(opacity=RIBBON, clip=True)
        layers.append(ribbon.encode(detail="name:N", **channels))
    if (~joined).any():
        bars = alt.Chart(rounded(part[~joined].drop(columns="name"))).mark_rule(strokeWidth=1.1)
        layers.append(bars.encode(**channels))
    return layers


def _changes(
    changes: pd.DataFrame, marks: Mapping[str, Mark], height: int, along: dict[str, Any]
) -> Sequence[alt.Chart]:
    """A thin line at each change, and its interval as a thick one, from the bottom upwards."""
    layers = []
    bottom, step = _CHANGE_PIXELS
    for number, row in enumerate(changes.to_dict("records")):
        mark = marks[row["mark"]]
        dash: dict[str, Any] = {"strokeDash": list(mark.dash)} if mark.dash else {}
        one = pd.DataFrame([{name: row[name] for name in ("at", "low", "high")}])
        thin = alt.Chart(one).mark_rule(color=mark.colour, strokeWidth=1, **dash)
        layers.append(thin.encode(x=alt.X("at", type="quantitative", **along)))
        thick = alt.Chart(one).mark_rule(color=mark.colour, strokeWidth=5, y=height - bottom - step * number, **dash)
        layers.append(thick.encode(x=alt.X("low", type="quantitative", **along), x2="high"))
    return layers


def _marked(step: int, along: dict[str, Any], *, right: bool) -> Sequence[alt.Chart]:
    table = pd.DataFrame([{"at": step, "words": f"0.95 at {step:,}"}])
    x = alt.X("at", type="quantitative", **along)
    line = alt.Chart(table).mark_rule(color=INK, strokeWidth=1, strokeDash=[6, 3]).encode(x=x)
    text = alt.Chart(table).mark_text(y=-4, baseline="bottom", align="right" if right else "left", color=QUIET)
    return [line, text.encode(x=x, text="words:N")]
