"""Inner products of every update with the W − 1 before it: one banded Gram matrix holds all windows of a run."""

from collections.abc import Iterable
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from spectraledge.errors import InputError

_TALL = 100
"""Fewest new updates per block where there are more than fit in one."""

_NUMBERS, _COLUMNS = 125_000, (512, 4096)
"""Size of a block, and the fewest and most parameters in it: in float64 it then stays in the second-level cache."""

_OPENBLAS_IS_FASTER = torch.backends.cpu.get_cpu_capability() == "AVX512"
"""With AVX-512, NumPy's OpenBLAS multiplies small matrices in place; MKL packs them first, at nearly twice the time."""


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
        updates_TP = updates_TP.detach()
        if not len(self):
            self._recent = updates_TP.new_zeros((self._held, width))
        band_TW = _band(self._recent, len(self) % self._held, updates_TP)
        if not torch.isfinite(band_TW).all():
            first = len(self) + 1 + int((~torch.isfinite(band_TW).all(1)).nonzero()[0])
            raise InputError(f"update {first} has values that are not finite: drop the snapshots after divergence")
        self._band.extend(band_TW)
        kept = updates_TP[-self._held :]
        self._recent[torch.arange(len(self) - len(kept), len(self)) % self._held] = kept

    @property
    def latest(self) -> Tensor:
        """Inner products of the last update with itself and the W − 1 before it, by lag, float64 (W,)."""
        return self._band[-1]

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


def block_windows(blocks: Iterable[Iterable[Tensor]], window: int) -> Tensor:
    """Gram matrices of the windows of updates too long for memory, whose parameters come in blocks.

    The inner product of two updates is the sum of those of their blocks, so at most 3·W updates of one block are held.

    Args:
        blocks: For every block of parameters the same updates, oldest first, cut to it: each of the shape (size,) of
            its block. Blocks and updates may be lazy; each is read once.
        window: Updates per window, at least 2.

    Returns:
        float64 tensor (T − W + 1, W, W), as `BandedGram.windows` of the whole updates.

    Raises:
        InputError: if there is no block, blocks differ in the number of updates, or as `BandedGram`.

    Cost: O(T·W·P) time; memory for 3·W updates of one block.
    """
    total, count = None, 0
    for updates in blocks:
        gram, stream = BandedGram(window), iter(updates)
        while batch := list(islice(stream, window)):
            shapes = sorted({tuple(update.shape) for update in batch})
            if len(shapes) > 1:
                raise InputError(f"every update of a block must cover the same parameters, got shapes {shapes}")
            gram.extend(torch.stack(batch))
        if total is not None and len(gram) != count:
            raise InputError(f"every block needs the same updates: one has {count}, a later one has {len(gram)}")
        total, count = gram.windows() if total is None else total + gram.windows(), len(gram)
    if total is None:
        raise InputError("a window needs at least one block of parameters, got none")
    return total


def _band(recent_HP: Tensor, oldest: int, updates_TP: Tensor) -> Tensor:
    """Return ⟨δθ_t, δθ_(t−lag)⟩ for every new update t and lag = 0..W − 1, float64 (T, W).

    `recent_HP` holds the H = W − 1 updates before the new ones, in a ring that begins at row `oldest`.
    """
    (count, size), held = updates_TP.shape, len(recent_HP)
    small = updates_TP.device.type == "cpu" and held <= _TALL
    # New updates per product: few, because each beyond the first costs every update a number that no window needs.
    multiply, rows = (_openblas, 4) if small and _OPENBLAS_IS_FASTER else (_bmm, 8)
    rows = max(1, min(rows, count))
    blocks = max(1, count // max(_TALL, held))
    per_block = -(-count // (rows * blocks))
    tall = per_block * rows
    fewest, most = _COLUMNS
    columns = min(max(_NUMBERS // (held + tall) // fewest, 1) * fewest, most)
    block = torch.zeros(held + tall, columns, dtype=torch.float64, device=updates_TP.device)
    strides = (rows * columns, columns, 1)
    # Overlapping views: `rows` new updates at a time, and the same with the H updates before them.
    new = block.as_strided((per_block, rows, columns), strides, held * columns)
    seen = block.as_strided((per_block, held + rows, columns), strides)
    products = block.new_zeros(blocks, per_block, held + rows, rows)
    product = torch.empty_like(products[0])
    for column in range(0, size, columns):
        part_TC, part_HC = updates_TP[:, column : column + columns], recent_HP[:, column : column + columns]
        width = part_TC.shape[1]
        if width < columns:
            block.zero_()
        block[: held - oldest, :width] = part_HC[oldest:]
        block[held - oldest : held, :width] = part_HC[:oldest]
        for index in range(blocks):
            if index:
                block[:held] = block[tall:]
            part = part_TC[index * tall : (index + 1) * tall]
            block[held : held + len(part), :width] = part
            products[index] += multiply(seen, new, product)
    row = torch.arange(rows, device=updates_TP.device)[:, None]
    lag = torch.arange(held + 1, device=updates_TP.device)
    return products.flatten(0, 1)[:, row + held - lag, row].flatten(0, 1)[:count]


def _openblas(left_BNC: Tensor, right_BRC: Tensor, out_BNR: Tensor) -> Tensor:
    np.matmul(left_BNC.numpy(), right_BRC.transpose(1, 2).numpy(), out=out_BNR.numpy())
    return out_BNR


def _bmm(left_BNC: Tensor, right_BRC: Tensor, out_BNR: Tensor) -> Tensor:
    return torch.bmm(left_BNC, right_BRC.transpose(1, 2), out=out_BNR)
