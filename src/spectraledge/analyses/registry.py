"""The registry of analyses: named functions from a run folder to tables, each with a stamp when it is done."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from spectraledge.analyses.course import follow_course
from spectraledge.analyses.edge_decline import declines
from spectraledge.analyses.representation import analyze_autoencoder, analyze_representation
from spectraledge.analyses.reuse import REUSE_TABLES, reuse
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.shared_usage import analyze_cousage
from spectraledge.analyses.spectra import analyze_folder
from spectraledge.analyses.step import TABLES, analyze_step
from spectraledge.analyses.three_decompositions import decompositions
from spectraledge.errors import InputError
from spectraledge.files import digest, read_json, write_json, write_table
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest, Series


@dataclass(frozen=True)
class Analysis:
    """Something that is measured on one recorded run.

    Attributes:
        name: Its name in `ANALYSES`, in configurations and of its stamp.
        measure: Run folder and settings to tables, by the name of the file that holds each.
        tables: Names of the tables that it makes, always all of them.
        settings: The fields of `AnalysisConfig` that it reads; it is repeated when one of them changes.
        joined: Those of its tables that are also written for the whole study.
        thinned: Whether it does without the snapshots that a thinned run lacks (see `thin`), or says itself if not.
        version: Raised whenever its numbers or columns change, so that older results are measured again.
    """

    name: str
    measure: Callable[[Path, AnalysisConfig], dict[str, pd.DataFrame]]
    tables: tuple[str, ...]
    settings: tuple[str, ...]
    joined: tuple[str, ...] = ()
    thinned: bool = False
    version: int = 1

    def hash(self, settings: AnalysisConfig) -> str:
        """Return the hex SHA-256 of all that its tables depend on beside the run."""
        values = settings.model_dump(mode="json", include=set(self.settings))
        return digest({"analysis": self.name, "version": self.version, "settings": values})


class Stamp(BaseModel):
    """What an analysis leaves in a run folder when it is done, written last: `analyses/<name>.json`.

    Attributes:
        hash: See `Analysis.hash`.
        error: Why it could not be carried out, else "".
        seconds: How long it took.
        parameters: How many numbers of the run are watched, P; 0 where it could not be carried out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hash: str
    error: str = ""
    seconds: float = 0.0
    parameters: int = 0


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
        The stamp; None where there is none, or one of other settings or of another version.

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
    return stamp if stamp.hash == analysis.hash(settings) else None


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
    # Tables and stamp must never be of different settings.
    stamp_path(folder, analysis.name).unlink(missing_ok=True)
    began = time.monotonic()
    try:
        if (gone := Manifest.read(folder).thinned) and not analysis.thinned:
            raise InputError(
                f"{len(gone)} snapshots of this run are gone, as its study was told to keep only windows of them, and "
                f"{analysis.name} needs them all: train the run again in another folder, keeping all"
            )
        tables = analysis.measure(folder, settings)
        assert set(tables) == set(analysis.tables), f"{analysis.name} made {sorted(tables)}"
        for name, table in tables.items():
            write_table(folder / f"{name}.parquet", table)
        parameters = Series.open(folder, RunConfig.of_run(folder).watched).layout.size
        stamp = Stamp(hash=analysis.hash(settings), seconds=time.monotonic() - began, parameters=parameters)
    except InputError as error:
        stamp = Stamp(hash=analysis.hash(settings), error=str(error), seconds=time.monotonic() - began)
    write_json(stamp_path(folder, analysis.name), stamp.model_dump(mode="json"))
    return stamp


def _spectrum(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    found = analyze_folder(
        folder,
        patterns=RunConfig.of_run(folder).watched,
        window=settings.window,
        center=settings.center_spectrum,
        surrogates=settings.surrogates,
        seed=settings.seed,
    )
    return {"spectrum": found.spectrum, "edge": found.edge}


def _step(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    return analyze_step(
        folder,
        window=settings.window,
        center=settings.center_modes,
        edge=settings.edge,
        nulls=settings.nulls,
        readout=settings.readout,
        seed=settings.seed,
        dtype=torch.float64 if settings.precision == "double" else torch.float32,
        leave_out=settings.leave_out,
    ).tables


def _course(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    found = follow_course(
        folder,
        stride=settings.stride,
        window=settings.window,
        center=settings.center_modes,
        edge=settings.edge,
        seed=settings.seed,
    )
    return {"course": found.course, "changes": found.changes}


_DIRECTIONS = ("window", "center_modes", "edge", "nulls", "seed")
"""What the directions of a run and their nulls depend on."""

SPECTRUM = Analysis(
    "spectrum",
    _spectrum,
    ("spectrum", "edge"),
    settings=("window", "center_spectrum", "surrogates", "seed"),
    thinned=True,
)
STEP = Analysis(
    "step",
    _step,
    ("modes", "waves", "characters", *TABLES),
    settings=("window", "center_modes", "edge", "nulls", "readout", "precision", "leave_out", "seed"),
    joined=("modes", "selection"),
)
COURSE = Analysis(
    "course",
    _course,
    ("course", "changes"),
    settings=("stride", "window", "center_modes", "edge", "seed"),
    joined=("course",),
)

DECLINES = Analysis(
    "declines", declines, ("declines",), settings=("window", "surrogates", "seed"), joined=("declines",)
)
DECOMPOSITIONS = Analysis(
    "decompositions",
    decompositions,
    ("decompositions", "decomposition_changes", "decomposition_agreement"),
    settings=("window", "center_spectrum", "seed"),
    joined=("decomposition_changes", "decomposition_agreement"),
)
REPRESENTATION = Analysis(
    "representation",
    analyze_representation,
    ("block_shares", "purity", "ranks"),
    settings=_DIRECTIONS,
    joined=("purity", "ranks"),
)
AUTOENCODER = Analysis(
    "autoencoder",
    analyze_autoencoder,
    ("autoencoder", "autoencoder_fit"),
    settings=_DIRECTIONS,
    joined=("autoencoder", "autoencoder_fit"),
)
COUSAGE = Analysis(
    "cousage",
    analyze_cousage,
    ("usage", "usage_correlations", "sharedness"),
    settings=_DIRECTIONS,
    joined=("usage", "sharedness"),
)
REUSE = Analysis(
    "reuse",
    reuse,
    REUSE_TABLES,
    settings=_DIRECTIONS,
    joined=("reuse", "reuse_selection", "reuse_probes", "inclusion"),
)

ANALYSES = {
    analysis.name: analysis
    for analysis in (SPECTRUM, STEP, COURSE, DECLINES, DECOMPOSITIONS, REPRESENTATION, AUTOENCODER, COUSAGE, REUSE)
}
"""Every analysis by name. A new one is a function, an entry here, and its settings in `AnalysisConfig`."""
