"""Formats of files of weights, by registration: what a file's name ends with says who opens it.

A new format is one module with an opener and one line in `OPENERS`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch

from spectraledge.errors import InputError
from spectraledge.trajectory.formats.distributed import METADATA, open_distributed
from spectraledge.trajectory.formats.foreign import conversion
from spectraledge.trajectory.formats.pickled import open_pickled
from spectraledge.trajectory.formats.sharded import INDEX, ShardedFile
from spectraledge.trajectory.formats.stored import StoredFile
from spectraledge.trajectory.formats.tensors import open_safetensors

PICKLES = (".pth.tar", ".pt.tar", ".pt", ".pth", ".bin", ".ckpt")
"""How files of `torch.save` end; .pth.tar is one of them and no archive."""

OPENERS: dict[str, Callable[[Path, str | None], StoredFile]] = {
    ".safetensors": open_safetensors,
    **dict.fromkeys(PICKLES, open_pickled),
    INDEX: lambda path, key: ShardedFile.open(path, key, open_file=open_file),
    METADATA: open_distributed,
}
"""Who opens a file, by the end of its name; the first that fits."""

FILES = tuple(end for end in OPENERS if end not in (INDEX, METADATA))
"""How files end that hold weights by themselves."""


def open_file(path: Path, key: str | None = None) -> AbstractContextManager[StoredFile]:
    """Open one file of weights for reading; nothing in it is ever run.

    Args:
        path: A file whose name ends like one of `OPENERS`.
        key: Where in it the weights lie, such as "model" or "checkpoint/model"; names of tensors that lie side by side
            are taken as paths, so that "model" chooses those that begin with "model.".

    Returns:
        A context manager of the file; within it tensors are made on the CPU, whatever device the program has chosen.

    Raises:
        InputError: if it is missing, truncated, of another kind, needs code to be read, or has nothing under the key.
    """
    if not path.is_file():
        raise InputError(f"no snapshot at {path}")
    opener = next((opener for end, opener in OPENERS.items() if path.name.endswith(end)), None)
    if opener is None:
        raise InputError(f"{path} is of no format that is read here: {conversion(path.name) or 'give ' + _known()}")
    return _on_host(opener(path, key))


@contextmanager
def _on_host(file: StoredFile) -> Iterator[StoredFile]:
    with torch.device("cpu"), file as opened:
        yield opened


def _known() -> str:
    return f"a file {', '.join(FILES)}, or a folder of one checkpoint"


def stem(name: str) -> str:
    """Return a file's name without the end that says its format."""
    return next((name.removesuffix(end) for end in FILES if name.endswith(end)), name)
