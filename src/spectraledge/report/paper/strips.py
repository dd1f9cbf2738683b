"""Figures of points in lanes, declared panel by panel: every point is an effect's value, or its null, in one run."""

from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_lowercase

import pandas as pd
from matplotlib.axes import Axes

from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.report.paper.drawing import (
    GROUP_MARKS,
    KIND_MARKS,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    log_axis,
    percent_axis,
    scatter,
    spread_rows,
)
from spectraledge.report.paper.model import Drawing
from spectraledge.report.style import INK

_ROOM = 0.6


@dataclass(frozen=True)
class Points:
    """Points of one mark in one lane.

    Attributes:
        lane: The lane's label.
        mark: Name of their mark.
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


MARKS = {
    **KIND_MARKS,
    **{f"group-{place}": mark for place, mark in enumerate(GROUP_MARKS)},
    "null": KIND_MARKS["random"],
}
"""Marks of kinds of directions, and of groups of runs in their order."""

KINDS = {"edge": "edge", "bulk": "bulk", "random": "random directions"}
"""Kinds of directions that stand beside each other, in words."""


def strip_figure(
    effects: MeasuredEffects,
    key_: str,
    title: str,
    panels: Iterable[Strip],
    *,
    caption: str,
    nothing: str,
    entries: dict[str, str],
    across: int,
) -> Drawing | None:
    """Draw panels of points in lanes.

    Args:
        effects: What was measured.
        key_: File name.
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
    rows = -(-len(drawn) // across)
    lanes = max(len(dict.fromkeys(points.lane for points in panel.points)) for panel, _ in drawn)
    figure = canvas(TWO_COLUMNS, rows * (0.22 * lanes + 0.75) + 0.4)
    axes = figure.subplots(rows, min(across, len(drawn)), squeeze=False).ravel()
    for letter, ax, (panel, table) in zip(ascii_lowercase, axes, drawn, strict=False):
        _panel(ax, panel, table)
        finish(ax, f"{letter}  {panel.title}", across=panel.axis)
        if panel.log:
            log_axis(ax, table["value"])
        elif panel.percent:
            percent_axis(ax)
    for ax in axes[len(drawn) :]:
        ax.set_visible(False)
    key(figure, [(words, handle(MARKS[mark])) for mark, words in entries.items()])
    return Drawing(key_, title, caption, nothing, figure)


def _table(effects: MeasuredEffects, panel: Strip) -> pd.DataFrame:
    parts = []
    for points in panel.points:
        values = effects.of(points.effect, points.of)["null" if points.null else "value"].dropna()
        parts.append(pd.DataFrame({"lane": points.lane, "mark": points.mark, "value": values}))
    return pd.concat(parts, ignore_index=True)


def _panel(ax: Axes, panel: Strip, table: pd.DataFrame) -> None:
    lanes = list(dict.fromkeys(points.lane for points in panel.points))
    for row, lane in enumerate(lanes):
        marks = list(dict.fromkeys(points.mark for points in panel.points if points.lane == lane))
        for place, mark in enumerate(marks):
            values = table.loc[(table["lane"] == lane) & (table["mark"] == mark), "value"].to_numpy()
            offset = _ROOM * ((place + 0.5) / len(marks) - 0.5)
            scatter(ax, values, row + offset + spread_rows(len(values)) / len(marks), MARKS[mark], size=3.8)
    if panel.reference is not None:
        ax.axvline(panel.reference, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_ylim(len(lanes) - 0.5, -0.5)
    ax.set_yticks(range(len(lanes)), lanes)
    ax.tick_params(axis="y", length=0)
