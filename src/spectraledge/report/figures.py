"""Charts as Matplotlib figures, for files; nothing global is touched, so any process may draw them."""

import textwrap
from io import BytesIO
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

from spectraledge.report.charts import (
    Chart,
    Curve,
    CurveChart,
    FigureSpec,
    KeyEntry,
    LaneChart,
    change_height,
)
from spectraledge.report.style import GRID, INK, QUIET, RIBBON, STRIPE, TINT

Format = Literal["png", "pdf"]
FORMATS: tuple[Format, ...] = ("png", "pdf")
"""Each figure is written in these."""

_WIDTH_INCHES = 10.0
_PIXELS_PER_INCH = 92
_HEADING_INCHES = 0.55
_KEY_LINE_INCHES = 0.24
_KEY_COLUMNS = 3
_CAPTION_LINE_INCHES = 0.17
_CAPTION_LETTERS = 150
_PANEL_TITLE_INCHES = 0.34
_DPI = 150
_TEXT = 9
_SMALL = 8


def draw(spec: FigureSpec) -> Figure:
    """Draw a figure with all its panels, its key and its caption.

    Args:
        spec: A figure with at least one panel.

    Returns:
        The Matplotlib figure, on a page as high as its content.
    """
    across = 1 if spec.beside else 2
    rows = [spec.panels[i : i + across] for i in range(0, len(spec.panels), across)]
    heights = [max(_panel_inches(panel.charts, beside=spec.beside) for panel in row) for row in rows]
    figure, bands = framed(spec, heights)
    for band, row in zip(bands, rows, strict=True):
        cells = band.subfigures(1, across, squeeze=False).ravel()
        for cell, panel in zip(cells, row, strict=False):
            _draw_panel(cell, panel.title, panel.charts, beside=spec.beside)
    return figure


def framed(spec: FigureSpec, inches: list[float]) -> tuple[Figure, list[SubFigure]]:
    """Make a figure with title, key and caption, so that a file says what it shows, and empty bands between them.

    Args:
        spec: Words and key.
        inches: Height of each band.

    Returns:
        The figure, and its bands.
    """
    words = textwrap.fill(f"{spec.caption} If there were nothing to see, {spec.nothing}", _CAPTION_LETTERS)
    key_inches = _KEY_LINE_INCHES * -(-len(spec.entries) // _KEY_COLUMNS) + 0.1
    caption_inches = _CAPTION_LINE_INCHES * (words.count("\n") + 1) + 0.2
    heights = [_HEADING_INCHES, *inches, key_inches, caption_inches]
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06)
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights)), layout=layout)
    heading, *bands, key, foot = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights).ravel()
    heading.text(0.01, 0.5, spec.title, fontsize=12, fontweight="bold", color=INK, va="center")
    if spec.entries:
        _draw_key(key, spec.entries)
    foot.text(0.01, 0.5, words, fontsize=_SMALL, color=QUIET, va="center", linespacing=1.35)
    return figure, bands


def encoded(figure: Figure, form: Format) -> bytes:
    """Encode a figure as the content of a file, the same for the same figure: no date is written."""
    content = BytesIO()
    metadata = {"CreationDate": None} if form == "pdf" else None
    figure.savefig(content, format=form, dpi=_DPI, metadata=metadata)
    return content.getvalue()


def _panel_inches(charts: tuple[Chart, ...], *, beside: bool) -> float:
    heights = [chart.height / _PIXELS_PER_INCH for chart in charts]
    return (max(heights) if beside else sum(heights)) + _PANEL_TITLE_INCHES


def _draw_panel(cell: SubFigure, title: str, charts: tuple[Chart, ...], *, beside: bool) -> None:
    if title:
        cell.suptitle(title, fontsize=10, fontweight="bold", color=INK)
    if beside:
        axes = cell.subplots(1, len(charts), squeeze=False).ravel()
    else:
        ratios = [chart.height for chart in charts]
        axes = cell.subplots(len(charts), 1, squeeze=False, height_ratios=ratios).ravel()
    for ax, chart in zip(axes, charts, strict=True):
        if len(charts) > 1:
            ax.set_title(chart.title, fontsize=_TEXT, color=INK, loc="left")
        if isinstance(chart, LaneChart):
            _draw_lanes(ax, chart)
        else:
            _draw_curves(ax, chart)
        ax.tick_params(labelsize=_SMALL, color=QUIET)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(QUIET)


def _draw_lanes(ax: Axes, chart: LaneChart) -> None:
    ticks, labels = [], []
    for number, place in enumerate(chart.placed()):
        colour = TINT if place.group.emphasised else (STRIPE if number % 2 else "#ffffff")
        ax.axhspan(place.top, place.bottom, color=colour, linewidth=0, zorder=0)
        ax.annotate(
            place.group.title,
            (0, place.heading),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=_SMALL,
            fontweight="bold",
            color=INK,
            bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.5},
        )
        for row, lane in zip(place.rows, place.group.lanes, strict=True):
            ticks.append(row)
            labels.append(lane.label)
            if lane.band:
                width = lane.band.high - lane.band.low
                ax.barh(row, width, 0.55, lane.band.low, color=lane.colour, alpha=0.35, linewidth=0, zorder=2)
                ax.plot(lane.band.median, row, "|", color=lane.colour, markersize=9, markeredgewidth=2, zorder=3)
            for point in lane.points:
                if point.interval:
                    ax.hlines(row, *point.interval, color=point.colour, linewidth=1.8, zorder=3)
                ax.plot(
                    point.value,
                    row,
                    point.shape.matplotlib,
                    markersize=6.5,
                    markerfacecolor="none" if point.hollow else point.colour,
                    markeredgecolor=point.colour if point.hollow else "white",
                    markeredgewidth=1.4 if point.hollow else 0.6,
                    zorder=4,
                )
    ax.axvline(chart.reference, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    ax.set_xlim(*chart.limits)
    ax.set_ylim(chart.rows, 0)
    ax.set_yticks(ticks, labels)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    if chart.log:
        ax.set_xscale("log")
        ax.set_xlim(*chart.limits)
        ax.xaxis.set_major_locator(FixedLocator(chart.ticks))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if chart.percent:
        ax.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set_xlabel(chart.axis, fontsize=_SMALL)


def _draw_curves(ax: Axes, chart: CurveChart) -> None:
    for curve in chart.curves:
        _draw_curve(ax, curve)
    if chart.reference is not None:
        ax.axhline(chart.reference, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    for number, change in enumerate(chart.changes):
        ax.axvline(change.at, linewidth=0.8, zorder=1, color=change.colour, linestyle=change.dash.matplotlib)
        heights = [change_height(number)] * 2
        low_high, across = (change.low, change.high), ax.get_xaxis_transform()
        ax.plot(low_high, heights, change.dash.matplotlib, color=change.colour, linewidth=3.5, transform=across)
    if chart.mark is not None:
        ax.axvline(chart.mark, color=INK, linewidth=0.9, linestyle="--")
        ax.annotate(
            f"0.95 at {chart.mark:,}",
            (chart.mark, 1.01),
            xycoords=("data", "axes fraction"),
            ha="right" if chart.mark > sum(chart.span) / 2 else "left",
            fontsize=_SMALL,
            color=QUIET,
        )
    for label in chart.labels:
        where = (label.place, label.value)
        ax.annotate(label.text, where, xytext=(0, 2), textcoords="offset points", ha="center", fontsize=_SMALL)
    if chart.log:
        ax.set_yscale("log")
    elif chart.percent:
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
    if chart.limits:
        ax.set_ylim(*chart.limits)
    if chart.ticks:
        ax.yaxis.set_major_locator(FixedLocator(chart.ticks))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.set_xlim(*chart.span)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.grid(color=GRID, linewidth=0.6)
    ax.set_xlabel(chart.across, fontsize=_SMALL)
    ax.set_ylabel(chart.axis, fontsize=_SMALL)


def _draw_curve(ax: Axes, curve: Curve) -> None:
    points = curve.drawn == "points"
    if curve.ends and points:
        ax.vlines(curve.places_T, *curve.ends, color=curve.colour, linewidth=0.9)
    elif curve.ends:
        ax.fill_between(curve.places_T, *curve.ends, color=curve.colour, alpha=RIBBON, linewidth=0)
    ax.plot(
        curve.places_T,
        curve.values_T,
        color=curve.colour,
        linestyle="none" if points else curve.dash.matplotlib,
        linewidth=curve.width * 0.8,
        drawstyle="steps-post" if curve.drawn == "steps" else "default",
        marker={"line": "", "steps": ".", "points": "o"}[curve.drawn],
        markersize=4,
    )


def _draw_key(place: SubFigure, entries: tuple[KeyEntry, ...]) -> None:
    # Matplotlib draws a tuple of artists as one handle, but its types know single artists only.
    handles: list[Any] = [_handle(entry) for entry in entries]
    place.legend(
        handles,
        [entry.label for entry in entries],
        loc="center",
        ncols=min(_KEY_COLUMNS, len(entries)),
        fontsize=_SMALL,
        frameon=False,
        handler_map={tuple: HandlerTuple(ndivide=1)},
    )


def _handle(entry: KeyEntry) -> Line2D | tuple[Patch, Line2D]:
    if entry.band and entry.dash:
        line = Line2D([], [], color=entry.colour, linestyle=entry.dash.matplotlib)
        return Patch(facecolor=entry.colour, alpha=RIBBON), line
    if entry.band:
        tick = Line2D([], [], color=entry.colour, marker="|", markersize=8, markeredgewidth=2, linestyle="none")
        return Patch(facecolor=entry.colour, alpha=0.35), tick
    if entry.shape:
        return Line2D(
            [],
            [],
            linestyle="none",
            marker=entry.shape.matplotlib,
            markerfacecolor="none" if entry.hollow else entry.colour,
            markeredgecolor=entry.colour,
        )
    assert entry.dash is not None
    return Line2D([], [], color=entry.colour, linestyle=entry.dash.matplotlib)
