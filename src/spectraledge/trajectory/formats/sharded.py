"""Weights spread over several files behind an index, as Transformers writes them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import read_json
from spectraledge.trajectory.formats.stored import Below, StoredFile, StoredTensor, ties_of

INDEX = ".index.json"

Opener = Callable[[Path], AbstractContextManager[StoredFile]]


def shard_map(index: Path) -> dict[str, Path]:
    """Read which file holds each tensor.

    Args:
        index: A file `*.index.json` as Transformers writes it.

    Returns:
        Paths by name of tensor.

    Raises:
        InputError: if it is no such index, or a file that it names is missing.
    """
    content = read_json(index)
    names = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(names, Mapping) or not names or not all(map(_is_shard, names.values())):
        raise InputError(f"{index} is no index of shards: expected a weight_map from tensors to files beside it")
    found = {str(name): index.parent / str(file) for name, file in names.items()}
    missing = next((path for path in found.values() if not path.is_file()), None)
    if missing:
        raise InputError(f"{missing} is missing, which {index.name} names: copy it again from its source")
    return found


def _is_shard(file: object) -> bool:
    """Tell whether an index names a file beside it and not another index."""
    return isinstance(file, str) and Path(file).name == file and not file.endswith(INDEX)


class ShardedFile:
    """Tensors of several files behind one index; shards are opened when needed.

    Args:
        index: See `shard_map`.
        open_file: Opens a shard.
    """

    def __init__(self, index: Path, *, open_file: Opener) -> None:
        self._places = shard_map(index)
        self._open_file = open_file
        self._open: dict[Path, StoredFile] = {}
        self._stack = ExitStack()

    @classmethod
    def open(cls, index: Path, key: str | None, *, open_file: Opener) -> StoredFile:
        """Open the shards of an index, or a part of them.

        Args:
            index: See `shard_map`.
            key: See `open_file` of this package.
            open_file: Opens a shard.

        Returns:
            The file.
        """
        return Below.of(cls(index, open_file=open_file), index, key)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.clear()
        self._stack.close()

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._places)

    def get_tensor(self, name: str) -> Tensor:
        """Read a whole tensor."""
        return self._shard(self._places[name]).get_tensor(name)

    def get_slice(self, name: str) -> StoredTensor:
        """Return a tensor that reads what is indexed."""
        return self._shard(self._places[name]).get_slice(name)

    def ties(self, names: Sequence[str]) -> dict[str, str]:
        """Return by name the other one of these names whose tensor holds all of its numbers, both in one file."""
        found: dict[str, str] = {}
        for path in dict.fromkeys(self._places[name] for name in names):
            if path.suffix != ".safetensors":
                found |= ties_of(self._shard(path), [name for name in names if self._places[name] == path])
        return found

    def _shard(self, path: Path) -> StoredFile:
        if path not in self._open:
            file = self._stack.enter_context(self._open_file(path))
            missing = {name for name, place in self._places.items() if place == path} - set(file.keys())
            if missing:
                raise InputError(f"{path} has no tensor {min(missing)!r}, which its index names: copy both again")
            self._open[path] = file
        return self._open[path]
