"""Values over a grid as a picture: one cell per value, white at zero."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from spectraledge.arrays import Float
from spectraledge.pages.document import Chart
from spectraledge.pages.plots import Layer, channel, layer, specification
from spectraledge.pages.stage import png_address
from spectraledge.pages.style import QUIET, SIGNED

Colours = Sequence[tuple[int, int, int]]

LIMIT = 2.0
"""Colours end here, in units of a picture's root mean square."""

_SHADES = 254
_PIXELS = 3
"""Sides of a cell in the image, so that no renderer makes it smooth."""


def picture_plot(
    values: Float,
    *,
    title: str,
    across: str,
    up: str,
    words: str,
    side: int = 200,
    colours: Colours = SIGNED,
) -> Chart:
    """Draw values as square cells, the first row at the bottom, colours from −`LIMIT` to `LIMIT`; NaN has none."""
    rows, columns = values.shape
    scale = np.clip((values[::-1] + LIMIT) / (2 * LIMIT), 0, 1)
    shades = np.where(np.isnan(scale), _SHADES, np.nan_to_num(scale) * (_SHADES - 1)).round().astype(np.uint8)
    height = round(side * rows / columns)
    place: dict[str, Any] = {"width": side, "height": height, "x": side / 2, "y": height / 2}
    axis: dict[str, Any] = {
        "scale": {"domain": [0, 1], "nice": False},
        "axis": {"ticks": False, "labels": False, "domain": False, "grid": False},
    }
    edges = {"x": channel("x", title=across, **axis), "y": channel("y", title=up, **axis)}
    layers = [
        layer(pd.DataFrame({"x": [0.5], "y": [0.5]}), "point", encoding=edges, opacity=0),
        image_layer(_address(shades, _palette(colours)), smooth=False, **place),
    ]
    return Chart({**specification(layers, height=height), "width": side}, title, words, still=True)


def colour_scale(words: str, *, width: int = 300, colours: Colours = SIGNED) -> Chart:
    """Draw the colours of pictures beside their values."""
    shades = np.arange(_SHADES, dtype=np.uint8)[None]
    scale, axis = {"domain": [-LIMIT, LIMIT], "nice": False}, {"tickCount": 5, "grid": False}
    ends = {"x": channel("value", title=words, scale=scale, axis=axis)}
    layers = [
        layer(pd.DataFrame({"value": [-LIMIT, LIMIT]}), "tick", encoding=ends, color=QUIET, opacity=0),
        image_layer(_address(shades, _palette(colours)), width=width, height=12, x=width / 2, y=6),
    ]
    return Chart({**specification(layers, height=12), "width": width}, "", f"Colours of {words}", still=True)


def image_address(part: Float, colours: Colours) -> str:
    """Draw numbers as an image inside an address."""
    shades = (np.clip(part, 0, 1) * (_SHADES - 1)).round().astype(np.uint8)
    return _address(shades, _palette(colours), pixels=1)


def image_layer(address: str, **place: Any) -> Layer:
    """Draw an image."""
    encoding = {"url": channel("url", "nominal")}
    return layer(pd.DataFrame({"url": [address]}), "image", encoding=encoding, aspect=False, **place)


def _address(shades: NDArray[np.uint8], palette: NDArray[np.uint8], *, pixels: int = _PIXELS) -> str:
    """An image inside an address, from places in a palette."""
    image = Image.fromarray(shades.repeat(pixels, axis=0).repeat(pixels, axis=1))
    image.putpalette(palette.tobytes())
    return png_address(image)


def _palette(colours: Colours) -> NDArray[np.uint8]:
    """Shades between colours, and a last one for cells without a value."""
    known = np.linspace(0, _SHADES - 1, len(colours))
    parts = [np.interp(np.arange(_SHADES), known, np.array(colours)[:, part]) for part in range(3)]
    return np.vstack([np.stack(parts, axis=1).round(), [255, 255, 255]]).astype(np.uint8)
