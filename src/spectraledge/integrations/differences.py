"""Updates taken from parameters in place: what has to be remembered between two snapshots, and what is kept of them."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from spectraledge.spectrum import BandedGram, Sketch
from spectraledge.trajectory.series import rounding


class Difference(Protocol):
    """What one way of taking updates remembers of the last snapshot."""

    before: list[Tensor]
    """The last snapshot: what `restart` or `update` left, and what a resumed run must be given back."""
    rounding: float
    """Squared length ε²‖θ‖² of one rounding of it."""

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot."""

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the flat update since the last snapshot, and remember this one."""


class ExactDifference:
    """Remembers all parameters in their own type.

    Args:
        dtype: Of the updates.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self.before: list[Tensor] = []
        self.rounding = 0.0

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot.

        Args:
            parts: The parameters.
        """
        self.before = [part.clone() for part in parts]
        self.rounding = rounding(parts)

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the update since the last snapshot, and remember this one.

        Args:
            parts: The parameters, on one device.

        Returns:
            Shape (P,).
        """
        sizes = [part.numel() for part in parts]
        update_P = torch.empty(sum(sizes), dtype=self._dtype, device=_device(parts))
        for piece, part, before in zip(torch.split(update_P, sizes), parts, self.before, strict=True):
            # Parameters of 16 bits differ by less than they can say.
            wide = torch.promote_types(part.dtype, torch.float32)
            piece.copy_((part.to(wide) - before.to(wide)).reshape(-1))
            before.copy_(part)
        self.rounding = rounding(parts)
        return update_P


class SketchedDifference:
    """Remembers a sketch of the parameters: sketching is linear, so the update's sketch is a difference of sketches.

    Args:
        sketch: The map.
        dtype: Of the sketched updates.
    """

    def __init__(self, sketch: Sketch, dtype: torch.dtype) -> None:
        self._sketch, self._dtype = sketch, dtype
        self.before: list[Tensor] = []
        self.rounding = 0.0

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot.

        Args:
            parts: The parameters.
        """
        whole, self.rounding = self._of(parts)
        self.before = [whole]

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sketched update since the last snapshot, and remember this one.

        Args:
            parts: The parameters, on one device.

        Returns:
            Shape (d,).
        """
        (before,) = self.before
        self.restart(parts)
        return (self.before[0] - before).to(self._dtype)

    def _of(self, parts: Sequence[Tensor]) -> tuple[Tensor, float]:
        """Return the sketch of the parameters and, from it, an unbiased estimate of ε²‖θ‖²."""
        nothing = torch.zeros(self._sketch.size, dtype=torch.float64, device=_device(parts))
        by_type: dict[torch.dtype, Tensor] = {}
        start = 0
        for part in parts:
            sketch = self._sketch(part.reshape(-1), start=start)
            by_type[part.dtype] = by_type.get(part.dtype, nothing) + sketch
            start += part.numel()
        noise = sum(torch.finfo(dtype).eps ** 2 * float(sketch.square().sum()) for dtype, sketch in by_type.items())
        return sum(by_type.values(), nothing), noise


def _device(parts: Sequence[Tensor]) -> torch.device:
    return parts[0].device if parts else torch.device("cpu")


class HeldUpdates(BandedGram):
    """A banded Gram matrix that gives back the updates it holds.

    Args:
        held: How many, W. Inner products then cover lags 0 to W.
    """

    def __init__(self, held: int) -> None:
        super().__init__(held + 1)

    def updates(self) -> Tensor:
        """Return a copy of the last W updates, or of all while there are fewer, oldest first."""
        count = min(len(self), self._held)
        return self._recent[torch.arange(len(self) - count, len(self)) % self._held]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the updates take."""
        return self._recent.nbytes
