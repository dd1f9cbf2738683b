"""What the files of a series hold, by their headers alone; and a pass over their numbers that keeps little of them."""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectraledge.trajectory.snapshots import Snapshot, open_snapshot, snapshot_files

_PIECE = 1 << 20
"""Numbers read at a time."""


@dataclass(frozen=True)
class TensorKind:
    """Shape and type of a stored tensor.

    Attributes:
        shape: Its shape.
        dtype: Its type by the name that safetensors files use, such as "F32".
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape}"


@dataclass(frozen=True)
class Contents:
    """What one snapshot holds.

    Attributes:
        snapshot: Which one.
        files: Names of its files.
        bytes: Their size together.
        tensors: Kind of each tensor by name, in order of name.
    """

    snapshot: Snapshot
    files: tuple[str, ...]
    bytes: int
    tensors: dict[str, TensorKind]

    @property
    def parameters(self) -> int:
        """How many numbers its tensors of a floating type hold."""
        return sum(kind.size for kind in self.tensors.values() if "F" in kind.dtype)

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
        sha256: Hex digest of names, types, shapes and bytes of the tensors.
        not_finite: Names of tensors that hold an infinity or no number.
        sample_n: float64, the numbers of the tensors of a floating type at the coordinates asked for.
    """

    sha256: str
    not_finite: tuple[str, ...]
    sample_n: Tensor


def contents(snapshot: Snapshot, *, key: str | None = None) -> Contents:
    """Read the headers of a snapshot.

    Args:
        snapshot: Which one.
        key: See `open_snapshot`.

    Returns:
        What it holds.

    Raises:
        InputError: if it cannot be read.
    """
    files = snapshot_files(snapshot.path)
    with open_snapshot(snapshot.path, key=key) as file:
        stored = {name: file.get_slice(name) for name in sorted(file.keys())}
        tensors = {name: TensorKind(tuple(part.get_shape()), part.get_dtype()) for name, part in stored.items()}
    return Contents(snapshot, tuple(path.name for path in files), sum(path.stat().st_size for path in files), tensors)


def digest_snapshot(held: Contents, names: Sequence[str], sample: Tensor, *, key: str | None = None) -> Digest:
    """Read the named tensors of a snapshot once, a piece at a time.

    Args:
        held: The snapshot and its headers.
        names: Tensors to read, in order.
        sample: Coordinates to keep, ascending, in the vector of the named tensors of a floating type.
        key: See `open_snapshot`.

    Returns:
        The digest.

    Cost: O(P) time, one piece of 2²⁰ numbers in memory.
    """
    seen, not_finite, kept, start = hashlib.sha256(), [], [], 0
    with open_snapshot(held.snapshot.path, key=key) as file:
        for name in names:
            kind = held.tensors[name]
            seen.update(repr((name, kind.shape, kind.dtype)).encode())
            finite = True
            for piece in read_pieces(file.get_slice(name), kind.shape, 0, kind.size, most=_PIECE):
                seen.update(piece.contiguous().view(torch.uint8).numpy().data)
                if piece.is_floating_point():
                    numbers = piece.double()
                    finite = finite and not math.isnan(squared_length(numbers))
                    ends = torch.tensor([start, start + len(piece)], dtype=torch.int64, device="cpu")
                    first, last = torch.searchsorted(sample, ends).tolist()
                    kept.append(numbers[sample[first:last] - start])
                    start += len(piece)
            if not finite:
                not_finite.append(name)
    return Digest(seen.hexdigest(), tuple(not_finite), torch.cat(kept) if kept else sample[:0].double())


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
