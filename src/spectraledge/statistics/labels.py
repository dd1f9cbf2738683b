"""Labels permuted so that the structure of a task is gone and everything else about it stays."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError

Symmetry = Literal["affine", "power"]


def _is_affine(permutation: Ints) -> bool:
    residues = np.arange(len(permutation))
    slope = permutation[1] - permutation[0]
    return bool(((slope * residues + permutation[0] - permutation) % len(permutation) == 0).all())


def _is_power(permutation: Ints) -> bool:
    if permutation[0] != 0:
        return False
    residues = np.arange(len(permutation))
    products = permutation[np.outer(residues, residues) % len(permutation)] * permutation[1]
    return bool(((products - np.outer(permutation, permutation)) % len(permutation) == 0).all())


_SYMMETRIES: dict[str, Callable[[Ints], bool]] = {"affine": _is_affine, "power": _is_power}


def label_permutation(
    classes: int, generator: np.random.Generator, *, excludes: tuple[Symmetry, ...] = ("affine",)
) -> Ints:
    """Draw a permutation of Z_n that keeps none of the structure that labels can have.

    Definition: uniform among all permutations but the excluded. "affine": x → a·x + b, which carries addition over into
    addition, so that the permuted task is the same task. "power": π with π(x·y)·π(1) = π(x)·π(y), which does the same
    for multiplication and, for a prime n, is x → a·x^k with k coprime to n − 1; exclude it where the task is read
    through discrete logarithms. Our choice over all permutations, of which small groups would draw these often.

    Args:
        classes: Number of labels, n.
        generator: Source of randomness.
        excludes: Which symmetries to exclude.

    Returns:
        int64 array (n,): label x becomes entry x.

    Raises:
        InputError: if there are fewer than four labels, all of whose permutations are affine, or an unknown symmetry.

    Cost: O(n) per draw, O(n²) for the one in n that keeps zero where "power" is excluded.
    """
    if classes < 4:
        raise InputError(f"every permutation of fewer than 4 labels is affine, got {classes}: use a larger modulus")
    unknown = set(excludes) - set(_SYMMETRIES)
    if unknown:
        raise InputError(f"unknown symmetries {sorted(unknown)}: known are {', '.join(_SYMMETRIES)}")
    while True:
        permutation = generator.permutation(classes)
        if not any(_SYMMETRIES[name](permutation) for name in excludes):
            return permutation
