"""Charts as Plotly figures, for the page."""

import math
from typing import Any

import numpy as np
import plotly.graph_objects as go

from spectraledge.report.charts import Change, Chart, Curve, CurveChart, LaneChart, Placed, Point, change_height
from spectraledge.report.style import FONT, GRID, INK, QUIET, RIBBON, STRIPE, TINT

_TEXT = 12
_SMALL = 11
_LETTER_PIXELS = 6.2
_BAND_PIXELS = 9
_MARKER_PIXELS = 11


def plotly_figure(chart: Chart) -> go.Figure:
    """Draw one chart; its width follows the page, and dragging is left to scrolling."""
    figure = _lane_figure(chart) if isinstance(chart, LaneChart) else _curve_figure(chart)
    figure.update_layout(
        template="none",
        height=chart.height,
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        font={"family": FONT, "size": _TEXT, "color": INK},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="#ffffff",
    )
    return figure


def _lane_figure(chart: LaneChart) -> go.Figure:
    figure = go.Figure()
    form = ".1%" if chart.percent else ".2f" if chart.log else ".3f"
    placed = list(chart.placed())
    lanes = [(row, lane) for place in placed for row, lane in zip(place.rows, place.group.lanes, strict=True)]
    for row, lane in lanes:
        if lane.band:
            words = f"{lane.label}: median {lane.band.median:{form}}, 5–95%: {lane.band.low:{form}} to " + (
                f"{lane.band.high:{form}}"
            )
            figure.add_scatter(
                x=[lane.band.low, lane.band.high],
                y=[row, row],
                mode="lines",
                line={"color": lane.colour, "width": _BAND_PIXELS},
                opacity=0.35,
                hoverinfo="skip",
            )
            figure.add_scatter(
                x=[lane.band.median],
                y=[row],
                mode="markers",
                marker={"symbol": "line-ns", "size": 11, "line": {"color": lane.colour, "width": 2.5}},
                hovertemplate=words + "<extra></extra>",
            )
        for point in lane.points:
            figure.add_scatter(
                x=[point.value],
                y=[row],
                mode="markers",
                marker={
                    "symbol": point.shape.plotly + ("-open" if point.hollow else ""),
                    "size": _MARKER_PIXELS,
                    "color": point.colour,
                    "line": {"color": point.colour if point.hollow else "#ffffff", "width": 2 if point.hollow else 1},
                },
                hovertemplate=f"{point.name}: {point.value:{form}}{_interval_words(point, form)}<extra></extra>",
                error_x=_bars(point),
            )
    left = 14 + max((len(lane.label) for _, lane in lanes), default=0) * _LETTER_PIXELS
    for number, place in enumerate(placed):
        _group_background(figure, place, number)
    figure.add_vline(x=chart.reference, line={"color": INK, "width": 1.5, "dash": "dot"}, layer="below")
    figure.update_layout(margin={"l": left, "r": 14, "t": 6, "b": 56})
    figure.update_xaxes(
        title={"text": chart.axis, "font": {"size": _SMALL}, "standoff": 8},
        type="log" if chart.log else "linear",
        range=_range(chart.limits, log=chart.log),
        tickformat=".0%" if chart.percent else ".2~f",
        **(
            {"tickvals": chart.ticks, "ticktext": [f"{tick:g}" for tick in chart.ticks]} if chart.log else {"nticks": 6}
        ),
        **_axis(),
    )
    figure.update_yaxes(
        range=[chart.rows, 0],
        tickmode="array",
        tickvals=[row for row, _ in lanes],
        ticktext=[lane.label for _, lane in lanes],
        **(_axis() | {"showgrid": False, "showline": False, "ticks": ""}),
    )
    return figure


def _interval_words(point: Point, form: str) -> str:
    return f" (95% interval {point.interval[0]:{form}} to {point.interval[1]:{form}})" if point.interval else ""


def _bars(point: Point) -> dict[str, Any]:
    if point.interval is None:
        return {"visible": False}
    low, high = point.interval
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - point.value],
        "arrayminus": [point.value - low],
        "color": point.colour,
        "thickness": 2,
        "width": 4,
    }


def _group_background(figure: go.Figure, place: Placed, number: int) -> None:
    colour = TINT if place.group.emphasised else (STRIPE if number % 2 else "#ffffff")
    figure.add_hrect(y0=place.top, y1=place.bottom, fillcolor=colour, line_width=0, layer="below")
    figure.add_annotation(
        text=f"<b>{place.group.title}</b>",
        xref="paper",
        x=0,
        xshift=3,
        xanchor="left",
        y=place.heading,
        yanchor="middle",
        showarrow=False,
        font={"size": _TEXT},
        bgcolor=colour,
        borderpad=0,
    )


def _curve_figure(chart: CurveChart) -> go.Figure:
    figure = go.Figure()
    for curve in chart.curves:
        _add_curve(figure, chart, curve)
    if chart.reference is not None:
        figure.add_hline(y=chart.reference, line={"color": INK, "width": 1.5, "dash": "dot"}, layer="below")
    for number, change in enumerate(chart.changes):
        _add_change(figure, change, number)
    if chart.mark is not None:
        figure.add_vline(x=chart.mark, line={"color": INK, "width": 1, "dash": "dash"})
        first, last = chart.span
        figure.add_annotation(
            text=f"0.95 at {chart.mark:,}",
            x=chart.mark,
            xanchor="right" if chart.mark > (first + last) / 2 else "left",
            yref="paper",
            y=1,
            yanchor="bottom",
            showarrow=False,
            font={"size": _SMALL, "color": QUIET},
        )
    for label in chart.labels:
        figure.add_annotation(
            text=label.text,
            x=label.place,
            y=math.log10(label.value) if chart.log else label.value,
            yanchor="bottom",
            showarrow=False,
            font={"size": _SMALL},
        )
    figure.update_layout(margin={"l": 62, "r": 14, "t": 22, "b": 44})
    figure.update_xaxes(
        title={"text": chart.across, "font": {"size": _SMALL}, "standoff": 6},
        range=list(chart.span),
        tickformat=",d",
        nticks=5,
        **_axis(),
    )
    figure.update_yaxes(
        title={"text": chart.axis, "font": {"size": _SMALL}, "standoff": 6},
        type="log" if chart.log else "linear",
        tickformat=".2~%" if chart.percent else "",
        nticks=5,
        **({"tickvals": chart.ticks, "ticktext": [f"{tick:g}" for tick in chart.ticks]} if chart.ticks else {}),
        **({"range": _range(chart.limits, log=chart.log)} if chart.limits else {}),
        **_axis(),
    )
    return figure


def _add_curve(figure: go.Figure, chart: CurveChart, curve: Curve) -> None:
    places, values = curve.places_T.astype(np.float32), curve.values_T.astype(np.float32)
    form = ".1%" if chart.percent else ".3~g"
    where = "at step %{x:,}" if chart.across == "training step" else "at ω = %{x}"
    points = curve.drawn == "points"
    words: dict[str, Any] = {}
    if curve.ends:
        low, high = (end.astype(np.float32) for end in curve.ends)
        words = {"customdata": np.column_stack([low, high])}
        if points:
            words["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": high - values,
                "arrayminus": values - low,
                "color": curve.colour,
                "thickness": 1.2,
                "width": 0,
            }
        else:
            ribbon = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
            figure.add_scatter(x=places, y=low, **ribbon)
            figure.add_scatter(x=places, y=high, fill="tonexty", fillcolor=_faint(curve.colour), **ribbon)
    interval = f" (%{{customdata[0]:{form}}} to %{{customdata[1]:{form}}})" if curve.ends else ""
    figure.add_scatter(
        x=places,
        y=values,
        mode={"line": "lines", "steps": "lines+markers", "points": "markers"}[curve.drawn],
        marker={"size": 7 if points else 4, "color": curve.colour},
        line={
            "color": curve.colour,
            "width": curve.width,
            "dash": curve.dash.plotly,
            "shape": "hv" if curve.drawn == "steps" else "linear",
        },
        name=curve.name,
        hovertemplate=f"{curve.name}: %{{y:{form}}}{interval} {where}<extra></extra>",
        **words,
    )


def _add_change(figure: go.Figure, change: Change, number: int) -> None:
    line = {"color": change.colour, "dash": change.dash.plotly}
    figure.add_vline(x=change.at, line={**line, "width": 1}, layer="below")
    height = change_height(number)
    figure.add_shape(
        type="line", yref="paper", x0=change.low, x1=change.high, y0=height, y1=height, line={**line, "width": 5}
    )


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{RIBBON})"


def _range(limits: tuple[float, float], *, log: bool) -> list[float]:
    return [math.log10(limit) for limit in limits] if log else list(limits)


def _axis() -> dict[str, Any]:
    return {
        "fixedrange": True,
        "showgrid": True,
        "gridcolor": GRID,
        "zeroline": False,
        "showline": True,
        "linecolor": QUIET,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": QUIET,
        "tickfont": {"size": _SMALL},
    }
