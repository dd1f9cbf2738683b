"""Eigenvalues of windows, against an SVD of each window's matrix of updates."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import (
    BandedGram,
    Sketch,
    noise_floor,
    window_directions,
    window_eigenvalues,
    window_spectrum,
)
from spectraledge.spectrum.windows import center_gram


def random_updates(count, size, seed=0, scales=None):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(count, size)) * (np.ones(size) if scales is None else scales))


def naive_eigenvalues(updates_TP, window, *, center, dtype=np.float64):
    updates = updates_TP.numpy().astype(dtype)
    found = []
    for start in range(len(updates) - window + 1):
        part = updates[start : start + window]
        if center:
            part = part - part.mean(axis=0)
        values = np.zeros(window)
        singular = np.linalg.svd(part, compute_uv=False)
        values[: len(singular)] = singular.astype(np.float64) ** 2
        found.append(values)
    return np.array(found)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(("count", "size", "window"), [(30, 200, 20), (9, 50, 2), (12, 5, 10), (7, 40, 7), (4, 1, 3)])
def test_eigenvalues_are_squared_singular_values(count, size, window, center):
    updates_TP = random_updates(count, size, scales=np.geomspace(1, 1e-3, size))
    spectrum = window_spectrum(updates_TP, window=window, center=center)
    expected = naive_eigenvalues(updates_TP, window, center=center)
    assert (spectrum.window, spectrum.center) == (window, center)
    assert spectrum.eigenvalues_TW.dtype == torch.float64
    np.testing.assert_allclose(spectrum.eigenvalues_TW.numpy(), expected, rtol=1e-8, atol=1e-8 * expected.max())


@pytest.mark.parametrize("center", [False, True])
@given(seed=st.integers(0, 999), window=st.integers(2, 8), size=st.integers(1, 12))
def test_eigenvalues_agree_on_random_shapes(center, seed, window, size):
    updates_TP = random_updates(window + 3, size, seed)
    expected = naive_eigenvalues(updates_TP, window, center=center)
    found = window_spectrum(updates_TP, window=window, center=center).eigenvalues_TW
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("center", [False, True])
def test_float32_updates_lose_nothing_on_the_way(center):
    updates_TP = random_updates(25, 300).float()
    found = window_spectrum(updates_TP, center=center).eigenvalues_TW.numpy()
    np.testing.assert_allclose(found, naive_eigenvalues(updates_TP, 20, center=center), rtol=1e-8, atol=1e-9)
    in_float32 = naive_eigenvalues(updates_TP, 20, center=center, dtype=np.float32)
    np.testing.assert_allclose(found, in_float32, rtol=1e-4, atol=1e-4 * in_float32.max())


@pytest.mark.parametrize("center", [False, True])
@given(scale=st.floats(1e-6, 1e6), negative=st.booleans())
def test_scaling_updates_scales_eigenvalues_by_its_square(center, scale, negative):
    updates_TP = random_updates(8, 30)
    factor = -scale if negative else scale
    scaled = window_spectrum(updates_TP * factor, window=6, center=center)
    expected = window_spectrum(updates_TP, window=6, center=center)
    torch.testing.assert_close(
        scaled.eigenvalues_TW, expected.eigenvalues_TW * scale**2, rtol=1e-9, atol=1e-12 * scale**2
    )
    torch.testing.assert_close(scaled.k_star_T, expected.k_star_T)


@pytest.mark.parametrize("center", [False, True])
@given(order=st.permutations(range(6)))
def test_permuting_updates_within_a_window_changes_nothing(center, order):
    updates_WP = random_updates(6, 30)
    torch.testing.assert_close(
        window_spectrum(updates_WP[list(order)], window=6, center=center).eigenvalues_TW,
        window_spectrum(updates_WP, window=6, center=center).eigenvalues_TW,
        rtol=1e-10,
        atol=1e-11,
    )


@given(seed=st.integers(0, 99))
def test_centred_spectra_ignore_a_constant_update(seed):
    updates_TP, drift_P = random_updates(9, 20, seed), random_updates(1, 20, seed + 1000)
    torch.testing.assert_close(
        window_spectrum(updates_TP + 3 * drift_P, window=5, center=True).eigenvalues_TW,
        window_spectrum(updates_TP, window=5, center=True).eigenvalues_TW,
        rtol=1e-9,
        atol=1e-10,
    )


def test_a_centred_gram_is_that_of_centred_updates():
    updates_WP = random_updates(6, 10)
    centred_WP = updates_WP - updates_WP.mean(0)
    torch.testing.assert_close(
        center_gram(updates_WP @ updates_WP.T), centred_WP @ centred_WP.T, rtol=1e-10, atol=1e-10
    )


@given(seed=st.integers(0, 999), scale=st.floats(1e-12, 1e6), window=st.integers(2, 20))
def test_constant_updates_have_no_centred_spectrum(seed, scale, window):
    updates_TP = random_updates(1, 40, seed).mul(scale).expand(window + 4, 40)
    spectrum = window_spectrum(updates_TP, window=window, center=True)
    zeros = torch.zeros(5, window, dtype=torch.float64)
    torch.testing.assert_close(spectrum.eigenvalues_TW, zeros, rtol=0, atol=0)
    torch.testing.assert_close(spectrum.shares_TW, zeros, rtol=0, atol=0)
    torch.testing.assert_close(spectrum.k_star_T, torch.zeros(5, dtype=torch.int64))


def test_a_weak_signal_on_constant_updates_is_kept():
    updates_TP = torch.ones(20, 40, dtype=torch.float64)
    updates_TP[7] += 1e-5 * random_updates(1, 40)[0]
    spectrum = window_spectrum(updates_TP, center=True)
    expected = naive_eigenvalues(updates_TP, 20, center=True)
    np.testing.assert_allclose(spectrum.eigenvalues_TW[:, 0].numpy(), expected[:, 0], rtol=1e-3)
    np.testing.assert_array_equal(spectrum.eigenvalues_TW[:, 1:].numpy(), 0.0)


@pytest.mark.parametrize("center", [False, True])
def test_eigenvalues_beyond_the_rank_are_exactly_zero(center):
    rng = np.random.default_rng(1)
    updates_TP = torch.from_numpy(rng.normal(size=(20, 3)) @ rng.normal(size=(3, 500)))
    values = window_spectrum(updates_TP, center=center).eigenvalues_TW[0].numpy()
    np.testing.assert_allclose(values[:3], naive_eigenvalues(updates_TP, 20, center=center)[0, :3], rtol=1e-8)
    np.testing.assert_array_equal(values[3:], 0.0)


def test_eigenvalues_up_to_the_storage_noise_are_zero():
    gram = torch.diag(torch.tensor([0.5, 4.0, 2.0, 1.0], dtype=torch.float64))
    expected = torch.tensor([4.0, 2.0, 0.0, 0.0], dtype=torch.float64)
    torch.testing.assert_close(window_eigenvalues(gram, storage_noise=1.0), expected, rtol=1e-14, atol=0)


def test_every_window_may_have_its_own_storage_noise():
    gram_NWW = torch.diag_embed(torch.tensor([[4.0, 2.0], [4.0, 2.0], [4.0, 2.0]], dtype=torch.float64))
    noise_N1 = torch.tensor([[1.0], [3.0], [5.0]])
    expected = torch.tensor([[4.0, 2.0], [4.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(window_eigenvalues(gram_NWW, storage_noise=noise_N1), expected, rtol=1e-14, atol=0)


@given(seed=st.integers(0, 99), noise=st.floats(0, 50))
def test_storage_noise_zeroes_what_is_below_it_and_nothing_else(seed, noise):
    updates_WP = random_updates(6, 10, seed)
    gram = updates_WP @ updates_WP.T
    values = window_eigenvalues(gram)
    expected = torch.where(values > noise, values, 0.0)
    torch.testing.assert_close(window_eigenvalues(gram, storage_noise=noise), expected, rtol=0, atol=0)


def test_everything_read_off_the_eigenvalues():
    spectrum = window_spectrum(random_updates(12, 40), window=5)
    for window, values in enumerate(spectrum.eigenvalues_TW.numpy()):
        gaps = [values[k] - values[k + 1] for k in range(4)]
        np.testing.assert_allclose(spectrum.singular_values_TW[window].numpy(), [value**0.5 for value in values])
        np.testing.assert_allclose(spectrum.gaps_TW[window].numpy(), gaps)
        np.testing.assert_allclose(float(spectrum.trace_T[window]), sum(values), rtol=1e-12)
        np.testing.assert_allclose(spectrum.shares_TW[window].numpy(), [value / sum(values) for value in values])


def test_the_trace_is_the_squared_length_of_the_updates():
    updates_TP = random_updates(12, 40)
    spectrum = window_spectrum(updates_TP, window=5)
    squares = updates_TP.square().sum(1)
    torch.testing.assert_close(spectrum.trace_T, squares.unfold(0, 5, 1).sum(1), rtol=1e-10, atol=0)


def test_the_default_window_is_the_published_one():
    assert window_spectrum(random_updates(20, 3)).window == 20


@pytest.mark.parametrize(
    ("shape", "window", "message"),
    [
        ((6, 3), 1, "window must be a whole number of updates, at least 2, got 1"),
        ((0, 3), 2, r"window must be in \[2, 0\] for 0 updates, got 2"),
        ((6, 3), 7, r"window must be in \[2, 6\] for 6 updates, got 7"),
        ((6,), 2, r"updates must have shape \(T, P\), got \(6,\)"),
        ((6, 3, 2), 2, r"updates must have shape \(T, P\), got \(6, 3, 2\)"),
    ],
)
def test_wrong_shapes_and_windows_are_refused(shape, window, message):
    with pytest.raises(InputError, match=message):
        window_spectrum(torch.ones(shape), window=window)


def test_values_that_are_not_finite_are_refused():
    updates_TP = random_updates(6, 3)
    updates_TP[4, 1] = float("nan")
    with pytest.raises(InputError, match="update 5 has values that are not finite"):
        window_spectrum(updates_TP, window=2)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("ratio", [1e4, 1e6])
def test_fluctuations_under_a_drift_a_million_times_larger(center, ratio):
    generator = torch.Generator().manual_seed(0)
    drift_P = torch.randn(500, dtype=torch.float64, generator=generator)
    updates_TP = ratio * drift_P + torch.randn(14, 500, dtype=torch.float64, generator=generator)
    found_TW = window_spectrum(updates_TP, window=12, center=center).eigenvalues_TW.numpy()
    for found_W, rows_WP in zip(found_TW, updates_TP.unfold(0, 12, 1).mT.numpy(), strict=True):
        rows_WP = rows_WP - rows_WP.mean(0) if center else rows_WP
        expected = np.linalg.svd(rows_WP, compute_uv=False) ** 2
        kept = np.count_nonzero(found_W)
        assert kept >= 11 - center
        np.testing.assert_allclose(found_W[:kept], expected[:kept], rtol=1e-9)


@pytest.mark.parametrize(
    "door",
    [
        lambda updates_TP: window_spectrum(updates_TP, window=4),
        lambda updates_TP: BandedGram(4).extend(updates_TP),
        lambda updates_TP: BandedGram(4).append(updates_TP[0]),
        window_directions,
        lambda updates_TP: noise_floor(updates_TP, surrogates=19, generator=torch.Generator().manual_seed(0)),
        Sketch(8),
    ],
    ids=["spectrum", "gram", "one", "directions", "floor", "sketch"],
)
def test_what_is_no_tensor_of_real_numbers_is_refused(door):
    updates = random_updates(8, 30)
    door(updates)
    for wrong, kind in ((torch.complex(updates, updates), "torch.complex128"), (updates.numpy(), "ndarray")):
        with pytest.raises(InputError, match=rf"updates are tensors of real numbers, got {kind}: .*view_as_real"):
            door(wrong)
