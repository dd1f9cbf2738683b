"""Snapshots on disk: one file or one folder per step, ours or other people's."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import Fingerprint, write_bytes
from spectraledge.trajectory.folders import weights_in
from spectraledge.trajectory.formats import open_file
from spectraledge.trajectory.formats.distributed import METADATA
from spectraledge.trajectory.formats.foreign import refused
from spectraledge.trajectory.formats.sharded import INDEX, shard_map
from spectraledge.trajectory.formats.stored import StoredFile
from spectraledge.trajectory.inventory import whole
from spectraledge.trajectory.names import is_optimizer


@dataclass(frozen=True)
class Snapshot:
    """One snapshot.

    Attributes:
        step: Optimiser steps taken when it was written.
        path: Where it lies: a file of weights, or a folder that holds them.
    """

    step: int
    path: Path


def snapshot_path(run_folder: Path, step: int) -> Path:
    """Return where the snapshot of a step lies in a run folder."""
    return run_folder / "snapshots" / f"step_{step:08d}.safetensors"


def moves_path(run_folder: Path, step: int) -> Path:
    """Return where a run folder keeps what moved the weights in the interval that ends at a step."""
    return run_folder / "moves" / f"step_{step:08d}.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Fingerprint:
    """Write named tensors as one safetensors file, atomically, and return its fingerprint."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Serialised here and written by us: the library's own writer hides the operating system's error.
    return write_bytes(path, save(on_cpu, metadata=dict(metadata) if metadata else None))


def read_snapshot(path: Path, names: tuple[str, ...] | None = None, *, key: str | None = None) -> dict[str, Tensor]:
    """Read tensors of one snapshot; nothing is ever run.

    Args:
        path: See `open_snapshot`.
        names: Which tensors. Default all.
        key: See `open_snapshot`.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        InputError: as `open_snapshot`, or if a name is lacking.
        DamageError: if it is of a recorded run and not what was written.
    """
    with open_snapshot(whole(path), key=key) as file:
        present = sorted(file.keys())
        missing = [name for name in names or () if name not in present]
        if missing:
            raise InputError(
                f"{path} has no tensor {missing[0]!r}, which other snapshots have: is it from another run?"
            )
        return {name: file.get_tensor(name) for name in (names or present)}


def open_snapshot(path: Path, *, key: str | None = None) -> AbstractContextManager[StoredFile]:
    """Open one snapshot for reading.

    Args:
        path: A file of weights, or a folder that holds one or several with an index (see `weights_in`).
        key: Where in it the weights lie; see `open_file`.

    Returns:
        A context manager with `keys()`, `get_tensor(name)` and `get_slice(name)`, which reads what is indexed; for a
        .safetensors file the library's own.

    Raises:
        InputError: if the key is that of an optimiser.
    """
    if key and any(map(is_optimizer, key.split("/"))):
        raise InputError(
            f"key {key!r} is that of an optimiser's state, which is no weights: choose that of the network"
        )
    return open_file(_place(path), key)


def snapshot_files(path: Path) -> list[Path]:
    """List the files that hold the weights of a snapshot.

    Args:
        path: See `open_snapshot`.

    Returns:
        Their paths, sorted.
    """
    place = _place(path)
    if place.name == METADATA:
        return sorted(place.parent.glob("*.distcp"))
    return sorted(set(shard_map(place).values())) if place.name.endswith(INDEX) else [place]


def shards_of(path: Path) -> dict[str, str]:
    """Tell which file holds each tensor of a snapshot in shards.

    Args:
        path: See `open_snapshot`.

    Returns:
        Names of files by name of tensor; empty for a snapshot in one piece.
    """
    place = _place(path)
    return {name: file.name for name, file in shard_map(place).items()} if place.name.endswith(INDEX) else {}


def _place(path: Path) -> Path:
    if not path.is_dir():
        return path
    place = weights_in(path)
    if place is None:
        why = refused(entry.name for entry in path.iterdir())
        raise InputError(f"no weights in {path}: {why or 'expected model.safetensors, or shards with their index'}")
    return place
