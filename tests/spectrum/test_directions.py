"""Directions of a window: right singular vectors, compared as subspaces wherever they may rotate."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import window_directions


def with_singular_values(singular, size, seed=0, window=None, *, centred=False):
    """Updates with chosen singular values, and their right singular vectors."""
    rng = np.random.default_rng(seed)
    count = len(singular)
    rows = window or count
    mixed = rng.normal(size=(rows, count))
    in_time = np.linalg.qr(np.column_stack([np.ones(rows), mixed]))[0][:, 1:] if centred else np.linalg.qr(mixed)[0]
    in_space = np.linalg.qr(rng.normal(size=(size, count)))[0].T
    return torch.from_numpy(in_time * np.asarray(singular) @ in_space), torch.from_numpy(in_space)


def projector(rows_KP):
    return rows_KP.T @ rows_KP


def assert_orthonormal(rows_KP):
    identity = torch.eye(len(rows_KP), dtype=torch.float64)
    torch.testing.assert_close(rows_KP @ rows_KP.T, identity, rtol=0, atol=1e-12)


@pytest.mark.parametrize("center", [False, True])
@given(seed=st.integers(0, 999), window=st.integers(3, 8), size=st.integers(9, 40))
def test_directions_are_right_singular_vectors(center, seed, window, size):
    kept = window - 1
    updates_WP, in_space_KP = with_singular_values(np.geomspace(2, 0.1, kept), size, seed, window, centred=True)
    drift = 0.0 if not center else 0.5 * torch.ones(size, dtype=torch.float64)
    found = window_directions(updates_WP + drift, center=center)
    assert found.vectors_KP.shape == (kept, size)
    assert_orthonormal(found.vectors_KP)
    np.testing.assert_allclose(found.eigenvalues_K.numpy(), np.geomspace(2, 0.1, kept) ** 2, rtol=1e-8)
    for vector_P, planted_P in zip(found.vectors_KP, in_space_KP, strict=True):
        torch.testing.assert_close(projector(vector_P[None]), projector(planted_P[None]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("center", [False, True])
def test_directions_agree_with_an_svd(center):
    updates_WP = torch.from_numpy(np.random.default_rng(3).normal(size=(20, 400)) * np.geomspace(1, 1e-2, 400))
    rows = updates_WP - updates_WP.mean(0) if center else updates_WP
    _, singular, planted = np.linalg.svd(rows.numpy(), full_matrices=False)
    found = window_directions(updates_WP, center=center)
    count = 19 if center else 20
    np.testing.assert_allclose(found.eigenvalues_K.numpy(), singular[:count] ** 2, rtol=1e-8)
    signs = np.sign((found.vectors_KP.numpy() * planted[:count]).sum(1))
    np.testing.assert_allclose(found.vectors_KP.numpy(), signs[:, None] * planted[:count], atol=1e-7)


def test_float32_updates_give_float64_directions():
    updates_WP, in_space_KP = with_singular_values([4, 2, 1], 500, window=6)
    found = window_directions(updates_WP.float(), storage_noise=1e-9)
    assert found.vectors_KP.dtype == found.eigenvalues_K.dtype == torch.float64
    assert_orthonormal(found.vectors_KP)
    torch.testing.assert_close(projector(found.vectors_KP), projector(in_space_KP), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.eigenvalues_K.numpy(), [16, 4, 1], rtol=1e-6)


@pytest.mark.parametrize("smallest", [1e-1, 1e-3, 1e-5])
def test_directions_stay_orthonormal_when_the_spectrum_is_wide(smallest):
    updates_WP, in_space_KP = with_singular_values(np.geomspace(1, smallest, 10), 300)
    found = window_directions(updates_WP)
    assert len(found.vectors_KP) == 10
    assert_orthonormal(found.vectors_KP)
    torch.testing.assert_close(projector(found.vectors_KP), projector(in_space_KP), rtol=0, atol=1e-8)


@given(seed=st.integers(0, 999))
def test_degenerate_directions_span_the_planted_subspaces(seed):
    updates_WP, in_space_KP = with_singular_values([3, 3, 3, 1, 1], 30, seed, window=8)
    found = window_directions(updates_WP)
    assert_orthonormal(found.vectors_KP)
    np.testing.assert_allclose(found.eigenvalues_K.numpy(), [9, 9, 9, 1, 1], rtol=1e-10)
    for part in (slice(0, 3), slice(3, 5)):
        torch.testing.assert_close(projector(found.vectors_KP[part]), projector(in_space_KP[part]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("noise", [1e-2, 1e-3])
def test_the_span_is_recovered_under_noise(noise):
    updates_WP, in_space_KP = with_singular_values([3, 2, 2], 1000, window=20)
    rng = np.random.default_rng(5)
    found = window_directions(updates_WP + torch.from_numpy(noise * rng.normal(size=updates_WP.shape)))
    cosines = torch.linalg.svdvals(found.vectors_KP[:3] @ in_space_KP.T)
    # Perturbation theory: sin(angle) ≲ ‖noise‖ / gap, with ‖noise‖ ≈ noise·(√P + √W) and a gap of 2.
    largest_sine = (1 - cosines.min().square()).clamp_min(0).sqrt()
    assert float(largest_sine) < noise * (1000**0.5 + 20**0.5) / 2


@given(seed=st.integers(0, 999))
def test_the_largest_weight_on_the_updates_is_positive(seed):
    updates_WP, _ = with_singular_values([5, 3, 2, 1], 12, seed, window=6)
    weights = updates_WP @ window_directions(updates_WP).vectors_KP.T
    largest = torch.gather(weights, 0, weights.abs().argmax(0, keepdim=True))[0]
    torch.testing.assert_close(largest, weights.abs().max(0).values, rtol=0, atol=0)


@pytest.mark.parametrize("center", [False, True])
@given(seed=st.integers(0, 999), order=st.permutations(range(6)))
def test_the_sign_does_not_depend_on_the_order_of_updates(center, seed, order):
    updates_WP, _ = with_singular_values([5, 3, 2, 1], 12, seed, window=6)
    torch.testing.assert_close(
        window_directions(updates_WP[list(order)], center=center).vectors_KP,
        window_directions(updates_WP, center=center).vectors_KP,
        rtol=0,
        atol=1e-10,
    )


def test_reversed_updates_reverse_the_directions_and_a_second_call_changes_nothing():
    updates_WP, _ = with_singular_values([5, 3, 2, 1], 12)
    found = window_directions(updates_WP).vectors_KP
    torch.testing.assert_close(window_directions(-updates_WP).vectors_KP, -found, rtol=0, atol=1e-12)
    torch.testing.assert_close(window_directions(updates_WP).vectors_KP, found, rtol=0, atol=0)


@given(seed=st.integers(0, 999), scale=st.floats(1e-6, 1e6), window=st.integers(2, 12))
def test_constant_updates_have_no_centred_direction(seed, scale, window):
    row = torch.from_numpy(np.random.default_rng(seed).normal(size=30)) * scale
    found = window_directions(row.expand(window, 30), center=True)
    assert found.vectors_KP.shape == (0, 30)
    assert found.eigenvalues_K.shape == (0,)


@pytest.mark.parametrize("center", [False, True])
def test_updates_of_zero_have_no_direction(center):
    assert window_directions(torch.zeros(4, 7), center=center).vectors_KP.shape == (0, 7)


def test_no_more_directions_than_parameters():
    found = window_directions(torch.from_numpy(np.random.default_rng(0).normal(size=(8, 3))))
    assert found.vectors_KP.shape == (3, 3)
    assert_orthonormal(found.vectors_KP)


def test_directions_up_to_the_storage_noise_are_left_out():
    updates_WP, in_space_KP = with_singular_values([3, 2, 0.1], 20, window=5)
    found = window_directions(updates_WP, storage_noise=0.02)
    torch.testing.assert_close(projector(found.vectors_KP), projector(in_space_KP[:2]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, 5), (5,), (2, 3, 4)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(InputError, match=r"a window needs shape \(W ≥ 2, P\), got \("):
        window_directions(torch.ones(shape))


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="updates have values that are not finite"):
        window_directions(torch.tensor([[1.0, 2.0], [float("nan"), 0.0]]))


def test_updates_whose_products_overflow_are_refused():
    with pytest.raises(InputError, match="their products overflow: scale them down"):
        window_directions(torch.tensor([[1e200, 2.0], [-1e200, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("center", [False, True])
def test_directions_of_fluctuations_under_a_drift_a_million_times_larger(center):
    generator = torch.Generator().manual_seed(1)
    drift_P = torch.randn(300, dtype=torch.float64, generator=generator)
    updates_WP = 1e6 * drift_P + torch.randn(8, 300, dtype=torch.float64, generator=generator)
    rows_WP = updates_WP - updates_WP.mean(0) if center else updates_WP
    left_WK, singular_K, right_KP = np.linalg.svd(rows_WP.numpy(), full_matrices=False)
    found = window_directions(updates_WP, center=center)
    kept = len(found.eigenvalues_K)
    assert kept == 8 - center
    np.testing.assert_allclose(found.eigenvalues_K, singular_K[:kept] ** 2, rtol=1e-9)
    # The sign is that of the largest weight on updates.
    weights_WK = left_WK[:, :kept]
    signs_K = np.sign(weights_WK[np.abs(weights_WK).argmax(0), np.arange(kept)])
    np.testing.assert_allclose(found.vectors_KP, signs_K[:, None] * right_KP[:kept], atol=1e-7)
