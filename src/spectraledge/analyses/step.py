"""Everything that is measured at one step of a recorded run, from one pass over its directions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from spectraledge.analyses.contrast_table import contrast_table
from spectraledge.analyses.frequency_tables import agreement_table, frequency_table
from spectraledge.analyses.mode_tables import ModesResult, modes_of
from spectraledge.analyses.move_table import move_table
from spectraledge.analyses.probe_table import probe_table
from spectraledge.analyses.selection_tables import key_table, selection_table
from spectraledge.errors import InputError
from spectraledge.observed.observation import observe_run


@dataclass(frozen=True)
class StepAnalysis:
    """What is measured at one step; the columns of each table are documented where it is made.

    Attributes:
        modes: Shares, peaks and waves of every direction.
        selection: See `selection_table`.
        keys: See `key_table`.
        contrasts: See `contrast_table`.
        moves: See `move_table`.
        frequencies: See `frequency_table`.
        agreement: See `agreement_table`.
        probes: See `probe_table`.
    """

    modes: ModesResult
    selection: pd.DataFrame
    keys: pd.DataFrame
    contrasts: pd.DataFrame
    moves: pd.DataFrame
    frequencies: pd.DataFrame
    agreement: pd.DataFrame
    probes: pd.DataFrame

    @property
    def step(self) -> int:
        """The step."""
        return self.modes.step

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables by the name of the file that holds each."""
        return {
            "modes": self.modes.table,
            "waves": self.modes.waves,
            "characters": self.modes.characters,
            **{name: getattr(self, name) for name in TABLES},
        }


TABLES = ("selection", "keys", "contrasts", "moves", "frequencies", "agreement", "probes")
"""Names of the tables beside those of the modes."""


def analyze_step(
    folder: Path,
    *,
    step: int | None = None,
    window: int = 20,
    center: bool = True,
    edge: int = 3,
    nulls: int = 20,
    readout: str = "residual",
    bases: Sequence[str] | None = None,
    seed: int = 42,
    patterns: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
    leave_out: Sequence[str] = (),
) -> StepAnalysis:
    """Measure which functions the updates up to a step select, and all that goes with it.

    Args:
        folder: As in `observe_run`, like all that follow.
        step: Snapshot at which to measure.
        window: Updates in the window.
        center: Remove the window's mean update.
        edge: How many directions count as edge.
        nulls: Directions of each null, at least 2.
        readout: What responds.
        bases: Names of groupings.
        seed: Root seed of everything random.
        patterns: Watched parameters.
        dtype: Precision of responses.
        leave_out: Names of `TABLES` that are not made, to save their time; they have no rows then.

    Returns:
        The tables.

    Raises:
        InputError: as `observe_run` and `selection_table` do, or if what is left out is no table.

    Cost: about a minute on one core for 9,409 pairs, 131,072 watched parameters and 20 nulls.
    """
    if unknown := set(leave_out) - set(TABLES):
        raise InputError(f"unknown tables {', '.join(sorted(unknown))}: known are {', '.join(TABLES)}")
    seen = observe_run(
        folder,
        step=step,
        window=window,
        center=center,
        edge=edge,
        nulls=nulls,
        readout=readout,
        bases=bases,
        seed=seed,
        patterns=patterns,
        dtype=dtype,
    )
    frequencies = cache(lambda: frequency_table(seen))
    make: dict[str, Callable[[], pd.DataFrame]] = {
        "selection": lambda: selection_table(seen, seed=seed),
        "keys": lambda: key_table(seen, seed=seed),
        "contrasts": lambda: contrast_table(seen),
        "moves": lambda: move_table(seen.run, seen.window),
        "frequencies": frequencies,
        "agreement": lambda: agreement_table(frequencies(), seed=seed),
        "probes": lambda: probe_table(seen, seed=seed),
    }
    tables = {name: pd.DataFrame() if name in leave_out else make[name]() for name in TABLES}
    return StepAnalysis(modes=modes_of(seen), **tables)
