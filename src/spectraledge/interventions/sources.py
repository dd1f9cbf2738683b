"""What interventions take subspaces from, files of vectors and recorded windows, and whether that has changed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.spectrum.windows import check_window
from spectraledge.trajectory import Manifest, Series
from spectraledge.trajectory.snapshots import snapshot_files


def file_digest_of(path: Path) -> str:
    """Return the hex SHA-256 of a file of vectors.

    Raises:
        InputError: if there is no such file.
    """
    if not path.is_file() or path.suffix != ".safetensors":
        raise InputError(f"no safetensors file of vectors at {str(path)!r}: give file:PATH")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def window_digest(folder: Path, step: int, window: int) -> str:
    """Return the hex SHA-256 of all snapshots of a recorded window.

    Args:
        folder: A run folder, or any series of checkpoints.
        step: Where the window ends.
        window: Updates in it.

    Returns:
        The digest.

    Raises:
        InputError: if there is no such window.
    """
    found = hashlib.sha256()
    for snapshot in recorded_window(folder, ["*"], step, window).snapshots:
        for path in snapshot_files(snapshot.path):
            found.update(path.read_bytes())
    return found.hexdigest()


def recorded_window(folder: Path, patterns: Sequence[str], step: int, window: int) -> Series:
    """Return the snapshots of a recorded window.

    Args:
        folder: A run folder, or any series of checkpoints.
        patterns: Of the parameters.
        step: Where it ends.
        window: Updates in it.

    Returns:
        The snapshots, one more than there are updates.

    Raises:
        InputError: if there is no such window, or a pattern matches nothing.
    """
    series = Series.open(folder, patterns)
    steps = [snapshot.step for snapshot in series.snapshots]
    if Manifest.present(folder) and (gone := Manifest.read(folder).thinned):
        raise InputError(f"{len(gone)} snapshots of {folder} were thinned: its windows have holes; train it again")
    if step not in steps:
        nearest = min(steps, key=lambda known: abs(known - step))
        raise InputError(f"no snapshot at step {step} in {folder}: the nearest is at step {nearest}")
    series = series.until(step)
    check_window(window, len(series.snapshots))
    return series.last(window + 1)
