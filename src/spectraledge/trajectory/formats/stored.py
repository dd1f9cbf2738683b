"""What every format gives: an open file with names, whole tensors, and tensors that read what is indexed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from spectraledge.errors import InputError

REALS = ("F64", "F32", "F16", "BF16")
SHORT = ("F16", "BF16")
"""Those of them whose rounding may be as large as what training moves."""

COMPLEX = ("C128", "C64", "C32")
INTEGERS = ("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL")
"""Types of numbers that are read, by the names that safetensors files use."""

_NAMES = {
    **{getattr(torch, f"float{bits}"): f"F{bits}" for bits in (64, 32, 16)},
    **{getattr(torch, f"complex{bits}"): f"C{bits}" for bits in (128, 64, 32)},
    **{getattr(torch, f"int{bits}"): f"I{bits}" for bits in (64, 32, 16, 8)},
    **{getattr(torch, f"uint{bits}"): f"U{bits}" for bits in (64, 32, 16, 8)},
    torch.bfloat16: "BF16",
    torch.bool: "BOOL",
}


class StoredTensor(Protocol):
    """A tensor of an open file; its numbers are read when it is indexed."""

    def get_shape(self) -> list[int]:
        """Return its shape."""

    def get_dtype(self) -> str:
        """Return its type by the name that safetensors files use, or a name of what it is instead of plain numbers."""

    def __getitem__(self, index: Any, /) -> Tensor:
        """Read a part."""


class StoredFile(Protocol):
    """An open file of named tensors; `safetensors.safe_open` is one."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...

    def keys(self) -> Iterable[str]:
        """Return the names."""

    def get_tensor(self, name: str) -> Tensor:
        """Read a whole tensor, which keeps nothing of the file."""

    def get_slice(self, name: str) -> StoredTensor:
        """Return a tensor that reads what is indexed."""


@runtime_checkable
class Tied(Protocol):
    """An open file in which several names may stand for the same numbers."""

    def ties(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return by name the other one of these names whose tensor holds all of its numbers."""


def ties_of(file: StoredFile, names: Sequence[str]) -> Mapping[str, str]:
    """Find names that stand for the same numbers of a file.

    Args:
        file: The file.
        names: Names of plain tensors in it, those to be kept before others.

    Returns:
        By name the other one of them that holds all of its numbers; nothing where a format knows no such thing.
    """
    return file.ties(names) if isinstance(file, Tied) else {}


@dataclass(frozen=True)
class Below:
    """The tensors of an open file whose names lie below a prefix, by the rest of their names.

    Attributes:
        file: The whole file.
        prefix: How their names begin there.
    """

    file: StoredFile
    prefix: str

    @classmethod
    def of(cls, file: StoredFile, path: Path, key: str | None) -> StoredFile:
        """Return a file, or what lies below a key of it.

        Args:
            file: The file.
            path: Where it lies.
            key: Parts of a prefix joined by "/"; None for the whole file.

        Returns:
            The part.

        Raises:
            InputError: if no name lies below it.
        """
        if key is None:
            return file
        part = cls(file, key.replace("/", ".") + ".")
        if not part.keys():
            heads = dict.fromkeys(name.partition(".")[0] for name in file.keys())  # noqa: SIM118 (not a mapping)
            raise InputError(f"{path} has nothing under key {key!r}: there is {', '.join(list(heads)[:12])}")
        return part

    def __enter__(self) -> Self:
        self.file.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.file.__exit__(*error)

    def keys(self) -> list[str]:
        """Return the names."""
        return [name.removeprefix(self.prefix) for name in self.file.keys() if name.startswith(self.prefix)]  # noqa: SIM118

    def get_tensor(self, name: str) -> Tensor:
        """Read a whole tensor."""
        return self.file.get_tensor(self.prefix + name)

    def get_slice(self, name: str) -> StoredTensor:
        """Return a tensor that reads what is indexed."""
        return self.file.get_slice(self.prefix + name)

    def ties(self, names: Sequence[str]) -> dict[str, str]:
        """Return by name the other one of these names whose tensor holds all of its numbers."""
        found = ties_of(self.file, [self.prefix + name for name in names])
        return {name.removeprefix(self.prefix): other.removeprefix(self.prefix) for name, other in found.items()}


def type_name(dtype: torch.dtype) -> str:
    """Return the name of a type that safetensors files use, or PyTorch's own in capitals for one that is not read."""
    return _NAMES.get(dtype, str(dtype).removeprefix("torch.").upper())


def what_it_is(path: Path, *, safetensors: bool = True) -> str:
    """Say of a file that could not be read what it seems to be, by how it begins.

    Args:
        path: The file.
        safetensors: Whether it would be news that it is a safetensors file.

    Returns:
        The words, empty if that is unclear.
    """
    with path.open("rb") as handle:
        start = handle.read(48)
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file itself: fetch it with git lfs pull"
    if safetensors and start[8:10] == b'{"' and start[5:8] == b"\0\0\0":
        return "is a safetensors file, whatever its name says: let its name end with .safetensors"
    if start.startswith(b"GGUF"):
        return "is a GGUF file of quantised weights, which are not read: give the checkpoint that it was made of"
    return ""
