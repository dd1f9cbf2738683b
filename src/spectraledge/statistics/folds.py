"""Folds for cross-validation that keep what must not leak on one side: a class, or a row and a column of the table."""

import numpy as np
from numpy.typing import ArrayLike

from spectraledge.arrays import Ints
from spectraledge.errors import InputError

Fold = tuple[Ints, Ints]
"""Indices to train on and indices to test on, as scikit-learn's splitters give them."""


def blocked_folds(labels_N: ArrayLike, count: int, generator: np.random.Generator) -> list[Fold]:
    """Folds that never split a class: all inputs with the same label are tested in the same fold.

    A probe that has seen other inputs with the same answer can look the answer up; here it cannot.

    Args:
        labels_N: The class of every input, integers.
        count: Number of folds, from 2 to the number of classes.
        generator: Source of randomness: which classes go together.

    Returns:
        Folds, each with every input either in its training or its test part; every input is tested once.

    Raises:
        InputError: if there are more folds than classes, or fewer than two.
    """
    labels = np.asarray(labels_N)
    fold_of_class, classes = _dealt(labels, count, "classes", generator)
    fold_N = fold_of_class[np.searchsorted(classes, labels)]
    return [(np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)) for fold in range(count)]


def row_column_folds(pairs_N2: ArrayLike, count: int, generator: np.random.Generator) -> list[Fold]:
    """Folds that hold out whole rows and whole columns of the table of pairs (a, b) at once.

    Definition: rows and columns are dealt at random into as many parts as there are folds; fold k tests the pairs with
    a in part k of the rows and b in part k of the columns, and trains on those with neither. A probe that has learnt a
    number for every a and for every b knows nothing of a test pair. The rest of the pairs, with one of the two, is left
    out: of the pairs 1/count² are tested and (1 − 1/count)² train.

    Args:
        pairs_N2: The pairs, integers.
        count: Number of folds, from 2 to the smaller number of rows or columns.
        generator: Source of randomness.

    Returns:
        Folds; each row and each column is held out once.

    Raises:
        InputError: if there are more folds than rows or columns, or fewer than two, or a fold has nothing to train on
            or to test.
    """
    pairs = np.asarray(pairs_N2)
    part_N2 = np.empty(pairs.shape, dtype=np.int64)
    for side, what in enumerate(("rows", "columns")):
        part_of_value, values = _dealt(pairs[:, side], count, what, generator)
        part_N2[:, side] = part_of_value[np.searchsorted(values, pairs[:, side])]
    folds = [
        (np.flatnonzero((part_N2 != fold).all(axis=1)), np.flatnonzero((part_N2 == fold).all(axis=1)))
        for fold in range(count)
    ]
    if any(len(train) == 0 or len(test) == 0 for train, test in folds):
        raise InputError(f"{len(pairs)} pairs are too few for {count} folds of rows and columns: use fewer folds")
    return folds


def _dealt(values: Ints, count: int, what: str, generator: np.random.Generator) -> tuple[Ints, Ints]:
    distinct = np.unique(values)
    if not 2 <= count <= len(distinct):
        raise InputError(f"the number of folds must be in [2, {len(distinct)}] for {len(distinct)} {what}, got {count}")
    return generator.permutation(np.arange(len(distinct)) % count), distinct
