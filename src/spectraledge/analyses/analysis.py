"""What an analysis is: a named function from a recorded run to tables whose columns are declared."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.files import digest
from spectraledge.observed.observation import Observation


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        meaning: What it holds.
        unit: Of its numbers; "" for names, counts and what has none.
        optional: Whether a table may lack it.
    """

    meaning: str
    unit: str = ""
    optional: bool = False


@dataclass(frozen=True)
class Drawing:
    """The figure of a table, with a panel for each run: reports on runs show it without knowing the table.

    Attributes:
        value: The column that is drawn, upwards.
        along: A column of numbers, from left to right: lines over steps, points over anything else.
        by: A column of names, each drawn in its own colour; "" for one colour.
        title: What it shows.
        nothing: What it would look like if there were nothing to see, as the end of a sentence.
        reference: A value to mark: what nothing would give.
        log: Whether the axis of values is logarithmic.
    """

    value: str
    along: str
    by: str
    title: str
    nothing: str
    reference: float | None = None
    log: bool = False


@dataclass(frozen=True)
class Table:
    """A table that analyses make, declared: documentation and checks are made from it.

    Attributes:
        name: Of its file.
        row: What one row is of.
        columns: Its columns by name, in order.
        more: What further columns hold, whose names depend on the run; "" where there are none.
        drawing: Its figure, where it has one that follows from its columns.
    """

    name: str
    row: str
    columns: Mapping[str, Column]
    more: str = ""
    drawing: Drawing | None = None

    def frame(self, rows: Iterable[Sequence[object]] = ()) -> pd.DataFrame:
        """Make the table of its rows, one value per column."""
        return pd.DataFrame(list(rows), columns=list(self.columns))

    def misfit(self, found: Iterable[object]) -> str:
        """Say which columns are missing or unknown, "" where all are as declared."""
        names = set(map(str, found))
        missing = [name for name, column in self.columns.items() if name not in names and not column.optional]
        unknown = [] if self.more else sorted(names - set(self.columns))
        lacks = [f"lacks {', '.join(missing)}"] if missing else []
        return " and ".join([*lacks, *([f"has unknown {', '.join(unknown)}"] if unknown else [])])


@dataclass(frozen=True)
class StepTable(Table):
    """A table that is made of what was seen at a step, by `make`."""

    make: Callable[[Observation, AnalysisConfig], pd.DataFrame] = lambda seen, settings: pd.DataFrame()


@dataclass(frozen=True)
class Analysis:
    """Something that is measured on one recorded run.

    Attributes:
        name: Its name in `ANALYSES`, in configurations and of its stamp.
        measure: A run folder that this package wrote, and settings, to tables by name; it raises `InputError` where the
            folder is no run, or has not the step, window or basis that settings ask for.
        tables: The tables that it makes, always all of them.
        settings: The fields of `AnalysisConfig` that it reads; it is repeated when one of them changes.
        joined: Names of those of its tables that are also written for the whole study.
        thinned: Whether it does without the snapshots that a thinned run lacks (see `thin`), or says itself if not.
        version: Raised whenever its numbers or columns change, so that older results are measured again.
    """

    name: str
    measure: Callable[[Path, AnalysisConfig], dict[str, pd.DataFrame]]
    tables: tuple[Table, ...]
    settings: tuple[str, ...]
    joined: tuple[str, ...] = ()
    thinned: bool = False
    version: int = 1

    def hash(self, settings: AnalysisConfig) -> str:
        """Return the hex SHA-256 of all that its tables depend on beside the run."""
        return digest({"analysis": self.name, "version": self.version, "settings": settings.values(*self.settings)})


def without(table: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Note on a table why rows that others have are not there, and return it."""
    table.attrs["left_out"] = reason
    return table


def reasons(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return what was left out of some tables and why, each reason once, behind the names of its tables."""
    found: dict[str, list[str]] = {}
    for name, table in tables.items():
        if "left_out" in table.attrs:
            found.setdefault(table.attrs["left_out"], []).append(name)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in found.items())


STEP = Column("the snapshot; a window ends there", "step")
KIND = Column("of the direction, see Kinds of directions")
DIRECTION = Column("1-based number within the window (edge and bulk numbered through) or within its kind")
BASIS = Column("name of the grouping, see Bases")
READOUT = Column("what responds: residual, normed, logits")
EIGENVALUE = Column("of the window's Gram", "weight²")
OF_DIRECTION: Mapping[str, Column] = {"step": STEP, "kind": KIND, "direction": DIRECTION}
"""Columns of tables with a row for every direction."""

OF_BASIS: Mapping[str, Column] = {"step": STEP, "readout": READOUT, "basis": BASIS}
"""Columns of tables that are read in a basis."""

DIRECTION_SETTINGS = ("window", "center_modes", "edge", "nulls", "seed", "step", "params")
"""What the directions of a run and their nulls depend on."""
