"""Snapshots on disk: one file or one folder per step, ours or other people's."""

import functools
import json
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import Fingerprint, write_bytes
from spectraledge.trajectory.folders import weights_in
from spectraledge.trajectory.formats import open_file
from spectraledge.trajectory.formats.distributed import METADATA
from spectraledge.trajectory.formats.foreign import refused
from spectraledge.trajectory.formats.sharded import INDEX, shard_map
from spectraledge.trajectory.formats.stored import StoredFile, type_name
from spectraledge.trajectory.inventory import whole
from spectraledge.trajectory.names import is_optimizer

_WRITTEN = ("U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL")
"""Types of numbers that are written, in the library's order: the largest first, so that all are aligned."""


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
    """Write named tensors as one safetensors file, atomically.

    The library's `save` copies all tensors twice, and its own writer hides the operating system's error.

    Args:
        path: The file.
        tensors: By name.
        metadata: Text by name.

    Returns:
        The file's fingerprint.

    Raises:
        InputError: if a safetensors file cannot hold numbers of a type.
    """
    return write_bytes(path, *tensor_pieces(tensors, metadata))


def tensor_pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> list[bytes | memoryview]:
    """Return what `write_tensors` writes, piece by piece; numbers that are on the CPU are not copied.

    Args:
        tensors: By name.
        metadata: Text by name.

    Returns:
        The pieces of the file.

    Raises:
        InputError: as `write_tensors`.
    """
    described = tuple((name, tensors[name].dtype, tuple(tensors[name].shape)) for name in sorted(tensors))
    places, ordered = _places(described)
    texts = f'"__metadata__":{_json(dict(sorted(metadata.items())))}' if metadata else ""
    header = f"{{{','.join(filter(None, (texts, places)))}}}".encode()
    header += b" " * (-len(header) % 8)
    numbers = (tensors[name].detach().cpu().reshape(-1).view(torch.uint8).numpy().data for name in ordered)
    return [len(header).to_bytes(8, "little") + header, *numbers]


@functools.lru_cache(maxsize=256)
def _places(described: tuple[tuple[str, torch.dtype, tuple[int, ...]], ...]) -> tuple[str, tuple[str, ...]]:
    """Return what a header says of tensors of such names, types and shapes, and their order in the file."""
    kinds = {name: type_name(dtype) for name, dtype, _ in described}
    for name, kind in kinds.items():
        if kind not in _WRITTEN:
            raise InputError(f"tensor {name!r} is of type {kind}, expected one of {', '.join(_WRITTEN)}: convert it")
    ordered = sorted(described, key=lambda one: _WRITTEN.index(kinds[one[0]]))
    found: dict[str, Any] = {}
    end = 0
    for name, dtype, shape in ordered:
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        found[name] = {"dtype": kinds[name], "shape": shape, "data_offsets": [begin, end]}
    return _json(found)[1:-1], tuple(found)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


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
    place = weights_in(path) if path.is_dir() else path
    if place is None:
        why = refused(entry.name for entry in path.iterdir())
        raise InputError(f"no weights in {path}: {why or 'expected model.safetensors, or shards with their index'}")
    if place.is_symlink() and not place.exists():
        raise InputError(
            f"{place} is a link to {place.readlink()}, where there is nothing: fetch that file (git annex get, for one)"
        )
    return place
