"""Rotation of the leading directions, against the directions themselves and planted turns."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.spectrum import window_directions, window_rotation


def gram(updates_TP):
    return updates_TP @ updates_TP.T


@pytest.mark.parametrize("center", [False, True])
@given(seed=st.integers(0, 999), window=st.integers(3, 12), top=st.integers(1, 3))
def test_it_is_that_of_the_directions(center, seed, window, top):
    updates = torch.randn(window + 1, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    earlier, later = (window_directions(part, center=center).vectors_KP[:top] for part in (updates[:-1], updates[1:]))
    found = window_rotation(gram(updates), top=top, center=center)
    expected = torch.linalg.svdvals(earlier @ later.T)
    count = len(expected)
    torch.testing.assert_close(found[:count], expected, rtol=0, atol=1e-9)
    assert found[count:].isnan().all()


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2])
def test_a_planted_turn_is_found(angle):
    before, after = torch.zeros(9), torch.zeros(9)
    before[0] = 1.0
    after[0], after[1] = math.cos(angle), math.sin(angle)
    # The last update is so long that the window which has it points along it.
    updates = torch.stack([before] * 5 + [1e6 * after]).double()
    assert float(window_rotation(gram(updates), top=1)) == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_fixed_subspace_does_not_turn_and_beyond_the_rank_there_is_nothing():
    rng = np.random.default_rng(0)
    updates = torch.from_numpy(rng.normal(size=(8, 2)) @ rng.normal(size=(2, 50)))
    found = window_rotation(gram(updates), top=4)
    torch.testing.assert_close(found[:2], torch.ones(2, dtype=torch.float64))
    assert found[2:].isnan().all()


def test_scaling_changes_nothing_and_windows_are_measured_each_alone():
    updates = torch.randn(2, 7, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    both = window_rotation(updates @ updates.mT * 1e-6)
    for index in range(2):
        torch.testing.assert_close(both[index], window_rotation(gram(updates[index])))


def test_what_storage_can_explain_has_no_direction():
    updates = torch.randn(7, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert window_rotation(gram(updates), storage_noise=1e9).isnan().all()


def test_noise_scores_as_stated():
    generator = torch.Generator().manual_seed(0)
    updates = torch.randn(200, 21, 2000, dtype=torch.float64, generator=generator)
    found = window_rotation(updates @ updates.mT).mean(0)
    assert ((found - torch.tensor([0.999, 0.97, 0.70])).abs() < torch.tensor([0.001, 0.01, 0.06])).all()
