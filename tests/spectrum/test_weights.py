"""Singular values of matrices of noise, against the law that they follow."""

import numpy as np
import pytest
import torch

from spectraledge.spectrum import gaussian_singular_values


@pytest.mark.parametrize(("rows", "columns"), [(128, 128), (60, 200), (200, 60)])
def test_singular_values_follow_marchenko_and_pastur(rows, columns):
    found = gaussian_singular_values(rows, columns, 20, torch.Generator().manual_seed(0))
    assert found.shape == (20, min(rows, columns))
    np.testing.assert_allclose(found.square().sum(1).numpy(), 1.0)
    edge = (np.sqrt(rows) + np.sqrt(columns)) / np.sqrt(rows * columns)
    np.testing.assert_allclose(found[:, 0].mean(), edge, rtol=0.03)
    # Of the law's density on squared singular values: its second moment.
    short, long = sorted((rows, columns))
    fourth = found.pow(4).sum(1).mean()
    np.testing.assert_allclose(fourth, (1 + short / long) / short, rtol=0.02)


def test_the_first_two_are_close():
    found = gaussian_singular_values(128, 128, 200, torch.Generator().manual_seed(1))
    ratio = (found[:, 0] / found[:, 1]).numpy()
    assert 1.01 < np.median(ratio) < 1.03
    assert np.quantile(ratio, 0.95) < 1.08


def test_one_generator_gives_one_answer():
    one, other = (gaussian_singular_values(5, 4, 3, torch.Generator().manual_seed(2)) for _ in range(2))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
