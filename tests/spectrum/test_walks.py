"""Components of paths against an SVD of the points, and of random walks against their closed form and simulation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import displacement_gram, orthogonal_gram, principal_components


def walk(lengths):
    lengths_T = torch.as_tensor(lengths, dtype=torch.float64)
    return displacement_gram(torch.diag(lengths_T.square()))


@given(seed=st.integers(0, 999), count=st.integers(1, 8))
def test_displacements_are_sums_of_updates(seed, count):
    updates_TP = torch.from_numpy(np.random.default_rng(seed).normal(size=(count, 5)))
    points_NP = torch.cat([torch.zeros(1, 5), updates_TP.cumsum(0)])
    torch.testing.assert_close(
        displacement_gram(updates_TP @ updates_TP.T), points_NP @ points_NP.T, rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("center", [True, False])
@given(seed=st.integers(0, 999), size=st.integers(1, 12))
def test_components_are_singular_vectors_of_the_points(center, seed, size):
    points = np.random.default_rng(seed).normal(size=(7, size)).cumsum(axis=0)
    found = principal_components(torch.from_numpy(points @ points.T), center=center)
    points = points - points.mean(axis=0) * center
    left, singular, _ = np.linalg.svd(points, full_matrices=False)
    shares = np.zeros(7)
    shares[: len(singular)] = singular**2 / (singular**2).sum()
    np.testing.assert_allclose(found.shares_K.numpy(), shares, atol=1e-10)
    first = found.courses_NK[:, 0].numpy()
    if len(singular) == 1 or singular[0] > 1.01 * singular[1]:
        np.testing.assert_allclose(np.outer(first, first), np.outer(left[:, 0], left[:, 0]), atol=1e-8)


@pytest.mark.parametrize("points", [3, 10, 51])
def test_a_walk_of_equal_steps_has_cosines_and_their_variances(points):
    found = principal_components(walk([2.5] * (points - 1)))
    k = np.arange(1, points)
    variances = 1 / (4 * np.sin(np.pi * k / (2 * points)) ** 2)
    np.testing.assert_allclose(found.shares_K[:-1].numpy(), variances / variances.sum(), rtol=1e-9)
    np.testing.assert_allclose(variances.sum(), (points**2 - 1) / 6, rtol=1e-12)
    for index in range(min(points - 1, 5)):
        cosine = np.cos(np.pi * (index + 1) * (np.arange(points) + 0.5) / points)
        course = found.courses_NK[:, index].numpy()
        np.testing.assert_allclose(abs(course @ cosine) / np.linalg.norm(cosine), 1.0, rtol=1e-9)


def test_shares_of_a_long_walk():
    steps = [1.0] * 600
    centred, plain = (principal_components(walk(steps), center=center).shares_K[:3] for center in (True, False))
    torch.testing.assert_close(centred, 6 / (math.pi * torch.arange(1.0, 4.0).double()).square(), rtol=1e-2, atol=0)
    odd = torch.tensor([1.0, 3.0, 5.0], dtype=torch.float64)
    torch.testing.assert_close(plain, 8 / (math.pi * odd).square(), rtol=1e-2, atol=0)


def test_a_walk_in_many_dimensions_is_its_algebra():
    rng = np.random.default_rng(0)
    lengths = np.geomspace(3, 0.3, 30)
    updates = rng.normal(size=(30, 100_000))
    updates *= lengths[:, None] / np.linalg.norm(updates, axis=1, keepdims=True)
    gram_TT = torch.from_numpy(updates @ updates.T)
    drawn, exact = (principal_components(displacement_gram(gram)) for gram in (gram_TT, orthogonal_gram(gram_TT)))
    torch.testing.assert_close(exact.shares_K, principal_components(walk(lengths)).shares_K, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(drawn.shares_K, exact.shares_K, rtol=0, atol=3e-3)


def test_a_straight_path_has_one_component():
    found = principal_components(displacement_gram(torch.ones(9, 9)))
    torch.testing.assert_close(found.shares_K, torch.eye(10).double()[0], rtol=0, atol=1e-12)


@given(seed=st.integers(0, 99), scale=st.floats(1e-3, 1e3))
def test_laws(seed, scale):
    points = np.random.default_rng(seed).normal(size=(6, 9))
    moved = scale * points + np.random.default_rng(seed + 1).normal(size=9)
    here, there = (principal_components(torch.from_numpy(part @ part.T)).shares_K for part in (points, moved))
    torch.testing.assert_close(here.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(there, here, rtol=0, atol=1e-7)


def test_points_that_do_not_differ_have_no_component():
    torch.testing.assert_close(principal_components(torch.ones(4, 4)).shares_K, torch.zeros(4).double())


def test_orthogonal_updates_keep_lengths_alone():
    gram_NWW = torch.arange(18.0).reshape(2, 3, 3)
    expected = torch.stack([torch.diag(torch.tensor([0.0, 4.0, 8.0])), torch.diag(torch.tensor([9.0, 13.0, 17.0]))])
    torch.testing.assert_close(orthogonal_gram(gram_NWW), expected)


def test_a_matrix_that_is_not_square_is_refused():
    with pytest.raises(InputError, match=r"have shape \(T, T\), got \(3, 2\)"):
        displacement_gram(torch.ones(3, 2))
