"""Usage, its correlations, diagonal dominance and sharedness, against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.controls import diagonal_dominance, sharedness, usage, usage_correlations
from spectraledge.errors import InputError
from spectraledge.models import answer_losses


def drawn(seed=0, count=3, inputs=11, classes=5):
    rng = np.random.default_rng(seed)
    logits = 3 * rng.standard_normal((inputs, classes))
    return logits, rng.standard_normal((count, inputs, classes)), rng.integers(classes, size=inputs)


@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_usage_is_the_derivative_of_each_loss(loss):
    logits_NC, response_KNC, labels_N = drawn()
    found_KN = usage(logits_NC, response_KNC, labels_N, loss=loss)
    for k, response_NC in enumerate(response_KNC):
        _, expected_N = torch.func.jvp(
            lambda logits: answer_losses(logits, torch.from_numpy(labels_N), loss),
            (torch.from_numpy(logits_NC),),
            (torch.from_numpy(response_NC),),
        )
        np.testing.assert_allclose(found_KN[k], expected_N.numpy(), rtol=1e-10, atol=1e-12)
        shifted = usage(logits_NC, response_NC[None] + 7.0, labels_N, loss=loss)
        np.testing.assert_allclose(shifted[0], found_KN[k], atol=1e-12)


def test_a_small_loss_keeps_its_digits():
    # Another class has probability e^−60: softmax minus one-hot would round the right answer's slope to 0.
    found = usage(np.array([[60.0, 0.0]]), np.array([[[1.0, 3.0]]]), np.array([0]))
    np.testing.assert_allclose(found, 2 * np.exp(-60.0), rtol=1e-12)


def test_correlations_are_numpys():
    usage_KN = np.random.default_rng(1).standard_normal((4, 30)) + 5
    np.testing.assert_allclose(usage_correlations(usage_KN), np.corrcoef(usage_KN), atol=1e-12)


def test_usage_that_does_not_vary_correlates_with_nothing():
    with pytest.raises(InputError, match="correlations need usage that varies over the examples"):
        usage_correlations(np.array([[1.0, 2.0], [3.0, 3.0]]))


@pytest.mark.parametrize("reach", [1, 2, 9])
def test_dominance_equals_a_loop(reach):
    correlations = np.corrcoef(np.random.default_rng(2).standard_normal((6, 8)))
    found = diagonal_dominance(correlations, reach=reach)
    for k in range(6):
        near = [abs(correlations[k, j]) for j in range(6) if j != k and abs(j - k) <= reach]
        assert found[k] == pytest.approx(1 - sum(near) / len(near))
    signs = np.array([1, -1, -1, 1, -1, 1])
    np.testing.assert_allclose(diagonal_dominance(correlations * np.outer(signs, signs), reach=reach), found)


def test_dominance_between_its_ends():
    np.testing.assert_array_equal(diagonal_dominance(np.eye(5)), 1)
    np.testing.assert_array_equal(diagonal_dominance(-np.ones((5, 5))), 0)
    # v_4 and v_5 are used together and are far from the others.
    pair = np.eye(5)
    pair[3, 4] = pair[4, 3] = 1
    np.testing.assert_allclose(diagonal_dominance(pair, reach=1), [1, 1, 1, 0.5, 0])
    np.testing.assert_array_equal(diagonal_dominance(np.eye(1)), np.nan)


def test_no_reach_is_refused():
    with pytest.raises(InputError, match="reach must be at least 1, the nearest neighbour, got 0"):
        diagonal_dominance(np.eye(3), reach=0)


@given(
    energy=st.lists(st.lists(st.floats(0.01, 100), min_size=3, max_size=3), min_size=1, max_size=4),
    scale=st.floats(1e-3, 1e3),
)
def test_sharedness_lies_between_the_floor_and_one(energy, scale):
    found = sharedness(energy)
    for k in range(3):
        of_tasks = [row[k] for row in energy]
        expected = sum(of_tasks) ** 2 / (len(energy) * sum(value**2 for value in of_tasks))
        assert found[k] == pytest.approx(expected)
    assert (found >= 1 / len(energy) - 1e-12).all()
    assert (found <= 1 + 1e-12).all()
    np.testing.assert_allclose(sharedness(scale * np.array(energy)), found)


def test_sharedness_at_its_ends():
    np.testing.assert_allclose(sharedness([[1.0, 5.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])[:2], [1, 1 / 3])
    assert np.isnan(sharedness([[0.0], [0.0]])).all()
