"""Figures of points in lanes, declared panel by panel: every point is an effect's value, or its null, in one run."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import Literal

import pandas as pd

from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.lane_plot import lane_plot, spread_rows
from spectraledge.pages.marks import CIRCLE, DIAMOND, SQUARE, TICK, TRIANGLE, Mark
from spectraledge.pages.plots import limits_of
from spectraledge.pages.style import BLUE, GREEN, PURPLE, QUIET, VERMILLION
from spectraledge.report.over_seeds.effect_tables import Source

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
    """Points of a mark of `MARKS` in one lane: an effect's values in a condition's runs, or its nulls."""

    lane: str
    mark: str
    effect: str
    of: str
    null: bool = False


@dataclass(frozen=True)
class Strip:
    """A panel: those of one axis share its ends; `reference` is what nothing would give, "noise" F of white noise."""

    title: str
    axis: str
    points: tuple[Points, ...]
    log: bool = False
    percent: bool = False
    reference: float | Literal["noise"] | None = None


@dataclass(frozen=True)
class StripFigure:
    """A figure of panels of points in lanes; those without points are left out. Its key: words by mark."""

    key: str
    title: str
    panels: tuple[Strip, ...]
    caption: str
    nothing: str
    entries: Mapping[str, str]
    across: int

    def __call__(self, source: Source) -> Figure | None:
        """Draw it; None where there is nothing to draw."""
        drawn = [(panel, table) for panel in self.panels if len(table := _table(source.effects, panel))]
        if not drawn:
            return None
        shown = []
        for letter, (panel, table) in zip(ascii_lowercase, drawn, strict=False):
            reference = source.noise if panel.reference == "noise" else panel.reference
            alike = pd.concat([one for other, one in drawn if other.axis == panel.axis])["value"]
            ends = limits_of(alike, log=panel.log, around=() if reference is None else (reference,))
            title = f"({letter}) {panel.title}" if len(drawn) > 1 else panel.title
            shown.append(Panel((_chart(panel, table, reference, ends),), title))
        marks = tuple(replace(MARKS[name], label=words) for name, words in self.entries.items())
        return Figure(
            self.key, self.title, self.caption, self.nothing, tuple(shown), marks, self.across, for_paper=True
        )


def kind_points(effect: str, of: str, lane: str = "") -> tuple[Points, ...]:
    """Edge, bulk and random directions, in one lane or each in its own."""
    return tuple(
        Points(lane or words, kind, f"{effect}:{'bulk' if kind == 'bulk' else 'edge'}-random", of, kind == "random")
        for kind, words in KINDS.items()
    )


def _table(effects: MeasuredEffects, panel: Strip) -> pd.DataFrame:
    parts = []
    for points in panel.points:
        column = "null" if points.null else "value"
        rows = effects.of(points.effect, points.of).dropna(subset=column)
        # Marks of one lane stand one below the other, but ticks, which are of the other marks, in its middle.
        marks = [one.mark for one in panel.points if one.lane == points.lane and MARKS[one.mark].shape != TICK]
        marks = list(dict.fromkeys(marks))
        place = (marks.index(points.mark) + 0.5) / len(marks) - 0.5 if points.mark in marks else 0.0
        beside = spread_rows(len(rows)) / len(marks)
        parts.append(
            pd.DataFrame(
                {
                    "lane": points.lane,
                    "mark": points.mark,
                    "value": rows[column].to_numpy(),
                    "name": [
                        f"{points.lane}, {task}, seed {seed}"
                        for task, seed in zip(rows["task"], rows["seed"], strict=True)
                    ],
                    "offset": _ROOM * place + beside - (beside.mean() if len(beside) else 0.0),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _chart(panel: Strip, table: pd.DataFrame, reference: float | None, limits: tuple[float, float]) -> Chart:
    return lane_plot(
        table,
        {points.mark: MARKS[points.mark] for points in panel.points},
        axis=panel.axis,
        words=f"{panel.title}: {panel.axis}" if panel.title else panel.axis,
        limits=limits,
        log=panel.log,
        percent=panel.percent,
        reference=reference,
        row_pixels=max(_LEAST_PIXELS, _MARK_PIXELS * int(table.groupby("lane")["mark"].nunique().max())),
    )
