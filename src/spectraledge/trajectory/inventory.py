"""`files.json` of a run folder: the fingerprint of every file that its results depend on, taken as it is written."""

import functools
import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spectraledge.errors import DamageError, InputError
from spectraledge.files import Fingerprint, digest, fingerprint, read_sealed, state_of, write_bytes
from spectraledge.trajectory.manifest import FILE_NAME as MANIFEST
from spectraledge.trajectory.manifest import MENDING, Manifest
from spectraledge.trajectory.unfinished import STATE_FILE, UNLISTED, unfinished_text

FILE_NAME = "files.json"

PER_STEP = ("snapshots", "moves", "states")
"""Folders with a file for each step, which is written once; other files are replaced while the run goes on."""


@dataclass(frozen=True)
class Inventory:
    """What a run folder holds.

    Attributes:
        folder: The run folder.
        files: Fingerprint of each file by its path in the folder.
    """

    folder: Path
    files: dict[str, Fingerprint]

    @classmethod
    def read(cls, folder: Path) -> "Inventory | None":
        """Read a run folder's inventory.

        Args:
            folder: The run folder.

        Returns:
            The inventory; None where there is no run, or one of an earlier version, which has none.

        Raises:
            DamageError: if it is missing or not what was written.
        """
        path = folder / FILE_NAME
        manifest = Manifest.read(folder) if Manifest.present(folder) else None
        if manifest is None and path.is_file():
            raise DamageError(f"{folder / MANIFEST} is missing; {MENDING}")
        if manifest is None or not manifest.listed:
            return None
        if manifest.status == "running" and manifest.step == 0 and not path.is_file():
            # It has just begun.
            return cls(folder, {})
        try:
            if not path.is_file():
                raise DamageError(f"{path} is missing")
            content, sealed = read_sealed(path)
            if not sealed or content.keys() != {"files"}:
                raise DamageError(f"{path} is no list of files")
            text = unfinished_text(folder) if manifest.status == "running" else {}
            found = content["files"] | json.loads(text.get(UNLISTED, "{}"))
            return cls(folder, {name: Fingerprint(*numbers) for name, numbers in found.items()})
        except (DamageError, TypeError, ValueError) as error:
            # States of earlier versions have no seal of their text.
            raise DamageError(f"{error}; {MENDING}") from error

    def without(self, *paths: Path) -> "Inventory":
        """Return the inventory without some files."""
        gone = {path.relative_to(self.folder).as_posix() for path in paths}
        return Inventory(self.folder, {name: found for name, found in self.files.items() if name not in gone})

    def write(self) -> None:
        """Write `files.json`, atomically: what `write_sealed` writes, which takes long over many files."""
        files = dict(sorted(self.files.items()))
        lines = [f"    {json.dumps(name)}: [\n      {size},\n      {crc}\n    ]" for name, (size, crc) in files.items()]
        listed, seal = ",\n".join(lines), digest({"files": files})
        text = f'{{\n  "files": {{\n{listed}\n  }},\n  "digest": "{seal}"\n}}\n'
        write_bytes(self.folder / FILE_NAME, text.encode())

    def damaged(self, *, quick: bool = False) -> Iterator[str]:
        """Find what is damaged.

        A copy without snapshots, moves and states is no damage. Files that are replaced while a run goes on are looked
        at once it does not.

        Args:
            quick: Whether to look at the sizes alone of snapshots, moves and states.

        Yields:
            The path in the folder of each file, and what is wrong with it.
        """
        manifest = Manifest.read(self.folder)
        copied = not any((self.folder / part).is_dir() for part in PER_STEP)
        for name, expected in self.files.items():
            path = self.folder / name
            left_out = copied if path.parent != self.folder else manifest.status == "running"
            if not left_out and (fault := _fault(path, expected, quick=quick and path.parent != self.folder)):
                yield f"{name} {fault}"
        if not _grows(manifest):
            found = (path for part in PER_STEP for path in sorted((self.folder / part).glob("step_*.safetensors")))
            for name in (path.relative_to(self.folder).as_posix() for path in found):
                if name not in self.files:
                    yield f"{name} was not written by this run"


def damages(folder: Path, *, quick: bool = False) -> list[str]:
    """Find what of a run folder is damaged.

    Args:
        folder: The folder; it need not exist.
        quick: Whether to look at the sizes alone of snapshots, moves and states.

    Returns:
        What is wrong with each file; nothing where there is no run, or one of an earlier version.
    """
    try:
        inventory = Inventory.read(folder)
        return [f"{folder}/{fault}" for fault in inventory.damaged(quick=quick)] if inventory else []
    except DamageError as error:
        return [str(error)]


def check_series(source: Path) -> None:
    """Check that the files of a run are all there in their sizes, before its snapshots are taken for a series.

    Args:
        source: A run folder or its folder of snapshots; nothing is asked of other places.

    Raises:
        DamageError: if one is not.
    """
    folder = source.parent if source.name in PER_STEP else source
    inventory = _of(folder)[1]
    for fault in inventory.damaged(quick=True) if inventory else ():
        raise DamageError(f"{folder}/{fault}; {MENDING}")


def whole(path: Path) -> Path:
    """Check a file before it is read, where it is one of a run folder that lists its files; it is read once for that.

    Args:
        path: Any file.

    Returns:
        The path.

    Raises:
        DamageError: if it is missing or not what was written.
    """
    folder = path.parent.parent if path.parent.name in PER_STEP else path.parent
    manifest, inventory = _of(folder)
    if manifest is None or inventory is None or (path.parent == folder and manifest.status == "running"):
        return path
    expected = inventory.files.get(path.relative_to(folder).as_posix())
    if expected is None and (_grows(manifest) or not path.is_file()):
        return path
    if fault := "was not written by this run" if expected is None else _fault(path, expected):
        raise DamageError(f"{path} {fault}; {MENDING}")
    return path


def _of(folder: Path) -> tuple[Manifest | None, Inventory | None]:
    try:
        return _known(folder, *(state_of(folder / name) for name in (MANIFEST, FILE_NAME, STATE_FILE)))
    except InputError:
        if (folder / FILE_NAME).is_file():
            raise
        # Other people's run.json.
        return None, None


@functools.lru_cache(maxsize=64)
def _known(folder: Path, *_: Hashable) -> tuple[Manifest | None, Inventory | None]:
    """Read both once as long as nothing changes that they are read from."""
    return Manifest.read(folder) if Manifest.present(folder) else None, Inventory.read(folder)


def _grows(manifest: Manifest) -> bool:
    """Tell whether files may be there that are not listed: not yet, or no longer and about to be removed."""
    return manifest.status == "running" or bool(manifest.thinned)


def _fault(path: Path, expected: Fingerprint, *, quick: bool = False) -> str:
    """Say what is wrong with a file, "" where nothing is."""
    if not path.is_file():
        return "is missing"
    if (size := path.stat().st_size) != expected.size:
        return f"has {size:,} bytes instead of {expected.size:,}"
    return "" if quick or fingerprint(path) == expected else "is not what was written (its CRC-32 differs)"
