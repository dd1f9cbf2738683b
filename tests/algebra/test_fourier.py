"""Fourier analysis on Z_n and Z_n × Z_n, against sums written out from the definition."""

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from spectraledge.algebra import character_shares, real_characters, spectrum_of_means, without_rounding

SIZES = [1, 2, 3, 4, 5, 8, 96, 97]
PICTURES = [2, 3, 5, 8, 96, 97]
values = st.floats(-10, 10, allow_subnormal=False)
masked_values = st.one_of(values, st.just(math.nan))


def naive_spectrum(means):
    defined = [(q, value) for q, value in enumerate(means) if not math.isnan(value)]
    mean = sum(value for _, value in defined) / max(len(defined), 1)
    size = len(means)
    return [
        abs(sum((value - mean) * cmath.exp(-2j * math.pi * frequency * q / size) for q, value in defined)) ** 2
        for frequency in range(1, size // 2 + 1)
    ]


def naive_characters(order):
    columns = [[1.0] * order]
    for frequency in range(1, order // 2 + 1):
        angles = [2 * math.pi * frequency * q / order for q in range(order)]
        columns.append([math.cos(angle) for angle in angles])
        if 2 * frequency != order:
            columns.append([math.sin(angle) for angle in angles])
    return np.array([[value / math.hypot(*column) for value in column] for column in columns]).T


def naive_shares(picture):
    size = len(picture)
    mean = np.nanmean(picture)
    centred = np.nan_to_num(picture - mean)
    waves = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(size)) / size)
    energy = np.abs(waves @ centred @ waves.T) ** 2
    energy[0, 0] = 0
    shares = np.zeros_like(energy)
    for first in range(size):
        for second in range(size):
            places = {(first, second), (-first % size, -second % size)}
            shares[first, second] = sum(energy[place] for place in places)
    return shares / energy.sum()


def unique_pairs(shares):
    """Shares with every conjugate pair listed once."""
    size = len(shares)
    return sum(
        shares[first, second]
        for first in range(size)
        for second in range(size)
        if (first, second) <= (-first % size, -second % size)
    )


@pytest.mark.parametrize("size", SIZES)
def test_real_characters_are_cosines_and_sines_and_orthonormal(size):
    found = real_characters(size)
    np.testing.assert_allclose(found, naive_characters(size), atol=1e-12)
    np.testing.assert_allclose(found.T @ found, np.eye(size), atol=1e-14)
    np.testing.assert_allclose(found @ found.T, np.eye(size), atol=1e-13)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_power_agrees_with_the_sum_over_defined_points(size, data):
    means = data.draw(arrays.arrays(np.float64, size, elements=masked_values))
    np.testing.assert_allclose(spectrum_of_means(means), naive_spectrum(means), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", SIZES)
@given(data=st.data())
def test_parseval(size, data):
    means = data.draw(arrays.arrays(np.float64, size, elements=values))
    power = spectrum_of_means(means)
    times = np.full(power.shape, 2.0)
    if size % 2 == 0:
        times[-1] = 1.0
    energy = size * np.square(means - means.mean()).sum()
    np.testing.assert_allclose((times * power).sum(), energy, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [5, 8, 96, 97])
def test_a_cosine_has_all_its_power_at_its_frequency(size):
    q = np.arange(size)
    for frequency in range(1, size // 2 + 1):
        nyquist = 2 * frequency == size
        phase = 0.0 if nyquist else 0.7
        power = spectrum_of_means(3.0 + 2.0 * np.cos(2 * np.pi * frequency * q / size + phase))
        expected = np.zeros(size // 2)
        expected[frequency - 1] = (2.0 * size) ** 2 if nyquist else float(size) ** 2
        np.testing.assert_allclose(power, expected, atol=1e-8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("constant", [0.0, 0.1, 0.3, 1.7, -math.pi, 1e6])
def test_a_constant_has_no_power(size, constant):
    np.testing.assert_array_equal(spectrum_of_means(np.full(size, constant)), np.zeros(size // 2))


def test_a_variation_that_is_only_rounding_is_zero_and_any_other_is_kept():
    eps = np.finfo(np.float64).eps
    values = np.array([[1.0, 1.0 + eps], [1.0, 1.0 + 1e-10], [-1e8, -1e8], [0.0, 0.0], [1e-300, -1e-300]])
    centred = values - values.mean(axis=1, keepdims=True)
    expected = centred * np.array([[0], [1], [0], [0], [1]])
    np.testing.assert_array_equal(without_rounding(centred, values), expected)


def test_nothing_defined_has_no_power():
    np.testing.assert_array_equal(spectrum_of_means(np.full(7, np.nan)), np.zeros(3))


@given(constant=values)
def test_undefined_points_leave_no_trace(constant):
    means = np.cos(2 * np.pi * 3 * np.arange(12) / 12)
    means[[0, 5]] = np.nan
    np.testing.assert_allclose(spectrum_of_means(means + constant), spectrum_of_means(means), atol=1e-12)


def test_leading_axes_are_kept():
    means = np.random.default_rng(0).normal(size=(2, 3, 8))
    means[0, 1, 4] = np.nan
    power = spectrum_of_means(means)
    assert power.shape == (2, 3, 4)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(power[i, j], spectrum_of_means(means[i, j]), rtol=1e-12)


@pytest.mark.parametrize("size", PICTURES)
@pytest.mark.parametrize("masked", [False, True])
def test_shares_agree_with_the_definition(size, masked):
    rng = np.random.default_rng(size)
    picture = rng.normal(size=(size, size)) + 5.0
    if masked:
        picture[rng.random(picture.shape) < 0.3] = np.nan
        picture[0, 0] = 1.0
    np.testing.assert_allclose(character_shares(picture), naive_shares(picture), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("size", PICTURES)
@pytest.mark.parametrize("masked", [False, True])
def test_shares_of_the_plane_waves_sum_to_one(size, masked):
    rng = np.random.default_rng(size)
    picture = rng.normal(size=(size, size))
    if masked:
        picture[size // 2] = np.nan
    np.testing.assert_allclose(unique_pairs(character_shares(picture)), 1.0, rtol=1e-12)


@pytest.mark.parametrize("size", [5, 8, 96, 97])
@given(data=st.data())
def test_a_plane_wave_is_found_at_both_of_its_places(size, data):
    first, second = data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(any))
    a, b = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    own = (2 * first) % size == 0 and (2 * second) % size == 0
    phase = 0.0 if own else data.draw(st.floats(0, 6))
    shares = character_shares(4.0 - 0.5 * np.cos(2 * np.pi * (first * a + second * b) / size + phase))
    expected = np.zeros((size, size))
    expected[first, second] = expected[-first % size, -second % size] = 1.0
    np.testing.assert_allclose(shares, expected, atol=1e-10)


def test_a_masked_plane_wave_stays_the_largest():
    size = 97
    a, b = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    picture = np.cos(2 * np.pi * (26 * a + 26 * b) / size)
    picture[np.random.default_rng(0).random(picture.shape) < 0.5] = np.nan
    shares = character_shares(picture)
    assert np.unravel_index(shares.argmax(), shares.shape) == (26, 26)
    np.testing.assert_allclose(shares[26, 26], 0.5, atol=0.02)
    np.testing.assert_array_equal(shares[26, 26], shares[-26, -26])


@pytest.mark.parametrize("size", PICTURES)
@pytest.mark.parametrize("constant", [0.0, 0.1, 1.7, -math.pi])
def test_a_constant_picture_has_no_shares(size, constant):
    np.testing.assert_array_equal(character_shares(np.full((size, size), constant)), np.zeros((size, size)))


def test_a_picture_without_points_has_no_shares():
    np.testing.assert_array_equal(character_shares(np.full((5, 5), np.nan)), np.zeros((5, 5)))
