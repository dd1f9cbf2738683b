"""A series of snapshots read as a stream of parameter vectors: one snapshot in memory at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.trajectory.layout import Layout
from spectraledge.trajectory.selection import Selection, select_parameters
from spectraledge.trajectory.snapshots import Snapshot, find_snapshots, open_snapshot, read_snapshot


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
            InputError: if a file cannot be read, a pattern matches nothing, or the watched tensors are not all of a
                floating type.
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

    def vectors(self) -> Iterator[tuple[int, Tensor]]:
        """Read the watched parameters of every snapshot.

        Yields:
            The step and the float64 vector of shape (P,).
        """
        for snapshot in self.snapshots:
            yield snapshot.step, self.layout.join(self._checked(snapshot))

    def updates(self) -> Iterator[tuple[int, Tensor]]:
        """Read every update δθ = θ_t − θ_(t−1) between consecutive snapshots.

        Yields:
            The step of the later snapshot and the float64 update of shape (P,).
        """
        before: Tensor | None = None
        for step, vector_P in self.vectors():
            if before is not None:
                yield step, vector_P - before
            before = vector_P

    def storage_noise(self) -> float:
        """Squared length up to which an eigenvalue can come from rounding of the stored parameters.

        Storing θ with relative precision eps displaces an update by at most eps·|θ| in each coordinate, so by a vector
        of squared length at most eps²·‖θ‖². Taken at the last snapshot.

        Returns:
            The squared length, in squared units of the parameters.
        """
        tensors = read_snapshot(self.snapshots[-1].path, tuple(self.layout.shapes))
        return sum(torch.finfo(t.dtype).eps ** 2 * float(t.double().square().sum()) for t in tensors.values())

    def _checked(self, snapshot: Snapshot) -> dict[str, Tensor]:
        tensors = read_snapshot(snapshot.path, tuple(self.layout.shapes))
        for name, shape in self.layout.shapes.items():
            if tuple(tensors[name].shape) != shape:
                raise InputError(
                    f"{snapshot.path} has {name} of shape {tuple(tensors[name].shape)}, but "
                    f"{self.snapshots[0].path.name} has {shape}: all snapshots must come from one network"
                )
            tensors[name] = tensors[name].double()
            if not torch.isfinite(tensors[name]).all():
                raise InputError(
                    f"{snapshot.path} has values in {name} that are not finite: drop the snapshots after divergence"
                )
        return tensors
