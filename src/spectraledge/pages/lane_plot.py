"""Values in lanes: each lane one horizontal line of points, intervals and bands, in groups under headings."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spectraledge.pages.document import Chart
from spectraledge.pages.marks import DOTTED, Mark
from spectraledge.pages.plots import (
    REFERENCE_WIDTH,
    Layer,
    bands,
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
from spectraledge.pages.style import INK, STRIPE, TINT

ROW_PIXELS = 17
"""Height of a lane that holds few points, side by side."""

_GAP_ROWS = 0.4
_BAND_PIXELS = 9
_JITTER = 0.25


@dataclass(frozen=True)
class _Placed:
    """Where a group of lanes stands, in rows from the top."""

    title: str
    top: float
    bottom: float
    rows: dict[str, float]


def lane_plot(
    table: pd.DataFrame,
    marks: Mapping[str, Mark],
    *,
    axis: str,
    words: str,
    title: str = "",
    limits: tuple[float, float] | None = None,
    log: bool = False,
    percent: bool = False,
    reference: float | None = None,
    emphasised: Collection[str] = (),
    row_pixels: float = ROW_PIXELS,
) -> Chart:
    """Draw values in lanes.

    Args:
        table: One row per point or band, with columns `lane` (its label; a line break parts it), `mark` and `value`
            (of a band: its median), and if they are needed `group` (the heading that its lane stands under), `low` and
            `high` (ends of an interval or band), `name` (what is said where one points at it) and `offset` (down from
            the middle of its lane, in rows).
        marks: How the rows of each mark are drawn; those with `band` are bands.
        axis: Title of the value axis, with its unit.
        words: What the chart shows, for those who cannot see it.
        title: What it shows, above it.
        limits: Of the value axis. Default: a little more than all that is drawn, and `reference`.
        log: Whether the value axis is logarithmic; what is not positive is not drawn.
        percent: Whether values are shares.
        reference: Where a line for "nothing" stands.
        emphasised: Headings of groups that are tinted: the task's own basis.
        row_pixels: Height of a lane.

    Returns:
        The chart.
    """
    filled = _filled(table)
    placed = _placed(filled)
    there = {(group.title, lane): row for group in placed for lane, row in group.rows.items()}
    named = zip(filled["group"], filled["lane"], strict=True)
    filled["row"] = np.array([there[pair] for pair in named], np.float64) + filled["offset"]
    ends = filled[["value", "low", "high"]].to_numpy(np.float64).ravel()
    around = () if reference is None else (reference,)
    scale = value_axis(limits or limits_of(ends, log=log, around=around), axis, log=log, percent=percent)
    across = {name: channel(name, **scale) for name in ("value", "low")}
    down = _rows_axis(placed)
    form = number_form(percent=percent)
    interval = {"value": "value", "low": "from", "high": "to"}
    layers = _backgrounds(placed, down, emphasised)
    if reference is not None:
        layers.append(_reference(reference, placed, across["value"], down))
    shown = filled[filled["value"] > 0] if log else filled[filled["value"].notna()]
    banded = shown["mark"].map({name: mark.band for name, mark in marks.items()}).astype(bool)
    where: dict[str, Any] = {"y": channel("row", **down)}
    if banded.any():
        part = shown[banded]
        says = tooltip({"value": "median", "low": "5%", "high": "95%"}, form=form)
        spread: dict[str, Any] = {"x": across["low"], "x2": {"field": "high"}, "tooltip": says}
        layers.append(bands(part[_columns(part)], marks, thickness=_BAND_PIXELS, **where, **spread))
        median = {"x": across["value"], "color": marked(marks), "tooltip": says, **where}
        seen = rounded(part[_columns(part)])
        layers.append(layer(seen, "tick", encoding=median, thickness=2.2, height=_BAND_PIXELS + 4))
    single = shown[~banded]
    with_ends = single[single["low"].notna()]
    if len(with_ends):
        bar = {"x": across["low"], "x2": {"field": "high"}, "color": marked(marks), **where}
        layers.append(layer(rounded(with_ends[["mark", "low", "high", "row"]]), "rule", encoding=bar, strokeWidth=1.8))
    columns = _columns(single)
    says = tooltip(interval if "low" in columns else {"value": "value"}, form=form)
    layers += points(single[columns], marks, x=across["value"], tooltip=says, **where)
    return Chart(specification(layers, height=row_pixels * placed[-1].bottom), title, words)


def spread_rows(count: int) -> np.ndarray:
    """Offsets that keep points of one lane apart, the same for the same number of points."""
    return _JITTER * (2 * ((np.arange(count) * 0.618034) % 1) - 1)


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    """The table with all columns."""
    filled = table.copy()
    for name, default in (("group", ""), ("low", np.nan), ("high", np.nan), ("offset", 0.0)):
        if name not in filled:
            filled[name] = default
    return filled if "name" in filled else filled.assign(name=filled["lane"].str.replace("\n", " "))


def _columns(table: pd.DataFrame) -> list[str]:
    ends = ["low", "high"] if table["low"].notna().any() else []
    return ["mark", "name", "value", *ends, "row"]


def _placed(table: pd.DataFrame) -> list[_Placed]:
    found, top = [], 0.0
    groups: dict[str, list[str]] = {}
    for group, lane in table[["group", "lane"]].drop_duplicates().itertuples(index=False):
        known = groups.setdefault(group, [])
        if lane not in known:
            known.append(lane)
    for title, labels in groups.items():
        first = top + (1.5 if title else 0.5)
        bottom = first - 0.5 + len(labels) + (_GAP_ROWS if title else 0)
        found.append(_Placed(title, top, bottom, {label: first + place for place, label in enumerate(labels)}))
        top = bottom
    return found


def _rows_axis(placed: list[_Placed]) -> dict[str, Any]:
    labels = [label for group in placed for label in group.rows]
    rows = [row for group in placed for row in group.rows.values()]
    return {
        "title": None,
        "axis": {
            "values": rows,
            "labelExpr": f"split({labels}[indexof({rows}, datum.value)], '\\n')",
            "grid": False,
            "ticks": False,
            "domain": False,
            "labelBaseline": "middle",
        },
        "scale": {"domain": [placed[-1].bottom, 0], "nice": False, "zero": False},
    }


def _reference(value: float, placed: list[_Placed], x: Layer, down: dict[str, Any]) -> Layer:
    """A dotted line where nothing would lie, which leaves headings free."""
    tops = [min(group.rows.values()) - 0.5 for group in placed]
    ends = [max(group.rows.values()) + 0.5 for group in placed]
    table = pd.DataFrame({"value": value, "row": tops, "end": ends})
    encoding = {"x": x, "y": channel("row", **down), "y2": {"field": "end"}}
    style: dict[str, Any] = {"color": INK, "strokeWidth": REFERENCE_WIDTH, "strokeDash": list(DOTTED)}
    return layer(table, "rule", encoding=encoding, **style)


def _backgrounds(placed: list[_Placed], down: dict[str, Any], emphasised: Collection[str]) -> list[Layer]:
    """Every second group shaded, and headings that no grid line runs through."""
    layers = []
    headed = [group for group in placed if group.title]
    for colour, chosen in (
        (STRIPE, [group for group in headed[1::2] if group.title not in emphasised]),
        (TINT, [group for group in headed if group.title in emphasised]),
    ):
        if chosen:
            table = pd.DataFrame({"row": [one.top for one in chosen], "end": [one.bottom for one in chosen]})
            encoding = {"y": channel("row", **down), "y2": {"field": "end"}}
            layers.append(layer(table, "rect", encoding=encoding, color=colour, opacity=0.5))
    if headed:
        table = pd.DataFrame({"row": [one.top + 0.5 for one in headed], "words": [one.title for one in headed]})
        heading = {"y": channel("row", **down), "text": channel("words", "nominal")}
        layers.append(layer(table, "text", encoding=heading, align="left", fontWeight="bold", color=INK, x=4))
    return layers
