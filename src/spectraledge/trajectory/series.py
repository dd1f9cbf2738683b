"""A series of snapshots read as a stream of parameter vectors: one snapshot, or a block of one, in memory at a time."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.trajectory.census import read_pieces, squared_length
from spectraledge.trajectory.exchanges import exchanged
from spectraledge.trajectory.faults import listed
from spectraledge.trajectory.finding import find_snapshots
from spectraledge.trajectory.formats.stored import REALS, SHORT
from spectraledge.trajectory.inventory import check_series, whole
from spectraledge.trajectory.layout import Layout
from spectraledge.trajectory.names import TensorKind, no_weights
from spectraledge.trajectory.selection import Selection, matches
from spectraledge.trajectory.snapshots import Snapshot, open_snapshot
from spectraledge.trajectory.spacing import Spacing, check_spacing
from spectraledge.trajectory.stored_weights import Weights, select_weights


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
        names: Plain names of all tensors of the first snapshot.
        block: Which of the P coordinates are read, in order; default all.
        interval: Steps to which every update is scaled; default none is.
        key: Where in the files the weights lie; see `open_snapshot`.
        still: Tensors of 16 bits that stand still, whose rounding explains nothing.
    """

    snapshots: tuple[Snapshot, ...]
    selection: Selection
    layout: Layout
    names: frozenset[str]
    block: range | None = None
    interval: float | None = None
    key: str | None = None
    still: frozenset[str] = frozenset()

    @classmethod
    def open(
        cls,
        folder: Path,
        patterns: Sequence[str] = ("*",),
        *,
        spacing: Spacing = "keep",
        key: str | None = None,
        step: str | None = None,
    ) -> "Series":
        """Find the snapshots of a series and choose tensors by pattern; of numbers of 32 bits none is read.

        Names are those without wrappers (see `plain_names`). Watched are weights alone: buffers are left out by their
        names (see `no_weights`), and so is what is not of a floating type. A complex number counts as a pair of reals.
        Tied tensors count once, under the first of their names that is matched: those that share storage, and matrices
        under names of embeddings whose numbers are equal in the first and the last snapshot, where these are read. Of
        tensors of 16 bits numbers are read there and in the middle as well: those that are equal in all three stand
        still, so that their rounding, which can be more than all that the others move, counts for nothing.

        Updates over a longer interval are longer. With spacing "scale" each is divided by √(interval/median interval):
        where updates sum n independent steps, as the bulk of a spectrum does, their squared length grows as n, so that
        this law alone gives every update of a window the same noise. A drift then counts √n-fold, as it should where
        it is estimated against such noise (it is weighted least squares); dividing by n instead would blow up the noise
        of the short intervals to a false edge. Our choice; where steps are even nothing changes.

        "keep" is the default because a run that stopped early ends in a shorter interval and is still worth its
        spectrum, and scaling rests on a law that a user should choose.

        Args:
            folder: See `find_snapshots`.
            patterns: See `select_weights`.
            spacing: What is done where intervals between snapshots differ: "keep" leaves updates as they are, "scale"
                divides them as above, "refuse" raises.
            key: Where in the files the weights lie; see `open_snapshot`.
            step: A regular expression for the step in names; see `find_snapshots`.

        Returns:
            The series.

        Raises:
            InputError: if a file cannot be read, a pattern matches no weight, the matched ones hold no numbers, or
                intervals differ and spacing is "refuse".
            DamageError: if it is of a recorded run whose files are not all there in their sizes.
        """
        check_series(folder)
        snapshots = find_snapshots(folder, step=step)
        steps = [snapshot.step for snapshot in snapshots]
        check_spacing(steps, spacing)
        intervals = [after - before for before, after in pairwise(steps)]
        interval = statistics.median(intervals) if spacing == "scale" and intervals else None
        with open_snapshot(snapshots[0].path, key=key) as file:
            weights = Weights.of(file)
            kinds = weights.kinds()
            selection = select_weights(kinds, patterns)
            tied = weights.ties({name: kinds[name] for name in selection.matched})
        if tied and len(snapshots) > 1:
            with open_snapshot(snapshots[-1].path, key=key) as file:
                tied = Weights.of(file).still_tied(tied)
        selection = selection.without({name: f"tied to {other}" for name, other in tied.items()})
        layout = Layout({name: _shape(kinds[name]) for name in selection.matched})
        if not layout.size:
            raise InputError(
                f"{snapshots[0].path} has no numbers in {', '.join(selection.matched[:3])}: are its weights in parts "
                "elsewhere (ZeRO-3)? Convert it into whole ones first"
            )
        short = [name for name, shape in layout.shapes.items() if shape and kinds[name].dtype in SHORT]
        still = _still([snapshots[place].path for place in (0, len(snapshots) // 2, -1)], short, key)
        # Where nothing moves between these three they are copies of one.
        still = still if len(still) < len(layout.shapes) else frozenset()
        return cls(tuple(snapshots), selection, layout, frozenset(kinds), interval=interval, key=key, still=still)

    def until(self, step: int) -> "Series":
        """Return the series up to a step, inclusive."""
        return replace(self, snapshots=tuple(snapshot for snapshot in self.snapshots if snapshot.step <= step))

    def last(self, count: int) -> "Series":
        """Return the last `count` snapshots of the series."""
        return replace(self, snapshots=self.snapshots[-count:])

    def blocks(self, size: int) -> Iterator["Series"]:
        """Cut the watched parameters into blocks, for snapshots of which a window does not fit in memory.

        Inner products, squared lengths and storage noise are sums over the blocks (`spectrum.block_windows` takes their
        updates). Reading all blocks reads every number of the files once.

        Args:
            size: Parameters per block; the last may hold fewer.

        Yields:
            This series with vectors and updates of one block of their coordinates.

        Raises:
            InputError: if size is less than 1.
        """
        if size < 1:
            raise InputError(f"a block needs at least 1 parameter, got {size}")
        coordinates = self._coordinates
        for start in range(0, len(coordinates), size):
            yield replace(self, block=coordinates[start : start + size])

    def vectors(self) -> Iterator[tuple[int, Tensor, float]]:
        """Read the watched parameters of every snapshot, or the block of them that this series is cut to.

        Yields:
            The step, the float64 vector of shape (P,), and the squared length ε²‖θ‖² of one rounding of what does not
            stand still of it, with ε the relative precision in which each tensor is stored.
        """
        for snapshot in self.snapshots:
            yield snapshot.step, *self._read(snapshot)

    def updates(self) -> Iterator[Update]:
        """Read every update δθ = θ_t − θ_(t−1) between consecutive snapshots, scaled where the series says so.

        Yields:
            The updates, oldest first.

        Raises:
            InputError: if tensors have changed places between two snapshots (see `exchanged`), but for blocks.
        """
        before: tuple[int, Tensor, float] | None = None
        for step, vector_P, noise in self.vectors():
            if before is not None:
                self._check_places(before[0], before[1], step, vector_P)
                # Each end is off by at most ε/2·|θ| in every coordinate.
                update = Update(step, vector_P - before[1], (noise + before[2]) / 2)
                yield self._scaled(update, step - before[0])
            before = step, vector_P, noise

    def _check_places(self, before: int, before_P: Tensor, step: int, vector_P: Tensor) -> None:
        if self.block is None and (names := exchanged(self.layout.split(before_P), self.layout.split(vector_P))):
            raise InputError(
                f"{listed(names)} have changed places between steps {before} and {step}, which is no update: see "
                "`spectraledge checkpoints verify`, and mend their names or leave them out (--params)"
            )

    def _scaled(self, update: Update, interval: int) -> Update:
        if self.interval is None or interval == self.interval:
            return update
        ratio = interval / self.interval
        return Update(update.step, update.update_P / math.sqrt(ratio), update.storage_noise / ratio)

    @property
    def _coordinates(self) -> range:
        return range(self.layout.size) if self.block is None else self.block

    def _read(self, snapshot: Snapshot) -> tuple[Tensor, float]:
        """Read this series' coordinates of one snapshot, checked, and the squared length of one rounding of them."""
        wanted, start, filled, noise = self._coordinates, 0, 0, 0.0
        vector_P = torch.empty(len(wanted), dtype=torch.float64, device="cpu")
        with open_snapshot(whole(snapshot.path), key=self.key) as file:
            weights = Weights.of(file)
            self._check_names(snapshot, weights)
            for name, shape in self.layout.shapes.items():
                stored = weights.get(name)
                if tuple(stored.get_shape()) != shape or stored.get_dtype() not in REALS:
                    raise InputError(
                        f"{snapshot.path} has {name} of shape {tuple(stored.get_shape())} and type "
                        f"{stored.get_dtype()}, but {self.snapshots[0].path.name} has floats of shape {shape}: all "
                        "snapshots must come from one network"
                    )
                size = math.prod(shape)
                begin, end = max(0, wanted.start - start), min(size, wanted.stop - start)
                for part in read_pieces(stored, shape, begin, end):
                    numbers = vector_P[filled : filled + len(part)].copy_(part)
                    squared = squared_length(numbers)
                    if math.isnan(squared):
                        raise InputError(
                            f"{snapshot.path} has values in {name} that are not finite: "
                            "drop the snapshots after divergence"
                        )
                    noise += 0.0 if name in self.still else torch.finfo(part.dtype).eps ** 2 * squared
                    filled += len(part)
                start += size
        return vector_P, noise

    def _check_names(self, snapshot: Snapshot, weights: Weights) -> None:
        """Check that a snapshot has the watched tensors and no others that the patterns would have chosen."""
        missing = [name for name in self.layout.shapes if name not in weights.stored]
        new = [name for name in weights.stored if name not in self.names and matches(name, self.selection.patterns)]
        if new:
            reasons = no_weights(weights.kinds())
            new = [name for name in new if name not in reasons]
        if missing:
            instead = f", and has {', '.join(new[:3])} instead" if new else ""
            raise InputError(
                f"{snapshot.path} has no tensor {missing[0]!r}, which other snapshots have{instead}: is it from "
                "another run? If not, as where tied weights are stored once, leave it out by patterns (--params)"
            )
        if new:
            raise InputError(
                f"{snapshot.path} has {', '.join(new[:3])}, which the first snapshot has not, so that their updates "
                "have no beginning: give the snapshots from there on, or patterns that leave them out"
            )


def _still(paths: Sequence[Path], names: Sequence[str], key: str | None) -> frozenset[str]:
    """Return those of some tensors that are equal in several snapshots; none of one snapshot."""
    found, (first, *others) = list(names), dict.fromkeys(paths)
    for path in others if found else ():
        with open_snapshot(first, key=key) as before, open_snapshot(path, key=key) as after:
            one, other = Weights.of(before), Weights.of(after)
            found = [name for name in found if name in other.stored and one.equal(name, name, other)]
    return frozenset(found if others else ())


def _shape(kind: TensorKind) -> tuple[int, ...]:
    """Return the shape of a tensor as it is read: a complex number is a pair of reals."""
    return kind.shape if kind.dtype in REALS else (*kind.shape, 2)


def rounding(parts: Sequence[Tensor]) -> float:
    """Squared length ε²‖θ‖² of one rounding of stored parameters, ε the relative precision of each part's type."""
    return sum(torch.finfo(part.dtype).eps ** 2 * squared_length(part.double().reshape(-1)) for part in parts)
