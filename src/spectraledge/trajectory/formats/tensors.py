"""Safetensors files, by the library's own reader."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from spectraledge.errors import InputError
from spectraledge.trajectory.formats.stored import Below, StoredFile, what_it_is


def open_safetensors(path: Path, key: str | None = None) -> StoredFile:
    """Open a safetensors file.

    Args:
        path: The file.
        key: See `open_file`.

    Returns:
        The library's own open file, or a part of it.

    Raises:
        InputError: if it is truncated, of another kind, or has nothing under the key.
    """
    try:
        return Below.of(safe_open(path, framework="pt"), path, key)
    except SafetensorError as error:
        with path.open("rb") as handle:
            start = handle.read(4)
        if start.startswith((b"\x80", b"PK\x03\x04")):
            raise InputError(
                f"{path} is a pickle (torch.save), not a safetensors file, whatever its name says; it was not opened: "
                "convert it with safetensors.torch.save_file(torch.load(path, weights_only=True), new_path)"
            ) from error
        known = what_it_is(path, safetensors=False)
        raise InputError(
            f"{path} {known}"
            if known
            else f"{path} is truncated or is not a safetensors file ({error}): copy it again from its source, or give "
            "a glob that leaves it out"
        ) from error
