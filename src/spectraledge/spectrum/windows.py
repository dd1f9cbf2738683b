"""Eigenvalues of every trailing window, all from one Gram matrix."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.spectrum.band import check_real
from spectraledge.spectrum.edge import Spectrum
from spectraledge.spectrum.gram import update_windows

_EPS = torch.finfo(torch.float64).eps

_ROUNDING = 8 * _EPS
"""Eigenvalues below this multiple of W times the uncentred trace are rounding errors of the Gram itself."""

_LOST = 1e-8
"""Relative error from which on an eigenvalue of the Gram matrix is taken from the updates instead (our choice)."""


def window_eigenvalues(gram_NWW: Tensor, *, center: bool = False, storage_noise: float | Tensor = 0.0) -> Tensor:
    """Eigenvalues of Gram matrices, descending, with what is only rounding set to exactly 0.

    Law: products of updates are rounded, so each value is off by up to about W·2⁻⁵²·trace, however small it is; one
    just above the floor says little more than its size. `exact_eigenvalues` and `window_directions`, which have the
    updates, take values from them that would be off by more than 1e-8 of themselves.

    Args:
        gram_NWW: Gram matrices of updates, shape (..., W, W).
        center: Remove the window's mean update first (Xu 2026's functional scripts; the text does not).
        storage_noise: Largest squared length that rounding of the stored parameters alone can give a whole window of
            updates, one number or a tensor (..., 1); eigenvalues up to it are set to 0.

    Returns:
        float64 tensor (..., W), descending, never negative.
    """
    gram = gram_NWW.double()
    trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    values = torch.linalg.eigvalsh(center_gram(gram) if center else gram).flip(-1)
    if isinstance(storage_noise, Tensor):
        storage_noise = storage_noise.to(trace)
    floor = torch.maximum(_ROUNDING * gram.shape[-1] * trace, trace.new_zeros(()) + storage_noise)
    return torch.where(values > floor, values, 0.0)


def lost_in_gram(values_NW: Tensor, gram_NWW: Tensor, *, storage_noise: float | Tensor = 0.0) -> Tensor:
    """Tell which windows have eigenvalues that rounding of the Gram matrix makes inexact, and not that of parameters.

    Args:
        values_NW: What `window_eigenvalues` returned, shape (..., W).
        gram_NWW: Of these Gram matrices.
        storage_noise: And of this noise.

    Returns:
        bool tensor (...).
    """
    scale = gram_NWW.shape[-1] * gram_NWW.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
    small = (values_NW > 0) & (values_NW < _EPS / _LOST * scale)
    return (small & (storage_noise < _ROUNDING * scale)).any(-1)


def exact_eigenvalues(
    values_NW: Tensor,
    gram_NWW: Tensor,
    blocks_of: Callable[[int], Iterable[Tensor]],
    *,
    center: bool,
    storage_noise: float | Tensor = 0.0,
) -> Tensor:
    """Take eigenvalues above the floor from the updates, by QR, where their Gram matrix makes them inexact.

    Args:
        values_NW: What `window_eigenvalues` returned, shape (N, W).
        gram_NWW: Of these Gram matrices.
        blocks_of: Gives the updates of a window by its number: blocks (W, size) of their parameters.
        center: As there.
        storage_noise: As there.

    Returns:
        The eigenvalues, shape (N, W).

    Cost: O(W²·P) time for every such window, and memory for a block of its updates.
    """
    values_NW = values_NW.clone()
    lost_N = lost_in_gram(values_NW, gram_NWW, storage_noise=storage_noise)
    for window in lost_N.nonzero().flatten().tolist():
        triangle = gram_NWW.new_zeros(0, gram_NWW.shape[-1])
        for block_WP in blocks_of(window):
            rows_WP = block_WP.double()
            rows_WP = rows_WP - rows_WP.mean(0) if center else rows_WP
            triangle = torch.linalg.qr(torch.cat([triangle, rows_WP.T]), mode="r").R
        kept = int((values_NW[window] > 0).sum())
        values_NW[window, :kept] = torch.linalg.svdvals(triangle)[:kept].square()
    return values_NW


def center_gram(gram_NWW: Tensor) -> Tensor:
    """Gram matrices of the same updates with each window's mean update removed: H G H with H = I − 11ᵀ/W."""
    row = gram_NWW.mean(-1, keepdim=True)
    column = gram_NWW.mean(-2, keepdim=True)
    return gram_NWW - row - column + row.mean(-2, keepdim=True)


def window_spectrum(updates_TP: Tensor, *, window: int = 20, center: bool = False) -> Spectrum:
    """Eigenvalues of the Gram of every trailing window of updates.

    Definition: Xu 2026, §2.3; with `center=True` the window mean is removed first (the author's functional scripts).
    Laws: scaling all updates by c scales eigenvalues by c²; permuting updates within a window changes nothing.

    Args:
        updates_TP: Consecutive updates, oldest first, shape (T, P).
        window: Updates per window. Default 20 (Xu 2026, §2.3).
        center: Whether to remove each window's mean update.

    Returns:
        Spectrum of T − window + 1 windows.

    Raises:
        InputError: if window is not in [2, T], shapes differ, or a value is not real or not finite.

    Cost: O(T·W·P) time, O(T·W²) memory beside the input; O(W²·P) time and a copy of its updates for every window whose
    small eigenvalues its Gram matrix loses, such as fluctuations under a drift that is a thousand times larger.
    """
    check_real(updates_TP)
    if updates_TP.dim() != 2:
        raise InputError(f"updates must have shape (T, P), got {tuple(updates_TP.shape)}: flatten each update first")
    gram_NWW = update_windows(updates_TP, window)
    values_NW = window_eigenvalues(gram_NWW, center=center)
    values_NW = exact_eigenvalues(values_NW, gram_NWW, lambda at: [updates_TP[at : at + window]], center=center)
    return Spectrum(values_NW, window, center)


def check_window(window: int, snapshots: int) -> None:
    """Check that a window fits a run.

    Args:
        window: Updates per window.
        snapshots: Snapshots there are; the updates are one fewer.

    Raises:
        InputError: if it does not.
    """
    if snapshots < 3:
        raise InputError(
            f"the shortest window, of 2 updates, needs 3 snapshots, got {snapshots}: record more snapshots, or ask for "
            "a later step"
        )
    if not 2 <= window < snapshots:
        raise InputError(
            f"window must be in [2, {snapshots - 1}] for {snapshots} snapshots, got {window}: "
            "record more snapshots or pass a smaller window"
        )
