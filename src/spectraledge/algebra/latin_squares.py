"""Latin squares: tables in which every row and column has every answer once, most of them no group's."""

import numpy as np

from spectraledge.arrays import Ints
from spectraledge.errors import InputError


def is_latin(table_MM: Ints) -> bool:
    """Whether every row and column has each of 0..M − 1 once."""
    elements_M = np.arange(len(table_MM))
    return all((np.sort(part, axis=0) == elements_M[:, None]).all() for part in (table_MM, table_MM.T))


def random_latin_square(order: int, generator: np.random.Generator) -> Ints:
    """A Latin square at random, none preferred.

    Definition: the Markov chain of Jacobson and Matthews (1996) on Latin squares and squares with one triple of row,
    column and answer counted −1. Walks from one Latin square to the next have the uniform one as their limit. Here:
    200 + 8·M such walks from the table of Z_M (our choice; how many are enough is not known).

    Args:
        order: Number of rows, columns and answers M, at least 1.
        generator: Where randomness comes from.

    Returns:
        Entry (a, b) in 0..M − 1, shape (M, M).

    Raises:
        InputError: if the order is below 1.

    Cost: O(M³): a second or two at M = 97.
    """
    if order < 1:
        raise InputError(f"a Latin square has at least one row, got {order}")
    elements = np.arange(order)
    counts_MMM = np.zeros((order, order, order), dtype=np.int8)
    counts_MMM[elements[:, None], elements, (elements[:, None] + elements) % order] = 1
    walks = 200 + 8 * order if order > 1 else 0
    below: tuple[int, int, int] | None = None
    while walks > 0 or below is not None:
        a, b, s = below or generator.integers(order, size=3).tolist()
        if below is None:
            walks -= 1
            if counts_MMM[a, b, s]:
                continue
        lines = counts_MMM[:, b, s], counts_MMM[a, :, s], counts_MMM[a, b]
        others = [np.flatnonzero(line == 1) for line in lines]
        c, d, t = (int(other[generator.integers(len(other))]) for other in others)
        for place in ((a, b, s), (a, d, t), (c, b, t), (c, d, s)):
            counts_MMM[place] += 1
        for place in ((c, b, s), (a, d, s), (a, b, t), (c, d, t)):
            counts_MMM[place] -= 1
        below = (c, d, t) if counts_MMM[c, d, t] < 0 else None
    square_MM: Ints = counts_MMM.argmax(axis=2).astype(np.int64)
    return square_MM
