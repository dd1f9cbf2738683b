"""Inner products of every update with the W − 1 before it: one banded Gram matrix holds all windows of a run."""

import torch
from torch import Tensor

from spectraledge.errors import InputError

_BLOCK = 1 << 18
"""Parameters per block of an inner product: 2 MiB in float64, so that a block of each operand stays in cache."""


def inner_products(rows_KP: Tensor, vector_P: Tensor) -> Tensor:
    """Inner products of K rows with one vector, accumulated in float64, cast block by block.

    Args:
        rows_KP: Shape (K, P), any floating type.
        vector_P: Shape (P,), any floating type, on the same device.

    Returns:
        float64 tensor (K,).
    """
    total = torch.zeros(rows_KP.shape[0], dtype=torch.float64, device=rows_KP.device)
    for start in range(0, vector_P.shape[0], _BLOCK):
        block = slice(start, start + _BLOCK)
        total += rows_KP[:, block].double() @ vector_P[block].double()
    return total


class BandedGram:
    """The Gram matrix of a stream of updates, kept where a trailing window can see it.

    Feed updates in order with `append`; `windows()` gives the W×W Gram of every full trailing window. Only the last W
    updates are held, so memory is W·P numbers however long the run is; the band itself is T·W numbers.

    Args:
        window: Updates per window, at least 2. Xu 2026, §2.3 uses 20.
    """

    def __init__(self, window: int) -> None:
        if window < 2:
            raise InputError(f"window must be at least 2 updates, got {window}")
        self.window = window
        self._recent_WP: Tensor | None = None
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
        if not torch.isfinite(update_P).all():
            raise InputError(
                f"update {len(self) + 1} has values that are not finite: drop the snapshots after divergence"
            )
        if self._recent_WP is None:
            self._recent_WP = update_P.new_zeros((self.window, *update_P.shape))
        if update_P.dim() != 1 or update_P.shape != self._recent_WP.shape[1:]:
            raise InputError(
                f"update {len(self) + 1} has shape {tuple(update_P.shape)}, expected "
                f"{tuple(self._recent_WP.shape[1:])}: every update must cover the same parameters"
            )
        row = len(self) % self.window
        self._recent_WP[row] = update_P
        by_slot = inner_products(self._recent_WP, update_P)
        lags = (row - torch.arange(self.window)) % self.window
        self._band.append(by_slot[lags.to(by_slot.device)])

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
