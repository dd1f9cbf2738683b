"""`manifest.json` of a study: the SHA-256 of every table and configuration, so that a copy can be checked."""

import hashlib
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.files import read_json, write_json

FILE_NAME = "manifest.json"

_PATTERNS = ("study.json", "*.parquet", "runs/*/run.json", "runs/*/*.parquet", "runs/*/analyses/*.json")


def write_hashes(folder: Path) -> None:
    """Write `manifest.json` into a study's folder: hex SHA-256 of each configuration, stamp and table, by path."""
    write_json(folder / FILE_NAME, {"sha256": _hashes(folder)})


def changed_files(folder: Path) -> list[str]:
    """Compare a study's folder with its `manifest.json`.

    Args:
        folder: The study's folder, or a copy of it, with or without snapshots.

    Returns:
        Paths of files that are not what they were, not there, or new; empty where all is well.

    Raises:
        InputError: if there is no `manifest.json`.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InputError(f"no {FILE_NAME} in {folder}: it is written when a study has been run")
    known, found = read_json(path)["sha256"], _hashes(folder)
    return sorted(name for name in {*known, *found} if known.get(name) != found.get(name))


def _hashes(folder: Path) -> dict[str, str]:
    paths = sorted(path for pattern in _PATTERNS for path in folder.glob(pattern) if not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
