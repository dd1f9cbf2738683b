"""Everything that is measured at one step of a recorded run, from one pass over its directions."""

from pathlib import Path

import pandas as pd

from spectraledge.analyses.analysis import DIRECTION_SETTINGS, Analysis, StepTable
from spectraledge.analyses.contrast_table import CONTRASTS
from spectraledge.analyses.frequency_tables import AGREEMENT, FREQUENCIES
from spectraledge.analyses.mode_tables import CHARACTERS, MODES, WAVES
from spectraledge.analyses.move_table import MOVES
from spectraledge.analyses.probe_table import PROBES
from spectraledge.analyses.selection_tables import KEYS, SELECTION
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.observed.observation import observe_run

STEP_TABLES: tuple[StepTable, ...] = (
    MODES,
    WAVES,
    CHARACTERS,
    SELECTION,
    KEYS,
    CONTRASTS,
    MOVES,
    FREQUENCIES,
    AGREEMENT,
    PROBES,
)
"""Every table that is made of what is seen at a step. A new one is a module that ends in it, and a line here."""


def analyze_step(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Measure which functions the updates up to a step select, and all that goes with it.

    Args:
        folder: A run folder that this package wrote.
        settings: See `AnalysisConfig.view`; names in `leave_out` are not made, to save their time: no rows then.

    Returns:
        `STEP_TABLES` by name.

    Raises:
        InputError: as `observe_run` and `selection_table` do, or if what is left out is no table.

    Cost: about a minute on one core for 9,409 pairs, 131,072 watched parameters and 20 nulls.
    """
    names = [table.name for table in STEP_TABLES]
    if unknown := set(settings.leave_out) - set(names):
        raise InputError(f"unknown tables {', '.join(sorted(unknown))}: known are {', '.join(names)}")
    seen = observe_run(folder, settings.view)
    return {
        table.name: table.frame() if table.name in settings.leave_out else table.make(seen, settings)
        for table in STEP_TABLES
    }


STEP = Analysis(
    "step",
    analyze_step,
    STEP_TABLES,
    settings=(*DIRECTION_SETTINGS, "readout", "precision", "leave_out", "bases"),
    joined=("modes", "selection"),
)
