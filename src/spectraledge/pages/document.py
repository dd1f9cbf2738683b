"""A report as data: made once, and written as a page, as Markdown and as files.

Words are plain text; the writers escape what their format reads otherwise.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal

import pandas as pd

from spectraledge.pages.marks import Mark
from spectraledge.pages.stage import Stage

FIGURES, TABLES = "figures", "tables"
"""Folders beside a report that hold its figures, and the numbers behind its tables."""

Format = Literal["png", "pdf", "svg"]
FORMATS: tuple[Format, ...] = ("png", "pdf", "svg")
"""Each figure is written in these."""

ROWS = 10
"""Rows of a table that are shown at a glance."""

Kind = Literal["words", "number", "verdict", "code"]


@dataclass(frozen=True)
class Claim:
    """A claim as it was declared, under its id; its verdict, unless each run has one; a remark beside the statement."""

    id: str
    statement: str
    details: tuple[tuple[str, str], ...]
    verdict: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Column:
    """A column: its heading with the unit, what its cells hold, and a heading that it shares with its neighbours."""

    title: str
    kind: Kind = "words"
    over: str = ""


def number_columns(first: str, others: Iterable[str]) -> tuple[Column, ...]:
    """A column that names the rows, and columns of numbers."""
    return Column(first), *(Column(title, "number") for title in others)


@dataclass(frozen=True)
class Cell:
    """A cell with words, and others that stand below them, quietly."""

    words: str
    small: str = ""


@dataclass(frozen=True)
class Row:
    """A row: a cell for each column, the first of which names it, unless it is about a claim that then stands there."""

    cells: tuple[str | Cell, ...]
    claim: str = ""


@dataclass(frozen=True)
class Rows:
    """Rows that belong together under a heading, which may lead to a section, and what they say in a sentence."""

    heading: str
    rows: tuple[Row, ...]
    note: str = ""
    target: str = ""

    @classmethod
    def of(cls, heading: str, cells: Iterable[Sequence[str | Cell]], *, note: str = "") -> "Rows":
        """Make rows from the cells of each."""
        return cls(heading, tuple(Row(tuple(row)) for row in cells), note)


@dataclass(frozen=True)
class Table:
    """Rows of words, and the numbers that they were made from.

    Attributes:
        key: Its anchor, and the name of the file with its numbers.
        title: What it shows.
        columns: Its columns; the first names the rows.
        groups: Its rows.
        caption: What a reader must know to read it, the null above all.
        claim: The claim that it is about, which then stands for the title.
        numbers: The numbers behind the words, without rounding; None where they stand elsewhere.
        sparse: Whether labels are left out that repeat those of the row above.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    groups: tuple[Rows, ...]
    caption: str = ""
    claim: str = ""
    numbers: pd.DataFrame | None = None
    sparse: bool = False

    @property
    def overs(self) -> list[tuple[str, int]]:
        """Headings over headings, each with the number of columns that it spans; none if no column has one."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.over:
                found[-1] = (column.over, found[-1][1] + 1)
            else:
                found.append((column.over, 1))
        return found if any(words for words, _ in found) else []

    def shown(self, rows: tuple[Row, ...]) -> Iterator[tuple[Row, bool]]:
        """Yield the rows of a group as they are shown, and whether each starts a new label."""
        labels = next((place for place, column in enumerate(self.columns) if column.kind == "number"), 0)
        above: tuple[str | Cell, ...] = ()
        for row in rows:
            pairs = zip(row.cells[:labels], above, strict=False)
            same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs))) if self.sparse else 0
            above = row.cells
            yield Row((*[""] * same, *row.cells[same:]), row.claim), not same


@dataclass(frozen=True)
class Chart:
    """One chart of a figure: Vega-Lite without a width, a title, and words for those who cannot see it.

    A still one keeps its width and its form: a picture without numbers to point at. Over steps a page marks where its
    slider is, on the scale "x".
    """

    spec: dict[str, Any] = field(repr=False)
    title: str
    words: str
    still: bool = False
    over_steps: bool = False


@dataclass(frozen=True)
class Panel:
    """Charts that belong together, such as those of one run, so many side by side, and words below them."""

    charts: tuple[Chart, ...]
    title: str = ""
    across: int = 1
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        key: Its anchor, and the name of its files.
        title: What it shows.
        caption: How to read it: what is drawn, and from which window and step.
        nothing: What it would look like if there were nothing to see, as the end of a sentence.
        panels: Its panels; none where the study has nothing to draw.
        entries: Its key.
        across: How many panels stand side by side.
        for_paper: Whether its files are as wide as a paper's text, without the title and caption that it sets.
    """

    key: str
    title: str
    caption: str
    nothing: str
    panels: tuple[Panel, ...]
    entries: tuple[Mark, ...] = ()
    across: int = 1
    for_paper: bool = False

    @property
    def charts(self) -> list[tuple[str, Panel, Chart]]:
        """Every chart with its panel, under a name of its own on the page."""
        return [
            (f"{self.key}-{number}-{place}", panel, chart)
            for number, panel in enumerate(self.panels)
            for place, chart in enumerate(panel.charts)
        ]


@dataclass(frozen=True)
class Finding:
    """A verdict, the sentence that it is of, and its numbers, beside its null's."""

    verdict: str
    sentence: str
    numbers: str = ""


@dataclass(frozen=True)
class Card:
    """What was found in one run: what became of it, verdicts, and what else was measured, and how."""

    title: str
    lead: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cards:
    """Cards side by side."""

    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Terms:
    """Terms and what they mean or are set to."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Absent:
    """Runs that are not in the report, each with what became of it."""

    runs: tuple[tuple[str, str], ...]


Block = str | Table | Figure | Cards | Terms | Absent
"""What sections are made of; words are a paragraph."""


@dataclass(frozen=True)
class Section:
    """One part of a report under an anchor: what is asked, what answers it in order, and claims listed with it.

    `short` is its title in the list of sections; "" leaves it out there.
    """

    key: str
    title: str
    lead: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    claims: tuple[str, ...] = ()
    short: str = ""

    @property
    def figures(self) -> list[Figure]:
        """Its figures."""
        return [block for block in self.blocks if isinstance(block, Figure)]

    @property
    def tables(self) -> list[Table]:
        """Its tables."""
        return [block for block in self.blocks if isinstance(block, Table)]


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        study: Name of the study.
        hash: Hash of its configuration.
        title: The question.
        headline: The answer in a sentence.
        sections: Its parts, in order.
        version: Of this package.
        question: The question in more words; "" for none.
        warning: What is lacking; "" for nothing.
        progress: How far the study is, where it is still running; else "".
        command: What makes the study again; "" if that is not known.
        claims: All claims that it names.
        stage: What it opens with; None for nothing.
        files: Tables that can be taken from it beside those behind its own, by name.
    """

    study: str
    hash: str
    title: str
    headline: str
    sections: tuple[Section, ...]
    version: str
    question: str = ""
    warning: str = ""
    progress: str = ""
    command: str = ""
    claims: tuple[Claim, ...] = ()
    stage: Stage | None = None
    files: dict[str, pd.DataFrame] = field(default_factory=dict, repr=False)

    @property
    def figures(self) -> list[Figure]:
        """All figures, in order."""
        return [figure for section in self.sections for figure in section.figures]

    @property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return [table for section in self.sections for table in section.tables]

    @property
    def formats(self) -> tuple[Format, ...]:
        """In which its figures are files too: none while its study runs, as they take half of the time."""
        return () if self.progress else FORMATS

    @property
    def downloads(self) -> dict[str, pd.DataFrame]:
        """All tables of numbers by the name of their file."""
        behind = {table.key: table.numbers for table in self.tables if table.numbers is not None}
        return {**self.files, **behind}

    def number(self, figure: Figure) -> int:
        """Return a figure's place in the report, from 1."""
        return [one.key for one in self.figures].index(figure.key) + 1

    def claim(self, name: str) -> Claim:
        """Return a claim by its id."""
        return next(claim for claim in self.claims if claim.id == name)


@dataclass(frozen=True)
class Glance:
    """A result at a glance: what was found, its picture, the rows to read first, and where all of them are."""

    found: tuple[str, ...]
    figure: Figure | None = None
    table: Table | None = None
    source: str = ""
