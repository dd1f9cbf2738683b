"""The edge position k*, against a loop in exact arithmetic, and on planted spectra."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.spectrum import Spectrum, edge_position, window_spectrum

descending = st.lists(st.floats(1e-6, 1e6) | st.just(0.0), min_size=2, max_size=24).map(
    lambda values: sorted(values, reverse=True)
)


def scores(singular_values, rank):
    """(s_k/Σs)·(s_k/s_k+1) for the positions that are searched, exactly."""
    values = [Fraction(value) for value in singular_values]
    total = sum(values)
    found = []
    for k in range(1, max(1, min(10, rank - 1)) + 1):
        here, after = values[k - 1], values[k]
        if here == 0:
            found.append(Fraction(0))
        else:
            found.append(here / total * (here / after) if after else math.inf)
    return found


@pytest.mark.parametrize("lost", [0, 1])
@given(values=descending)
def test_the_position_has_the_largest_score(values, lost):
    rank = len(values) - lost
    position = int(edge_position(torch.tensor(values, dtype=torch.float64), rank=rank))
    if values[0] == 0:
        assert position == 0
        return
    every = scores(values, rank)
    assert 1 <= position <= len(every)
    if math.inf in every:
        assert position == every.index(math.inf) + 1
    else:
        np.testing.assert_allclose(float(every[position - 1]), float(max(every)), rtol=1e-12)


@given(rows=st.lists(st.lists(st.floats(1e-3, 1e3), min_size=6, max_size=6), min_size=1, max_size=4))
def test_windows_are_independent(rows):
    values_TW = torch.tensor([sorted(row, reverse=True) for row in rows], dtype=torch.float64)
    torch.testing.assert_close(edge_position(values_TW), torch.stack([edge_position(row) for row in values_TW]))


@given(values=descending, scale=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30]))
def test_scale_changes_nothing(values, scale):
    singular = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(edge_position(singular * scale), edge_position(singular))


@pytest.mark.parametrize("rank", range(1, 11))
def test_r_equal_values_and_then_nothing_give_r(rank):
    singular = torch.cat([torch.full((rank,), 3.0), torch.zeros(12 - rank)])
    assert int(edge_position(singular)) == rank


def test_the_drop_that_centring_makes_is_no_edge():
    singular = torch.tensor([5.0, 4.9, 4.8, 0.0])
    assert int(edge_position(singular)) == 3
    assert int(edge_position(singular, rank=3)) == 1
    centred = Spectrum(singular.double().square()[None], window=4, center=True)
    torch.testing.assert_close(centred.k_star_T, torch.tensor([1]))


def test_no_values_no_edge():
    torch.testing.assert_close(edge_position(torch.zeros(3, 5)), torch.zeros(3, dtype=torch.int64))


def test_the_search_ends_at_the_tenth_position():
    singular = torch.cat([torch.full((11,), 1.0), torch.full((9,), 1e-6)])
    assert int(edge_position(singular)) == 1
    singular[10] = 1e-6
    assert int(edge_position(singular)) == 10


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3, 5, 8])
def test_rank_r_updates_with_noise_have_their_edge_at_r(rank, center):
    rng = np.random.default_rng(rank)
    columns = np.column_stack([np.ones(20), rng.normal(size=(20, rank))])
    in_time = np.linalg.qr(columns)[0][:, 1:]
    in_space = np.linalg.qr(rng.normal(size=(2000, rank)))[0].T
    updates_TP = torch.from_numpy(in_time @ in_space + 1e-4 * rng.normal(size=(20, 2000)))
    spectrum = window_spectrum(updates_TP, center=center)
    torch.testing.assert_close(spectrum.k_star_T, torch.tensor([rank]))


def test_two_centred_updates_have_one_direction():
    updates_TP = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    spectrum = window_spectrum(updates_TP, window=2, center=True)
    torch.testing.assert_close(spectrum.eigenvalues_TW, torch.tensor([[1.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(spectrum.k_star_T, torch.tensor([1]))
