"""`manifest.json` of a study: the SHA-256 of every table and configuration, so that a copy can be checked."""

import contextlib
import hashlib
from pathlib import Path

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.stamps import is_unlisted, misfits, stamp_path
from spectraledge.errors import DamageError, InputError
from spectraledge.files import read_json, write_json
from spectraledge.trajectory import Manifest
from spectraledge.trajectory.inventory import FILE_NAME as RUN_FILES
from spectraledge.trajectory.inventory import damages
from spectraledge.trajectory.manifest import FILE_NAME as RUN_FILE

FILE_NAME = "manifest.json"

_PATTERNS = (
    "study.json",
    "*.parquet",
    "runs/*/run.json",
    "runs/*/files.json",
    "runs/*/*.parquet",
    "runs/*/analyses/*.json",
)


def write_hashes(folder: Path) -> None:
    """Write `manifest.json` into a study's folder: hex SHA-256 of each configuration, stamp and table, by path."""
    write_json(folder / FILE_NAME, {"sha256": _hashes(folder)})


def distrust_altered(folder: Path) -> list[str]:
    """Take away stamps of earlier versions, which hold no fingerprints, whose tables `manifest.json` does not know.

    What has no stamp is measured again; so a table that was altered since is not listed as it is now. A study that was
    never finished has no manifest, and nothing is done.

    Returns:
        Paths of the tables.
    """
    altered = list[str]()
    if not (folder / FILE_NAME).is_file():
        return altered
    # A manifest or a stamp that is damaged itself is made again by whoever reads it next.
    with contextlib.suppress(DamageError):
        known = _known(folder / FILE_NAME)
        for place in sorted((folder / "runs").glob("*")):
            for analysis in ANALYSES.values():
                if is_unlisted(place, analysis):
                    paths = [place / f"{table.name}.parquet" for table in analysis.tables]
                    names = {path.relative_to(folder).as_posix(): path for path in paths if path.is_file()}
                    other = [name for name in known.keys() & names if known[name] != _sha256(names[name])]
                    if other:
                        stamp_path(place, analysis.name).unlink()
                        altered += other
    return altered


def changed_files(folder: Path) -> list[str]:
    """Compare a study's folder with its `manifest.json`, and every file of its runs with what was written.

    Args:
        folder: The study's folder, or a copy of it, with or without snapshots.

    Returns:
        Paths of files that are not what they were, not there, or new, and what is wrong with snapshots and other files
        that `files.json` of a run lists; empty where all is well. A copy without any snapshots is well.

    Raises:
        InputError: if there is no `manifest.json`.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"no {FILE_NAME} in {folder}: it is written when a study has been run")
    known, found = _known(path), _hashes(folder)
    changed = sorted(name for name in {*known, *found} if known.get(name) != found.get(name))
    own = [fault for place in sorted((folder / "runs").glob("*")) for fault in run_faults(place)]
    return changed + [fault for fault in own if not any(fault.startswith(f"{folder / name} ") for name in changed)]


def is_run(folder: Path) -> bool:
    """Tell whether a folder is that of one run, though it may have lost its manifest."""
    return any((folder / name).is_file() for name in (RUN_FILE, RUN_FILES))


def run_faults(folder: Path) -> list[str]:
    """Compare every file of a run folder with what was written.

    Args:
        folder: The run folder.

    Returns:
        What is wrong with each of its own files (see `Inventory`), and with each table and stamp of an analysis.
    """
    return damages(folder) + [
        fault for analysis in ANALYSES.values() for fault in [*_unstamped(folder, analysis), *misfits(folder, analysis)]
    ]


def _unstamped(folder: Path, analysis: Analysis) -> list[str]:
    """Find tables of an analysis that was not finished, or whose stamp is gone."""
    if stamp_path(folder, analysis.name).is_file():
        return []
    found = [folder / f"{table.name}.parquet" for table in analysis.tables]
    return [f"{path} has no stamp of {analysis.name} beside it" for path in found if path.is_file()]


def unlisted_runs(folder: Path) -> list[str]:
    """Name the runs that an earlier version recorded, which took no fingerprints of their files.

    Args:
        folder: A study's folder, or that of a run.

    Returns:
        Names of their folders.
    """
    places = [path.parent for pattern in ("run.json", "runs/*/run.json") for path in sorted(folder.glob(pattern))]
    return [place.name for place in places if not damages(place, quick=True) and not Manifest.read(place).listed]


def _known(path: Path) -> dict[str, str]:
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("sha256"), dict):
        raise DamageError(f"{path} is no list of hashes; spectraledge study run with the study's recipe makes it again")
    known: dict[str, str] = content["sha256"]
    return known


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for pattern in _PATTERNS for path in folder.glob(pattern) if not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
