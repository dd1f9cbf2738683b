"""Updates of the watched weights, each multiplied with those before it, over all processes that hold a part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.integrations.differences import Difference, ExactDifference, HeldUpdates, SketchedDifference
from spectraledge.integrations.shards import Shards
from spectraledge.integrations.tracker_settings import STORED, TrackerSettings
from spectraledge.integrations.watched_weights import WatchedWeights


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
