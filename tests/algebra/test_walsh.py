"""Walsh analysis, against sums written out from the definition."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spectraledge.algebra import cube, parity, subsets, walsh_transform
from spectraledge.errors import InputError


def naive_transform(values):
    bits = int(math.log2(len(values)))
    inputs = list(itertools.product([0, 1], repeat=bits))
    return [
        sum(value * (-1) ** sum(x for x, inside in zip(point, subset, strict=True) if inside) for value, point in pairs)
        / math.sqrt(len(values))
        for subset in inputs
        for pairs in [list(zip(values, inputs, strict=True))]
    ]


@pytest.mark.parametrize("bits", [0, 1, 2, 3, 6])
def test_transform_is_the_sum_over_all_inputs(bits):
    values = np.random.default_rng(bits).normal(size=(2, 3, 2**bits))
    found = walsh_transform(values)
    for place in np.ndindex(2, 3):
        np.testing.assert_allclose(found[place], naive_transform(values[place]), atol=1e-12)


@given(st.integers(0, 6).flatmap(lambda bits: arrays.arrays(float, 2**bits, elements=st.floats(-10, 10))))
def test_transform_keeps_energy_and_is_its_own_inverse(values):
    found = walsh_transform(values)
    assert np.square(found).sum() == pytest.approx(np.square(values).sum())
    np.testing.assert_allclose(walsh_transform(found), values, atol=1e-10)


def test_cube_counts_and_parities_are_single_coefficients():
    bits = cube(4)
    assert bits.tolist() == [list(point) for point in itertools.product([0, 1], repeat=4)]
    for subset in subsets(4, 4):
        expected = np.zeros(16)
        expected[np.flatnonzero((bits == np.isin(np.arange(4), subset)).all(axis=1))] = 4.0
        np.testing.assert_allclose(walsh_transform(parity(bits, subset)), expected, atol=1e-12)


def test_subsets_come_by_size():
    assert subsets(3, 2) == [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    assert len(subsets(10, 3)) == 10 + 45 + 120


def test_mistakes():
    with pytest.raises(InputError, match=r"order must be in \[1, 3\] for 3 bits, got 4"):
        subsets(3, 4)
    with pytest.raises(InputError, match="2ⁿ values, got 6"):
        walsh_transform(np.zeros(6))
