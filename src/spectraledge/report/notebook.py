"""Results in a notebook: as HTML that needs nothing from outside, and as plots. The `Drawer` of this package."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spectraledge.errors import InputError
from spectraledge.files import write_bytes
from spectraledge.pages.document import FORMATS, ROWS, Cell, Figure, Format, Table
from spectraledge.pages.marks import chart_config
from spectraledge.pages.printed import draw_charts, encoded, sheet
from spectraledge.pages.style import PRINT_FONT
from spectraledge.report.glances import glance

if TYPE_CHECKING:
    import altair as alt

_CODE = re.compile("`([^`]+)`")
_WIDTH = 680
_SMALL = "font-size: 85%; opacity: .75; margin: .3em 0"


@dataclass(frozen=True)
class FigurePlot:
    """The picture of a result, laid out as for a paper's text."""

    figure: Figure

    @property
    def altair(self) -> "alt.VConcatChart":
        """Its charts as one of Altair, to be changed as Altair's are."""
        charts, numbers = [], dict[str, Any]()
        for _, _, chart in self.figure.charts:
            spec = {**chart.spec, "width": _WIDTH, "title": chart.title}
            numbers |= spec.pop("datasets", {})
            charts.append(spec)
        stacked = {
            "vconcat": charts,
            "datasets": numbers,
            "config": {**chart_config(PRINT_FONT), "background": "white"},
        }
        import altair as alt  # Takes a second to import, and nothing else needs it.

        return alt.VConcatChart.from_dict(stacked)

    def encoded(self, form: Format) -> bytes:
        """Return it as the content of a file, the same for the same result."""
        figure = replace(self.figure, for_paper=True)
        return encoded(sheet(figure, draw_charts(figure)), form)

    def save(self, path: Path | str) -> None:
        """Write it into a file.

        Args:
            path: Its name ends in .png, .pdf or .svg, which decides what is written.

        Raises:
            InputError: if it ends otherwise.
        """
        path = Path(path)
        form = next((form for form in FORMATS if path.suffix.lower() == f".{form}"), None)
        if form is None:
            raise InputError(f"a plot is saved as .{', .'.join(FORMATS)}, got {path}: give a name that ends so")
        write_bytes(path, self.encoded(form))

    def _repr_html_(self) -> str:
        content = base64.b64encode(self.encoded("png")).decode()
        words = escape("; ".join(chart.words for _, _, chart in self.figure.charts))
        size = f"width: {_WIDTH}px; max-width: 100%; height: auto"
        return f'<img src="data:image/png;base64,{content}" alt="{words}" style="{size}">'


def plot(kind: str, result: Any) -> FigurePlot:
    """Draw a result of a kind of `KINDS`.

    Returns:
        Its picture.

    Raises:
        InputError: if there is nothing to draw yet.
    """
    seen = glance(kind, result)
    if seen.figure is None:
        raise InputError(f"there is nothing to draw yet: {' '.join(seen.found)}")
    return FigurePlot(seen.figure)


def html(kind: str, result: Any) -> str:
    """Show a result: what was found, its picture, and the rows to read first."""
    seen = glance(kind, result)
    first, *more = seen.found
    parts = [f"<p><strong>{_words(first)}</strong></p>", *(f"<p>{_words(sentence)}</p>" for sentence in more)]
    if seen.figure:
        nothing = f"If there were nothing to see, {seen.figure.nothing}"
        parts += [
            f"<p>{escape(seen.figure.title)}</p>",
            FigurePlot(seen.figure)._repr_html_(),
            f'<p style="{_SMALL}">{escape(nothing)}</p>',
        ]
    if seen.table:
        parts += _rows(seen.table, seen.source)
    return f"<div>{''.join(parts)}</div>"


def _words(sentence: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(sentence))


def _rows(table: Table, source: str) -> Iterator[str]:
    rows = [row for group in table.groups for row in group.rows]
    titles = "".join(f"<th>{escape(column.title)}</th>" for column in table.columns)
    yield f"<table><thead><tr>{titles}</tr></thead><tbody>"
    for row in rows[:ROWS]:
        first = (row.claim, *row.cells[1:]) if row.claim else row.cells
        words = (cell.words if isinstance(cell, Cell) else cell for cell in first)
        yield "<tr>" + "".join(f"<td>{escape(word)}</td>" for word in words) + "</tr>"
    yield "</tbody></table>"
    shown = f"{ROWS} of {len(rows)} rows, " if len(rows) > ROWS else ""
    yield f'<p style="{_SMALL}">{escape(shown + source)}</p>'
