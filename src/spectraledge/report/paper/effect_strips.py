"""Figures of points in lanes, declared panel by panel: every point is an effect's value, or its null, in one run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase

import pandas as pd

from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.report.document import Figure, Panel
from spectraledge.report.lane_plot import lane_plot, spread_rows
from spectraledge.report.marks import CIRCLE, DIAMOND, SQUARE, TICK, TRIANGLE, Mark
from spectraledge.report.plots import limits_of
from spectraledge.report.style import BLUE, GREEN, PURPLE, QUIET, VERMILLION

MARKS = {
    "edge": Mark("edge", VERMILLION, CIRCLE),
    "bulk": Mark("bulk", GREEN, SQUARE),
    "span": Mark("mixtures in the window", BLUE, DIAMOND, hollow=True),
    "random": Mark("random directions", QUIET, TRIANGLE, hollow=True),
    "group-0": Mark("", VERMILLION, CIRCLE),
    "group-1": Mark("", BLUE, SQUARE),
    "group-2": Mark("", GREEN, TRIANGLE),
    "group-3": Mark("", PURPLE, DIAMOND),
    "null": Mark("null of the same run", QUIET, TICK),
}
"""Marks of kinds of directions, of groups of runs in their order, and of nulls of single runs."""

KINDS = {"edge": "edge", "bulk": "bulk", "random": "random directions"}
"""Kinds of directions that stand beside each other, in words."""

_ROOM = 0.5
_LEAST_PIXELS, _MARK_PIXELS = 22, 13


@dataclass(frozen=True)
class Points:
    """Points of one mark in one lane.

    Attributes:
        lane: The lane's label.
        mark: A key of `MARKS`.
        effect: Id of the effect.
        of: Key of the condition; one point for each of its runs.
        null: Whether they are the effect's nulls instead of its values.
    """

    lane: str
    mark: str
    effect: str
    of: str
    null: bool = False


@dataclass(frozen=True)
class Strip:
    """A panel.

    Attributes:
        title: Above it.
        axis: Title of its axis, with the unit.
        points: What is drawn, in order of lanes.
        log: Whether the axis is logarithmic.
        percent: Whether values are shares.
        reference: A value to mark: what nothing would give.
    """

    title: str
    axis: str
    points: tuple[Points, ...]
    log: bool = False
    percent: bool = False
    reference: float | None = None


def kind_points(effect: str, of: str, lane: str = "") -> list[Points]:
    """Edge, bulk and random directions, in one lane or each in its own."""
    return [
        Points(lane or words, kind, f"{effect}:{'bulk' if kind == 'bulk' else 'edge'}-random", of, kind == "random")
        for kind, words in KINDS.items()
    ]


def strip_figure(
    effects: MeasuredEffects,
    key: str,
    title: str,
    panels: Iterable[Strip],
    *,
    caption: str,
    nothing: str,
    entries: Mapping[str, str],
    across: int,
) -> Figure | None:
    """Draw panels of points in lanes.

    Args:
        effects: What was measured.
        key: File name.
        title: What it shows.
        panels: Its panels; those without points are left out.
        caption: How to read it.
        nothing: What it would look like if there were nothing to see.
        entries: Its key: words by mark.
        across: How many panels stand side by side.

    Returns:
        The figure; None where there is nothing to draw.
    """
    drawn = [(panel, table) for panel in panels if len(table := _table(effects, panel))]
    if not drawn:
        return None
    # Panels of one quantity are read against each other.
    limits = {
        axis: limits_of(
            (value for panel, table in drawn if panel.axis == axis for value in table["value"]),
            log=any(panel.log for panel, _ in drawn if panel.axis == axis),
            around=[panel.reference for panel, _ in drawn if panel.axis == axis and panel.reference is not None],
        )
        for axis in {panel.axis for panel, _ in drawn}
    }
    shown = tuple(
        _panel(panel, table, limits[panel.axis], f"({letter}) {panel.title}" if len(drawn) > 1 else panel.title)
        for letter, (panel, table) in zip(ascii_lowercase, drawn, strict=False)
    )
    marks = tuple(replace(MARKS[name], label=words) for name, words in entries.items())
    return Figure(key, title, caption, nothing, shown, marks, across, for_paper=True)


def _table(effects: MeasuredEffects, panel: Strip) -> pd.DataFrame:
    parts = []
    for points in panel.points:
        rows = effects.of(points.effect, points.of).dropna(subset=["null" if points.null else "value"])
        beside = [p.mark for p in panel.points if p.lane == points.lane and MARKS[p.mark].shape != TICK]
        beside = list(dict.fromkeys(beside))
        place = (beside.index(points.mark) + 0.5) / len(beside) - 0.5 if points.mark in beside else 0.0
        part = pd.DataFrame({"value": rows["null" if points.null else "value"].to_numpy()})
        names = [f"{points.lane}, {task}, seed {seed}" for task, seed in zip(rows["task"], rows["seed"], strict=True)]
        spread = spread_rows(len(rows)) / max(len(beside), 1)
        offsets = _ROOM * place + spread - (spread.mean() if len(spread) else 0.0)
        parts.append(part.assign(lane=points.lane, mark=points.mark, name=names, offset=offsets))
    return pd.concat(parts, ignore_index=True)


def _panel(panel: Strip, table: pd.DataFrame, limits: tuple[float, float], title: str) -> Panel:
    names = list(dict.fromkeys(points.mark for points in panel.points))
    most = max(table.groupby("lane")["mark"].nunique())
    chart = lane_plot(
        table,
        {name: MARKS[name] for name in names},
        limits=limits,
        axis=panel.axis,
        words=f"{panel.title}: {panel.axis}" if panel.title else panel.axis,
        log=panel.log,
        percent=panel.percent,
        reference=panel.reference,
        row_pixels=max(_LEAST_PIXELS, _MARK_PIXELS * most),
    )
    return Panel((chart,), title)
