"""How far a number has declined at every point of a series, by the two published definitions."""

from typing import Literal, get_args

import torch
from torch import Tensor

from spectraledge.errors import InputError

Since = Literal["first", "peak"]
"""What a value is compared with: the first of the series, or the largest up to it."""


def decline(values_T: Tensor, *, since: Since, resolution_T: Tensor) -> Tensor:
    """How many times larger a series was before than it is, at every point.

    Definition: "first" is an early value over the value here (Xu 2026, §4.1; which early value is not said, so the
    first there is), "peak" the largest value up to here over the value here (Xu 2026, scripts).
    Laws: scaling values and resolution together changes nothing; "peak" is at least 1, at least "first", and never
    looks ahead, so that a series that is cut has the declines it had. Its null is not 1: the maximum of a noisy series
    so far exceeds a value of it.
    Values below the resolution count as it, so a decline to zero is as large as can be measured, and finite.

    Args:
        values_T: The series, not negative, shape (T,).
        since: See above.
        resolution_T: Smallest value at each point that can be told from 0, positive, shape (T,).

    Returns:
        float64 tensor (T,).

    Raises:
        InputError: if shapes differ, a value is negative or not finite, a resolution is not positive, or what a value
            is compared with is another one.
    """
    if since not in get_args(Since):
        raise InputError(f"a decline is since the 'first' value or the 'peak', got {since!r}")
    values, resolution = values_T.double(), resolution_T.double()
    if values.dim() != 1 or len(values) < 1 or values.shape != resolution.shape:
        raise InputError(
            f"a decline needs one resolution for each of at least one value, got shapes {tuple(values.shape)} and "
            f"{tuple(resolution.shape)}"
        )
    if not (torch.isfinite(values) & (values >= 0) & torch.isfinite(resolution) & (resolution > 0)).all():
        raise InputError("a decline needs finite values that are not negative, and positive resolutions")
    seen = torch.maximum(values, resolution)
    return (seen[0] if since == "first" else seen.cummax(0).values) / seen
