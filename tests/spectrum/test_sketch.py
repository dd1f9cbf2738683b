"""Sketches: the linear map they are, and the law of the inner products that they keep."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import BandedGram, Sketch, sketch, window_eigenvalues


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def matrix(size, parameters, seed=0):
    """The map as a dense matrix (d, P), from its value on every unit vector."""
    return Sketch(size, seed)(torch.eye(parameters, dtype=torch.float64)).T


def test_every_parameter_goes_to_one_bucket_with_one_sign():
    dense = matrix(7, 300)
    np.testing.assert_array_equal((dense != 0).sum(0).numpy(), 1)
    np.testing.assert_array_equal(dense.abs().sum(0).numpy(), 1)
    assert {-1.0, 0.0, 1.0} == set(dense.unique().tolist())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@given(size=st.integers(1, 40), parameters=st.integers(1, 60), seed=st.integers(0, 2**70))
def test_a_sketch_is_a_product_with_the_matrix(dtype, size, parameters, seed):
    update_P = normal(parameters, seed=1).to(dtype)
    found = Sketch(size, seed)(update_P)
    assert (found.dtype, found.shape) == (torch.float64, (size,))
    torch.testing.assert_close(found, matrix(size, parameters, seed) @ update_P.double(), rtol=1e-12, atol=1e-12)


@given(cuts=st.lists(st.integers(0, 200), max_size=4), seed=st.integers(0, 99))
def test_sketches_of_blocks_add_up(cuts, seed):
    update_P, to_16 = normal(200, seed=seed), Sketch(16, seed)
    edges = [0, *sorted(cuts), 200]
    parts = [to_16(update_P[a:b], start=a) for a, b in pairwise(edges)]
    torch.testing.assert_close(sum(parts), to_16(update_P), rtol=1e-12, atol=1e-12)


def test_blocks_within_change_nothing(monkeypatch):
    updates_TP = normal(3, 500)
    expected = Sketch(16)(updates_TP)
    monkeypatch.setattr(sketch, "_BLOCK", 37)
    torch.testing.assert_close(Sketch(16)(updates_TP), expected, rtol=1e-12, atol=1e-12)


def test_several_updates_are_sketched_alike():
    updates_TP = normal(2, 3, 100)
    found = Sketch(8)(updates_TP)
    assert found.shape == (2, 3, 8)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(found[i, j], Sketch(8)(updates_TP[i, j]), rtol=1e-14, atol=1e-14)


def test_the_seed_chooses_the_map():
    update_P = normal(1000)
    torch.testing.assert_close(Sketch(64, 1)(update_P), Sketch(64, 1)(update_P), rtol=0, atol=0)
    assert float((Sketch(64, 1)(update_P) - Sketch(64, 2)(update_P)).abs().max()) > 1


@pytest.mark.parametrize("size", [1, 10, 1000])
def test_buckets_and_signs_are_uniform(size):
    count = 200_000
    dense = Sketch(size)(torch.ones(count))
    assert abs(float(dense.sum())) < 4 * count**0.5
    members = Sketch(size)._hashed(0, count)[0].bincount(minlength=size).double()
    assert members.shape == (size,)
    chi_square = float(((members - count / size) ** 2 / (count / size)).sum())
    assert abs(chi_square - (size - 1)) <= 4 * (2 * (size - 1)) ** 0.5


@pytest.mark.parametrize("size", [16, 128])
@pytest.mark.parametrize("cosine", [0.0, 0.6, 1.0])
def test_inner_products_are_unbiased_with_the_stated_variance(size, cosine):
    first, other = torch.nn.functional.normalize(normal(2, 200, seed=3))
    second = cosine * first + (1 - cosine**2) ** 0.5 * torch.nn.functional.normalize(
        other - (other @ first) * first, dim=0
    )
    sketches = (Sketch(size, seed)(torch.stack([first, second])) for seed in range(1500))
    products = np.array([float(a @ b) for a, b in sketches])
    overlap = float((first**2 * second**2).sum())
    variance = (1 + cosine**2 - 2 * overlap) / size
    assert abs(products.mean() - cosine) < 4 * (variance / len(products)) ** 0.5
    # The variance of a sample variance of 1,500 draws of kurtosis up to 6 is 5/1,500: within 4 standard errors, 23 %.
    np.testing.assert_allclose(products.var(), variance, rtol=0.23)


@pytest.mark.parametrize("size", [64, 1024, 16384])
def test_the_error_of_a_sketched_gram_falls_with_the_root_of_its_size(size):
    updates_TP, exact, sketched = normal(40, 20_000), BandedGram(20), BandedGram(20)
    exact.extend(updates_TP)
    sketched.extend(Sketch(size)(updates_TP))
    length = updates_TP.square().sum(1).mean()
    error = (sketched.windows() - exact.windows()) / length
    off_diagonal = error[:, ~torch.eye(20, dtype=torch.bool)]
    np.testing.assert_allclose(float(off_diagonal.square().mean()) ** 0.5, size**-0.5, rtol=0.15)
    moved = window_eigenvalues(sketched.windows()) - window_eigenvalues(exact.windows())
    assert float(moved.abs().max() / length) < 2.5 * (20 / size) ** 0.5 + 20 / size


def test_a_planted_edge_survives():
    rng = np.random.default_rng(0)
    in_time, in_space = np.linalg.qr(rng.normal(size=(20, 2)))[0], np.linalg.qr(rng.normal(size=(50_000, 2)))[0].T
    signal = in_time * [9.0, 5.0] @ in_space
    updates_WP = torch.from_numpy(signal + rng.normal(size=(20, 50_000)) / 50_000**0.5)
    values = window_eigenvalues((lambda rows: rows @ rows.T)(Sketch(8192)(updates_WP)))
    np.testing.assert_allclose(values[:2].numpy(), [82, 26], rtol=0.1)
    assert float(values[2]) < 1.3


@pytest.mark.parametrize("size", [0, -4, 2**32])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(InputError, match=rf"a sketch needs a size in \[1, 2\*\*32\), got {size}"):
        Sketch(size)
