"""What the files of a series hold, by their headers alone; and a pass over their numbers that keeps little of them."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectraledge.trajectory.exchanges import HEAD
from spectraledge.trajectory.formats.stored import COMPLEX, INTEGERS, REALS
from spectraledge.trajectory.names import TensorKind, no_weights
from spectraledge.trajectory.snapshots import Snapshot, open_snapshot, shards_of, snapshot_files
from spectraledge.trajectory.stored_weights import Weights

_PIECE = 1 << 20
"""Numbers read at a time."""


@dataclass(frozen=True)
class Contents:
    """What one snapshot holds.

    Attributes:
        snapshot: Which one.
        files: Names of its files.
        bytes: Their size together.
        tensors: Kind of each tensor by plain name, in order of name.
        left_out: Of those that are no weights, or share the numbers of another one, the reason.
        shards: Name of its file by name of tensor; empty where there is one file.
    """

    snapshot: Snapshot
    files: tuple[str, ...]
    bytes: int
    tensors: Mapping[str, TensorKind]
    left_out: Mapping[str, str]
    shards: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """How many numbers its weights are."""
        return sum(kind.reals for name, kind in self.tensors.items() if name not in self.left_out)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Types of its tensors, that of most numbers first."""
        sizes: dict[str, int] = {}
        for kind in self.tensors.values():
            sizes[kind.dtype] = sizes.get(kind.dtype, 0) + kind.size
        return tuple(sorted(sizes, key=lambda dtype: -sizes[dtype]))


@dataclass(frozen=True)
class Digest:
    """What remains of a snapshot's numbers once they were read.

    Attributes:
        hashes: Hex digest of type, shape and bytes of each tensor by name.
        not_finite: Names of weights that hold an infinity or no number.
        sample_n: float64, the numbers of the weights at the coordinates asked for.
        spans: Where in the sample the numbers of each weight lie.
        heads: First numbers of each weight, as `exchanged` compares them.
    """

    hashes: Mapping[str, str]
    not_finite: tuple[str, ...]
    sample_n: Tensor
    spans: Mapping[str, slice]
    heads: Mapping[str, Tensor]


def is_read(kind: TensorKind) -> bool:
    """Tell whether the numbers of a tensor can be read."""
    return kind.dtype in (*REALS, *COMPLEX, *INTEGERS)


def contents(snapshot: Snapshot, *, key: str | None = None) -> Contents:
    """Read the headers of a snapshot.

    Args:
        snapshot: Which one.
        key: See `open_snapshot`.

    Returns:
        What it holds.
    """
    files, shards = snapshot_files(snapshot.path), shards_of(snapshot.path)
    with open_snapshot(snapshot.path, key=key) as file:
        weights = Weights.of(file)
        kinds = weights.kinds()
        left_out = {name: reason.text for name, reason in no_weights(kinds).items()}
        shared = weights.shared([name for name in kinds if name not in left_out])
    left_out |= {name: f"tied to {other}" for name, other in shared.items()}
    return Contents(
        snapshot,
        tuple(path.name for path in files),
        sum(path.stat().st_size for path in files),
        dict(sorted(kinds.items())),
        left_out,
        {name: shards[stored] for name, stored in weights.stored.items() if stored in shards},
    )


def digest_snapshot(held: Contents, names: Sequence[str], sample: Tensor, *, key: str | None = None) -> Digest:
    """Read the named tensors of a snapshot once, a piece at a time.

    Args:
        held: The snapshot and its headers.
        names: Tensors to read, in order.
        sample: Coordinates to keep, ascending, in the vector of the weights among them.
        key: See `open_snapshot`.

    Returns:
        The digest.

    Cost: O(P) time, one piece of 2²⁰ numbers in memory.
    """
    hashes: dict[str, str] = {}
    spans: dict[str, slice] = {}
    heads: dict[str, Tensor] = {}
    not_finite, kept, start, taken = [], [torch.empty(0, dtype=torch.float64, device="cpu")], 0, 0
    with open_snapshot(held.snapshot.path, key=key) as file:
        weights = Weights.of(file)
        for name in names:
            kind, stored, finite = held.tensors[name], weights.get(name), True
            seen = hashlib.sha256(repr((kind.shape, kind.dtype)).encode())
            shape = tuple(stored.get_shape())
            begin = taken
            for piece in read_pieces(stored, shape, 0, math.prod(shape), most=_PIECE):
                seen.update(piece.contiguous().view(torch.uint8).numpy().data)
                if name not in held.left_out:
                    numbers = piece.double()
                    heads.setdefault(name, numbers[:HEAD].clone())
                    finite = finite and not math.isnan(squared_length(numbers))
                    ends = torch.tensor([start, start + len(piece)], dtype=torch.int64, device="cpu")
                    first, last = torch.searchsorted(sample, ends).tolist()
                    kept.append(numbers[sample[first:last] - start])
                    start, taken = start + len(piece), taken + last - first
            hashes[name], spans[name] = seen.hexdigest(), slice(begin, taken)
            if not finite:
                not_finite.append(name)
    return Digest(hashes, tuple(not_finite), torch.cat(kept), spans, heads)


def squared_length(numbers_n: Tensor) -> float:
    """Sum of squares of float64 numbers; NaN, and never infinite, where one of them is not finite."""
    squared = float(numbers_n.dot(numbers_n))
    # One pass where all is well: a sum that is not finite has a cause, or overflowed, which the numbers tell apart.
    return squared if math.isfinite(squared) or torch.isfinite(numbers_n).all() else math.nan


def read_pieces(
    stored: Any, shape: tuple[int, ...], begin: int, end: int, *, most: int | None = None, at: tuple[int, ...] = ()
) -> Iterator[Tensor]:
    """Read numbers begin..end of a flattened stored tensor, and no others, as flat pieces.

    Args:
        stored: A slice of an open file.
        shape: Shape of the part `at` of it.
        begin: First number, counted within that part.
        end: Behind the last.
        most: Most numbers of a piece; default as many as lie together.
        at: Leading indices of the part.

    Yields:
        The pieces, in order.
    """
    row = math.prod(shape[1:])
    while begin < end:
        index, inside = divmod(begin, row)
        whole = 0 if inside else (end - begin) // row
        if most is not None and shape:
            whole = min(whole, most // row)
        stop = begin + whole * row if whole else min(end, begin - inside + row)
        if not shape:
            yield stored[at].reshape(1)
        elif whole:
            yield stored[(*at, slice(index, index + whole))].reshape(-1)
        else:
            yield from read_pieces(stored, shape[1:], inside, inside + stop - begin, most=most, at=(*at, index))
        begin = stop
