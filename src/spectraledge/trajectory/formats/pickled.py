"""PyTorch files that hold nothing but data: mapped, never run."""

import argparse
import datetime
import pickle
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from spectraledge.errors import InputError
from spectraledge.trajectory.formats.shared import shared_numbers
from spectraledge.trajectory.formats.stored import type_name, what_it_is

NESTED = ("model_state_dict", "state_dict", "model", "module")
"""Where training loops put the weights in a file that also holds an optimiser; `module` is DeepSpeed's."""

_TRAINED, _AVERAGES = "current_model_state", "state_dict"
"""Where Lightning puts the weights when it averages them, and the averages in the place of the weights."""

_ZIP, _BARE = b"PK\x03\x04", b"\x80"

_OF_NUMPY: list[Any] = [np.float64(0).__reduce__()[0], np.empty(0).__reduce__()[0]]
"""What makes a scalar and an array of their bytes."""

_SAFE: list[Any] = [
    argparse.Namespace,
    *(datetime.date, datetime.datetime, datetime.timedelta),
    # Where something lay, maybe on another system; it is not used.
    *((PurePath, f"pathlib.{kind}") for kind in ("PosixPath", "WindowsPath", "_local.PosixPath", "_local.WindowsPath")),
    *((make, f"numpy.{core}.multiarray.{make.__name__}") for make in _OF_NUMPY for core in ("core", "_core")),
    *(np.ndarray, np.dtype, *{type(np.dtype(code)) for code in np.typecodes["All"] if code != "O"}),
]
"""Types beside PyTorch's own that a file may hold: settings, times, paths, scores and random streams that trainers keep
beside weights. To restore them sets attributes and numbers, and runs nothing."""


@dataclass(frozen=True)
class PickledTensor:
    """A tensor of a mapped PyTorch file.

    Attributes:
        tensor: The mapped tensor; its numbers are read when it is indexed.
    """

    tensor: Tensor

    def get_shape(self) -> list[int]:
        """Return its shape; none of a tensor that has several."""
        return [] if self.tensor.is_nested else list(self.tensor.shape)

    def get_dtype(self) -> str:
        """Return its type, or what it is instead of plain numbers in their places, such as "SPARSE_COO"."""
        tensor = self.tensor
        if type(tensor) not in (Tensor, nn.Parameter, nn.Buffer):
            return type(tensor).__name__.upper()
        if tensor.is_meta or tensor.is_nested:
            return "META" if tensor.is_meta else "NESTED"
        if tensor.layout != torch.strided:
            return str(tensor.layout).removeprefix("torch.").removeprefix("_").upper()
        repeats = any(stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
        # More numbers than are stored: a file of a thousand bytes can claim 10¹³.
        if repeats or tensor.numel() * tensor.itemsize > tensor.untyped_storage().nbytes():
            return "EXPANDED"
        return type_name(tensor.dtype)

    def __getitem__(self, index: Any, /) -> Tensor:
        """Return a part, as a view of the file."""
        return self.tensor[index].resolve_conj().resolve_neg()


@dataclass(frozen=True)
class PickledFile:
    """Named tensors of a PyTorch file.

    Attributes:
        path: Where it lies.
        tensors: Mapped tensors by name.
    """

    path: Path
    tensors: Mapping[str, Tensor]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        pass

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self.tensors)

    def get_tensor(self, name: str) -> Tensor:
        """Return a whole tensor, no longer tied to the file."""
        return self.tensors[name].clone()

    def get_slice(self, name: str) -> PickledTensor:
        """Return a tensor that reads what is indexed."""
        return PickledTensor(self.tensors[name])

    def ties(self, names: Sequence[str]) -> dict[str, str]:
        """Return by name the other one of these names whose tensor holds all of its numbers."""
        return shared_numbers(
            {name: self.tensors[name] for name in names if self.tensors[name].numel()},
            str(self.path),
            "save copies of them, or give a key that leaves one out",
        )


def open_pickled(path: Path, key: str | None = None) -> PickledFile:
    """Map a PyTorch file by `torch.load(weights_only=True, mmap=True)`, and by nothing else.

    The weights lie at the top, or under one of `NESTED`, there or in Composer's `state`; a key says where else. Names
    of mappings within are joined with those in them by dots.

    Args:
        path: The file.
        key: Keys of nested mappings, joined by "/". Default: as above.

    Returns:
        The open file.

    Raises:
        InputError: if it is of the old format, which cannot be mapped, a program, truncated, needs more than weights,
            or holds no weights where they are looked for.
    """
    try:
        return PickledFile(path, _weights(path, _content(path), key))
    except RecursionError as error:
        raise InputError(f"{path} holds mappings within mappings, too deep for weights: choose a key") from error


def _content(path: Path) -> object:
    with path.open("rb") as handle:
        start = handle.read(4)
    known = what_it_is(path)
    if known:
        raise InputError(f"{path} {known}")
    if start.startswith(_BARE):
        raise InputError(
            f"{path} is of the format before PyTorch 1.6, which cannot be memory-mapped; it was not opened: "
            "save it again with torch.save(torch.load(path, weights_only=True), new_path)"
        )
    if not start.startswith(_ZIP):
        raise InputError(_not_read(path))
    program = _program(path)
    if program:
        raise InputError(
            f"{path} is {program}: a program with its weights, which is not opened; where you trust it, write its "
            "weights alone with safetensors.torch.save_file(dict(program.state_dict()), new_path)"
        )
    # What PyTorch says of a failure is not passed on: it advises to run what the file holds.
    try:
        with torch.serialization.safe_globals(_SAFE), warnings.catch_warnings():
            # Of types that are left out anyway.
            warnings.simplefilter("ignore")
            content: object = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors and plain values{_unsafe(path)}, so reading it could run code; it was "
            "refused: where you trust it, write its tensors alone with safetensors.torch.save_file(tensors, new_path)"
        ) from error
    except Exception as error:
        raise InputError(_not_read(path)) from error
    return content


def _not_read(path: Path) -> str:
    return (
        f"{path} is truncated or is not a PyTorch file of tensors: copy it again from its source, or give a glob that "
        "leaves it out"
    )


def _program(path: Path) -> str:
    """Name the kind of program that a zip archive of PyTorch holds; empty for one of data."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [name.partition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ""
    if any(part == "constants.pkl" or part.startswith("code/") for part in parts):
        return "a TorchScript archive"
    if any(part == "archive_format" or part.startswith((".data/extern_modules", "models/")) for part in parts):
        return "an exported program or package"
    return ""


def _unsafe(path: Path) -> str:
    """Name what a file needs that is not data, without running any of it."""
    try:
        with torch.serialization.safe_globals(_SAFE):
            needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError, pickle.UnpicklingError, AttributeError):
        return ""
    return f" ({', '.join(needed[:3])})" if needed else ""


def _weights(path: Path, content: object, key: str | None) -> dict[str, Tensor]:
    found = content
    if key is not None:
        for part in key.split("/"):
            if not isinstance(found, Mapping) or part not in found:
                raise InputError(f"{path} has nothing under key {key!r}: there is {_described(found)}")
            found = found[part]
        tensors = _flat(path, found)
    else:
        held = content if isinstance(content, Mapping) else {}
        if not _networks(held) and not _steps(held) and isinstance(held.get("state"), Mapping):
            # Composer keeps all of it one level below.
            held = held["state"]
        nested = _networks(held)
        if len(nested) > 1:
            raise InputError(f"{path} has weights under each of {', '.join(nested)}: choose one by its key")
        if nested:
            tensors = _flat(path, held[nested[0]])
        else:
            tensors = _tensors(content)
            if any(_is_number(tensor) and tensor.numel() > 1 for tensor in tensors.values()):
                tensors = _flat(path, content)
            elif isinstance(content, Mapping) and any(map(_holds_tensors, content.values())):
                # Counters and scores beside networks under names of their own are no network.
                tensors = {}
    if not tensors:
        where = f"under key {key!r}" if key else f"at its top or under {', '.join(NESTED)}"
        raise InputError(f"{path} has no named tensors {where}: there is {_described(found)}; choose a key that has")
    return tensors


def _networks(content: Mapping[Any, Any]) -> list[str]:
    """Return under which names a checkpoint holds weights, averages left out where those that are trained are there."""
    found = [name for name in (_TRAINED, *NESTED) if _holds_tensors(content.get(name))]
    return [name for name in found if name != _AVERAGES] if _TRAINED in found else found


def _flat(path: Path, value: object) -> dict[str, Tensor]:
    """Return the tensors of nested mappings by their names joined with dots, but not an optimiser's among them.

    Raises:
        InputError: if two mappings side by side hold tensors of the same names, so that they are several networks, or
            arrays of NumPy are among tensors.
    """
    direct = _tensors(value)
    if not isinstance(value, Mapping):
        return direct
    array = next((name for name, part in value.items() if isinstance(part, np.ndarray)), None)
    if direct and array is not None:
        raise InputError(
            f"{path} holds {array}, an array of NumPy, among tensors: choose a key that leaves it out, or write it as "
            "a tensor"
        )
    found = dict(direct)
    inner = {str(name): part for name, part in value.items() if isinstance(part, Mapping) and not _steps(part)}
    parts = {name: _flat(path, part) for name, part in inner.items()}
    alike: dict[tuple[str, ...], str] = {}
    for name, part in parts.items():
        other = alike.setdefault(tuple(sorted(part)), name)
        if part and other != name and not direct:
            raise InputError(f"{path} holds several networks ({other}, {name}): choose one by its key")
        found |= {f"{name}.{rest}": tensor for rest, tensor in part.items()}
    return found


def _steps(value: Mapping[Any, Any]) -> bool:
    """Tell whether a mapping is the state of an optimiser, whatever it is called."""
    return "state" in value and "param_groups" in value


def _tensors(value: object) -> dict[str, Tensor]:
    """Return the tensors directly in a mapping, by name; none of anything else."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): part.detach() for name, part in value.items() if isinstance(part, Tensor)}


def _holds_tensors(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(isinstance(part, Tensor) or _holds_tensors(part) for part in value.values())
    return False


def _is_number(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized


def _described(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(str, list(value)[:12])) or "nothing"
    return f"a {type(value).__name__}"
