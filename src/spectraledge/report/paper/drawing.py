"""Figures for a paper: one or two columns wide, colours of Okabe and Ito, a shape or dash beside every colour."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from spectraledge.report.charts import log_ticks
from spectraledge.report.style import BLUE, GREEN, GRID, INK, ORANGE, PURPLE, QUIET, SHAPES, VERMILLION, Shape

ONE_COLUMN = 3.4
TWO_COLUMNS = 7.0
"""Widths of a paper's figures, in inches."""

TEXT = 8
SMALL = 7

_JITTER = 0.22
_FEWEST_TICKS = 3


@dataclass(frozen=True)
class Mark:
    """How points of one kind are drawn.

    Attributes:
        colour: Their colour.
        shape: Their shape.
        hollow: Whether only outlines are drawn: nulls.
    """

    colour: str
    shape: Shape
    hollow: bool = False


GROUP_MARKS = (
    Mark(VERMILLION, SHAPES[0]),
    Mark(BLUE, SHAPES[1]),
    Mark(GREEN, SHAPES[2]),
    Mark(PURPLE, SHAPES[3]),
)
"""Marks of groups of runs, in order."""

KIND_MARKS = {
    "edge": Mark(VERMILLION, SHAPES[0]),
    "bulk": Mark(GREEN, SHAPES[1]),
    "span": Mark(BLUE, SHAPES[3], hollow=True),
    "random": Mark(QUIET, SHAPES[2], hollow=True),
    "tilted": Mark(ORANGE, SHAPES[4], hollow=True),
}
"""Marks of kinds of directions."""


def canvas(width: float, height: float) -> Figure:
    """Make an empty figure."""
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.05))


def finish(ax: Axes, title: str, *, across: str = "", up: str = "") -> None:
    """Give axes their title, labels and quiet frame.

    Args:
        ax: The axes.
        title: Above them.
        across: Title of the horizontal axis, with its unit.
        up: Title of the vertical one.
    """
    ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
    ax.set_xlabel(across, fontsize=SMALL)
    ax.set_ylabel(up, fontsize=SMALL)
    ax.tick_params(labelsize=SMALL, color=QUIET)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(QUIET)
    ax.grid(color=GRID, linewidth=0.5)
    ax.set_axisbelow(True)


def scatter(ax: Axes, places: Iterable[float], rows: Iterable[float], mark: Mark, *, size: float = 4.2) -> None:
    """Draw points, not joined."""
    ax.plot(
        list(places),
        list(rows),
        mark.shape.matplotlib,
        markersize=size,
        markerfacecolor="none" if mark.hollow else mark.colour,
        markeredgecolor=mark.colour if mark.hollow else "white",
        markeredgewidth=0.9 if mark.hollow else 0.5,
        zorder=4,
    )


def strips(
    ax: Axes,
    table: pd.DataFrame,
    lanes: Sequence[str],
    marks: Sequence[Mark],
    *,
    labels: bool = True,
    null: float | None = None,
) -> None:
    """Draw the values of each lane as points in a row of its own, and their mean as an upright bar.

    Args:
        ax: The axes.
        table: Columns `lane`, `value` and, if they have their own, `null`.
        lanes: Names of lanes, top to bottom.
        marks: One for each lane.
        labels: Whether lanes are named at the left.
        null: A value to mark: what nothing would give.
    """
    for row, (lane, mark) in enumerate(zip(lanes, marks, strict=True)):
        part = table[table["lane"] == lane]
        values = part["value"].to_numpy(np.float64)
        values = values[np.isfinite(values)]
        if "null" in part:
            nulls = part["null"].to_numpy(np.float64)
            nulls = nulls[np.isfinite(nulls)]
            ax.plot(nulls, np.full(len(nulls), row), "|", color=QUIET, markersize=9, markeredgewidth=0.8, zorder=2)
        if len(values):
            scatter(ax, values, row + spread_rows(len(values)), mark)
    if null is not None:
        ax.axvline(null, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_ylim(len(lanes) - 0.5, -0.5)
    ax.set_yticks(range(len(lanes)), lanes if labels else [""] * len(lanes))
    ax.tick_params(axis="y", length=0)


def spread_rows(count: int) -> np.ndarray:
    """Offsets that keep points of one row apart, the same for the same number of points."""
    return _JITTER * (2 * ((np.arange(count) * 0.618034) % 1) - 1)


def log_axis(ax: Axes, values: Iterable[float], *, vertical: bool = False) -> None:
    """Make an axis logarithmic, with ticks at round values.

    Args:
        ax: The axes.
        values: All values on it; those that are not positive are left out.
        vertical: Whether it is the vertical axis.
    """
    shown = np.array([value for value in values if np.isfinite(value) and value > 0])
    if not len(shown):
        return
    room = (shown.max() / shown.min()) ** 0.06 * 1.005
    low, high = float(shown.min() / room), float(shown.max() * room)
    axis = ax.yaxis if vertical else ax.xaxis
    (ax.set_yscale if vertical else ax.set_xscale)("log")
    (ax.set_ylim if vertical else ax.set_xlim)(low, high)
    ticks = [tick for tick in log_ticks(low, high) if low <= tick <= high]
    if len(ticks) < _FEWEST_TICKS:
        powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
        ticks = [float(tick) for tick in np.outer(powers, (1, 2, 5)).ravel() if low <= tick <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_locator(LogLocator(subs=range(2, 10)))
    axis.set_minor_formatter(NullFormatter())


def step_axis(ax: Axes, ticks: int = 5) -> None:
    """Give the horizontal axis ticks at whole steps."""
    ax.xaxis.set_major_locator(MaxNLocator(ticks, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def percent_axis(ax: Axes, *, vertical: bool = False) -> None:
    """Write an axis of shares in percent."""
    axis = ax.yaxis if vertical else ax.xaxis
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))


def key(figure: Figure, entries: Sequence[tuple[str, Line2D]], *, columns: int = 4) -> None:
    """Draw the key under a figure.

    Args:
        figure: The figure.
        entries: Words and what they stand for.
        columns: How many stand side by side.
    """
    figure.legend(
        [line for _, line in entries],
        [words for words, _ in entries],
        loc="outside lower center",
        ncols=min(columns, len(entries)),
        fontsize=SMALL,
        frameon=False,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def handle(mark: Mark) -> Line2D:
    """What stands for a mark in a key."""
    return Line2D(
        [],
        [],
        linestyle="none",
        marker=mark.shape.matplotlib,
        markersize=5,
        markerfacecolor="none" if mark.hollow else mark.colour,
        markeredgecolor=mark.colour,
    )


NULL_HANDLE = Line2D([], [], linestyle="none", marker="|", color=QUIET, markersize=9)
"""What stands for nulls of single runs."""

REFERENCE_HANDLE = Line2D([], [], linestyle=":", color=INK, linewidth=0.8)
"""What stands for a value that nothing would give."""
