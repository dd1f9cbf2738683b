"""When a time series changes: one change of its mean or of its slope, with an interval and a p-value."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from spectraledge.arrays import Float, Ints
from spectraledge.errors import InputError
from spectraledge.statistics.p_values import empirical_p

Kind = Literal["mean", "slope"]

_ROUNDING = 1e-12


@dataclass(frozen=True)
class ChangePoint:
    """The one change that fits a series best.

    Attributes:
        position: Index of the first point of the new level ("mean"), or of the kink ("slope").
        low: Lower end of the position's confidence interval.
        high: Upper end, inclusive.
        change: New level less old level, or new slope less old slope per point.
        share: Share of the squared residuals of the series without a change that the change removes.
        p: p-value against no change.
        level: Coverage that the interval is made for.
    """

    position: int
    low: int
    high: int
    change: float
    share: float
    p: float
    level: float


def change_point(
    series_T: ArrayLike,
    *,
    kind: Kind = "mean",
    shortest: int = 2,
    block: int = 1,
    level: float = 0.95,
    resamples: int = 999,
    generator: np.random.Generator,
) -> ChangePoint:
    """Find the one change of a series by least squares.

    Definition: the position τ that leaves the least squares of residuals from a·1(t < τ) + b·1(t ≥ τ) ("mean"), or from
    a + b·t + c·max(t − τ, 0) ("slope": two lines that meet at τ, so an onset or a saturation).
    Null of p: no change, residuals from one level or one line that are exchangeable in blocks. p compares `share` with
    its values for series whose blocks of residuals are permuted, so the search for the best τ is paid for.
    Interval: percentiles of the position refitted to the fit plus blocks of its residuals, resampled and scaled up for
    the degrees of freedom that the fit took. It assumes that there is a change: read it only where p is small.
    Assumes noise of constant size, independent from block to block. Where residuals are autocorrelated, as those of
    windows that overlap are, `block=1` makes p far too small and the interval too short: of 200 points with correlation
    .8 from one to the next and no change, .93 of the series have p ≤ .05 with blocks of 1, .06 with blocks of 20.
    Choose blocks several times as long as the correlation, and series with at least ten of them.

    Args:
        series_T: The values, evenly spaced.
        kind: What changes.
        shortest: Least number of points before the change and from it on ("slope": before the kink and after it).
        block: Points per block of residuals.
        level: Coverage of the interval.
        resamples: Number of permutations, and of refits. Default 999 (ours): p down to 1e-3.
        generator: Source of randomness.

    Returns:
        The change.

    Raises:
        InputError: if the series is too short, holds NaN, or has no residuals to explain, or a setting is out of range.

    Cost: O(T·resamples) time and memory.
    """
    series = _checked(series_T, kind, shortest, block, level)
    if resamples < 1:
        raise InputError(f"a p-value and an interval need at least one resample, got {resamples}")
    residual = _without_fit(series, kind)
    rounding = (4 * len(series) * np.finfo(np.float64).eps) ** 2 * np.square(series).sum()
    if np.square(residual).sum() <= rounding:
        raise InputError(f"a series that is {'constant' if kind == 'mean' else 'a line'} has no change to look for")
    shares_C, changes_C = _changes(residual, kind, shortest)
    best = int(shares_C.argmax())
    position, change, share = best + shortest, float(changes_C[best]), float(shares_C[best])

    permuted = residual[_permuted_blocks(len(series), block, resamples, generator)]
    null = _changes(_without_fit(permuted, kind), kind, shortest)[0].max(axis=-1)

    changed = change * _without_fit(_shape(position, len(series), kind), kind)
    free = len(series) - (3 if kind == "mean" else 4)
    noise = (residual - changed) * np.sqrt(len(series) / free)
    again = changed + noise[_drawn_blocks(len(series), block, resamples, generator)]
    refitted = _changes(_without_fit(again, kind), kind, shortest)[0].argmax(axis=-1) + shortest
    low, high = np.quantile(refitted, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return ChangePoint(position, int(low), int(high), change, share, empirical_p(share * (1 - _ROUNDING), null), level)


def _changes(residual_BT: Float, kind: Kind, shortest: int) -> tuple[Float, Float]:
    """Fit a change at every position at once.

    With the level or line removed from both, the best multiple of a change's shape is ⟨shape, residual⟩ / ‖shape‖². All
    products are sums of the residuals from the end on, and sums of those; the norms are sums of powers.

    Returns:
        Shares of squared residuals that the change removes, and its sizes, both (..., C).
    """
    length = residual_BT.shape[-1]
    from_here_on = residual_BT[..., ::-1].cumsum(axis=-1)[..., ::-1]
    if kind == "mean":
        positions = np.arange(shortest, length - shortest + 1)
        products = from_here_on[..., positions]
        norms = positions * (length - positions) / length
    else:
        positions = np.arange(shortest, length - shortest)
        products = from_here_on[..., ::-1].cumsum(axis=-1)[..., ::-1][..., positions + 1]
        # The kink as seen from the nearer end, since a line more or less is no matter: no cancellation.
        rise = np.minimum(positions, length - 1 - positions)
        first, second = rise * (rise + 1) / 2, rise * (rise + 1) * (2 * rise + 1) / 6
        on_line = ((length - 1) / 2 - rise) * first + second
        norms = second - first**2 / length - on_line**2 * 12 / (length * (length**2 - 1))
    total = np.square(residual_BT).sum(axis=-1, keepdims=True)
    return products**2 / norms / np.where(total > 0, total, 1.0), products / norms


def _shape(position: int, length: int, kind: Kind) -> Float:
    steps = np.arange(length) - position
    return (steps >= 0).astype(np.float64) if kind == "mean" else np.maximum(steps, 0).astype(np.float64)


def _without_fit(series_BT: Float, kind: Kind) -> Float:
    residual: Float = series_BT - series_BT.mean(axis=-1, keepdims=True)
    if kind == "slope":
        time = np.arange(series_BT.shape[-1]) - (series_BT.shape[-1] - 1) / 2
        residual = residual - (residual @ time / (time @ time))[..., None] * time
    return residual


def _permuted_blocks(length: int, block: int, count: int, generator: np.random.Generator) -> Ints:
    keys = generator.random((count, -(-length // block)))
    return np.repeat(keys, block, axis=1)[:, :length].argsort(axis=1, kind="stable")


def _drawn_blocks(length: int, block: int, count: int, generator: np.random.Generator) -> Ints:
    starts = generator.integers(0, length - block + 1, size=(count, -(-length // block), 1))
    index: Ints = (starts + np.arange(block)).reshape(count, -1)[:, :length]
    return index


def _checked(series_T: ArrayLike, kind: Kind, shortest: int, block: int, level: float) -> Float:
    series = np.asarray(series_T, dtype=np.float64)
    if kind not in ("mean", "slope"):
        raise InputError(f"a change is one of the mean or of the slope, got kind {kind!r}")
    if shortest < 2:
        raise InputError(f"a change needs at least 2 points on either side, got shortest={shortest}")
    least = 2 * shortest + (kind == "slope")
    if series.ndim != 1 or len(series) < least:
        raise InputError(f"a change of the {kind} needs a series of at least {least} points, got shape {series.shape}")
    if not np.isfinite(series).all():
        raise InputError(
            "a change point needs finite numbers, got NaN or infinity: cut the series where it is undefined"
        )
    if not 1 <= block <= len(series) // 2:
        raise InputError(f"block must be in [1, {len(series) // 2}] for {len(series)} points, got {block}")
    if not 0 < level < 1:
        raise InputError(f"the level of an interval lies strictly between 0 and 1, got {level}")
    return series
