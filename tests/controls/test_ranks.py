"""Effective rank and peakedness against their definitions, and on planted answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.algebra import spectrum_of_means
from spectraledge.controls import peakedness, response_ranks


def response(seed, count=3, inputs=40, width=7):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, inputs, width)) * rng.uniform(0.01, 3, width) + rng.standard_normal(width)


@pytest.mark.parametrize("center", [False, True])
def test_ranks_equal_the_singular_value_decomposition(center):
    response_KND = response(0)
    found = response_ranks(response_KND, center=center)
    for k, rows_ND in enumerate(response_KND):
        rows_ND = rows_ND - rows_ND.mean(axis=0) if center else rows_ND
        left, values, right = np.linalg.svd(rows_ND, full_matrices=False)
        np.testing.assert_allclose(found.singular_values_KD[k], values, rtol=1e-8)
        share = values**2 / sum(values**2)
        expected = np.exp(-sum(p * np.log(p) for p in share))
        np.testing.assert_allclose(found.effective_rank_K[k], expected, rtol=1e-10)
        sign = np.sign(right[0][np.abs(right[0]).argmax()])
        np.testing.assert_allclose(found.projection_KN[k], sign * values[0] * left[:, 0], atol=1e-9)


@given(rank=st.integers(1, 7), scale=st.floats(1e-6, 1e6), seed=st.integers(0, 99))
def test_equal_singular_values_count(rank, scale, seed):
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.standard_normal((40, rank)))[0]
    right = np.linalg.qr(rng.standard_normal((7, rank)))[0]
    np.testing.assert_allclose(response_ranks(scale * (left @ right.T)[None]).effective_rank_K, rank, rtol=1e-9)


def test_the_mean_counts_unless_it_is_removed():
    response_KND = response(1)
    shifted = response_ranks(response_KND + 1e4)
    np.testing.assert_allclose(shifted.effective_rank_K, 1, atol=1e-5)
    kept, removed = response_ranks(response_KND, center=True), response_ranks(response_KND + 1e4, center=True)
    np.testing.assert_allclose(removed.effective_rank_K, kept.effective_rank_K, rtol=1e-7)


def test_single_precision_is_taken_in_double():
    response_KND = response(2)
    np.testing.assert_allclose(
        response_ranks(response_KND.astype(np.float32)).effective_rank_K,
        response_ranks(response_KND).effective_rank_K,
        rtol=1e-6,
    )


def test_no_response_has_no_rank():
    np.testing.assert_array_equal(response_ranks(np.zeros((2, 5, 3))).effective_rank_K, 0)


def test_peakedness_equals_its_definition_and_leaves_empty_groups_out():
    means_KM = np.random.default_rng(3).standard_normal((4, 12))
    means_KM[1, [2, 7]] = np.nan
    found = peakedness(spectrum_of_means(means_KM))
    for k, means_M in enumerate(means_KM):
        known = {q: value for q, value in enumerate(means_M) if not np.isnan(value)}
        mean = np.mean(list(known.values()))
        power = [
            abs(sum((value - mean) * np.exp(-2j * np.pi * w * q / 12) for q, value in known.items())) ** 2
            for w in range(1, 7)
        ]
        np.testing.assert_allclose(found.peakedness_K[k], max(power) / np.mean(power), rtol=1e-10)
        assert found.frequency_K[k] == np.argmax(power) + 1


@pytest.mark.parametrize("frequency", [1, 25, 48])
def test_a_single_wave_is_as_peaked_as_can_be(frequency):
    wave = 5 + np.cos(2 * np.pi * frequency * np.arange(97) / 97 + 0.3)
    found = peakedness(spectrum_of_means(wave[None]))
    assert found.frequency_K[0] == frequency
    np.testing.assert_allclose(found.peakedness_K, 48, rtol=1e-9)


def test_noise_is_as_peaked_as_the_docstring_says():
    found = peakedness(spectrum_of_means(np.random.default_rng(4).standard_normal((4_000, 97)))).peakedness_K
    expected = sum(1 / n for n in range(1, 49))
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found))


def test_a_constant_has_no_peak():
    found = peakedness(spectrum_of_means(np.full((1, 9), 0.1)))
    assert (found.frequency_K[0], found.peakedness_K[0]) == (0, 0)
