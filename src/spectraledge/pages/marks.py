"""Marks of charts and keys, drawn the same on page and in print, and the axes of every chart."""

from dataclasses import dataclass
from typing import Any

from spectraledge.pages.style import BAND_OPACITY, GRID, INK, QUIET, RIBBON

CIRCLE = "M-1,0A1,1,0,1,1,1,0A1,1,0,1,1,-1,0Z"
SQUARE = "M-0.9,-0.9H0.9V0.9H-0.9Z"
TRIANGLE = "M0,-1.1L1.1,0.9H-1.1Z"
DIAMOND = "M0,-1.3L1.3,0L0,1.3L-1.3,0Z"
TRIANGLE_DOWN = "M0,1.1L1.1,-0.9H-1.1Z"
TICK = "M0,-1.3V1.3"
"""Shapes as paths around 0: charts and keys draw the same ones."""

SHAPES = (CIRCLE, SQUARE, TRIANGLE, DIAMOND, TRIANGLE_DOWN)
"""Shape of v_1, v_2, …; they repeat after the last."""

SOLID: tuple[int, ...] = ()
DASHED = (6, 3)
DOTTED = (2, 2)
"""Lengths of strokes and gaps."""

_TEXT = 11


@dataclass(frozen=True)
class Mark:
    """How one kind of thing is drawn, and its entry in a figure's key; what is given of shape, dash and band is drawn.

    A band goes from end to end of a null with its median, or is an interval around a line; hollow points are outlines.
    """

    label: str
    colour: str
    shape: str = ""
    dash: tuple[int, ...] | None = None
    band: bool = False
    hollow: bool = False
    width: float = 1.8


def shape(direction: int) -> str:
    """Shape of a 1-based direction."""
    return SHAPES[(direction - 1) % len(SHAPES)]


def symbol(mark: Mark) -> tuple[int, str]:
    """Draw a mark for a key: its width in pixels, and SVG elements in a box of that width and 16 pixels height."""
    wide = 30 if mark.dash is not None else 16
    parts = []
    if mark.band:
        opacity, height = (RIBBON, 10) if mark.dash is not None else (BAND_OPACITY, 8)
        parts.append(
            f'<rect y="{8 - height / 2:g}" width="{wide}" height="{height}" fill="{mark.colour}" opacity="{opacity}"/>'
        )
    if mark.dash is not None:
        dash = f' stroke-dasharray="{" ".join(map(str, mark.dash))}"' if mark.dash else ""
        parts.append(
            f'<path d="M0,8H{wide}" stroke="{mark.colour}" stroke-width="{max(mark.width, 1.4):g}" fill="none"{dash}/>'
        )
    elif mark.band:
        parts.append(f'<rect x="7" y="2" width="2" height="12" fill="{mark.colour}"/>')
    if mark.shape:
        fill = "none" if mark.hollow or mark.shape == TICK else mark.colour
        parts.append(
            f'<path d="{mark.shape}" transform="translate({wide / 2:g},8) scale(5)" fill="{fill}" '
            f'stroke="{mark.colour}" stroke-width="0.32"/>'
        )
    return wide, "".join(parts)


def chart_config(font: str) -> dict[str, Any]:
    """How every chart looks."""
    return {
        "font": font,
        "background": None,
        # A chart is one image with a text of its own: its parts need none.
        "aria": False,
        "padding": {"left": 2, "right": 12, "top": 6, "bottom": 2},
        "view": {"stroke": None},
        "axis": {
            "domainColor": QUIET,
            "gridColor": GRID,
            "labelColor": INK,
            "labelFontSize": _TEXT,
            "labelLimit": 0,
            "tickColor": QUIET,
            "tickSize": 4,
            "titleColor": INK,
            "titleFontSize": _TEXT,
            "titleFontWeight": "normal",
            "titleLimit": 0,
            "titlePadding": 6,
        },
        "text": {"color": INK, "fontSize": _TEXT},
    }
