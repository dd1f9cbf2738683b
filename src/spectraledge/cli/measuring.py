"""Analyses carried out for a command: where their tables go, and what they leave out."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from spectraledge.analyses.analysis import Analysis, reasons
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import remark
from spectraledge.studies.belonging import check_place


def measured(
    folder: Path, analyses: Iterable[Analysis], settings: AnalysisConfig, out: Path | None
) -> dict[str, pd.DataFrame]:
    """Carry analyses out, write their tables into the run's folder or another, and say what they leave out.

    Returns:
        The tables by name.

    Raises:
        InputError: if the run cannot be analysed so, or the tables of its study would be written over.
    """
    if out is None:
        for analysis in analyses:
            check_place(folder, analysis, settings)
    tables: dict[str, pd.DataFrame] = {}
    for analysis in analyses:
        tables |= measure(folder, analysis, settings, into=out)
    for reason in reasons(tables):
        remark(f"left out {reason}")
    return tables
