"""Charts as data: what is drawn is decided once, and drawn twice (Plotly for the page, Matplotlib for files)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spectraledge.report.style import SOLID, Dash, Shape

Float = NDArray[np.float64]

ROW_PIXELS = 16
_FRAME_PIXELS = 62
_GAP_ROWS = 0.4
_STEP_ROOM = 0.02
_TICKS = 7
_WHOLE_TICKS = 5
_FEW_DECADES = 2.3
_SOME = 6.0
_LITTLE = 1.6
_FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


@dataclass(frozen=True)
class Band:
    """The 5%, 50% and 95% points of a statistic over directions of one kind."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Point:
    """One value of one direction.

    Attributes:
        value: Where it stands.
        name: What it is, in words.
        colour: Colour.
        shape: Marker.
        hollow: Whether only its outline is drawn: published values.
        interval: Its confidence interval, if it has one.
    """

    value: float
    name: str
    colour: str
    shape: Shape
    hollow: bool = False
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lane:
    """One horizontal line of a chart.

    Attributes:
        label: At its left.
        colour: Of its band.
        points: Values on it.
        band: Where a null lies, if it is one.
    """

    label: str
    colour: str
    points: tuple[Point, ...] = ()
    band: Band | None = None


@dataclass(frozen=True)
class Group:
    """Lanes that belong together, under a heading.

    Attributes:
        title: The heading.
        lanes: Its lanes, top to bottom.
        emphasised: Whether it is tinted: the task's own basis.
    """

    title: str
    lanes: tuple[Lane, ...]
    emphasised: bool = False


@dataclass(frozen=True)
class Placed:
    """Where a group stands, in rows from the top.

    Attributes:
        group: The group.
        top: Its upper border.
        bottom: Its lower border.
        rows: Row of each lane.
    """

    group: Group
    top: float
    bottom: float
    rows: tuple[float, ...]

    @property
    def heading(self) -> float:
        """Row of the heading."""
        return self.top + 0.5


@dataclass(frozen=True)
class LaneChart:
    """Points and bands on one value axis, in groups of lanes.

    Attributes:
        title: What it shows.
        axis: Title of the value axis, with its unit.
        groups: Top to bottom.
        limits: Of the value axis.
        percent: Whether values are shares.
        reference: Where a line for "nothing" stands.
        log: Whether the value axis is logarithmic.
    """

    title: str
    axis: str
    groups: tuple[Group, ...]
    limits: tuple[float, float]
    percent: bool
    reference: float
    log: bool = False

    def placed(self) -> Iterator[Placed]:
        """Yield every group with its place."""
        top = 0.0
        for group in self.groups:
            rows = tuple(top + 1.5 + i for i in range(len(group.lanes)))
            bottom = top + 1 + len(group.lanes) + _GAP_ROWS
            yield Placed(group, top, bottom, rows)
            top = bottom

    @property
    def rows(self) -> float:
        """How many rows it is high."""
        return sum(1 + len(group.lanes) + _GAP_ROWS for group in self.groups)

    @property
    def height(self) -> int:
        """Height in pixels."""
        return round(_FRAME_PIXELS + ROW_PIXELS * self.rows)

    @property
    def ticks(self) -> list[float]:
        """Ticks of a logarithmic value axis; empty where the renderer's own choice does."""
        inside = log_ticks(*self.limits) if self.log else []
        return [tick for tick in inside if self.limits[0] <= tick <= self.limits[1]]


@dataclass(frozen=True)
class Curve:
    """Values over training steps, or over frequencies.

    Attributes:
        name: What it is.
        places_T: Where on the horizontal axis.
        values_T: Values, NaN where there is none.
        colour: Colour.
        dash: Line style.
        width: In points.
        drawn: "line"; "steps", which keep their value until the next one: integers; or "points", not joined.
        low_T: Lower ends of intervals, if it has them: a ribbon around a line, bars at points.
        high_T: Upper ends.
    """

    name: str
    places_T: Float
    values_T: Float
    colour: str
    dash: Dash = SOLID
    width: float = 1.8
    drawn: Literal["line", "steps", "points"] = "line"
    low_T: Float | None = None
    high_T: Float | None = None

    @property
    def ends(self) -> tuple[Float, Float] | None:
        """Lower and upper ends of its intervals, if it has them."""
        return None if self.low_T is None or self.high_T is None else (self.low_T, self.high_T)

    @property
    def extent(self) -> Float:
        """All finite values and ends of intervals."""
        values: Float = np.concatenate([self.values_T, *(self.ends or ())])
        return values[np.isfinite(values)]


@dataclass(frozen=True)
class Change:
    """A change point.

    Attributes:
        at: The step from which there is a new level.
        low: Lower end of its confidence interval.
        high: Upper end.
        colour: Of the curve that changes.
        dash: Of the curve that changes.
    """

    at: float
    low: float
    high: float
    colour: str
    dash: Dash = SOLID


@dataclass(frozen=True)
class Label:
    """Words at a point."""

    place: float
    value: float
    text: str


@dataclass(frozen=True)
class CurveChart:
    """Values over training steps, or over frequencies.

    Attributes:
        title: What it shows.
        axis: Title of the value axis, with its unit.
        curves: Its curves.
        height: In pixels.
        log: Whether the value axis is logarithmic.
        percent: Whether values are shares.
        limits: Of the value axis, or None for the data's own.
        mark: A step to mark: when test accuracy reached 0.95.
        reference: A value to mark: what nothing would give.
        changes: Change points.
        labels: Words at points.
        across: Title of the horizontal axis.
    """

    title: str
    axis: str
    curves: tuple[Curve, ...]
    height: int
    log: bool = False
    percent: bool = False
    limits: tuple[float, float] | None = None
    mark: int | None = None
    reference: float | None = None
    changes: tuple[Change, ...] = ()
    labels: tuple[Label, ...] = ()
    across: str = "training step"

    @property
    def span(self) -> tuple[float, float]:
        """Limits of the horizontal axis, a little wider than the data."""
        first = min(float(curve.places_T.min()) for curve in self.curves)
        last = max(float(curve.places_T.max()) for curve in self.curves)
        room = _STEP_ROOM * max(last - first, 1.0)
        return first - room, last + room

    @property
    def ticks(self) -> list[float]:
        """Ticks of the value axis: whole numbers for stepped curves, 1-2-5 or powers of ten on a log axis.

        Returns:
            The values; empty where the renderer's own choice does.
        """
        values = np.concatenate([curve.extent for curve in self.curves])
        if any(curve.drawn == "steps" for curve in self.curves) and len(values):
            top = int(values.max()) + 1
            return [float(tick) for tick in range(0, top + 1, -(-top // _WHOLE_TICKS))]
        return log_ticks(float(values.min()), float(values.max())) if self.log and len(values) else []


def change_height(number: int) -> float:
    """Height at which a chart's change point is drawn, as a fraction of the chart: from the bottom upwards."""
    return 0.04 + 0.05 * number


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a log axis: powers of ten; where there are few of them, more of each; within less than one, even steps.

    Args:
        low: The smallest value.
        high: The largest.

    Returns:
        The ticks, from one at or below the smallest value to one at or above the largest.
    """
    if high / low < _LITTLE:
        return [float(tick) for tick in MaxNLocator(_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)]
    exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    powers = 10.0 ** exponents[:: max(1, -(-len(exponents) // _TICKS))]
    if np.log10(high / low) > _FEW_DECADES:
        return [float(tick) for tick in powers]
    fine = np.outer(10.0**exponents, _FINE if high / low < _SOME else (1, 2, 5)).ravel()
    return [float(tick) for tick in fine if low / 2 <= tick <= high * 2]


Chart = LaneChart | CurveChart


@dataclass(frozen=True)
class KeyEntry:
    """One entry of a figure's key; what is given of shape, dash and band is drawn.

    Attributes:
        label: Words.
        colour: Colour.
        shape: A marker.
        dash: A line.
        band: A band with its median.
        hollow: Whether the marker is an outline.
    """

    label: str
    colour: str
    shape: Shape | None = None
    dash: Dash | None = None
    band: bool = False
    hollow: bool = False


@dataclass(frozen=True)
class Panel:
    """Charts of one run."""

    title: str
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class FigureSpec:
    """A figure of the report.

    Attributes:
        key: Its file name.
        title: Its title.
        caption: What is drawn, and from which window and step.
        nothing: What it would look like if there were nothing to see.
        entries: Its key.
        panels: Its panels; none where the study has nothing to draw.
        beside: Whether a panel's charts stand side by side, one panel per row, rather than one above the other.
    """

    key: str
    title: str
    caption: str
    nothing: str
    entries: tuple[KeyEntry, ...]
    panels: tuple[Panel, ...]
    beside: bool = False

    def identified(self) -> Iterator[tuple[Panel, list[tuple[str, Chart]]]]:
        """Yield every panel with its charts, each under a name of its own on the page."""
        for number, panel in enumerate(self.panels):
            yield panel, [(f"{self.key}-{number}-{i}", chart) for i, chart in enumerate(panel.charts)]
