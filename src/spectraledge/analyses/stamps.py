"""Carrying an analysis out: its tables in the run folder, and a stamp that says with which settings."""

import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from spectraledge.analyses.analysis import Analysis, reasons
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import device_name, room_on
from spectraledge.errors import DamageError, DeviceError, InputError
from spectraledge.files import Fingerprint, fingerprint, read_sealed, read_table, write_sealed, write_table
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
        device: On which GPU it was carried out, by its name; "" on the CPU, and in stamps of earlier versions.
        tables: Fingerprint of each table by name; none in stamps of earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    error: str = ""
    seconds: float = 0.0
    parameters: int = 0
    run_step: int | None = None
    left_out: tuple[str, ...] = ()
    device: str = ""
    tables: dict[str, Fingerprint] = {}


def stamp_path(folder: Path, name: str) -> Path:
    """Return where an analysis leaves its stamp in a run folder."""
    return folder / "analyses" / f"{name}.json"


def read_stamp(folder: Path, analysis: Analysis, settings: AnalysisConfig) -> Stamp | None:
    """Read an analysis' stamp; None where there is none of these settings, this version and as long a run."""
    stamp = _read(folder, analysis)
    if stamp is None or stamp.hash != analysis.hash(settings):
        return None
    return stamp if stamp.run_step in (None, Manifest.read(folder).step) else None


def measure(
    folder: Path, analysis: Analysis, settings: AnalysisConfig, *, into: Path | None = None
) -> dict[str, pd.DataFrame]:
    """Analyse a run, and keep its tables, by default in its own folder."""
    began, thinned = time.monotonic(), Manifest.read(folder).thinned
    if thinned and not analysis.thinned:
        raise InputError(
            f"{len(thinned)} snapshots of this run are gone, as its study was told to keep only windows of them, and "
            f"{analysis.name} needs them all: train the run again in another folder, keeping all"
        )
    with room_on(settings.device):
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
    """Write the tables of an analysis and then its stamp: the two are never of different settings."""
    place = folder if into is None else into
    stamp_path(place, analysis.name).unlink(missing_ok=True)
    written = {}
    assert set(tables) == {table.name for table in analysis.tables}, f"{analysis.name} made {sorted(tables)}"
    for table in analysis.tables:
        made = tables[table.name]
        assert not (misfit := table.misfit(made.columns)), f"{table.name} {misfit}"
        written[table.name] = write_table(place / f"{table.name}.parquet", made)
    parameters = Series.open(folder, settings.params or RunConfig.of_run(folder).watched).layout.size
    step, hash_ = Manifest.read(folder).step, analysis.hash(settings)
    stamp = Stamp(
        hash=hash_,
        seconds=seconds,
        parameters=parameters,
        run_step=step,
        left_out=reasons(tables),
        device=device_name(settings.device),
        tables=written,
    )
    _write(place, analysis, stamp)


def carry_out(folder: Path, analysis: Analysis, settings: AnalysisConfig) -> Stamp:
    """Analyse a run, unless that is done and its tables are whole; what the user must mend is kept in the stamp.

    Returns:
        The stamp; the tables are in the folder where it has no error.

    Raises:
        DamageError: if the run is not what was recorded.
        DeviceError: if the device is not here, or its memory does not do.
    """
    known = None if misfits(folder, analysis) else read_stamp(folder, analysis, settings)
    if known:
        return known
    began = time.monotonic()
    try:
        measure(folder, analysis, settings)
    except (DamageError, DeviceError):
        raise
    except InputError as error:
        _write(
            folder, analysis, Stamp(hash=analysis.hash(settings), error=str(error), seconds=time.monotonic() - began)
        )
    done = read_stamp(folder, analysis, settings)
    assert done is not None
    return done


def is_unlisted(folder: Path, analysis: Analysis) -> bool:
    """Tell whether an analysis left a stamp of an earlier version beside its tables, without their fingerprints."""
    try:
        stamp = _read(folder, analysis)
    except DamageError:
        return False
    return stamp is not None and not stamp.error and not stamp.tables


def misfits(folder: Path, analysis: Analysis) -> list[str]:
    """Find what is wrong with tables or stamp of an analysis; nothing where there is no stamp, or one of a failure."""
    try:
        stamp = _read(folder, analysis)
        if stamp is None or stamp.error:
            return []
        if not stamp.tables:
            read_tables(folder, analysis)
            return []
        if set(stamp.tables) != {table.name for table in analysis.tables}:
            return [f"{stamp_path(folder, analysis.name)} is the stamp of another analysis"]
    except DamageError as error:
        return [str(error)]
    paths = {folder / f"{name}.parquet": expected for name, expected in stamp.tables.items()}
    return [
        f"{path} {'is not what was written' if path.is_file() else 'is missing'}"
        for path, expected in paths.items()
        if fingerprint(path) != expected
    ]


def read_tables(folder: Path, analysis: Analysis, *names: str) -> dict[str, pd.DataFrame]:
    """Return the tables that an analysis wrote, or some of them, by name.

    Raises:
        DamageError: if one is missing, cannot be read, has other columns than declared or is not what was written.
    """
    tables, stamp = {}, _read(folder, analysis)
    for table in (one for one in analysis.tables if not names or one.name in names):
        path = folder / f"{table.name}.parquet"
        found = read_table(path)
        if len(found) and (misfit := table.misfit(found.columns)):
            raise DamageError(
                f"{path} {misfit}, so it is not what {analysis.name} writes: run its study again, which measures anew"
            )
        if stamp and stamp.tables.get(table.name) not in (None, fingerprint(path)):
            raise DamageError(
                f"{path} is not what {analysis.name} wrote: run its study, or the command that wrote it, again"
            )
        tables[table.name] = found
    return tables


def _read(folder: Path, analysis: Analysis) -> Stamp | None:
    path = stamp_path(folder, analysis.name)
    if not path.is_file():
        return None
    content, _ = read_sealed(path)
    try:
        return Stamp.model_validate(content)
    except ValidationError as error:
        raise DamageError(f"{path} is no stamp of an analysis") from error


def _write(folder: Path, analysis: Analysis, stamp: Stamp) -> None:
    write_sealed(
        stamp_path(folder, analysis.name),
        stamp.model_dump(mode="json", exclude={"device"} if not stamp.device else None),
    )
