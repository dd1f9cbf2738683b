"""Distributed checkpoints of PyTorch: folders of .distcp files, read by PyTorch's own reader, tensors only."""

import math
import pathlib
import pickle
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.trajectory.formats.stored import Below, StoredFile, type_name

METADATA = ".metadata"

_DENSEST = 1000
"""Most numbers that a byte can stand for, compressed: more is claimed only by what is broken or means harm."""

_MODULES = ("torch.distributed.checkpoint.", "torch.distributed._shard.sharded_tensor.")
_CLASSES = re.compile(
    r"Metadata|(Tensor|Bytes|Chunk)StorageMetadata|TensorProperties|MetadataIndex|StorageMeta|_StorageInfo|"
    r"_StoragePrefix|_?MEM_FORMAT_ENCODING"
)
"""What PyTorch's own .metadata is made of."""


class _ForeignError(pickle.UnpicklingError):
    """A name in .metadata that PyTorch does not write there."""


class _Unpickler(pickle.Unpickler):
    """Reads .metadata, which is a pickle, and no class but those that PyTorch writes into it."""

    def find_class(self, module: str, name: str, /) -> Any:
        found: Any = None
        if module.startswith(_MODULES) and _CLASSES.fullmatch(name):
            found = super().find_class(module, name)
        elif module == "torch" and isinstance(getattr(torch, name, None), torch.dtype | torch.layout):
            found = getattr(torch, name)
        elif module.partition(".")[0] == "pathlib":
            # Where it was saved, maybe on another system; it is not used.
            found = pathlib.PurePath
        else:
            found = _PLAIN.get((module, name))
        if found is None:
            raise _ForeignError(f"{module}.{name}")
        return found


def _layout(name: str) -> Any:
    return getattr(torch, name.removeprefix("torch."))


_PLAIN: Mapping[tuple[str, str], Any] = {
    ("torch", "Size"): torch.Size,
    ("torch.serialization", "_get_layout"): _layout,
    ("collections", "OrderedDict"): OrderedDict,
}


@dataclass(frozen=True)
class DistributedTensor:
    """A tensor of a distributed checkpoint, read as a whole when it is first indexed.

    Attributes:
        name: Its name.
        described: What .metadata says of it.
        file: Where it lies.
    """

    name: str
    described: Any
    file: "DistributedFile"

    def get_shape(self) -> list[int]:
        """Return its shape."""
        return list(self.described.size)

    def get_dtype(self) -> str:
        """Return its type."""
        return type_name(self.described.properties.dtype)

    def __getitem__(self, index: Any, /) -> Tensor:
        """Return a part."""
        return self._whole[index]

    @cached_property
    def _whole(self) -> Tensor:
        return self.file.get_tensor(self.name)


@dataclass(frozen=True)
class DistributedFile:
    """Tensors of a distributed checkpoint; what else it holds, such as numbers of its optimiser's, is not read.

    Attributes:
        folder: The folder.
        metadata: What its .metadata holds.
    """

    folder: Path
    metadata: Any

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def keys(self) -> list[str]:
        """Return the names."""
        from torch.distributed.checkpoint.metadata import TensorStorageMetadata

        described = self.metadata.state_dict_metadata
        return [name for name, one in described.items() if isinstance(one, TensorStorageMetadata)]

    def get_slice(self, name: str) -> DistributedTensor:
        """Return a tensor that is read when it is indexed."""
        return DistributedTensor(name, self.metadata.state_dict_metadata[name], self)

    def get_tensor(self, name: str) -> Tensor:
        """Read a whole tensor.

        Args:
            name: Its name.

        Returns:
            The tensor, of all processes' parts.

        Raises:
            InputError: if a part is missing or cannot be read.
        """
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.filesystem import FileSystemReader
        from torch.distributed.checkpoint.state_dict_loader import load

        described = self.metadata.state_dict_metadata[name]
        parts = sum(math.prod(chunk.sizes) for chunk in described.chunks)
        if parts != math.prod(described.size):
            raise InputError(f"{self.folder} holds {parts} of the {math.prod(described.size)} numbers of {name}")
        metadata = self.metadata

        class Reader(FileSystemReader):
            def read_metadata(self, *args: Any, **kwargs: Any) -> Any:
                return metadata

        read = {name: torch.empty(described.size, dtype=described.properties.dtype, device="cpu")}
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "torch.distributed is disabled")
                load(read, storage_reader=Reader(self.folder), no_dist=True)
        except (CheckpointException, OSError, RuntimeError, ValueError, KeyError, AssertionError) as error:
            raise InputError(
                f"{self.folder} lacks a part of {name}, or it is truncated: copy the .distcp files again from their "
                "source"
            ) from error
        return read[name]


def open_distributed(path: Path, key: str | None = None) -> StoredFile:
    """Open a distributed checkpoint.

    Args:
        path: Its file .metadata.
        key: See `open_file`.

    Returns:
        The open checkpoint, or a part of it.

    Raises:
        InputError: if .metadata is broken or holds more than PyTorch writes into it, or nothing lies under the key.
    """
    try:
        with path.open("rb") as handle:
            metadata = _Unpickler(handle).load()
        metadata.state_dict_metadata.items()
    except _ForeignError as error:
        raise InputError(
            f"{path} holds more than PyTorch writes there ({error}), so reading it could run code; it was refused"
        ) from error
    except Exception as error:
        raise InputError(
            f"{path} is truncated or is not of a distributed checkpoint: copy it again from its source"
        ) from error
    file = DistributedFile(path.parent, metadata)
    stored = sum(part.stat().st_size for part in path.parent.glob("*.distcp"))
    for part in map(file.get_slice, file.keys()):
        if math.prod(part.get_shape()) > _DENSEST * stored:
            raise InputError(
                f"{path.parent} claims {part.name} of shape {part.get_shape()} in files of {stored:,} bytes: copy it "
                "again from its source"
            )
    return Below.of(file, path.parent, key)
