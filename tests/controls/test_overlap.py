"""Features that directions move, their overlap, and its ranks among exchangeable directions."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.controls import (
    Autoencoder,
    chance_jaccard,
    jaccard,
    moved_features,
    pair_p,
    tilted,
    train_autoencoder,
    two_sided_p,
)
from spectraledge.errors import InputError
from spectraledge.streams import torch_generator


@pytest.fixture(scope="module")
def residual_ND():
    return torch.randn(2_500, 8, dtype=torch.float64, generator=torch_generator(0, "residual"))


@pytest.fixture(scope="module")
def trained(residual_ND):
    return train_autoencoder(residual_ND, features=24, active=5, epochs=2, generator=torch_generator(0))


def naive_sets(trained, residual_ND, shift_KND, count):
    found = []
    for shift_ND in shift_KND:
        before, after = trained.encode(residual_ND), trained.encode(residual_ND + shift_ND)
        change = [float((after[:, f] - before[:, f]).abs().double().mean()) for f in range(before.shape[1])]
        found.append(set(sorted(range(len(change)), key=lambda f: -change[f])[:count]))
    return found


def test_moved_features_and_their_overlap_equal_sets(trained, residual_ND):
    shift_KND = 0.05 * torch.randn(4, 2_500, 8, dtype=torch.float64, generator=torch_generator(1))
    expected = naive_sets(trained, residual_ND, shift_KND, 7)
    found_KF = moved_features(trained, residual_ND, shift_KND, count=7)
    assert [set(np.flatnonzero(row)) for row in found_KF] == expected
    index_KK = jaccard(found_KF)
    for i, j in combinations(range(4), 2):
        np.testing.assert_allclose(index_KK[i, j], len(expected[i] & expected[j]) / len(expected[i] | expected[j]))
    np.testing.assert_allclose(np.diag(index_KK), 1)


def test_features_that_do_not_move_never_count():
    # Two features read the first coordinate, with either sign, and one the second.
    eye = torch.eye(2)
    rows = torch.stack([eye[0], -eye[0], eye[1]])
    plain = Autoencoder(rows, torch.zeros(3), rows, torch.zeros(2), 3)
    residual_ND = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    shift_KND = 0.1 * torch.stack([eye[0].expand(2, 2), eye[1].expand(2, 2), (eye[0] + eye[1]).expand(2, 2)])
    found_KF = moved_features(plain, residual_ND, shift_KND, count=3)
    np.testing.assert_array_equal(found_KF, [[True, False, False], [False, False, True], [True, False, True]])
    np.testing.assert_allclose(jaccard(found_KF), [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]])


def test_a_move_that_changes_nothing_is_refused(trained, residual_ND):
    with pytest.raises(InputError, match="a move of the weights that changes no feature"):
        moved_features(trained, residual_ND, torch.zeros(1, 2_500, 8, dtype=torch.float64))


@pytest.mark.parametrize(("features", "count"), [(6, 2), (7, 3), (8, 4)])
def test_chance_is_the_mean_over_all_pairs_of_sets(features, count):
    sets = [set(chosen) for chosen in combinations(range(features), count)]
    expected = np.mean([len(a & b) / len(a | b) for a in sets for b in sets])
    assert chance_jaccard(features, count) == pytest.approx(expected)


def test_chance_of_the_papers_sizes():
    assert chance_jaccard(512) == pytest.approx(0.02, abs=0.001)


def test_tilted_moves_are_halfway_between_neighbours():
    shift_KND = torch.linalg.qr(torch.randn(10, 4, dtype=torch.float64, generator=torch_generator(2)))[0].T[:, None]
    mixed = tilted(shift_KND)
    for k in range(4):
        torch.testing.assert_close(mixed[k].norm(), torch.tensor(1.0, dtype=torch.float64))
        for other in (k, (k + 1) % 4):
            expected = torch.tensor(np.cos(np.pi / 4))
            torch.testing.assert_close((mixed[k] * shift_KND[other]).sum(), expected)


@given(
    observed=st.integers(-3, 3).map(float),
    null=st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=9),
)
def test_two_sided_p_is_twice_the_smaller_tail(observed, null):
    above = (1 + sum(value >= observed for value in null)) / (1 + len(null))
    below = (1 + sum(value <= observed for value in null)) / (1 + len(null))
    assert two_sided_p(observed, null) == pytest.approx(min(1, 2 * min(above, below)))
    assert two_sided_p(-observed, [-value for value in null]) == two_sided_p(observed, null)


def exchangeable_index(rng, count):
    """An index of pairs that depends on a quality of each direction: pairs with one in common go together."""
    quality = rng.standard_exponential(count) ** 2
    index = np.add.outer(quality, quality) + 0.1 * rng.standard_normal((count, count))
    return (index + index.T) / 2


def test_pair_p_is_valid_under_the_null_though_pairs_depend_on_each_other():
    rng = np.random.default_rng(0)
    p_values = np.array([pair_p(exchangeable_index(rng, 12), (0, 1), list(range(2, 12))) for _ in range(3_000)])
    for level in (0.04, 0.1, 0.2, 0.5):
        share = (p_values <= level).mean()
        assert share <= level + 3 * np.sqrt(level / 3_000)
        # Two-sided of 66 pairs: it is not conservative beyond their number either.
        assert share >= level - 2 / 66 - 3 * np.sqrt(level / 3_000)


def test_a_rank_among_random_pairs_alone_would_be_too_small():
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(3_000):
        index = exchangeable_index(rng, 12)
        p_values.append(two_sided_p(index[0, 1], [index[two] for two in combinations(range(2, 12), 2)]))
    assert np.mean(np.array(p_values) <= 0.1) > 0.13


@pytest.mark.parametrize("planted", [-50.0, 50.0])
def test_a_planted_pair_has_the_smallest_p(planted):
    index = exchangeable_index(np.random.default_rng(1), 12)
    index[0, 1] = index[1, 0] = planted
    assert pair_p(index, (0, 1), list(range(2, 12))) == pytest.approx(4 / (12 * 11))
