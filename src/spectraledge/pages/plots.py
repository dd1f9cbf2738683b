"""What all charts share: axes with ticks at round values, marks by name, and layers of Vega-Lite as plain data."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spectraledge.pages.marks import SHAPES, TICK, Mark
from spectraledge.pages.style import BAND_OPACITY

Layer = dict[str, Any]
"""A layer of Vega-Lite: its mark, its encoding and, under `data`, the rows that it draws."""

POINTER = "pointer"
"""Name of layers that only serve to point at values: files do without them."""

REFERENCE_WIDTH = 1.2
"""Width of the line where nothing would lie."""

_SIZE = 78
_TICKS = 7
_FEW_DECADES = 2.3
_SOME = 6.0
_LITTLE = 1.6
_FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
_FEWEST_TICKS = 3
_ROOM = 0.06
_DIGITS = 6


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks of a log axis around what is drawn: powers of ten; of few of them more of each; within one, even steps."""
    if high / low < _LITTLE:
        return _even_ticks(low, high)
    exponents = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    powers = 10.0 ** exponents[:: max(1, -(-len(exponents) // _TICKS))]
    if np.log10(high / low) > _FEW_DECADES:
        return [float(tick) for tick in powers]
    fine = np.outer(10.0**exponents, _FINE if high / low < _SOME else (1, 2, 5)).ravel()
    return [float(tick) for tick in fine if low / 2 <= tick <= high * 2]


def limits_of(values: Iterable[float], *, log: bool, around: Iterable[float] = ()) -> tuple[float, float]:
    """Limits of an axis, a little wider than what is drawn and can be, and than `around`; (0, 1) or (1, 10) without."""
    shown = np.array([value for value in (*values, *around) if np.isfinite(value) and (value > 0 or not log)])
    if not len(shown):
        return (1.0, 10.0) if log else (0.0, 1.0)
    low, high = float(shown.min()), float(shown.max())
    if log:
        room = (high / low) ** _ROOM * 1.005
        return low / room, high * room
    room = _ROOM * (high - low) or _ROOM * (abs(high) or 1.0)
    return low - room, high + room


def value_axis(
    limits: tuple[float, float],
    title: str,
    *,
    log: bool = False,
    percent: bool = False,
    ticks: Iterable[float] = (),
    names: Sequence[str] = (),
) -> dict[str, Any]:
    """Scale and axis of a channel of values, for `channel`; ticks at round values, or where 1, 2, … are named."""
    low, high = map(float, limits)
    chosen = [tick for tick in (range(1, len(names) + 1) if names else ticks) if low <= tick <= high]
    if log and not chosen:
        chosen = [tick for tick in log_ticks(low, high) if low <= tick <= high]
        if len(chosen) < _FEWEST_TICKS:
            powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
            chosen = [float(tick) for tick in np.outer(powers, (1, 2, 5)).ravel() if low <= tick <= high]
    # Of given values, a count would leave out every second one.
    ticks_or_count: dict[str, Any] = {"values": chosen} if chosen else {"tickCount": 5}
    axis = {"format": ".2~%" if percent else ",.6~g", "labelOverlap": "greedy", **ticks_or_count}
    if names:
        axis["labelExpr"] = f"{json.dumps(list(names), ensure_ascii=False)}[datum.value - 1]"
    return {
        "title": title,
        "axis": axis,
        "scale": {"domain": [low, high], "nice": False, **({"type": "log"} if log else {"zero": False})},
    }


def number_form(*, percent: bool) -> str:
    """How a value is written where one points at it."""
    return ".1%" if percent else ".3~g"


def tooltip(names: Mapping[str, str], *, form: str, places: Mapping[str, str] | None = None) -> list[Layer]:
    """What is said where one points."""
    return [
        channel("name", "nominal", title="of"),
        *(channel(column, title=title, format=form) for column, title in names.items()),
        *(channel(column, title=title, format=",d") for column, title in (places or {}).items()),
    ]


def channel(field: str, type: str = "quantitative", **properties: Any) -> Layer:
    """How a column is encoded."""
    return {"field": field, "type": type, **properties}


def layer(table: pd.DataFrame, mark: str, *, name: str = "", encoding: Mapping[str, Any], **style: Any) -> Layer:
    """Draw each row of a table as a mark of Vega-Lite; a value that is missing or not finite is none."""
    columns = {column: [_plain(value) for value in table[column].tolist()] for column in table}
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    named = {"name": name} if name else {}
    return {**named, "data": rows, "mark": {"type": mark, **style}, "encoding": dict(encoding)}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def marked(marks: Mapping[str, Mark]) -> Layer:
    """Colours by the column `mark`."""
    return _by_mark(marks, [mark.colour for mark in marks.values()])


def shaped(marks: Mapping[str, Mark]) -> Layer:
    """Shapes by the column `mark`."""
    return _by_mark(marks, [mark.shape or SHAPES[0] for mark in marks.values()])


def _by_mark(marks: Mapping[str, Mark], looks: list[str]) -> Layer:
    return channel("mark", "nominal", scale={"domain": list(marks), "range": looks}, legend=None)


def points(table: pd.DataFrame, marks: Mapping[str, Mark], *, size: float = _SIZE, **channels: Any) -> list[Layer]:
    """Layers of points, filled ones, outlines and ticks apart."""
    layers = []
    for hollow in (True, False):
        kinds = [name for name, mark in marks.items() if (mark.hollow or mark.shape == TICK) == hollow]
        part = table[table["mark"].isin(kinds)]
        if len(part):
            style = {"strokeWidth": 1.7} if hollow else {"stroke": "white", "strokeWidth": 0.7}
            encoding = {"stroke" if hollow else "fill": marked(marks), "shape": shaped(marks), **channels}
            look: dict[str, Any] = {"size": size, "filled": not hollow, "opacity": 1, **style}
            layers.append(layer(rounded(part), "point", encoding=encoding, **look))
    return layers


def bands(table: pd.DataFrame, marks: Mapping[str, Mark], *, thickness: int, **channels: Any) -> Layer:
    """A layer of thick faint lines, from end to end of what lies there."""
    encoding = {"color": marked(marks), **channels}
    return layer(rounded(table), "rule", encoding=encoding, strokeWidth=thickness, opacity=BAND_OPACITY)


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """The same with values to six digits, more than can be seen."""
    shown = table.copy()
    for name in table.select_dtypes("float").columns:
        shown[name] = [float(f"{value:.{_DIGITS}g}") for value in table[name]]
    return shown


def specification(layers: Sequence[Layer], *, height: float) -> dict[str, Any]:
    """Layers as Vega-Lite without a width and without an outside address; rows that several draw are there once."""
    named, datasets = [], {}
    for one in layers:
        name = f"data-{hashlib.md5(json.dumps(one['data']).encode(), usedforsecurity=False).hexdigest()}"
        datasets[name] = one["data"]
        named.append({**one, "data": {"name": name}})
    return {"layer": named, "height": round(height), "datasets": datasets}


def _even_ticks(low: float, high: float) -> list[float]:
    """Ticks in even steps of 1, 2 or 5 times a power of ten, to one at or beyond each end."""
    rough = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [float(f"{step * place:.10g}") for place in range(int(np.floor(low / step)), int(np.ceil(high / step)) + 1)]
