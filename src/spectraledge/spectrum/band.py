"""Inner products of updates with those before them, by compiled code where it is at hand and by PyTorch elsewhere."""

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.native import INT, LONG, POINTER, load

_PARTS, _PART_COLUMNS = 16, 8192
"""Most parts that parameters are cut into, and about how many a part has at least; threads share the parts.

Sums are formed part by part, so that they do not depend on how many threads there are.
"""

_PER_THREAD = 1 << 22
"""Fewest products that a thread is started for: about two milliseconds of work."""

_TALL, _COLUMNS = 100, 512
"""For PyTorch: fewest new updates per block where there are more than fit in one, and parameters per product."""

_ROWS = {"cpu": 8, "gpu": 50}
"""For PyTorch: new updates per product. Each beyond the first costs every update a number that no window needs."""

_NUMBERS = {"cpu": 125_000, "gpu": 1 << 25}
"""For PyTorch: size of a block in float64. It stays in the second-level cache; on a GPU it keeps all of it busy."""


_ADD_BAND_ARGUMENTS = [POINTER, LONG, LONG, LONG, LONG, LONG, INT, POINTER]

_ADD_BAND = load("add_band", _ADD_BAND_ARGUMENTS)


def check_real(updates: Tensor) -> None:
    """Check that updates are a tensor of real numbers.

    Args:
        updates: What a caller gives as updates.

    Raises:
        InputError: if they are no tensor, or complex, of which only the real parts would be read.
    """
    if not isinstance(updates, Tensor) or updates.is_complex():
        kind = updates.dtype if isinstance(updates, Tensor) else type(updates).__name__
        raise InputError(
            f"updates are tensors of real numbers, got {kind}: take an array by torch.from_numpy, and complex numbers "
            "as pairs of real ones (torch.view_as_real)"
        )


def band(updates_TP: Tensor, held: int, recent_HP: Tensor | None = None, seen_before: int = 0) -> Tensor:
    """Return ⟨δθ_t, δθ_(t−lag)⟩ for every new update t and lag = 0..H.

    Args:
        updates_TP: The new updates, oldest first, shape (T, P).
        held: H, how many updates each is multiplied with besides itself.
        recent_HP: The H updates before the new ones, in a ring whose oldest row is `seen_before` % H, or nothing where
            the new ones are the first.
        seen_before: Number of updates before the new ones.

    Returns:
        float64 tensor (T, H + 1) on the updates' device, squared units of the updates. Sums are formed in float64.

    Raises:
        InputError: if the shape is not (T, P) with the P of the updates before, or a value is not finite.

    Cost: T·(H + 1)·P products, each update read once; memory for H + T updates of a small block of parameters.
    """
    if updates_TP.dim() != 2 or (recent_HP is not None and updates_TP.shape[1] != recent_HP.shape[1]):
        width = "P" if recent_HP is None else recent_HP.shape[1]
        raise InputError(
            f"updates from number {seen_before + 1} on have shape {tuple(updates_TP.shape)}, expected (T, {width}): "
            "every update must cover the same parameters"
        )
    recent_HP = updates_TP[:0] if recent_HP is None else recent_HP
    oldest = seen_before % held
    if _ADD_BAND is not None and all(_can_compile(rows, updates_TP.dtype) for rows in (updates_TP, recent_HP)):
        band_TW = _compiled_band(_ADD_BAND, updates_TP, held, recent_HP, oldest)
    else:
        band_TW = _torch_band(updates_TP, held, recent_HP, oldest)
    finite = torch.isfinite(band_TW)
    if not finite.all():
        first = seen_before + 1 + int((~finite.all(1)).nonzero()[0])
        raise InputError(f"update {first} has values that are not finite: drop the snapshots after divergence")
    return band_TW


def _can_compile(rows: Tensor, dtype: torch.dtype) -> bool:
    dense = rows.stride(1) == 1 or rows.shape[1] < 2
    return rows.device.type == "cpu" and rows.dtype == dtype and dtype in {torch.float32, torch.float64} and dense


def _compiled_band(
    add_band: Callable[..., int], updates_TP: Tensor, held: int, recent_HP: Tensor, oldest: int
) -> Tensor:
    (count, size), before = updates_TP.shape, len(recent_HP)
    addresses = [_address(recent_HP, (oldest + i) % held) for i in range(before)]
    addresses += [_address(updates_TP, i) for i in range(count)]
    rows = (ctypes.c_void_p * len(addresses))(*addresses)
    parts = min(max(size // _PART_COLUMNS, 1), _PARTS)
    sums = torch.zeros(parts, count, held + 1, dtype=torch.float64, device="cpu")

    def add(part: int) -> None:
        begin, end = size * part // parts, size * (part + 1) // parts
        place = sums[part].data_ptr()
        if add_band(rows, before, count, held + 1, begin, end, updates_TP.element_size(), place):
            raise MemoryError(f"no memory for a block of {held + 1} updates")

    threads = min(torch.get_num_threads(), parts, count * (held + 1) * size // _PER_THREAD)
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(add, range(parts)))
    else:
        for part in range(parts):
            add(part)
    return sums.sum(0)


def _address(rows: Tensor, row: int) -> int:
    return rows.data_ptr() + row * rows.stride(0) * rows.element_size()


def _torch_band(updates_TP: Tensor, held: int, recent_HP: Tensor, oldest: int) -> Tensor:
    (count, size), device = updates_TP.shape, updates_TP.device
    kind = "cpu" if device.type == "cpu" else "gpu"
    rows = max(1, min(_ROWS[kind], count))
    blocks = max(1, count // max(_TALL, held))
    per_block = -(-count // (rows * blocks))
    tall = per_block * rows
    parts = max(1, min(_NUMBERS[kind] // (held + tall), size) // _COLUMNS)
    wide = parts * _COLUMNS
    block = torch.zeros(held + tall, wide, dtype=torch.float64, device=device)
    # Overlapping views: `rows` new updates at a time, and the same with the H updates before them.
    new = block.as_strided((per_block, parts, _COLUMNS, rows), (rows * wide, _COLUMNS, 1, wide), held * wide)
    seen = block.as_strided((per_block, parts, held + rows, _COLUMNS), (rows * wide, _COLUMNS, wide, 1))
    products = block.new_zeros(blocks, per_block, held + rows, rows)
    for column in range(0, size, wide):
        part_TC, part_HC = updates_TP[:, column : column + wide], recent_HP[:, column : column + wide]
        width = part_TC.shape[1]
        if width < wide:
            block.zero_()
        if len(part_HC):
            block[: held - oldest, :width] = part_HC[oldest:]
            block[held - oldest : held, :width] = part_HC[:oldest]
        else:
            block[:held] = 0
        for index, total in enumerate(products):
            if index:
                block[:held] = block[tall:]
            part = part_TC[index * tall : (index + 1) * tall]
            block[held : held + len(part), :width] = part
            total.add_((seen @ new).sum(1))
    row = torch.arange(rows, device=device)[:, None]
    lag = torch.arange(held + 1, device=device)
    return products.flatten(0, 1)[:, row + held - lag, row].flatten(0, 1)[:count]
