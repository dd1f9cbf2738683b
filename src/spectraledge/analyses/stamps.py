"""Carrying an analysis out: its tables in the run folder, and a stamp that says with which settings."""

import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.left_out import reasons
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.files import read_json, read_table, write_json, write_table
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest, Series


class Stamp(BaseModel):
    """What an analysis leaves beside its tables when it is done, written last: `analyses/<name>.json`.

    Attributes:
        hash: See `Analysis.hash`.
        error: Why it could not be carried out, else "".
        seconds: How long it took.
        parameters: How many numbers of the run are watched, P; 0 where it could not be carried out.
        run_step: Last step of the run when it was measured; a run that went on is measured again.
        left_out: What there is none of for such a network, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    error: str = ""
    seconds: float = 0.0
    parameters: int = 0
    run_step: int | None = None
    left_out: tuple[str, ...] = ()


def stamp_path(folder: Path, name: str) -> Path:
    """Return where an analysis leaves its stamp in a run folder."""
    return folder / "analyses" / f"{name}.json"


def read_stamp(folder: Path, analysis: Analysis, settings: AnalysisConfig) -> Stamp | None:
    """Read an analysis' stamp.

    Args:
        folder: The run folder.
        analysis: The analysis.
        settings: Its settings.

    Returns:
        The stamp; None where there is none, or one of other settings, of another version or of a shorter run.

    Raises:
        InputError: if the file is no stamp.
    """
    path = stamp_path(folder, analysis.name)
    if not path.is_file():
        return None
    try:
        stamp = Stamp.model_validate(read_json(path))
    except ValidationError as error:
        raise InputError(f"{path} is no stamp of an analysis: delete it and run again") from error
    if stamp.hash != analysis.hash(settings):
        return None
    return stamp if stamp.run_step in (None, Manifest.read(folder).step) else None


def measure(
    folder: Path, analysis: Analysis, settings: AnalysisConfig, *, into: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Analyse a run, and keep its tables.

    Args:
        folder: The run folder.
        analysis: The analysis.
        settings: Its settings.
        into: Folder to write to. Default: the run's own.

    Returns:
        The tables by name.

    Raises:
        InputError: if the run cannot be analysed so.
    """
    began, thinned = time.monotonic(), Manifest.read(folder).thinned
    if thinned and not analysis.thinned:
        raise InputError(
            f"{len(thinned)} snapshots of this run are gone, as its study was told to keep only windows of them, and "
            f"{analysis.name} needs them all: train the run again in another folder, keeping all"
        )
    tables = analysis.measure(folder, settings)
    keep(folder, analysis, settings, tables, into=into, seconds=time.monotonic() - began)
    return tables


def keep(
    folder: Path,
    analysis: Analysis,
    settings: AnalysisConfig,
    tables: Mapping[str, pd.DataFrame],
    *,
    into: Path | None = None,
    seconds: float = 0.0,
) -> None:
    """Write the tables of an analysis and then its stamp: the two are never of different settings.

    Args:
        folder: The run folder.
        analysis: The analysis.
        settings: With which it was carried out.
        tables: What it made.
        into: Folder to write to. Default: the run's own.
        seconds: How long it took.
    """
    place = folder if into is None else into
    stamp_path(place, analysis.name).unlink(missing_ok=True)
    assert set(tables) == {table.name for table in analysis.tables}, f"{analysis.name} made {sorted(tables)}"
    for table in analysis.tables:
        made = tables[table.name]
        assert not (misfit := table.misfit(made.columns)), f"{table.name} {misfit}"
        write_table(place / f"{table.name}.parquet", made)
    parameters = Series.open(folder, settings.params or RunConfig.of_run(folder).watched).layout.size
    step, hash_ = Manifest.read(folder).step, analysis.hash(settings)
    lacks = reasons(tables)
    stamp = Stamp(hash=hash_, seconds=seconds, parameters=parameters, run_step=step, left_out=lacks)
    _write(place, analysis, stamp)


def carry_out(folder: Path, analysis: Analysis, settings: AnalysisConfig) -> Stamp:
    """Analyse a run, unless that is done; what the user must mend is kept in the stamp and not tried again.

    Args:
        folder: The run folder, trained to its end.
        analysis: The analysis.
        settings: Its settings.

    Returns:
        The stamp; the tables are in the folder where it has no error.

    Raises:
        InputError: if an older stamp cannot be read.
    """
    known = read_stamp(folder, analysis, settings)
    if known:
        return known
    began = time.monotonic()
    try:
        measure(folder, analysis, settings)
    except InputError as error:
        _write(
            folder, analysis, Stamp(hash=analysis.hash(settings), error=str(error), seconds=time.monotonic() - began)
        )
    done = read_stamp(folder, analysis, settings)
    assert done is not None
    return done


def read_tables(folder: Path, analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Read the tables that an analysis wrote.

    Args:
        folder: The run folder.
        analysis: The analysis; its stamp is there.

    Returns:
        The tables by name.

    Raises:
        InputError: if one is missing, cannot be read or has other columns than declared.
    """
    tables = {}
    for table in analysis.tables:
        path = folder / f"{table.name}.parquet"
        found = read_table(path)
        if len(found) and (misfit := table.misfit(found.columns)):
            raise InputError(
                f"{path} {misfit}, so it is not what {analysis.name} writes: delete "
                f"{stamp_path(folder, analysis.name)} and run the study again, which measures it anew"
            )
        tables[table.name] = found
    return tables


def _write(folder: Path, analysis: Analysis, stamp: Stamp) -> None:
    write_json(stamp_path(folder, analysis.name), stamp.model_dump(mode="json"))
