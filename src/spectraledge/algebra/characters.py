"""Functions on a finite set of elements, split by frequency: Fourier analysis on groups that are not cyclic."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra.fourier import real_characters, without_rounding
from spectraledge.algebra.walsh import cube, parity
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator

Float = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Characters:
    """All functions on M elements, split into the constants and one subspace per frequency 1, 2, ...

    Laws: the columns are orthonormal, and together they are all functions.

    Attributes:
        functions_MM: A function of the element in each column, the constant first.
        frequency_M: Frequency of every column, ascending; 0 for the constant alone.
    """

    functions_MM: Float
    frequency_M: Ints

    def power(self, means_KM: Float) -> Float:
        """Energy of functions at each frequency, their means removed.

        Args:
            means_KM: Values at the elements; NaN where undefined, which is left out of the mean and of the sum.

        Returns:
            Shape (K, F); entry i belongs to frequency i + 1. All zero for a constant function.
        """
        defined = ~np.isnan(means_KM)
        values = np.where(defined, means_KM, 0.0)
        mean = values.sum(axis=1, keepdims=True) / np.maximum(defined.sum(axis=1, keepdims=True), 1)
        centred = without_rounding(np.where(defined, values - mean, 0.0), values)
        energy_KM = np.square(centred @ self.functions_MM)
        starts = np.searchsorted(self.frequency_M, np.arange(1, self.frequency_M[-1] + 1))
        power_KF: Float = np.add.reduceat(energy_KM, starts, axis=1) if len(starts) else energy_KM[:, :0]
        return power_KF


def cyclic_characters(order: int) -> Characters:
    """Functions on Z_M: see `real_characters`."""
    return Characters(real_characters(order), (np.arange(order) + 1) // 2)


def walsh_characters(bits: int) -> Characters:
    """Functions of n bits, the elements of Z_2ⁿ: frequency s is the parity of the bits that are set in s.

    Args:
        bits: Number of bits n; an element is the number whose binary digits they are.

    Returns:
        The split, of 2ⁿ − 1 frequencies.
    """
    elements_Mn = cube(bits)
    functions_MM = np.stack([parity(elements_Mn, tuple(np.flatnonzero(s))) for s in elements_Mn], axis=1)
    return Characters(functions_MM / np.sqrt(len(functions_MM)), np.arange(len(functions_MM)))


def check_group(table_MM: Ints) -> None:
    """Check that an operation table is that of a group.

    Args:
        table_MM: Entry (x, y) is x·y, in 0..M − 1.

    Raises:
        InputError: if it is not, with what it lacks.
    """
    elements = np.arange(len(table_MM))
    if (np.sort(table_MM, axis=0) != elements[:, None]).any() or (np.sort(table_MM, axis=1) != elements).any():
        raise InputError("expected the table of a group, in which every row and column has every answer once")
    for x, row_M in enumerate(table_MM):
        if (left := table_MM[row_M] != row_M[table_MM]).any():
            y, z = np.argwhere(left)[0]
            raise InputError(f"expected the table of a group, but (x·y)·z is not x·(y·z) for x, y, z = {x}, {y}, {z}")


def irreducible_characters(table_MM: Ints) -> Characters:
    """Functions on any finite group, split into those of each irreducible representation, smallest first.

    Definition: the matrix entries of an irreducible representation of dimension d span d² functions; a representation
    and its conjugate share a subspace, since functions are real. Found as the eigenspaces of the convolution with a
    random function that is equal on conjugate and on inverse elements; all such commute, and a random one tells the
    representations apart. Law: left and right translations map each subspace to itself.

    Args:
        table_MM: Entry (x, y) is x·y, in 0..M − 1.

    Returns:
        The split; on Z_M it is that of `cyclic_characters`, with frequencies in another order.

    Raises:
        InputError: if the table is not that of a group.
    """
    check_group(table_MM)
    elements = np.arange(len(table_MM))
    identity = int(np.flatnonzero(table_MM[:, 0] == 0)[0])
    inverse_M = np.argmax(table_MM == identity, axis=1)
    conjugates_MM = table_MM[table_MM, inverse_M[:, None]]
    class_M = np.minimum(conjugates_MM.min(axis=0), conjugates_MM[:, inverse_M].min(axis=0))
    weight_M = numpy_generator(0, "irreducible characters").normal(size=len(elements))[class_M]
    # The constants are an eigenspace as well; shifted far below all others they come first.
    shift = np.abs(weight_M).sum()
    eigenvalues_M, functions_MM = np.linalg.eigh(weight_M[table_MM[:, inverse_M]] - 3 * shift / len(elements))
    distinct_M = np.diff(eigenvalues_M, prepend=eigenvalues_M[0]) > 1e-9 * shift
    space_M = np.cumsum(distinct_M)
    dimension_M = np.bincount(space_M)[space_M]
    order_M = np.lexsort((space_M, dimension_M, space_M > 0))
    ordered_M = space_M[order_M]
    return Characters(functions_MM[:, order_M], np.cumsum(np.diff(ordered_M, prepend=0) != 0))
