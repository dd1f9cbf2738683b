"""Curves over training steps, or over frequencies: lines, steps or points, with intervals, marks and change points."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spectraledge.arrays import Float
from spectraledge.pages.document import Chart
from spectraledge.pages.marks import DOTTED, Mark
from spectraledge.pages.plots import (
    POINTER,
    REFERENCE_WIDTH,
    Layer,
    channel,
    layer,
    limits_of,
    marked,
    number_form,
    points,
    rounded,
    specification,
    tooltip,
    value_axis,
)
from spectraledge.pages.style import INK, QUIET, RIBBON

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
    up["axis"] |= {"minExtent": room, "labelOverlap": False}
    first, last = float(drawn["place"].min()), float(drawn["place"].max())
    beside = STEP_ROOM * max(last - first, 1.0)
    along = value_axis((first - beside, last + beside), across, names=names)
    if names:
        along["axis"]["labelAngle"] = _NAMES_ANGLE
    x, y = channel("place", **along), channel("value", **up)
    form, places = number_form(percent=percent), {"place": "step" if across == STEPS else "at"}
    layers = []
    if reference is not None:
        encoding = {"y": y, "size": {"value": REFERENCE_WIDTH}}
        there = pd.DataFrame({"value": [reference]})
        layers.append(layer(there, "rule", encoding=encoding, strokeDash=list(DOTTED), color=INK))
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
        encoding = {"x": x, "y": y, "text": channel("words", "nominal")}
        layers.append(layer(rounded(labels), "text", encoding=encoding, dy=-4, baseline="bottom"))
    return Chart(specification(layers, height=height), title, words, over_steps=across == STEPS)


def _whole_ticks(values: Float) -> list[float]:
    top = int(max(values, default=0.0)) + 1
    return [float(tick) for tick in range(0, top + 1, -(-top // _WHOLE_TICKS))]


def _lines(table: pd.DataFrame, marks: Mapping[str, Mark], *, whole: bool, **channels: Any) -> list[Layer]:
    """One layer of lines, those of later marks on top."""
    lines = {name: mark for name, mark in marks.items() if mark.dash is not None}
    order = {name: place for place, name in enumerate(lines)}
    drawn = table[table["mark"].isin(list(lines))].sort_values(
        "mark", key=lambda names: names.map(order), kind="stable"
    )
    if drawn.empty:
        return []
    dashes = {"domain": list(lines), "range": [list(mark.dash or (1, 0)) for mark in lines.values()]}
    widths = {"type": "ordinal", "domain": list(lines), "range": [mark.width for mark in lines.values()]}
    style: dict[str, Any] = {"interpolate": "step-after", "point": {"size": 14}} if whole else {}
    encoding = {
        "detail": channel("name", "nominal"),
        "color": marked(marks),
        "strokeDash": channel("mark", "nominal", scale=dashes, legend=None),
        "strokeWidth": channel("mark", "ordinal", scale=widths, sort=list(lines), legend=None),
        **channels,
    }
    return [
        layer(drawn, "line", encoding=encoding, clip=True, **style),
        layer(drawn, "point", name=POINTER, encoding=channels, size=90, opacity=0, filled=True),
    ]


def _intervals(table: pd.DataFrame, marks: Mapping[str, Mark], x: Layer, up: dict[str, Any]) -> list[Layer]:
    """Ribbons around lines, bars at points."""
    part = table[table["low"].notna() & table["high"].notna()][["name", "mark", "place", "low", "high"]]
    joined = part["mark"].map({name: mark.dash is not None for name, mark in marks.items()}).astype(bool)
    channels = {"x": x, "y": channel("low", **up), "y2": {"field": "high"}, "color": marked(marks)}
    layers = []
    if joined.any():
        encoding = {"detail": channel("name", "nominal"), **channels}
        layers.append(layer(rounded(part[joined]), "area", encoding=encoding, opacity=RIBBON, clip=True))
    if (~joined).any():
        layers.append(layer(rounded(part[~joined].drop(columns="name")), "rule", encoding=channels, strokeWidth=1.1))
    return layers


def _changes(changes: pd.DataFrame, marks: Mapping[str, Mark], height: int, along: dict[str, Any]) -> list[Layer]:
    """A thin line at each change, and its interval as a thick one, from the bottom upwards."""
    layers = []
    bottom, step = _CHANGE_PIXELS
    for number, row in enumerate(changes.to_dict("records")):
        mark = marks[row["mark"]]
        style: dict[str, Any] = {"color": mark.colour, **({"strokeDash": list(mark.dash)} if mark.dash else {})}
        one = pd.DataFrame([{name: row[name] for name in ("at", "low", "high")}])
        layers.append(layer(one, "rule", encoding={"x": channel("at", **along)}, strokeWidth=1, **style))
        thick = {"x": channel("low", **along), "x2": {"field": "high"}}
        layers.append(layer(one, "rule", encoding=thick, strokeWidth=5, y=height - bottom - step * number, **style))
    return layers


def _marked(step: int, along: dict[str, Any], *, right: bool) -> list[Layer]:
    table = pd.DataFrame([{"at": step, "words": f"0.95 at {step:,}"}])
    x = channel("at", **along)
    words = {"x": x, "text": channel("words", "nominal")}
    style: dict[str, Any] = {"y": -4, "baseline": "bottom", "align": "right" if right else "left", "color": QUIET}
    return [
        layer(table, "rule", encoding={"x": x}, color=INK, strokeWidth=1, strokeDash=[6, 3]),
        layer(table, "text", encoding=words, **style),
    ]
