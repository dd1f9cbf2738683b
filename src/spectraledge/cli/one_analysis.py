"""What commands that carry one analysis out have in common: where its tables go, and how a person is told."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import typer

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import show
from spectraledge.studies.belonging import check_place


def measured(folder: Path, analysis: Analysis, settings: AnalysisConfig, out: Path | None) -> dict[str, pd.DataFrame]:
    """Carry an analysis out, and write its tables.

    Args:
        folder: The run folder.
        analysis: The analysis.
        settings: Its settings.
        out: Folder to write to. None: the run's own, unless a study's tables of other settings are there.

    Returns:
        The tables by name.

    Raises:
        InputError: if the run cannot be analysed so, or the tables of its study would be written over.
    """
    if out is None:
        check_place(folder, analysis, settings)
    return measure(folder, analysis, settings, into=out)


def show_found(shown: Iterable[str], found: str, tables: Iterable[str], place: Path, *, as_json: bool) -> None:
    """Print tables for people, what was found, and where all of it lies.

    Args:
        shown: The tables, as they are printed.
        found: A sentence.
        tables: Names of the tables that were written.
        place: The folder that they are in.
        as_json: Whether only the sentence and the places are printed, as JSON.
    """
    if not as_json:
        for table in shown:
            typer.echo(table + "\n")
        typer.echo(found)
    paths = {name: str(place / f"{name}.parquet") for name in tables}
    show({**paths, **({"found": found} if as_json else {})}, as_json=as_json)
