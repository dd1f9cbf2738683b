"""Dividing a domain into a train and a test half."""

import random
from dataclasses import dataclass

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError
from spectraledge.streams import numpy_generator


@dataclass(frozen=True)
class Split:
    """Which pairs train and which test.

    Attributes:
        train_T: Indices into the domain of the training pairs, int64, in the order batches index them.
        test_T: Indices of the test pairs, int64.
    """

    train_T: Ints
    test_T: Ints


def paper_split(count: int, *, fraction: float, seed: int) -> Split:
    """Split as the author's scripts do: the list of pairs, shuffled by a fresh `random.Random(seed)`, is cut in two.

    Args:
        count: Number of pairs, N.
        fraction: Share that trains; ⌊fraction·N⌋ pairs. Xu 2026, §2 uses one half.
        seed: Seed of the shuffle.

    Returns:
        The split.

    Raises:
        InputError: if either part would be empty.
    """
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return _cut(np.array(order, dtype=np.int64), fraction)


def default_split(count: int, *, fraction: float, seed: int) -> Split:
    """Split by the named stream "split" of the root seed.

    Args:
        count: Number of pairs, N.
        fraction: Share that trains; ⌊fraction·N⌋ pairs.
        seed: Root seed of the run.

    Returns:
        The split.

    Raises:
        InputError: if either part would be empty.
    """
    return _cut(numpy_generator(seed, "split").permutation(count), fraction)


def _cut(order: Ints, fraction: float) -> Split:
    trained = int(len(order) * fraction)
    if not 0 < trained < len(order):
        raise InputError(
            f"train fraction {fraction} of {len(order)} pairs leaves {trained} to train and {len(order) - trained} to "
            "test: choose one that leaves both some"
        )
    return Split(order[:trained], order[trained:])
