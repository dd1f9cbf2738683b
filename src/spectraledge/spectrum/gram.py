"""Inner products of every update with the W − 1 before it: one banded Gram matrix holds all windows of a run."""

from collections.abc import Iterable, Iterator
from numbers import Integral

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.spectrum.band import band, check_real


class BandedGram:
    """The Gram matrix of a stream of updates, kept where a trailing window can see it.

    Feed updates in order with `append` or `extend`; `windows()` gives the W×W Gram of every full trailing window. Only
    the last W − 1 updates are held, however long the run is; the band itself is T·W numbers.

    Args:
        window: Updates per window, at least 2. Xu 2026, §2.3 uses 20.
    """

    def __init__(self, window: int) -> None:
        self.window = _checked(window)
        self._held = window - 1
        # A ring of the last W − 1 updates; its oldest row is len(self) % (W − 1).
        self._recent = torch.empty(0, 0, dtype=torch.float64, device="cpu")
        self._bands: list[Tensor] = []
        self._count = 0

    def __len__(self) -> int:
        """Return the number of updates seen so far."""
        return self._count

    def append(self, update_P: Tensor) -> None:
        """Add the next update.

        Cost: O(W·P) time; W·P numbers of memory in the update's own type and device.

        Args:
            update_P: Shape (P,). It is copied.

        Raises:
            InputError: if its shape differs from that of the updates before it, or a value is not real or not finite.
        """
        check_real(update_P)
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
            InputError: if the shape is not (T, P) with the P of the updates before it, or a value is not real or not
                finite.
        """
        check_real(updates_TP)
        updates_TP = updates_TP.detach()
        self._bands.append(band(updates_TP, self._held, self._recent if len(self) else None, len(self)))
        if not len(self):
            self._recent = updates_TP.new_empty((self._held, updates_TP.shape[1]))
            self._recent[len(updates_TP) :] = 0
        self._count += len(updates_TP)
        kept = updates_TP[-self._held :]
        oldest = (len(self) - len(kept)) % self._held
        before_end = kept[: self._held - oldest]
        self._recent[oldest : oldest + len(before_end)] = before_end
        self._recent[: len(kept) - len(before_end)] = kept[len(before_end) :]

    @property
    def latest(self) -> Tensor:
        """Inner products of the last update with itself and the W − 1 before it, by lag, float64 (W,)."""
        return self._bands[-1][-1]

    def windows(self) -> Tensor:
        """Gram matrix of every full trailing window.

        Returns:
            float64 tensor (T − W + 1, W, W), oldest window first, updates oldest first within a window; entry (i, j) is
            ⟨δθ_i, δθ_j⟩, squared units of the parameters.

        Raises:
            InputError: if fewer than W updates were appended.
        """
        nothing = torch.empty(0, self.window, dtype=torch.float64, device="cpu")
        band_TW = torch.cat(self._bands) if self._bands else nothing
        return band_windows(band_TW, self.window)


def update_windows(updates_TP: Tensor, window: int) -> Tensor:
    """Gram matrices of the windows of updates that are all at hand: `BandedGram` without holding any of them.

    Args:
        updates_TP: Shape (T, P), oldest first.
        window: Updates per window, at least 2.

    Returns:
        float64 tensor (T − W + 1, W, W), as `BandedGram.windows`.

    Raises:
        InputError: as `BandedGram`.
    """
    check_real(updates_TP)
    return band_windows(band(updates_TP.detach(), _checked(window) - 1), window)


def band_windows(band_TW: Tensor, window: int) -> Tensor:
    """Gram matrix of every full trailing window, from the band that holds them all.

    Args:
        band_TW: ⟨δθ_t, δθ_(t−lag)⟩ by update and lag, at least `window` lags.
        window: Updates per window.

    Returns:
        Tensor (T − window + 1, window, window); see `BandedGram.windows`.

    Raises:
        InputError: if there are fewer updates than that.
    """
    count = len(band_TW)
    if count < window:
        raise InputError(
            f"window must be in [2, {count}] for {count} updates, got {window}: "
            "record more snapshots or pass a smaller window"
        )
    last = torch.arange(window - 1, count, device="cpu")
    offset = torch.arange(window, device="cpu") - (window - 1)
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
        gram = BandedGram(window)
        for batch in _batches(updates, 2 * window):
            gram.extend(batch)
        if total is not None and len(gram) != count:
            raise InputError(f"every block needs the same updates: one has {count}, a later one has {len(gram)}")
        total, count = gram.windows() if total is None else total + gram.windows(), len(gram)
    if total is None:
        raise InputError("a window needs at least one block of parameters, got none")
    return total


def _checked(window: int) -> int:
    if not isinstance(window, Integral) or window < 2:
        raise InputError(f"window must be a whole number of updates, at least 2, got {window!r}")
    return int(window)


def _batches(updates: Iterable[Tensor], most: int) -> Iterator[Tensor]:
    """Yield (at most `most`, size) updates at a time, each time the same memory."""
    rows, filled = torch.empty(0, 0, dtype=torch.float64, device="cpu"), 0
    for update in updates:
        if not len(rows):
            rows = update.new_empty((most, *update.shape))
        if update.shape != rows.shape[1:]:
            shapes = sorted({tuple(rows.shape[1:]), tuple(update.shape)})
            raise InputError(f"every update of a block must cover the same parameters, got shapes {shapes}")
        rows[filled] = update
        filled += 1
        if filled == most:
            yield rows
            filled = 0
    if filled:
        yield rows[:filled]
