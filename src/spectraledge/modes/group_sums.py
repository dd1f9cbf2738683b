"""Sums over groups of inputs of what varies about the mean, in float64, from one or several maps to groups at once."""

from typing import NamedTuple

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from spectraledge.arrays import Float, Ints
from spectraledge.native import LONG, POINTER, load

ARGUMENTS: list[type] = [POINTER, LONG, LONG, POINTER, LONG, POINTER, LONG, LONG, *[POINTER] * 3]

_VARYING_SUMS = load("varying_sums", ARGUMENTS)


class Varying(NamedTuple):
    """A response taken apart.

    Attributes:
        mean_D: Its mean over some inputs.
        square: Sum of the squares of what varies about that.
        sums_GD: Sums of what varies over every group.
    """

    mean_D: Float
    square: float
    sums_GD: Float


def varying_sums(response_ND: NDArray[np.floating], places_n: Ints | None, groups_nM: Ints, count: int) -> Varying:
    """Take a response apart over some inputs, in two passes whatever the number of maps.

    Args:
        response_ND: The response, of any precision.
        places_n: Places of the inputs, int64; all where there are none.
        groups_nM: The group of each of these inputs in every map, int64, in 0..count − 1.
        count: Groups of all maps together, G.

    Returns:
        The parts.

    Raises:
        MemoryError: if there is none.
    """
    if _VARYING_SUMS is None:
        return _by_scipy(response_ND, places_n, groups_nM, count)
    values_ND = np.ascontiguousarray(response_ND, dtype=None if response_ND.dtype == np.float32 else np.float64)
    groups_nM, width = np.ascontiguousarray(groups_nM), values_ND.shape[1]
    mean_D, square, sums_GD = (np.empty(shape) for shape in (width, 1, (count, width)))
    failed = _VARYING_SUMS(
        *(values_ND.ctypes.data, values_ND.itemsize, width),
        *(None if places_n is None else places_n.ctypes.data, len(groups_nM)),
        *(groups_nM.ctypes.data, groups_nM.shape[1], count),
        *(array.ctypes.data for array in (mean_D, square, sums_GD)),
    )
    if failed:
        raise MemoryError(f"no memory for sums over {count} groups")
    return Varying(mean_D, float(square[0]), sums_GD)


def _by_scipy(response_ND: NDArray[np.floating], places_n: Ints | None, groups_nM: Ints, count: int) -> Varying:
    kept_nD = np.asarray(response_ND if places_n is None else response_ND[places_n], dtype=np.float64)
    mean_D = kept_nD.mean(axis=0)
    centred_nD = kept_nD - mean_D
    size, maps = groups_nM.shape
    indicator_nG = scipy.sparse.csr_array(
        (np.ones(groups_nM.size), groups_nM.ravel(), np.arange(size + 1) * maps), shape=(size, count)
    )
    return Varying(mean_D, float(np.vdot(centred_nD, centred_nD)), indicator_nG.T @ centred_nD)
