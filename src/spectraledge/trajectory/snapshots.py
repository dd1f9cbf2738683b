"""Snapshot files: one safetensors file per step, found by the step in its name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import write_bytes

_PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}


@dataclass(frozen=True)
class Snapshot:
    """One snapshot file.

    Attributes:
        step: Optimiser steps taken when it was written.
        path: Where it lies.
    """

    step: int
    path: Path


def snapshot_path(run_folder: Path, step: int) -> Path:
    """Return where the snapshot of a step lies in a run folder."""
    return run_folder / "snapshots" / f"step_{step:08d}.safetensors"


def moves_path(run_folder: Path, step: int) -> Path:
    """Return where a run folder keeps what moved the weights in the interval that ends at a step."""
    return run_folder / "moves" / f"step_{step:08d}.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Serialised here and written by us: the library's own writer hides the operating system's error.
    write_bytes(path, save(on_cpu, metadata=dict(metadata) if metadata else None))


def find_snapshots(folder: Path) -> list[Snapshot]:
    """List the snapshots in a folder, or in its subfolder `snapshots`, by ascending step.

    Args:
        folder: Holds .safetensors files with exactly one integer, the step, in each name; or `step<integer>` where a
            name has several.

    Returns:
        The snapshots; at least one.

    Raises:
        InputError: if the folder is missing or has none, a name gives no step, or two give the same one.
    """
    if not folder.is_dir():
        raise InputError(f"no folder at {folder}: give a folder of snapshots (step_00000100.safetensors, ...)")
    place = folder / "snapshots" if (folder / "snapshots").is_dir() else folder
    files = sorted(path for path in place.iterdir() if path.suffix == ".safetensors" and not path.name.startswith("."))
    if not files:
        pickles = sorted(path.name for path in place.iterdir() if path.suffix in _PICKLES)
        if pickles:
            raise InputError(
                f"{place} holds pickles ({pickles[0]}) where safetensors files are expected; pickles are not opened: "
                "convert them with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
            )
        raise InputError(f"no snapshots in {place}: expected files like step_00000100.safetensors")
    by_step: dict[int, Path] = {}
    for path in files:
        step = _step_of(path)
        if step in by_step:
            raise InputError(f"step {step} is in both {by_step[step].name} and {path.name} of {place}: remove one")
        by_step[step] = path
    return [Snapshot(step, by_step[step]) for step in sorted(by_step)]


def _step_of(path: Path) -> int:
    numbers = re.findall(r"\d+", path.stem)
    if len(numbers) != 1:
        numbers = re.findall(r"step[_=-]?(\d+)", path.stem)
    if len(numbers) != 1:
        raise InputError(
            f"cannot tell the step of {path}: its name must hold exactly one integer (step_00000100.safetensors); "
            "rename it or move it away"
        )
    return int(numbers[0])


def read_snapshot(path: Path, names: tuple[str, ...] | None = None) -> dict[str, Tensor]:
    """Read tensors of one safetensors file; nothing is ever unpickled.

    Args:
        path: The file.
        names: Which tensors. Default all.

    Returns:
        The tensors by name, on the CPU.

    Raises:
        InputError: if the file is missing, truncated, no safetensors file, or lacks a name.
    """
    with open_snapshot(path) as file:
        present = set(file.keys())
        missing = [name for name in names or () if name not in present]
        if missing:
            raise InputError(
                f"{path} has no tensor {missing[0]!r}, which other snapshots have: is it from another run?"
            )
        return {name: file.get_tensor(name) for name in (names or sorted(present))}


def open_snapshot(path: Path) -> Any:
    """Open one safetensors file for reading.

    Args:
        path: The file.

    Returns:
        The library's reader, a context manager.

    Raises:
        InputError: if the file is missing, truncated or no safetensors file.
    """
    if not path.is_file():
        raise InputError(f"no snapshot at {path}")
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        with path.open("rb") as handle:
            start = handle.read(4)
        if start[:1] == b"\x80" or start == b"PK\x03\x04":
            raise InputError(
                f"{path} is a pickle (torch.save), not a safetensors file, whatever its name says; it was not opened: "
                "convert it with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
            ) from error
        raise InputError(
            f"{path} is truncated or is not a safetensors file ({error}): delete it, or copy it again from its source"
        ) from error
