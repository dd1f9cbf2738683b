"""Walsh analysis: functions of n bits as sums of parities of subsets of the bits."""

import itertools

import numpy as np
from numpy.typing import NDArray

from spectraledge.arrays import Float, Ints
from spectraledge.errors import InputError

Subset = tuple[int, ...]


def subsets(bits: int, order: int) -> list[Subset]:
    """Subsets of n bits with 1 to `order` members, smaller ones first, then in lexicographic order.

    Args:
        bits: Number of bits n, at least 1.
        order: Largest number of members, in [1, n].

    Returns:
        The subsets, each as ascending places of bits, counted from 0.

    Raises:
        InputError: if the order is not in [1, n].
    """
    if not 1 <= order <= bits:
        raise InputError(f"order must be in [1, {bits}] for {bits} bits, got {order}")
    return [subset for size in range(1, order + 1) for subset in itertools.combinations(range(bits), size)]


def parity(bits_Nn: NDArray[np.integer], subset: Subset) -> Float:
    """Parity of a subset of the bits of every input: 1 where an even number of them is set, else −1, shape (N,)."""
    values_N: Float = 1.0 - 2.0 * (bits_Nn[:, list(subset)].sum(axis=1) % 2)
    return values_N


def cube(bits: int) -> Ints:
    """All inputs of n bits in counting order, bit 0 the most significant: shape (2ⁿ, n), values 0 and 1."""
    return np.arange(1 << bits)[:, None] >> np.arange(bits)[::-1] & 1


def walsh_transform(values: Float) -> Float:
    """Coefficients of functions on all of {0,1}ⁿ in the orthonormal parities, by the fast Walsh–Hadamard transform.

    Definition: c_S = 2^(−n/2) Σ_x f(x) (−1)^(Σ_{i∈S} x_i).
    Laws: Parseval, Σ c² = Σ f²; its own inverse.

    Args:
        values: Values in the order of `cube`, shape (..., 2ⁿ).

    Returns:
        float64, same shape; entry s is of the subset whose members are the bits set in row s of `cube`.

    Raises:
        InputError: if the last axis is no power of two.

    Cost: O(n·2ⁿ) for each function.
    """
    size = values.shape[-1]
    if size == 0 or size & (size - 1):
        raise InputError(f"a function of n bits has 2ⁿ values, got {size}: give one for every input of `cube`")
    found: Float = np.array(values, dtype=np.float64)
    for half in (1 << level for level in range(size.bit_length() - 1)):
        pairs = found.reshape(*values.shape[:-1], -1, 2, half)
        even, odd = pairs[..., 0, :], pairs[..., 1, :]
        found = np.stack([even + odd, even - odd], axis=-2).reshape(values.shape)
    found /= np.sqrt(size)
    return found
