"""States on disk: all that the rest of a run depends on, sealed against damage."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spectraledge.errors import DamageError, InputError
from spectraledge.files import Fingerprint, write_pieces
from spectraledge.trajectory import find_snapshots, write_tensors
from spectraledge.trajectory.manifest import MENDING
from spectraledge.trajectory.snapshots import open_snapshot, tensor_pieces
from spectraledge.trajectory.unfinished import TEXT_SEAL, sealed_text

FOLDER = "states"

EVALUATIONS = "evaluations"
"""Text beside a state that the seal does not cover: what tells whether the metrics are those of its step."""


class State(NamedTuple):
    """All that the rest of a run depends on; see `Member.state`.

    Attributes:
        tensors: By name.
        text: By name.
    """

    tensors: dict[str, Tensor]
    text: dict[str, str]


def state_path(folder: Path, step: int) -> Path:
    """Return where a run folder keeps the state at a step, for forks."""
    return folder / FOLDER / f"step_{step:08d}.safetensors"


def kept_states(folder: Path) -> list[int]:
    """Return the steps at which a run folder keeps states, ascending."""
    return [one.step for one in find_snapshots(folder / FOLDER)] if (folder / FOLDER).is_dir() else []


def write_state(path: Path, state: State) -> Fingerprint:
    """Write a state with its seal, atomically, and return the file's fingerprint."""
    return write_tensors(path, state.tensors, {**state.text, "seal": _seal(state)})


def write_latest(path: Path, state: State) -> None:
    """Write a state, atomically, without the weights, which its snapshot has, but with the seal of all of it."""
    others = {name: tensor for name, tensor in state.tensors.items() if name != "weights"}
    write_pieces(path, tensor_pieces(others, sealed_text({**state.text, "seal": _seal(state)})))


def read_state(path: Path, weights: Callable[[int], Tensor] | None = None) -> State:
    """Read a state.

    Args:
        path: The file.
        weights: Gives the weights of the snapshot at a step, for what `write_latest` wrote.

    Returns:
        The state, without its seal; files of earlier versions have none.

    Raises:
        DamageError: if it is not what was written.
    """
    try:
        with open_snapshot(path) as opened:
            file: Any = opened  # Safetensors' own, which holds metadata too.
            state = State({name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {})  # noqa: SIM118
    except InputError as error:
        raise DamageError(f"{error}; {MENDING}") from error
    if weights and "weights" not in state.tensors:
        try:
            state.tensors["weights"] = weights(int(state.text["step"]))
        except DamageError:
            raise
        except (InputError, KeyError, ValueError) as error:
            raise DamageError(f"{path} is not what was written, or its snapshot is not ({error}); {MENDING}") from error
    state.text.pop(TEXT_SEAL, None)
    seal = state.text.pop("seal", None)
    # Seals of earlier versions knew no names.
    if seal is not None and seal != _seal(state) and seal != _seal(state, names=False):
        raise DamageError(f"{path} is not what was written; {MENDING}")
    return state


def _seal(state: State, *, names: bool = True) -> str:
    """Return what tells a state from a damaged one, or from one whose tensors have changed names or shapes."""
    text = {name: value for name, value in state.text.items() if name != EVALUATIONS}
    crc = zlib.crc32(json.dumps(text, sort_keys=True).encode())
    for name, tensor in sorted(state.tensors.items()):
        if names:
            crc = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), crc)
        crc = zlib.crc32(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"
