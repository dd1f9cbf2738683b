"""Updates of the watched weights, taken in place and multiplied with those before, over all processes with a part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.integrations.shards import Shards
from spectraledge.integrations.tracker_settings import STORED, TrackerSettings
from spectraledge.integrations.watched_weights import UNMOVED, WatchedWeights, drifted
from spectraledge.spectrum import BandedGram, Sketch
from spectraledge.trajectory.series import rounding

_BLOCK = 1 << 16
"""Parameters sketched at a time: their copies in wider types stay in the second-level cache."""

_NOWHERE = torch.empty(0, dtype=torch.int32, device="cpu")


class Difference(Protocol):
    """What one way of taking updates remembers of the last snapshot."""

    before: list[Tensor]
    """The last snapshot: what `restart` or `update` left, and what a resumed run must be given back."""
    rounding: float
    """Squared length ε²‖θ‖² of one rounding of it."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory between snapshots."""

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot."""

    def moved(self, parts: Sequence[Tensor]) -> Tensor:
        """Tell whether parameters have moved since the last snapshot, as far as it is remembered."""

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the flat update since the last snapshot, and remember this one."""


class ExactDifference:
    """Remembers all parameters in their own type."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self.before: list[Tensor] = []
        self.rounding = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of memory between snapshots."""
        return sum(part.nbytes for part in self.before)

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot."""
        self.before = [part.clone() for part in parts]
        self.rounding = rounding(parts)

    def moved(self, parts: Sequence[Tensor]) -> Tensor:
        """Tell whether parameters have moved since the last snapshot."""
        pairs = zip(parts, self.before, strict=True)
        return drifted((part.reshape(1, -1), before.reshape(1, -1)) for part, before in pairs)

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the update since the last snapshot, and remember this one."""
        sizes = [part.numel() for part in parts]
        update_P = torch.empty(sum(sizes), dtype=self._dtype, device=_device(parts))
        # They may have been sent to another device, or got another type.
        self.before = [before.to(part.device) for before, part in zip(self.before, parts, strict=True)]
        for index, (piece, part, before) in enumerate(
            zip(torch.split(update_P, sizes), parts, self.before, strict=True)
        ):
            # Parameters of 16 bits differ by less than they can say.
            wide = torch.promote_types(torch.promote_types(part.dtype, before.dtype), torch.float32)
            piece.copy_((part.to(wide) - before.to(wide)).reshape(-1))
            if part.dtype == before.dtype:
                before.copy_(part)
            else:
                self.before[index] = part.clone()
        self.rounding = rounding(parts)
        return update_P


class SketchedDifference:
    """Remembers a sketch of the parameters: sketching is linear, so the update's sketch is a difference of sketches.

    Args:
        sketch: The map.
        dtype: Of the sketched updates.
        keep_places: Whether to keep where the map sends each parameter, 4 bytes each, instead of drawing it every time.
    """

    def __init__(self, sketch: Sketch, dtype: torch.dtype, *, keep_places: bool) -> None:
        self._sketch, self._dtype, self._keep_places = _SketchWithPlaces(sketch.size, sketch.seed), dtype, keep_places
        self._places = _NOWHERE
        self.before: list[Tensor] = []
        self.rounding = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of memory between snapshots."""
        return self._places.nbytes + sum(part.nbytes for part in self.before)

    def restart(self, parts: Sequence[Tensor]) -> None:
        """Remember a snapshot."""
        whole, self.rounding = self._of(parts)
        self.before = [whole]

    def moved(self, parts: Sequence[Tensor]) -> Tensor:
        """Tell nothing: to sketch the parameters once more would cost as much as a snapshot."""
        return UNMOVED

    def update(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sketched update since the last snapshot, and remember this one."""
        (before,) = self.before
        self.restart(parts)
        return (self.before[0] - before.to(self.before[0].device)).to(self._dtype)

    def _of(self, parts: Sequence[Tensor]) -> tuple[Tensor, float]:
        """Return the sketch of the parameters and, from it, an unbiased estimate of ε²‖θ‖²."""
        count = sum(part.numel() for part in parts)
        if self._keep_places and len(self._places) != count:
            self._places = self._sketch.places(count)
        self._places = self._places.to(_device(parts))
        nothing = torch.zeros(self._sketch.size, dtype=torch.float64, device=_device(parts))
        by_type: dict[torch.dtype, Tensor] = {}
        start = 0
        for part in parts:
            flat = part.reshape(-1)
            if self._keep_places:
                sketch = self._sketch.at(self._places[start : start + len(flat)], flat)
            else:
                sketch = self._sketch(flat, start=start)
            by_type[part.dtype] = by_type.get(part.dtype, nothing) + sketch
            start += len(flat)
        noise = sum(torch.finfo(dtype).eps ** 2 * float(sketch.square().sum()) for dtype, sketch in by_type.items())
        return sum(by_type.values(), nothing), noise


class _SketchWithPlaces(Sketch):
    """A sketch that says where parameters go: to 2·bucket, or to 2·bucket + 1 if their sign is turned."""

    def places(self, count: int) -> Tensor:
        """Return the places of the first parameters, int32."""
        drawn = [self._hashed(start, min(_BLOCK, count - start)) for start in range(0, count, _BLOCK)]
        return torch.cat([(2 * bucket + (sign < 0)).int() for bucket, sign in drawn] or [_NOWHERE])

    def at(self, places_P: Tensor, update_P: Tensor) -> Tensor:
        """Return the sketch of parameters with these places, float64 (d,)."""
        sums = torch.zeros(2 * self.size, dtype=torch.float64, device=update_P.device)
        for places, part in zip(torch.split(places_P, _BLOCK), torch.split(update_P, _BLOCK), strict=True):
            sums.scatter_add_(0, places.long(), part.double())
        return sums[0::2] - sums[1::2]


def _device(parts: Sequence[Tensor]) -> torch.device:
    return parts[0].device if parts else torch.device("cpu")


class HeldUpdates(BandedGram):
    """A banded Gram matrix that gives back the last W updates, and covers lags 0 to W."""

    def __init__(self, held: int) -> None:
        super().__init__(held + 1)

    def updates(self) -> Tensor:
        """Return a copy of the last W updates, or of all while there are fewer, oldest first."""
        count = min(len(self), self._held)
        return self._recent[torch.arange(len(self) - count, len(self), device="cpu") % self._held]

    def append(self, update_P: Tensor) -> None:
        """Add the next update, wherever it comes from; see `BandedGram.append`."""
        super().append(update_P.to(self._recent.device) if len(self) else update_P)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the updates take."""
        return self._recent.nbytes


@dataclass(frozen=True)
class Taken:
    """An update: its products with the W before, their rounding, whether they are finite, and moved by steps alone."""

    band_V: Tensor
    noise: float
    finite: bool
    moved: bool


class Updates:
    """Takes updates between snapshots of weights, and holds the last W of them."""

    def __init__(self, weights: WatchedWeights, shards: Shards, settings: TrackerSettings) -> None:
        self._weights, self._shards, self._window, self._device = weights, shards, settings.window, settings.device
        self._dtype, sketch = STORED[settings.store], settings.sketch
        self._difference: Difference = (
            SketchedDifference(sketch, self._dtype, keep_places=settings.keep_places)
            if sketch
            else ExactDifference(self._dtype)
        )
        self._held = HeldUpdates(self._window)

    @property
    def nbytes(self) -> int:
        """Bytes of memory between snapshots."""
        return self._held.nbytes + self._difference.nbytes

    @property
    def begun(self) -> bool:
        """Whether there is a snapshot to begin with."""
        return bool(self._difference.before)

    def begin(self) -> None:
        """Forget all updates; the weights as they are now become the first snapshot."""
        self._difference.restart(self._weights.parts())
        self.forget()

    def forget(self) -> None:
        """Forget all updates but not the last snapshot."""
        self._held = HeldUpdates(self._window)

    def moved(self) -> Tensor:
        """Tell whether weights have moved since the last snapshot, as `Difference.moved`."""
        return self._difference.moved(self._weights.parts())

    def held(self) -> Tensor:
        """Return a copy of the last W updates, or of all while there are fewer, oldest first."""
        return self._held.updates()

    def take(self, *, lost: bool, moved: Tensor) -> Taken:
        """Take the update since the last snapshot; not finite where weights are not, or are lost in any process."""
        # Every process has to come to the sum, or the others wait for it for ever.
        mine = torch.full((self._window + 3,), torch.nan, dtype=torch.float64, device="cpu")
        if not lost:
            noise = self._difference.rounding
            update_P = self._difference.update(self._weights.parts())
            mine[-2] = (noise + self._difference.rounding) / 2
            mine[-1] = moved
            try:
                self._held.append(update_P.to(self._device or update_P.device))
                mine[:-2] = self._held.latest
            except InputError:
                pass
        summed = self._shards.total(mine)
        kept = torch.finfo(self._dtype).eps / 2
        return Taken(
            summed[:-2],
            float(summed[-2] + kept**2 * summed[0]),
            bool(torch.isfinite(summed).all()),
            bool(summed[-1] > 0),
        )

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of what is remembered of weights and updates, as plain values and tensors."""
        return {
            "before": [part.clone() for part in self._difference.before],
            "rounding": self._difference.rounding,
            "updates": self._held.updates(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        here = self._weights.device
        self._difference.before = [part.to(here, copy=True) for part in state["before"]]
        self._difference.rounding = state["rounding"]
        self.forget()
        if len(state["updates"]):
            self._held.extend(state["updates"].to(self._device or here))
