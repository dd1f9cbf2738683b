"""Inner products of every update with the W − 1 before it: one banded Gram matrix holds all windows of a run."""

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.products import multiply

_COLUMNS = 1 << 11
"""Parameters per block: all that one step multiplies then stays in the second-level cache."""


class BandedGram:
    """The Gram matrix of a stream of updates, kept where a trailing window can see it.

    Feed updates in order with `append` or `extend`; `windows()` gives the W×W Gram of every full trailing window. Only
    the last W − 1 updates are held, however long the run is; the band itself is T·W numbers.

    Args:
        window: Updates per window, at least 2. Xu 2026, §2.3 uses 20.
    """

    def __init__(self, window: int) -> None:
        if window < 2:
            raise InputError(f"window must be at least 2 updates, got {window}")
        self.window = window
        self._held = window - 1
        self._recent = torch.empty(0, 0)
        self._band: list[Tensor] = []

    def __len__(self) -> int:
        """Return the number of updates seen so far."""
        return len(self._band)

    def append(self, update_P: Tensor) -> None:
        """Add the next update.

        Cost: O(W·P) time; W·P numbers of memory in the update's own type and device.

        Args:
            update_P: Shape (P,). It is copied.

        Raises:
            InputError: if its shape differs from that of the updates before it, or a value is not finite.
        """
        if update_P.dim() != 1:
            raise InputError(
                f"update {len(self) + 1} has shape {tuple(update_P.shape)}, expected (P,): flatten it first"
            )
        self.extend(update_P[None])

    def extend(self, updates_TP: Tensor) -> None:
        """Add updates, oldest first: the same as appending each, but every number is read once.

        Args:
            updates_TP: Shape (T, P). What later windows need of it is copied.

        Raises:
            InputError: if the shape is not (T, P) with the P of the updates before it, or a value is not finite.
        """
        width = self._recent.shape[1] if len(self) else updates_TP.shape[-1]
        if updates_TP.dim() != 2 or updates_TP.shape[1] != width:
            raise InputError(
                f"updates from number {len(self) + 1} on have shape {tuple(updates_TP.shape)}, expected (T, {width}): "
                "every update must cover the same parameters"
            )
        if not len(self):
            self._recent = updates_TP.new_zeros((self._held, width))
        age = torch.arange(len(self), len(self) + self._held, device=updates_TP.device) % self._held
        band_TW = _band(self._recent, age, updates_TP, self.window)
        if not torch.isfinite(band_TW).all():
            first = len(self) + 1 + int((~torch.isfinite(band_TW).all(1)).nonzero()[0])
            raise InputError(f"update {first} has values that are not finite: drop the snapshots after divergence")
        self._band.extend(band_TW)
        kept = updates_TP[-self._held :]
        self._recent[torch.arange(len(self) - len(kept), len(self)) % self._held] = kept

    def windows(self) -> Tensor:
        """Gram matrix of every full trailing window.

        Returns:
            float64 tensor (T − W + 1, W, W), oldest window first, updates oldest first within a window; entry (i, j) is
            ⟨δθ_i, δθ_j⟩, squared units of the parameters.

        Raises:
            InputError: if fewer than W updates were appended.
        """
        if len(self) < self.window:
            raise InputError(
                f"window must be in [2, {len(self)}] for {len(self)} updates, got {self.window}: "
                "record more snapshots or pass a smaller window"
            )
        band_TW = torch.stack(self._band)
        last = torch.arange(self.window - 1, len(self))
        offset = torch.arange(self.window) - (self.window - 1)
        time_NW = last[:, None] + offset
        later = torch.maximum(time_NW[:, :, None], time_NW[:, None, :])
        lag = (time_NW[:, :, None] - time_NW[:, None, :]).abs()
        return band_TW[later.to(band_TW.device), lag.to(band_TW.device)]


def _band(recent: Tensor, age: Tensor, updates_TP: Tensor, window: int) -> Tensor:
    """Return ⟨δθ_t, δθ_(t−lag)⟩ for every new update t and lag = 0..W − 1, float64 (T, W); `age` orders `recent`."""
    # New rows are taken W at a time: a product of W rows with themselves and the W − 1 before them.
    count, held = len(updates_TP), window - 1
    taken = max(1, min(window, count))
    starts = range(0, count, taken)
    products = torch.zeros(len(starts), taken, taken + held, dtype=torch.float64, device=updates_TP.device)
    rows = torch.zeros(held + len(starts) * taken, _COLUMNS, dtype=torch.float64, device=updates_TP.device)
    for column in range(0, updates_TP.shape[1], _COLUMNS):
        width = min(_COLUMNS, updates_TP.shape[1] - column)
        rows[:held, :width] = recent[:, column : column + width][age]
        rows[held : held + count, :width] = updates_TP[:, column : column + width]
        for index, start in enumerate(starts):
            new = rows[held + start : held + start + taken, :width]
            products[index] += multiply(new, rows[start : start + taken + held, :width])
    time = torch.arange(taken, device=updates_TP.device)[:, None]
    lag = torch.arange(window, device=updates_TP.device)
    return products[:, time, time + held - lag].flatten(0, 1)[:count]
