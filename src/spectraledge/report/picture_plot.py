"""Values over a grid as a picture: one cell per value, white at zero."""

import base64
from collections.abc import Sequence
from io import BytesIO

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from spectraledge.report.document import Chart
from spectraledge.report.plots import specification
from spectraledge.report.style import QUIET, SIGNED

LIMIT = 2.0
"""Colours end here, in units of a picture's root mean square."""

_SHADES = 254
_PIXELS = 3
"""Sides of a cell in the image, so that no renderer makes it smooth."""


def picture_plot(
    values: NDArray[np.float64], *, title: str, across: str, up: str, words: str, side: int = 200
) -> Chart:
    """Draw a picture.

    Args:
        values: Values, the first row at the bottom; NaN for a cell without one.
        title: Above it.
        across: What runs to the right.
        up: What runs upwards.
        words: What it shows, for those who cannot see it.
        side: Its width in pixels; cells are square.

    Returns:
        The chart.
    """
    rows, columns = values.shape
    scale = np.clip((values[::-1] + LIMIT) / (2 * LIMIT), 0, 1)
    shades = np.where(np.isnan(scale), _SHADES, np.nan_to_num(scale) * (_SHADES - 1)).round().astype(np.uint8)
    height = round(side * rows / columns)
    base = alt.Chart(pd.DataFrame({"url": [_address(shades, _palette(SIGNED))]})).mark_image(
        aspect=False, width=side, height=height, smooth=False, x=side / 2, y=height / 2
    )
    frame = alt.Scale(domain=[0, 1], nice=False)
    bare = alt.Axis(ticks=False, labels=False, domain=False, grid=False)
    edges = alt.Chart(pd.DataFrame({"x": [0.5], "y": [0.5]})).mark_point(opacity=0)
    layers = [
        edges.encode(
            x=alt.X("x", type="quantitative", title=across, scale=frame, axis=bare),
            y=alt.Y("y", type="quantitative", title=up, scale=frame, axis=bare),
        ),
        base.encode(url="url:N"),
    ]
    return Chart({**specification(layers, height=height), "width": side}, title, words, still=True)


def colour_scale(words: str, *, width: int = 300) -> Chart:
    """Draw the colours of pictures beside their values.

    Args:
        words: Their unit.
        width: In pixels.

    Returns:
        The chart.
    """
    shades = np.arange(_SHADES, dtype=np.uint8)[None]
    image = alt.Chart(pd.DataFrame({"url": [_address(shades, _palette(SIGNED))]})).mark_image(
        aspect=False, width=width, height=12, x=width / 2, y=6
    )
    ends = alt.Chart(pd.DataFrame({"value": [-LIMIT, LIMIT]})).mark_tick(color=QUIET, opacity=0)
    scale = alt.Scale(domain=[-LIMIT, LIMIT], nice=False)
    axis = alt.Axis(tickCount=5, grid=False)
    layers = [ends.encode(x=alt.X("value", type="quantitative", title=words, scale=scale, axis=axis)), image]
    layers[1] = image.encode(url="url:N")
    return Chart({**specification(layers, height=12), "width": width}, "", f"Colours of {words}", still=True)


def image_address(part: NDArray[np.float64], colours: Sequence[tuple[int, int, int]]) -> str:
    """Draw numbers as an image inside an address.

    Args:
        part: Between 0 and 1, the first row at the top.
        colours: What 0 and 1 are, and evenly spaced numbers between them.

    Returns:
        The address.
    """
    shades = (np.clip(part, 0, 1) * (_SHADES - 1)).round().astype(np.uint8)
    return _address(shades, _palette(colours), pixels=1)


def _address(shades: NDArray[np.uint8], palette: NDArray[np.uint8], *, pixels: int = _PIXELS) -> str:
    """An image inside an address, from places in a palette."""
    image = Image.fromarray(shades.repeat(pixels, axis=0).repeat(pixels, axis=1))
    image.putpalette(palette.tobytes())
    content = BytesIO()
    image.save(content, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _palette(colours: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    """Shades between colours, and a last one for cells without a value."""
    known = np.linspace(0, _SHADES - 1, len(colours))
    parts = [np.interp(np.arange(_SHADES), known, np.array(colours)[:, part]) for part in range(3)]
    return np.vstack([np.stack(parts, axis=1).round(), [255, 255, 255]]).astype(np.uint8)
