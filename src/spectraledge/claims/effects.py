"""Effects: what is measured in every run, once, each beside its null; claims and tables take numbers from here."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import nan
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.arrays import Bools, Float

Scale = Literal["difference", "ratio", "rate"]
"""How a value is compared with its null. difference: less the null. ratio: over it, averaged in logarithms. rate: value
is 1 in runs in which something happens, else 0."""

Mask = Bools

Unit = Literal["share", "F", "R²", "index", "ratio", "steps", "count", "rank", "rate"]
"""What a value is a number of. share: of energy, or of pairs. F: peak share of a field's power. index: between 0 and 1
(Jaccard, sharedness, dominance, inclusion). ratio: of two like numbers. rate: of runs."""

OWN = "own"
"""Stands for the name of a run's own basis."""

EFFECT_COLUMNS = (
    "effect_id",
    "run",
    "task",
    "weight_decay",
    "after",
    "seed",
    "learned",
    "value",
    "null",
    "low",
    "high",
    "null_high",
    "p",
)


@dataclass(frozen=True)
class Reading:
    """What an effect is in one run.

    Attributes:
        value: The statistic.
        null: What it is compared with in the same run; NaN where it has no null of its own.
        low: Lower end of its interval within the run, where it has one.
        high: Upper end.
        null_high: 95th percentile of the null, where that is a sample.
        p: p-value within the run, where it has one.
    """

    value: float
    null: float = nan
    low: float = nan
    high: float = nan
    null_high: float = nan
    p: float = nan


class RunReader:
    """Reads numbers from a run's tables; what effects of one run ask for alike is looked up once."""

    def __init__(self, run: RunResult, runs: Runs) -> None:
        """Read from a run."""
        self.run, self.runs = run, runs
        self._columns: dict[tuple[str, str], NDArray[Any]] = {}
        self._masks: dict[tuple[str, str, object], Mask] = {}

    def has(self, table: str, **where: object) -> bool:
        """Whether a table was measured and has rows in which columns have some values; `OWN` is the own basis."""
        return bool(self._mask(table, where).any())

    def rows(self, table: str, **where: object) -> pd.DataFrame:
        """Return those rows; none where the table was not measured."""
        found = self.run.table(table)
        return found[self._mask(table, where)] if len(found) else found

    def values(self, table: str, column: str, **where: object) -> Float:
        """Return a column of those rows; empty where the table was not measured."""
        mask = self._mask(table, where)
        return self._column(table, column)[mask].astype(np.float64) if mask.any() else np.zeros(0)

    def mean(self, table: str, column: str, **where: object) -> float:
        """Return the mean of a column over those rows that have it; NaN without any."""
        values = self.values(table, column, **where)
        there = values[~np.isnan(values)]
        return float(there.mean()) if len(there) else nan

    def _column(self, table: str, column: str) -> NDArray[Any]:
        if (table, column) not in self._columns:
            self._columns[table, column] = self.run.tables[table][column].to_numpy()
        return self._columns[table, column]

    def _mask(self, table: str, where: Mapping[str, object]) -> Mask:
        if table not in self.run.tables:
            return np.zeros(0, np.bool_)
        rows = self.run.tables[table]
        mask = np.ones(len(rows), np.bool_)
        for column, value in where.items() if len(rows) else ():
            if (table, column, value) not in self._masks:
                wanted = self.run.structure if value == OWN else value
                self._masks[table, column, value] = np.asarray(self._column(table, column) == wanted, np.bool_)
            mask &= self._masks[table, column, value]
        return mask


Read = Callable[[RunReader], Reading | None]
"""How an effect is read from a run; None where what it needs was not measured."""


@dataclass(frozen=True)
class Effect:
    """Something that is measured in a run, declared before any run is read.

    Attributes:
        id: Its name: what is measured, of what, and the null.
        words: What is measured.
        unit: Its unit.
        scale: How it is compared with its null, and averaged.
        null: The null in words; "" for an effect that only other runs are compared with.
        read: How it is read.
        margin: The largest effect that does not matter, a difference or a factor; None where any does.
    """

    id: str
    words: str
    unit: Unit
    scale: Scale
    null: str
    read: Read
    margin: float | None = None


def measure(effects: Iterable[Effect], runs: Runs) -> pd.DataFrame:
    """Measure effects in every run that has what they need.

    Returns:
        One row per effect and run: effect_id, run, task, weight_decay, after (task of the run that it starts from, or
        what is changed in it), seed, learned (whether it reached a test accuracy of .95), value, null, and low, high,
        null_high, p where the effect has them within a run.
    """
    rows, declared = [], list(effects)
    for run in runs:
        reader, config = RunReader(run, runs), run.config
        # A run that is changed belongs to no condition of runs that are not.
        labels = (run.run_id, config.task, config.weight_decay, run.after or run.changed, config.seed, run.grokked)
        found = [(effect.id, reading) for effect in declared if (reading := effect.read(reader)) is not None]
        rows += [(name, *labels, one.value, one.null, one.low, one.high, one.null_high, one.p) for name, one in found]
    numbers = dict.fromkeys(("value", "null", "low", "high", "null_high", "p"), np.float64)
    return pd.DataFrame(rows, columns=EFFECT_COLUMNS).astype({"learned": np.bool_, **numbers})


DIRECTIONS: dict[str, tuple[dict[str, object], str]] = {
    "v1": ({"kind": "edge", "direction": 1}, "v1"),
    "v2": ({"kind": "edge", "direction": 2}, "v2"),
    "v3": ({"kind": "edge", "direction": 3}, "v3"),
    "edge": ({"kind": "edge"}, "mean over the edge"),
    "bulk": ({"kind": "bulk"}, "mean over the window's other directions"),
    "span": ({"kind": "span"}, "mean over directions at random in the window's span"),
    "random": ({"kind": "random"}, "mean over isotropic directions"),
    "tilted": ({"kind": "tilted"}, "mean over random pairs at 45°"),
}
"""Directions of a window: which rows of a table are theirs, and words."""

NULLS = {
    "random": "isotropic directions of the same network",
    "span": "directions at random in the window's span",
    "bulk": "the window's other directions",
}
"""Directions that others are compared with, in words."""

BOTH_KINDS = ("edge-random", "bulk-random")
"""Edge and bulk, each beside isotropic directions."""


def compared_kinds(
    id_: str,
    words: str,
    unit: Unit,
    scale: Scale,
    margin: float | None,
    *,
    table: str,
    column: str,
    pairs: Iterable[str] = BOTH_KINDS,
    null: str = "",
    where: Mapping[str, object] = MappingProxyType({}),
) -> list[Effect]:
    """Declare effects that compare a column's mean over some directions with that over others, one per pair.

    Args are of `Effect`, `id_` being the first half of ids; pairs are keys of `DIRECTIONS`, joined: those that count,
    and the null, in the words of `NULLS` if not told; `where` are values of other columns, see `RunReader`.

    Returns:
        The effects.
    """

    def of(pair: str) -> Effect:
        first, second = pair.split("-")

        def read(reader: RunReader) -> Reading | None:
            if not reader.has(table, **where):
                return None
            return Reading(*(reader.mean(table, column, **where, **DIRECTIONS[one][0]) for one in (first, second)))

        said = null or NULLS[second]
        return Effect(f"{id_}:{pair}", f"{words}, {DIRECTIONS[first][1]}", unit, scale, said, read, margin)

    return [of(pair) for pair in pairs]
