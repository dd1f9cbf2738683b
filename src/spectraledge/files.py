"""Writing files so that a reader never sees half of one: temporary name first, then an atomic rename."""

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from spectraledge.errors import InputError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; on success it is flushed to disk and renamed over `path`, else removed.

    Args:
        path: The file to create or replace. Its parent folders are made.

    Yields:
        The temporary path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


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
        InputError: if the file is not valid JSON.
    """
    try:
        return json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): restore it or delete it and run again") from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write `table` to `path` as Parquet, atomically and without an index."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read one Parquet table.

    Args:
        path: The file.

    Returns:
        The table.

    Raises:
        InputError: if the file is missing or is not Parquet.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: it is written when the step before it has finished") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable Parquet table ({error}): delete it and run again") from error


def digest(value: Any) -> str:
    """Return the hex SHA-256 of a JSON value, with keys sorted, so that equal configurations have equal digests."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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
