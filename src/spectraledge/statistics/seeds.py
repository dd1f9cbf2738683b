"""What every statistic over seeds asks of its values: one for each, finite, and at least two."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spectraledge.errors import InputError


def seed_values(values_S: ArrayLike, what: str) -> NDArray[np.float64]:
    """Check one condition's values.

    Args:
        values_S: One value per seed.
        what: What they are, as the subject of the error message ("the first group").

    Returns:
        The values, float64 (S,).

    Raises:
        InputError: if there are fewer than two seeds, or a value is missing or infinite.
    """
    values = np.asarray(values_S, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"{what} must hold one value for each of at least two seeds, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(
            f"{what} must hold finite numbers, got NaN or infinity: leave out seeds that were not measured"
        )
    return values
