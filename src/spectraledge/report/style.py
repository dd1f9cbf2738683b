"""Colours and marks, said once for both renderers: Okabe–Ito colours, and a shape or dash beside every colour."""

from dataclasses import dataclass
from typing import Literal

INK = "#222222"
QUIET = "#5f5f5f"
GRID = "#e4e4e4"
TINT = "#ffe7a3"
STRIPE = "#e2e6eb"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

BLUE = "#0072B2"
GREEN = "#009E73"
ORANGE = "#E69F00"
PURPLE = "#CC79A7"
VERMILLION = "#D55E00"

KIND_COLOURS = {
    "edge": VERMILLION,
    "bulk": GREEN,
    "span": BLUE,
    "random": QUIET,
    "block": ORANGE,
    "run_span": PURPLE,
    "weights": INK,
    "gradient": INK,
    "shuffled": INK,
}
"""Colour of each kind of direction."""

RIBBON = 0.2
"""Opacity of an interval around a line."""

PALE = "#a8a8a8"

SIGNED = (
    (5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240), (247, 247, 247),
    (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31),
)  # fmt: skip
"""Colours of signed pictures, lowest first: ColorBrewer's RdBu, safe for colour-blind readers, white at zero."""

BAND_OPACITY = 0.35
PRINT_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Families of text in files; the first comes with the library that draws them, so it is always there."""

DIVERGING = "RdBu_r"
"""Colour map of signed pictures: safe for colour-blind readers (ColorBrewer), white at zero."""


@dataclass(frozen=True)
class Shape:
    """A marker by its name in each renderer.

    Attributes:
        plotly: Name in Plotly.
        matplotlib: Name in Matplotlib.
        svg: Points of a polygon in a 16×16 box for the page's keys; "" for a circle.
    """

    plotly: str
    matplotlib: str
    svg: str


SHAPES = (
    Shape("circle", "o", ""),
    Shape("square", "s", "3,3 13,3 13,13 3,13"),
    Shape("triangle-up", "^", "8,2 14,13 2,13"),
    Shape("diamond", "D", "8,1 15,8 8,15 1,8"),
    Shape("triangle-down", "v", "2,3 14,3 8,14"),
)
"""Shape of v_1, v_2, …; they repeat after the last."""


@dataclass(frozen=True)
class Dash:
    """A line style by its name in each renderer.

    Attributes:
        plotly: Name in Plotly.
        matplotlib: Name in Matplotlib.
        svg: The `stroke-dasharray` of the page's keys.
    """

    plotly: str
    matplotlib: Literal["-", "--", ":"]
    svg: str


SOLID = Dash("solid", "-", "none")
DASHED = Dash("dash", "--", "5 3")
DOTTED = Dash("dot", ":", "2 2")


SINGLE_SHAPES = {"weights": SHAPES[3], "gradient": SHAPES[4], "shuffled": SHAPES[0]}
"""Shape of kinds that are drawn one by one."""


def shape(direction: int) -> Shape:
    """Shape of a 1-based direction."""
    return SHAPES[(direction - 1) % len(SHAPES)]
