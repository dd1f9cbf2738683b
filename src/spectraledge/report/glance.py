"""A result at a glance: a sentence, a picture and the rows to read first."""

from dataclasses import dataclass

from spectraledge.report.document import Figure, Table

ROWS = 10
"""Rows that are shown."""


@dataclass(frozen=True)
class Glance:
    """A result at a glance.

    Attributes:
        found: What was found, in sentences.
        figure: Its picture; None while there is nothing to draw.
        table: Its rows, those to read first on top; None for none.
        source: Where all of them are.
    """

    found: tuple[str, ...]
    figure: Figure | None = None
    table: Table | None = None
    source: str = ""
