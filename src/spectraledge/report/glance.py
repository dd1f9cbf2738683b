"""A result at a glance: a sentence, a picture and the rows to read first."""

from dataclasses import dataclass

from spectraledge.report.document import Figure, Table

ROWS = 10
"""Rows that are shown."""


@dataclass(frozen=True)
class Glance:
    """A result at a glance: what was found, its picture, the rows to read first, and where all of them are."""

    found: tuple[str, ...]
    figure: Figure | None = None
    table: Table | None = None
    source: str = ""
