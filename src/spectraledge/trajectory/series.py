"""A series of snapshots read as a stream of parameter vectors: one snapshot in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.trajectory.layout import Layout
from spectraledge.trajectory.selection import Selection, select_parameters
from spectraledge.trajectory.snapshots import Snapshot, find_snapshots, open_snapshot, read_snapshot


class Update(NamedTuple):
    """One update between consecutive snapshots.

    Attributes:
        step: Of the later snapshot.
        update_P: δθ, float64, shape (P,).
        storage_noise: Largest squared length that rounding of the stored parameters alone can give it.
    """

    step: int
    update_P: Tensor
    storage_noise: float


@dataclass(frozen=True)
class Series:
    """Snapshots in order of step, and the parameters of them that are watched.

    Attributes:
        snapshots: In order of step.
        selection: Which tensors are watched.
        layout: How they lie in a vector of length P.
    """

    snapshots: tuple[Snapshot, ...]
    selection: Selection
    layout: Layout

    @classmethod
    def open(cls, folder: Path, patterns: Sequence[str] = ("*",)) -> "Series":
        """Find the snapshots of a folder and choose tensors by pattern; only file headers are read.

        Args:
            folder: See `find_snapshots`.
            patterns: See `select_parameters`; tensors that are not of a floating type are never watched.

        Returns:
            The series.

        Raises:
            InputError: if a file cannot be read, or a pattern matches no tensor of a floating type.
        """
        snapshots = find_snapshots(folder)
        with open_snapshot(snapshots[0].path) as first:
            stored = {name: first.get_slice(name) for name in first.keys()}  # noqa: SIM118 (not a mapping)
            shapes = {name: tuple(part.get_shape()) for name, part in stored.items() if "F" in part.get_dtype()}
        selection = select_parameters(shapes, patterns)
        return cls(tuple(snapshots), selection, Layout({name: shapes[name] for name in selection.matched}))

    def until(self, step: int) -> "Series":
        """Return the series up to a step, inclusive."""
        kept = tuple(snapshot for snapshot in self.snapshots if snapshot.step <= step)
        return Series(kept, self.selection, self.layout)

    def last(self, count: int) -> "Series":
        """Return the last `count` snapshots of the series."""
        return Series(self.snapshots[-count:], self.selection, self.layout)

    def vectors(self) -> Iterator[tuple[int, Tensor, float]]:
        """Read the watched parameters of every snapshot.

        Yields:
            The step, the float64 vector of shape (P,), and the squared length ε²‖θ‖² of one rounding of it, with ε the
            relative precision in which each tensor is stored.
        """
        for snapshot in self.snapshots:
            tensors = self._checked(snapshot)
            noise = sum(torch.finfo(t.dtype).eps ** 2 * float(t.double().square().sum()) for t in tensors.values())
            yield snapshot.step, self.layout.join({name: t.double() for name, t in tensors.items()}), noise

    def updates(self) -> Iterator[Update]:
        """Read every update δθ = θ_t − θ_(t−1) between consecutive snapshots.

        Yields:
            The updates, oldest first.
        """
        before: tuple[Tensor, float] | None = None
        for step, vector_P, noise in self.vectors():
            if before is not None:
                # Each end is off by at most ε/2·|θ| in every coordinate.
                yield Update(step, vector_P - before[0], (noise + before[1]) / 2)
            before = vector_P, noise

    def _checked(self, snapshot: Snapshot) -> dict[str, Tensor]:
        tensors = read_snapshot(snapshot.path, tuple(self.layout.shapes))
        for name, shape in self.layout.shapes.items():
            tensor = tensors[name]
            if tuple(tensor.shape) != shape or not tensor.is_floating_point():
                raise InputError(
                    f"{snapshot.path} has {name} of shape {tuple(tensor.shape)} and type {tensor.dtype}, but "
                    f"{self.snapshots[0].path.name} has floats of shape {shape}: all snapshots must come from one "
                    "network"
                )
            if not torch.isfinite(tensor).all():
                raise InputError(
                    f"{snapshot.path} has values in {name} that are not finite: drop the snapshots after divergence"
                )
        return tensors
