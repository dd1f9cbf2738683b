"""Colours and fonts, said once for page and print: Okabe–Ito colours, safe for colour-blind readers."""

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

SCORE_COLOURS = ((12, 8, 34), (78, 20, 118), (176, 52, 116), (246, 132, 92), (255, 250, 200))
"""Colours of shares, from none to the most: dark to light, so that order survives without colour."""

BAND_OPACITY = 0.35
PRINT_FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
"""Families of text in files; the first comes with the library that draws them, so it is always there."""
