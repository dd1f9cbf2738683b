"""Null directions: unit vectors, isotropic where they are free, and like their models where they must be."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.statistics import block_matched_directions, random_directions, span_directions
from spectraledge.streams import torch_generator


def orthonormal_rows(count, size, seed=0):
    return torch.linalg.qr(torch.randn(size, count, dtype=torch.float64, generator=torch_generator(seed, "basis")))[0].T


@given(count=st.integers(1, 5), size=st.integers(1, 50), seed=st.integers(0, 999))
def test_random_directions_are_unit_vectors(count, size, seed):
    rows_KP = random_directions(count, size, torch_generator(seed))
    assert rows_KP.shape == (count, size)
    torch.testing.assert_close(rows_KP.norm(dim=1), torch.ones(count, dtype=torch.float64), rtol=1e-12, atol=0)


def test_random_directions_are_isotropic():
    count, size = 20_000, 6
    rows_KP = random_directions(count, size, torch_generator(0, "isotropic"))
    # The largest standard error, that of a diagonal entry, is √(2(P−1)/(P²(P+2)K)).
    error = math.sqrt(2 * (size - 1) / (size**2 * (size + 2) * count))
    mean_projector = rows_KP.T @ rows_KP / count
    torch.testing.assert_close(mean_projector, torch.eye(size, dtype=torch.float64) / size, rtol=0, atol=4.5 * error)
    torch.testing.assert_close(
        rows_KP.mean(0), torch.zeros(size, dtype=torch.float64), rtol=0, atol=4.5 / math.sqrt(size * count)
    )


def test_span_directions_are_isotropic_in_the_span():
    count, rank = 20_000, 4
    basis_KP = orthonormal_rows(rank, 9)
    coordinates = span_directions(basis_KP, count, torch_generator(0, "span")) @ basis_KP.T
    error = math.sqrt(2 * (rank - 1) / (rank**2 * (rank + 2) * count))
    torch.testing.assert_close(
        coordinates.T @ coordinates / count, torch.eye(rank, dtype=torch.float64) / rank, rtol=0, atol=4.5 * error
    )


@given(rank=st.integers(1, 6), count=st.integers(1, 5), seed=st.integers(0, 999))
def test_span_directions_are_unit_vectors_of_the_span(rank, count, seed):
    basis_KP = orthonormal_rows(rank, 20, seed)
    rows_KP = span_directions(basis_KP, count, torch_generator(seed))
    assert rows_KP.shape == (count, 20)
    torch.testing.assert_close(rows_KP.norm(dim=1), torch.ones(count, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(rows_KP @ basis_KP.T @ basis_KP, rows_KP, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "draw",
    [
        lambda generator: random_directions(3, 8, generator),
        lambda generator: span_directions(orthonormal_rows(3, 8), 2, generator),
        lambda generator: block_matched_directions(orthonormal_rows(3, 8), [5, 3], 2, generator),
    ],
    ids=["random", "span", "block-matched"],
)
def test_the_generator_decides_the_directions(draw):
    torch.testing.assert_close(draw(torch_generator(1)), draw(torch_generator(1)), rtol=0, atol=0)
    assert float((draw(torch_generator(1)) - draw(torch_generator(2))).abs().max()) > 0.01


def test_no_directions_no_span():
    with pytest.raises(InputError, match="a window without directions has no span"):
        span_directions(torch.zeros(0, 5), 3, torch_generator(0))


@given(
    block_sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) >= 3),
    count=st.integers(0, 7),
    seed=st.integers(0, 999),
)
def test_block_matched_directions_have_the_block_norms_of_their_models(block_sizes, count, seed):
    models_KP = orthonormal_rows(3, sum(block_sizes), seed)
    rows_KP = block_matched_directions(models_KP, block_sizes, count, torch_generator(seed))
    assert rows_KP.shape == (count, sum(block_sizes))
    assert rows_KP.dtype == torch.float64
    for i, row in enumerate(rows_KP):
        start = 0
        for size in block_sizes:
            expected = models_KP[i % 3, start : start + size].norm()
            torch.testing.assert_close(row[start : start + size].norm(), expected, rtol=1e-12, atol=1e-15)
            start += size
        torch.testing.assert_close(row.norm(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-12, atol=0)


def test_block_matched_directions_are_isotropic_within_blocks_and_independent_between_them():
    count, sizes = 20_000, [4, 3]
    model_P = torch.tensor([0.6, 0, 0, 0, 0, 0.8, 0], dtype=torch.float64)
    rows_KP = block_matched_directions(model_P[None], sizes, count, torch_generator(0, "blocks"))
    expected = torch.diag(torch.tensor([0.36 / 4] * 4 + [0.64 / 3] * 3, dtype=torch.float64))
    # No entry's standard error exceeds that of a squared coordinate in the block of three.
    error = 0.64 * math.sqrt(2 * (3 - 1) / (3**2 * (3 + 2) * count))
    torch.testing.assert_close(rows_KP.T @ rows_KP / count, expected, rtol=0, atol=4.5 * error)


def test_an_empty_block_of_the_model_stays_empty():
    model_P = torch.tensor([0.0, 0.0, 1.0, 0.0])
    rows_KP = block_matched_directions(model_P[None], [2, 2], 5, torch_generator(0))
    torch.testing.assert_close(rows_KP[:, :2], torch.zeros(5, 2, dtype=torch.float64), rtol=0, atol=0)


@pytest.mark.parametrize("block_sizes", [[3, 4], [8, 0], [], [9, -1]])
def test_blocks_that_do_not_cover_a_direction_are_refused(block_sizes):
    with pytest.raises(InputError, match="block sizes must be positive and add up to 8, the length of a direction"):
        block_matched_directions(orthonormal_rows(2, 8), block_sizes, 1, torch_generator(0))


def test_no_directions_no_block_norms():
    with pytest.raises(InputError, match="a window without directions has no block norms"):
        block_matched_directions(torch.zeros(0, 5), [5], 3, torch_generator(0))
