"""A report as data: sections of tables and figures, made once and written as a page, as Markdown and as files."""

from dataclasses import dataclass
from itertools import takewhile

import pandas as pd
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Table:
    """Rows of words, and the numbers that they were made from.

    Attributes:
        key: Its file name.
        title: What it shows.
        columns: Headings.
        rows: One cell per column each.
        numeric: Which columns hold numbers.
        note: What a reader must know to read it, the null above all.
        numbers: The numbers behind the words, without rounding.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    note: str
    numbers: pd.DataFrame

    @property
    def sparse(self) -> list[tuple[str, ...]]:
        """Rows with labels left out where they, and those before them, are those of the row above."""
        labels = self.numeric.index(True) if any(self.numeric) else 0
        shown: list[tuple[str, ...]] = []
        above: tuple[str, ...] = ()
        for row in self.rows:
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(row[:labels], above, strict=False))))
            shown.append((*[""] * same, *row[same:]))
            above = row
        return shown


@dataclass(frozen=True)
class Drawing:
    """A figure that is ready for a paper.

    Attributes:
        key: Its file name.
        title: What it shows.
        caption: How to read it.
        nothing: What it would look like if there were nothing to see.
        figure: The figure.
    """

    key: str
    title: str
    caption: str
    nothing: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """One part of what is reproduced; one without tables and figures was not measured.

    Attributes:
        key: Its anchor.
        title: Where Xu 2026 has it, and what it is about.
        lead: What is asked, and how.
        tables: Its tables.
        drawings: Its figures.
        notes: What limits it.
        claims: Ids of the claims that are shown with it.
    """

    key: str
    title: str
    lead: str
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    notes: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.tables or self.drawings)
