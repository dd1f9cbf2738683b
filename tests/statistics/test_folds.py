"""Folds: nothing is tested with what it was trained with, and everything is tested that can be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import blocked_folds, row_column_folds
from spectraledge.streams import numpy_generator


def all_pairs(rows, columns):
    return np.array([(a, b) for a in range(rows) for b in range(10, 10 + columns)])


@given(labels=st.lists(st.integers(-3, 8), min_size=2, max_size=40), seed=st.integers(0, 99), data=st.data())
def test_a_class_is_never_on_both_sides(labels, seed, data):
    classes = len(set(labels))
    if classes < 2:
        with pytest.raises(InputError, match=r"must be in \[2, 1\] for 1 classes"):
            blocked_folds(labels, 2, numpy_generator(seed))
        return
    count = data.draw(st.integers(2, classes))
    folds = blocked_folds(labels, count, numpy_generator(seed))
    assert len(folds) == count
    for train, test in folds:
        assert not {labels[i] for i in train} & {labels[i] for i in test}
        assert sorted([*train, *test]) == list(range(len(labels)))
    assert sorted(i for _, test in folds for i in test) == list(range(len(labels)))
    sizes = [len({labels[i] for i in test}) for _, test in folds]
    assert max(sizes) - min(sizes) <= 1


@given(rows=st.integers(4, 9), columns=st.integers(4, 9), count=st.integers(2, 4), seed=st.integers(0, 99))
def test_neither_a_row_nor_a_column_is_on_both_sides(rows, columns, count, seed):
    pairs = all_pairs(rows, columns)
    folds = row_column_folds(pairs, count, numpy_generator(seed))
    held_rows, held_columns = [], []
    for train, test in folds:
        for side, held in ((0, held_rows), (1, held_columns)):
            tested = set(pairs[test, side].tolist())
            assert not tested & set(pairs[train, side].tolist())
            held += sorted(tested)
        in_rows, in_columns = set(pairs[test, 0].tolist()), set(pairs[test, 1].tolist())
        expected_test = [i for i, (a, b) in enumerate(pairs.tolist()) if a in in_rows and b in in_columns]
        expected_train = [i for i, (a, b) in enumerate(pairs.tolist()) if a not in in_rows and b not in in_columns]
        np.testing.assert_array_equal(test, expected_test)
        np.testing.assert_array_equal(train, expected_train)
    assert sorted(held_rows) == list(range(rows))
    assert sorted(held_columns) == list(range(10, 10 + columns))


def test_rows_and_columns_are_dealt_independently():
    pairs = all_pairs(60, 60)
    train, test = row_column_folds(pairs, 2, numpy_generator(0))[0]
    assert (len(train), len(test)) == (900, 900)
    same = set(pairs[test, 0].tolist()) & set((pairs[test, 1] - 10).tolist())
    # Hypergeometric: 30 of 60 drawn twice share 15 ± 1.9.
    assert 7 < len(same) < 23


@pytest.mark.parametrize(
    "folds",
    [
        lambda generator: blocked_folds(np.arange(50), 5, generator),
        lambda generator: row_column_folds(all_pairs(8, 8), 4, generator),
    ],
    ids=["blocked", "rows and columns"],
)
def test_the_generator_decides_the_folds(folds):
    first, again, other = ([test.tolist() for _, test in folds(numpy_generator(seed))] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_folds_that_cannot_be_made_are_refused():
    with pytest.raises(InputError, match=r"must be in \[2, 3\] for 3 classes, got 4"):
        blocked_folds([0, 1, 2, 2], 4, numpy_generator(0))
    with pytest.raises(InputError, match=r"must be in \[2, 5\] for 5 columns, got 6"):
        row_column_folds(all_pairs(6, 5), 6, numpy_generator(0))
    with pytest.raises(InputError, match=r"must be in \[2, 6\] for 6 rows, got 1"):
        row_column_folds(all_pairs(6, 5), 1, numpy_generator(0))
    with pytest.raises(InputError, match="5 pairs are too few for 5 folds of rows and columns"):
        row_column_folds([(i, i) for i in range(5)], 5, numpy_generator(0))
