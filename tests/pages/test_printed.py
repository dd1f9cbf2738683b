"""Figures as files: what stands beside an axis is what the axis says."""

import re

import numpy as np
import pandas as pd

from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Figure, Panel
from spectraledge.pages.marks import SOLID, Mark
from spectraledge.pages.printed import draw_charts, encoded
from spectraledge.pages.style import BLUE


def test_small_numbers_of_an_axis_keep_their_digits() -> None:
    table = pd.DataFrame({"name": "loss", "mark": "loss", "place": np.arange(5), "value": 10.0 ** -np.arange(5)})
    chart = curve_plot(table, {"loss": Mark("loss", BLUE, dash=SOLID)}, axis="loss", words="Loss", height=200, log=True)
    drawn = draw_charts(Figure("loss", "Loss", "", "", (Panel((chart,)),)))["loss-0-0"]
    labels = re.findall(r">([\d.]+)</text>", drawn.content)
    assert {"1", "0.1", "0.01", "0.001", "0.0001"} <= set(labels)
    # Places have two decimals.
    assert not re.search(r'[" ,(]\d+\.\d{3,}[" ,)]', re.sub(r">[^<]*<", "><", drawn.content))


def test_figures_below_the_line_are_of_the_font_of_the_words_beside_them() -> None:
    words = '<text x="10" y="30" font-family="Liberation Sans">decline of g₂₃ and σ₁</text>'
    drawn = encoded(f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="40">{words}</svg>', "pdf")
    fonts = {name.partition(b"+")[2] for name in re.findall(rb"/(?:BaseFont|FontName) ?/([^\s/]+)", drawn)}
    assert fonts == {b"LiberationSans"}
