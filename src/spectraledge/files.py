"""Writing files so that a reader never sees half of one, and telling whether one is still what was written."""

import contextlib
import functools
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spectraledge.errors import DamageError, InputError

_PIECE = 1 << 20


class Fingerprint(NamedTuple):
    """What tells a file from a damaged one; it is no proof against somebody who wants to deceive.

    Attributes:
        size: In bytes.
        crc: CRC-32 of the bytes: it differs after any change within 32 bits in a row, and by chance after all but one
            of 4·10⁹ others. Our choice, as of what Python brings it alone costs less than reading the numbers does.
    """

    size: int
    crc: int


def state_of(path: Path) -> tuple[int, int, int] | None:
    """Return size, time of change and place of a file, which tell whether it was written anew; None for none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def fingerprint(path: Path) -> Fingerprint | None:
    """Return a file's fingerprint, None where there is no file; one that is not written anew is read once."""
    state = state_of(path)
    return _fingerprint(path, state) if state else None


@functools.lru_cache(maxsize=1 << 16)
def _fingerprint(path: Path, _state: tuple[int, int, int]) -> Fingerprint:
    crc, size = 0, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            crc, size = zlib.crc32(piece, crc), size + len(piece)
    return Fingerprint(size, crc)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is flushed to disk and renamed over `path`, else removed.

    Args:
        path: The file to create or replace. Its parent folders are made.

    Yields:
        The temporary path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _in_place_of(path) as temporary:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())


@contextlib.contextmanager
def _in_place_of(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`, which takes its name on success and else is removed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_pieces(path: Path, pieces: Sequence[bytes | memoryview]) -> None:
    """Write `pieces`, one after another, to `path` atomically; its parent folders are made."""
    with _in_place_of(path) as temporary:
        try:
            file = temporary.open("wb")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = temporary.open("wb")
        with file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())


def write_bytes(path: Path, *pieces: bytes | memoryview) -> Fingerprint:
    """Write `pieces`, one after another, to `path` atomically, and return its fingerprint."""
    size, crc = sum(map(len, pieces)), 0
    if size <= _PIECE:
        # A call for each of many small ones takes longer than copying them.
        pieces = (b"".join(pieces),)
    write_pieces(path, pieces)
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    return Fingerprint(size, crc)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` as indented JSON, atomically."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read one JSON file.

    Args:
        path: The file.

    Returns:
        The decoded value.

    Raises:
        DamageError: if the file is not valid JSON.
    """
    try:
        return json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{path} is not valid JSON ({error})") from error


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with a digest of the rest of it, atomically."""
    write_json(path, {**value, "digest": digest(value)})


def read_sealed(path: Path) -> tuple[dict[str, Any], bool]:
    """Read one JSON object.

    Args:
        path: The file.

    Returns:
        The object without its digest, and whether it had one; files of earlier versions have none.

    Raises:
        DamageError: if the file is not a JSON object, or not what its digest says.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise DamageError(f"{path} is no JSON object")
    said = content.pop("digest", None)
    if said not in (None, digest(content)):
        raise DamageError(f"{path} is not what was written (its digest differs)")
    return content, said is not None


def write_table(path: Path, table: pd.DataFrame) -> Fingerprint:
    """Write `table` to `path` as Parquet, atomically and without an index, and return its fingerprint."""
    return write_bytes(path, table.to_parquet(index=False))


def write_columns(path: Path, columns: Mapping[str, Sequence[float] | NDArray[Any]]) -> Fingerprint:
    """Write columns of numbers as `write_table` writes the same table, byte for byte, in a third of the time."""
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    schema = _schema(tuple((name, array.dtype) for name, array in arrays.items()))
    table = pa.Table.from_arrays([pa.array(array, from_pandas=True) for array in arrays.values()], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return write_bytes(path, memoryview(sink.getvalue()))


@functools.cache
def _schema(columns: tuple[tuple[str, np.dtype[Any]], ...]) -> pa.Schema:
    """Return what pandas writes of such columns; it takes longer over that than the numbers do."""
    alike = pd.DataFrame({name: np.zeros(1, kind) for name, kind in columns})
    return pa.Schema.from_pandas(alike, preserve_index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read one Parquet table.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        DamageError: if the file is missing or is not Parquet.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise DamageError(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise DamageError(f"{path} is not a readable Parquet table ({error})") from error


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a JSON value as `canonical` writes it: equal configurations have equal digests."""
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """Return a JSON value with keys sorted and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def load_function(path: Path, name: str) -> Callable[..., Any]:
    """Run a Python file that a user brings, and return a function in it.

    Args:
        path: The file.
        name: Name of the function.

    Returns:
        The function.

    Raises:
        InputError: if there is no such file or function, or the file fails.
    """
    if not path.is_file():
        raise InputError(f"no Python file at {path}: give module.py:function")
    source = path.read_bytes()
    # A module that is known by its name, for what looks classes up there; one of each content.
    module = ModuleType(f"{path.stem}_{hashlib.sha256(source).hexdigest()[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except Exception as error:
        raise InputError(f"{path} could not be run: {type(error).__name__}: {error}") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise InputError(f"{path} has no function {name!r}")
    found: Callable[..., Any] = function
    return found
