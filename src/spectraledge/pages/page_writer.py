"""A report as one HTML page that opens without a network: figures, tables and files are inside it."""

import base64
import gzip
import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined

from spectraledge.pages.document import Cell, Figure, Page
from spectraledge.pages.marks import chart_config, symbol
from spectraledge.pages.printed import Drawn
from spectraledge.pages.stage import LOUDEST, SHADES, SILENT, Stage
from spectraledge.pages.style import FONT, SCORE_COLOURS, SIGNED

CITATION = (
    "Y. Xu, “Spectral Edge Dynamics Reveal Functional Modes of Learning”, arXiv 2604.06256, 2026",
    "Please name the study’s configuration",
)

_VERDICTS = {
    "found": ("●", "yes"),
    "not found": ("○", "no"),
    "replicates": ("●", "yes"),
    "does not": ("○", "no"),
    "inconclusive": ("◐", "open"),
    "not measured": ("–", "open"),
}
_BUNDLED = "window.vegaEmbed = vegaEmbed;"
_DIGITS = "%.6g"
_LONG = 50_000
"""Bytes from which a table is compressed."""


def page_html(page: Page, drawn: Mapping[str, Mapping[str, Drawn]]) -> str:
    """Write a report as a page: charts stand in it as in files, and answer to a pointer where scripts run."""
    environment = Environment(
        loader=PackageLoader("spectraledge.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html: str = environment.get_template("page.html.j2").render(
        page=page,
        kind=lambda block: type(block).__name__,
        words=lambda cell: cell if isinstance(cell, Cell) else Cell(cell),
        verdicts=_VERDICTS,
        images=_images(page, drawn),
        symbol=symbol,
        formats=page.formats,
        downloads={name: (*_download(name, table), len(table)) for name, table in page.downloads.items()},
        charts=_in_script(_charts(page.figures)),
        config=_in_script(chart_config(FONT)),
        vega=_library() if page.figures else "",
        citation=CITATION,
        stage=_in_script(_stage(page.stage)) if page.stage else "",
    )
    return html.lstrip()


@cache
def _library() -> str:
    """What draws charts in a browser, the same for every page; bundling it takes a second."""
    bundle: str = vl_convert.javascript_bundle(_BUNDLED)
    return bundle


def _images(page: Page, drawn: Mapping[str, Mapping[str, Drawn]]) -> dict[str, str]:
    """Every chart as an SVG element, as wide as its place; pictures no wider than they are."""
    images = {}
    for figure in page.figures:
        for name, _, chart in figure.charts:
            image = drawn[figure.key][name]
            most = f' style="max-width: {image.width:g}px"' if chart.still else ""
            images[name] = image.placed(f'class="drawn" aria-hidden="true"{most}')
    return images


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "steps": stage.steps,
        "rest": stage.rest,
        "most": max(float(act.share_ST.max()) for act in stage.acts),
        "bright": SCORE_COLOURS,
        "signed": SIGNED,
        "top": SHADES,
        "loudest": LOUDEST,
        "silent": SILENT,
        "comparable": [stage.acts.index(act) for act in stage.comparable],
        "acts": [
            {
                "labels": act.labels,
                "last": act.last,
                "score": act.packed,
                "tones": act.tones,
                "test": [round(float(value), 4) for value in act.test_T],
                "own": [round(float(value), 4) for value in act.own_T],
                "waves": act.sprite,
                "parts": act.packed_parts,
                "side": 0 if act.waves_TMM is None else act.waves_TMM.shape[1],
            }
            for act in stage.acts
        ],
    }


def _charts(figures: list[Figure]) -> dict[str, Any]:
    return {name: chart.spec for figure in figures for name, _, chart in figure.charts if not chart.still}


def _in_script(content: Any) -> str:
    # In a script element only "<" could end it.
    return json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _download(name: str, table: pd.DataFrame) -> tuple[str, str]:
    """A table inside an address, and the name of its file; a long one is compressed."""
    text = table.to_csv(index=False, float_format=_DIGITS)
    if len(text) > _LONG:
        packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
        return f"data:application/gzip;base64,{packed}", f"{name}.csv.gz"
    # Most of a table is digits and commas: written as it is, it is a quarter shorter than in base 64.
    return "data:text/csv;charset=utf-8," + quote(text, safe=",:;()=+"), f"{name}.csv"
