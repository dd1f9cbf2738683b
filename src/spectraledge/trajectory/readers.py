"""Reading one file of weights: safetensors, or a PyTorch file that holds nothing but data; mapped, never run."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from spectraledge.errors import InputError

PICKLES = (".pt", ".pth", ".bin", ".ckpt")
"""Suffixes of PyTorch files; what else is pickled (.pkl, .pickle) is never opened."""

NESTED = ("model_state_dict", "state_dict", "model")
"""Where training loops put the weights in a file that also holds an optimiser."""

_ZIP, _BARE = b"PK\x03\x04", b"\x80"


def open_file(path: Path, *, key: str | None = None) -> Any:
    """Open one file of weights for reading.

    Args:
        path: A .safetensors file, or a PyTorch file (.pt, .pth, .bin, .ckpt), which is read by
            `torch.load(weights_only=True, mmap=True)` and by nothing else.
        key: Where in a PyTorch file the weights lie, such as "model" or "checkpoint/model"; see `PickledFile`.

    Returns:
        A context manager with `keys()`, `get_tensor(name)` and `get_slice(name)`, which reads what is indexed.

    Raises:
        InputError: if the file is missing, truncated, of another kind, or needs code to be read.
    """
    if not path.is_file():
        raise InputError(f"no snapshot at {path}")
    if path.suffix in PICKLES:
        return PickledFile.open(path, key)
    try:
        return _on_host(safe_open(path, framework="pt"))
    except SafetensorError as error:
        start = _start(path)
        if start.startswith((_BARE, _ZIP)):
            raise InputError(
                f"{path} is a pickle (torch.save), not a safetensors file, whatever its name says; it was not opened: "
                "convert it with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
            ) from error
        raise InputError(
            f"{path} is truncated or is not a safetensors file ({error}): delete it, or copy it again from its source"
        ) from error


@contextmanager
def _on_host(file: Any) -> Iterator[Any]:
    """Open a safetensors file for its numbers: under another default device its library would read into that."""
    with torch.device("cpu"), file as opened:
        yield opened


@dataclass(frozen=True)
class PickledTensor:
    """A tensor of a mapped PyTorch file, with the interface of a slice of a safetensors file.

    Attributes:
        tensor: The mapped tensor; its numbers are read when it is indexed.
    """

    tensor: Tensor

    def get_shape(self) -> list[int]:
        """Return its shape."""
        return list(self.tensor.shape)

    def get_dtype(self) -> str:
        """Return its type by the name that safetensors files use, such as "F32" or "BF16"."""
        if self.tensor.dtype == torch.bfloat16:
            return "BF16"
        if self.tensor.dtype == torch.bool:
            return "BOOL"
        kind = "F" if self.tensor.is_floating_point() else "C" if self.tensor.is_complex() else "I"
        return f"{kind}{8 * self.tensor.element_size()}"

    def __getitem__(self, index: Any) -> Tensor:
        """Return a part, as a view of the file."""
        return self.tensor[index]


@dataclass(frozen=True)
class PickledFile:
    """Named tensors of a PyTorch file, with the interface of an open safetensors file.

    The weights lie at the top, or under one of `NESTED`; a `key` says where else.

    Attributes:
        tensors: Mapped tensors by name.
    """

    tensors: Mapping[str, Tensor]

    @classmethod
    def open(cls, path: Path, key: str | None = None) -> "PickledFile":
        """Map a file.

        Args:
            path: The file.
            key: Where the weights lie: keys of nested dicts, joined by "/". Default: as above.

        Returns:
            The open file.

        Raises:
            InputError: if it is of the old format, which cannot be mapped, is truncated, needs more than weights, or
                holds no weights where they are looked for.
        """
        start = _start(path)
        if start.startswith(_BARE):
            raise InputError(
                f"{path} is of the format before PyTorch 1.6, which cannot be memory-mapped; it was not opened: "
                "save it again with torch.save(torch.load(path, weights_only=True), new_path)"
            )
        if not start.startswith(_ZIP):
            raise InputError(
                f"{path} is truncated or is not a PyTorch file: delete it, or copy it again from its source"
            )
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except pickle.UnpicklingError as error:
            raise InputError(
                f"{path} holds more than tensors and plain values, so reading it could run code; it was refused: where "
                "you trust it, write its tensors alone with safetensors.torch.save_file(state_dict, new_path)"
            ) from error
        except (RuntimeError, EOFError, KeyError, ValueError) as error:
            raise InputError(
                f"{path} is truncated or is not a file of tensors ({str(error).splitlines()[0]}): delete it, or copy "
                "it again from its source"
            ) from error
        return cls(_weights(path, content, key))

    def __enter__(self) -> "PickledFile":
        return self

    def __exit__(self, *_: object) -> None:
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


def _start(path: Path) -> bytes:
    with path.open("rb") as handle:
        return handle.read(4)


def _weights(path: Path, content: object, key: str | None) -> dict[str, Tensor]:
    found = content
    if key is not None:
        for part in key.split("/"):
            if not isinstance(found, Mapping) or part not in found:
                raise InputError(f"{path} has nothing under key {key!r}: there is {_described(found)}")
            found = found[part]
    elif isinstance(found, Mapping):
        nested = [name for name in NESTED if _tensors(found.get(name))]
        if len(nested) > 1:
            raise InputError(f"{path} has weights under each of {', '.join(nested)}: choose one by its key")
        found = found[nested[0]] if nested else found
    tensors = _tensors(found)
    if not tensors:
        where = f"under key {key!r}" if key else f"at its top or under {', '.join(NESTED)}"
        raise InputError(f"{path} has no named tensors {where}: there is {_described(found)}; choose a key that has")
    return tensors


def _tensors(value: object) -> dict[str, Tensor]:
    """Return the tensors directly in a mapping, by name; none of anything else."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): part.detach() for name, part in value.items() if isinstance(part, Tensor)}


def _described(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(map(str, list(value)[:12])) or "nothing"
    return f"a {type(value).__name__}"
