"""`resume.safetensors` of an unfinished run: what it says beside its tensors, other files say now and then."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from spectraledge.errors import DamageError

STATE_FILE = "resume.safetensors"
"""What a killed run goes on from; gone when it is done."""

UNLISTED = "unlisted"
"""Fingerprints of files that were written since `files.json` was, by name."""

PROGRESS = "progress"
"""How far the run is: fields of `Manifest`, in place of those of `run.json`."""

LATEST = "latest"
"""Evaluations since `metrics.parquet` was written, a list."""

TEXT_SEAL = "text_seal"
"""What tells all other text from damaged text, whatever becomes of the tensors."""


def sealed_text(text: Mapping[str, str]) -> dict[str, str]:
    """Return text with its seal."""
    return {**text, TEXT_SEAL: _crc(text)}


def unfinished_text(folder: Path) -> dict[str, str]:
    """Read the text of a run folder's resume state, and nothing of its tensors.

    Args:
        folder: The run folder.

    Returns:
        The text by name; nothing where there is no such state. States of earlier versions know less.

    Raises:
        DamageError: if it is not what was written.
    """
    path = folder / STATE_FILE
    try:
        with safe_open(path, "pt") as state:
            text: dict[str, str] = state.metadata() or {}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, SafetensorError) as error:
        raise DamageError(f"{path} is truncated or is not a safetensors file ({error})") from error
    if text.pop(TEXT_SEAL, None) not in (None, _crc(text)):
        raise DamageError(f"{path} is not what was written")
    return text


def _crc(text: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(text, sort_keys=True).encode()):08x}"
