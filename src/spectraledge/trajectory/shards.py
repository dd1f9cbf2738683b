"""A snapshot that is a folder: which of its files hold the weights, and weights spread over several files."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import read_json
from spectraledge.trajectory.readers import PICKLES, open_file

INDEX = ".index.json"

_USUAL = ("model.safetensors", "pytorch_model.bin")
"""What Transformers calls an unsharded model, preferred to whatever else a folder holds."""

_NO_WEIGHTS = ("optimizer", "scheduler", "scaler", "rng_state", "training_args")
"""How names begin of files that trainers write beside the weights."""


def is_weights(path: Path) -> bool:
    """Tell whether a path is a file of weights by its name, and not of a trainer's other state."""
    named = path.suffix in (".safetensors", *PICKLES) and not path.name.startswith((".", *_NO_WEIGHTS))
    return named and path.is_file()


def weights_in(folder: Path) -> Path | None:
    """Choose the file of weights in the folder of one snapshot, None where there is none.

    In this order: an index of shards, safetensors before PyTorch; a file that Transformers names so; the only
    .safetensors file; the only PyTorch file that is no optimiser, scheduler or other state of a trainer.

    Args:
        folder: The folder.

    Returns:
        An index (`*.index.json`) or a file.

    Raises:
        InputError: if several files have the same right.
    """
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    weights = [path for path in files if is_weights(path)]
    of_usual_name = [[path for path in weights if path.name == name] for name in _USUAL]
    choices = [
        [path for path in files if path.name.endswith(f".safetensors{INDEX}")],
        of_usual_name[0],
        [path for path in weights if path.suffix == ".safetensors"],
        [path for path in files if path.name.endswith(f".bin{INDEX}")],
        of_usual_name[1],
        weights,
    ]
    chosen = next((choice for choice in choices if choice), [])
    if len(chosen) > 1:
        raise InputError(
            f"{folder} has several files of weights ({', '.join(path.name for path in chosen[:4])}) and no one index: "
            f"give a glob that names one, such as '{folder.parent}/*/{chosen[0].name}'"
        )
    return chosen[0] if chosen else None


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
    if not isinstance(names, Mapping) or not names or any(Path(str(file)).name != file for file in names.values()):
        raise InputError(f"{index} is no index of shards: expected a weight_map from tensors to files beside it")
    found = {str(name): index.parent / str(file) for name, file in names.items()}
    missing = next((path for path in found.values() if not path.is_file()), None)
    if missing:
        raise InputError(f"{missing} is missing, which {index.name} names: copy it again from its source")
    return found


class ShardedFile:
    """Tensors of several files behind one index, with the interface of one open file; shards are opened when needed.

    Args:
        index: See `shard_map`.
        key: See `open_file`.
    """

    def __init__(self, index: Path, *, key: str | None = None) -> None:
        self._places = shard_map(index)
        self._key = key
        self._open: dict[Path, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "ShardedFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._open.clear()
        self._stack.close()

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._places)

    def get_tensor(self, name: str) -> Tensor:
        """Return a whole tensor."""
        tensor: Tensor = self._shard(name).get_tensor(name)
        return tensor

    def get_slice(self, name: str) -> Any:
        """Return a tensor that reads what is indexed."""
        return self._shard(name).get_slice(name)

    def _shard(self, name: str) -> Any:
        path = self._places[name]
        if path not in self._open:
            file = self._stack.enter_context(open_file(path, key=self._key))
            missing = {other for other, place in self._places.items() if place == path} - set(file.keys())
            if missing:
                raise InputError(f"{path} has no tensor {min(missing)!r}, which its index names: copy both again")
            self._open[path] = file
        return self._open[path]
