"""The files of a report: its page, its text, its figures and its tables."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from spectraledge.files import write_bytes
from spectraledge.pages.document import FIGURES, TABLES, Format, Page
from spectraledge.pages.page_writer import page_html
from spectraledge.pages.printed import Drawn, draw_charts, encoded, sheet
from spectraledge.pages.text_writer import page_markdown

PAGE, TEXT = "report.html", "report.md"

_DIGITS = "%.6g"


def write_page(page: Page, folder: Path) -> Path:
    """Write a report as a page, with every figure beside it in all its formats."""
    drawings = _write_figures(page, folder, page.formats)
    path = folder / PAGE
    write_bytes(path, page_html(page, drawings).encode())
    return path


def write_text(page: Page, folder: Path) -> Path:
    """Write the part of a report that is small enough for a repository: its text, tables as CSV and figures as PNG."""
    _write_figures(page, folder, ("png",))
    return _write_text(page, folder)


def write_page_and_text(page: Page, folder: Path) -> Path:
    """Write all that `write_page` and `write_text` write."""
    _write_text(page, folder)
    return write_page(page, folder)


def _write_text(page: Page, folder: Path) -> Path:
    tables = {f"{TABLES}/{table.key}": table.numbers for table in page.tables if table.numbers is not None}
    for name, table in (page.files | tables).items():
        write_bytes(folder / f"{name}.csv", table.to_csv(index=False, float_format=_DIGITS).encode())
    path = folder / TEXT
    write_bytes(path, page_markdown(page).encode())
    return path


def _write_figures(page: Page, folder: Path, formats: Iterable[Format]) -> Mapping[str, Mapping[str, Drawn]]:
    """Write figures, and return their charts by the name of their figure, and by their own."""
    drawings = {figure.key: draw_charts(figure) for figure in page.figures}
    for figure in page.figures:
        if figure.panels:
            laid_out = sheet(figure, drawings[figure.key])
            for form in formats:
                write_bytes(folder / FIGURES / f"{figure.key}.{form}", encoded(laid_out, form))
    return drawings
