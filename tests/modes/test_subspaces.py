"""Spans of functions and of directions: planted ones, by their laws, and the null."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from spectraledge.errors import InputError
from spectraledge.modes import (
    functions_holding,
    inclusion,
    leading_functions,
    span_cosines,
)


def orthonormal(rows, columns, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(rows, columns)))[0]


def projector(columns):
    return columns @ np.linalg.pinv(columns)


@pytest.mark.parametrize(("count", "inputs", "width"), [(2, 40, 3), (5, 12, 4), (1, 6, 6)])
@pytest.mark.parametrize("rank", [1, 3])
def test_leading_functions_are_the_left_singular_vectors(count, inputs, width, rank):
    response_KND = np.random.default_rng(0).normal(size=(count, inputs, width)) + 5.0
    columns = np.column_stack([response_KND[k, :, d] for k in range(count) for d in range(width)])
    left = np.linalg.svd(columns - columns.mean(axis=0))[0][:, :rank]
    found = leading_functions(response_KND, rank)
    np.testing.assert_allclose(found @ found.T, left @ left.T, atol=1e-10)
    np.testing.assert_allclose(found.T @ found, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-10)


@given(seed=st.integers(0, 999))
def test_rotating_directions_or_coordinates_keeps_the_span(seed):
    response_KND = np.random.default_rng(1).normal(size=(3, 30, 4)) * np.geomspace(3, 0.1, 30)[:, None]
    span = projector(leading_functions(response_KND, 4))
    by_direction = np.einsum("jk,knd->jnd", orthonormal(3, 3, seed), response_KND)
    by_coordinate = response_KND @ orthonormal(4, 4, seed)
    np.testing.assert_allclose(projector(leading_functions(by_direction, 4)), span, atol=1e-9)
    np.testing.assert_allclose(projector(leading_functions(by_coordinate, 4)), span, atol=1e-9)


def test_a_planted_span_is_recovered():
    angle = 2 * np.pi * np.arange(24) / 24
    planted = np.column_stack([np.cos(2 * angle), np.sin(2 * angle), np.cos(5 * angle)])
    weights = np.random.default_rng(0).normal(size=(4, 3, 6))
    found = leading_functions(np.einsum("nf,kfd->knd", planted, weights) + 3.0, 3)
    np.testing.assert_allclose(subspace_angles(found, planted), 0.0, atol=1e-7)


@pytest.mark.parametrize("rank", [0, 3, 50])
def test_a_rank_that_the_responses_do_not_span_is_refused(rank):
    response_KND = np.einsum("nf,kfd->knd", orthonormal(40, 2) + 1.0, np.ones((2, 2, 3)) + np.eye(2)[:, :, None])
    with pytest.raises(
        InputError, match=rf"rank must be in \[1, 2\], the functions that the responses span, got {rank}"
    ):
        leading_functions(response_KND, rank)


def test_a_response_without_variation_spans_nothing():
    with pytest.raises(InputError, match=r"rank must be in \[1, 0\]"):
        leading_functions(np.zeros((1, 5, 2)), 1)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, math.pi / 2])
def test_a_planted_angle_is_found(angle):
    axes = orthonormal(10, 4)
    first = axes[:, :2] @ np.array([[2.0, 1.0], [0.0, -3.0]])
    second = np.column_stack([axes[:, 0], math.cos(angle) * axes[:, 1] + math.sin(angle) * axes[:, 2], axes[:, 3]])
    np.testing.assert_allclose(np.sort(subspace_angles(first, second)), [0.0, angle], atol=1e-7)
    np.testing.assert_allclose(inclusion(first, second), (1 + math.cos(angle) ** 2) / 2, atol=1e-12)


@given(seed=st.integers(0, 999))
def test_inclusion_is_the_trace_of_projectors_over_the_rank(seed):
    rng = np.random.default_rng(seed)
    target, one, other = rng.normal(size=(12, 3)), 1e-6 * rng.normal(size=(12, 2)), 1e6 * rng.normal(size=(12, 4))
    expected = np.trace(projector(target) @ projector(np.hstack([one * 1e6, other / 1e6]))) / 3
    np.testing.assert_allclose(inclusion(target, one, other), expected, rtol=1e-9)
    np.testing.assert_allclose(
        inclusion(target, other[:, :3]), np.square(np.cos(subspace_angles(target, other[:, :3]))).mean(), rtol=1e-9
    )
    np.testing.assert_allclose(inclusion(target, other[:, :3]), inclusion(other[:, :3], target), rtol=1e-9)
    assert inclusion(target, one) <= inclusion(target, one, other) + 1e-12


def test_what_lies_inside_is_included_and_what_is_orthogonal_is_not():
    axes = orthonormal(9, 6)
    np.testing.assert_allclose(inclusion(axes[:, :3], axes[:, :2], axes[:, 1:4]), 1.0, rtol=1e-12)
    np.testing.assert_allclose(inclusion(axes[:, :3], axes[:, 3:]), 0.0, atol=1e-12)
    np.testing.assert_allclose(inclusion(axes[:, :4], axes[:, 3:]), 0.25, rtol=1e-12)


def test_random_functions_include_their_rank_over_the_dimension():
    rng = np.random.default_rng(0)
    target = orthonormal(8, 2, 1) - orthonormal(8, 2, 1).mean(axis=0)
    others = rng.normal(size=(600, 8, 3))
    drawn = np.array([inclusion(target, other) for other in others - others.mean(axis=1, keepdims=True)])
    np.testing.assert_allclose(drawn.mean(), 3 / 7, atol=4 * drawn.std() / math.sqrt(600))


def test_inclusion_of_nothing_or_in_nothing_is_refused():
    with pytest.raises(InputError, match="needs a target that is not zero and at least one other subspace"):
        inclusion(np.zeros((4, 2)), np.eye(4))
    with pytest.raises(InputError, match="at least one other subspace"):
        inclusion(np.eye(4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cosines_of_planted_rotations_are_found(dtype):
    axes = torch.from_numpy(orthonormal(50, 5).T.copy())
    after = torch.stack([axes[2], math.cos(0.4) * axes[0] + math.sin(0.4) * axes[3], axes[4]])
    mixed = torch.from_numpy(orthonormal(3, 3, 1)) @ after
    cosines = span_cosines(axes[:3].to(dtype), mixed.to(dtype))
    np.testing.assert_allclose(cosines, [1.0, math.cos(0.4), 0.0], atol=1e-6)
    assert cosines.dtype == np.float64
    np.testing.assert_allclose(span_cosines(axes[:3].to(dtype), axes[2:3].to(dtype)), [1.0], atol=1e-6)


def test_cosines_agree_with_the_principal_angles():
    before, after = orthonormal(40, 4, 0), orthonormal(40, 6, 1)
    cosines = span_cosines(torch.from_numpy(before.T.copy()), torch.from_numpy(after.T.copy()))
    np.testing.assert_allclose(cosines, np.cos(subspace_angles(before, after)[::-1]), rtol=1e-10)


def test_directions_that_cannot_be_compared_are_refused():
    rows = torch.eye(5, dtype=torch.float64)[:2]
    with pytest.raises(InputError, match=r"over the same parameters, got \(2, 5\) and \(2, 4\)"):
        span_cosines(rows, rows[:, :4])
    for before, after in ((2 * rows, rows), (rows, rows + 0.1)):
        with pytest.raises(InputError, match="must be orthonormal rows: pass those of `window_directions`"):
            span_cosines(before, after)


@given(share=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_the_fewest_functions_that_hold_a_share_of_the_energy(share, seed):
    response_KND = np.random.default_rng(seed).normal(size=(2, 9, 5)) * np.geomspace(4, 0.1, 5) + 3.0
    rank = functions_holding(response_KND, share=share)
    columns = np.column_stack([response_KND[k, :, d] for k in range(2) for d in range(5)])
    columns -= columns.mean(axis=0)

    def held(count):
        span = leading_functions(response_KND, count)
        return np.square(span.T @ columns).sum() / np.square(columns).sum()

    assert held(rank) >= share - 1e-9
    assert rank == 1 or held(rank - 1) < share


def test_energy_in_a_single_function_is_held_by_it():
    response_KND = np.cos(np.arange(12))[None, :, None] * np.array([1.0, 2.0, -3.0]) + 5.0
    assert functions_holding(response_KND, share=0.99) == 1


@pytest.mark.parametrize(
    ("scale", "share", "message"),
    [(1.0, 1.0, r"share must be in \(0, 1\), got 1.0"), (0.0, 0.5, "no response varies over the inputs")],
)
def test_a_share_that_nothing_can_hold_is_refused(scale, share, message):
    with pytest.raises(InputError, match=message):
        functions_holding(scale * np.random.default_rng(0).normal(size=(2, 8, 3)), share=share)
