"""Latin squares: what is one, and at random none is preferred."""

from collections import Counter

import numpy as np
import pytest
from group_support import LOOP

from spectraledge.algebra import is_latin, random_latin_square
from spectraledge.errors import InputError


def test_a_latin_square_has_every_answer_once_everywhere():
    assert is_latin(LOOP)
    assert not is_latin(np.array([[0, 1], [0, 1]]))
    assert not is_latin(np.array([[0, 0], [1, 1]]))
    assert not is_latin(np.array([[1, 2], [2, 1]]))


@pytest.mark.parametrize("order", [1, 2, 3, 5, 8, 17])
def test_every_row_and_column_has_every_answer_once(order):
    assert is_latin(random_latin_square(order, np.random.default_rng(order)))


def test_equal_streams_give_equal_squares():
    first, second = (random_latin_square(7, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_all_squares_of_order_three_are_as_frequent():
    generator = np.random.default_rng(0)
    counts = Counter(random_latin_square(3, generator).tobytes() for _ in range(120))
    # There are twelve; χ² with 11 degrees of freedom is below 31.3 but once in a thousand.
    assert len(counts) == 12
    assert sum((count - 10) ** 2 / 10 for count in counts.values()) < 31.3


@pytest.mark.parametrize("order", [0, -2])
def test_a_square_without_rows_is_refused(order):
    with pytest.raises(InputError, match=f"at least one row, got {order}"):
        random_latin_square(order, np.random.default_rng(0))
