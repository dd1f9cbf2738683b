"""Which directions every example asks to be moved along, and whether directions and tasks are used together."""

import numpy as np
import scipy
import torch
from numpy.typing import ArrayLike, NDArray

from spectraledge.arrays import Float, Ints
from spectraledge.errors import InputError
from spectraledge.models import LossName, losses_and_slopes

REACH = 2
"""Neighbours on either side that diagonal dominance looks at (our choice, see `diagonal_dominance`)."""


def usage(
    logits_NC: NDArray[np.floating],
    response_KNC: NDArray[np.floating],
    labels_N: Ints,
    *,
    loss: LossName = "cross-entropy",
) -> Float:
    """Derivative of every example's loss along directions: a_k(x) = ⟨∇ℓ(x), v_k⟩, ℓ the loss.

    Definition: Xu 2026, §7. By the chain rule a_k = Σ_c s_c r_c, s the loss's slope in the logits and r the logits'
    responses; of cross-entropy Σ_c π_c (r_c − r_y), π the softmax of the logits and y the right answer. Written like
    this the small losses of a trained network lose no digits.
    Law: adding a constant to all logits' responses changes nothing.

    Args:
        logits_NC: Logits.
        response_KNC: Their responses along K directions.
        labels_N: Right answers.
        loss: See `answer_losses`.

    Returns:
        Shape (K, N), loss per unit of the parameters.
    """
    if loss == "mse":
        logits = torch.from_numpy(np.asarray(logits_NC, dtype=np.float64))
        slopes_NC = losses_and_slopes(logits, torch.from_numpy(labels_N), loss)[1].numpy()
        along: Float = np.einsum("nc,knc->kn", slopes_NC, response_KNC)
        return along
    probabilities_NC = scipy.special.softmax(np.asarray(logits_NC, dtype=np.float64), axis=1)
    right_KN1 = np.take_along_axis(response_KNC, labels_N[None, :, None], axis=2)
    used: Float = np.einsum("nc,knc->kn", probabilities_NC, response_KNC - right_KN1)
    return used


def usage_correlations(usage_KN: Float) -> Float:
    """M_ij: correlation of the usage of two directions over the examples (Xu 2026, §7), shape (K, K).

    Null: for uncorrelated usage ±1/√N; the same of random directions, which share the network's Jacobian.

    Args:
        usage_KN: Usage, shape (K, N).

    Returns:
        The correlations.

    Raises:
        InputError: if a direction is used alike by all examples, so that it correlates with nothing.
    """
    centred_KN = usage_KN - usage_KN.mean(axis=1, keepdims=True)
    length_K1 = np.linalg.norm(centred_KN, axis=1, keepdims=True)
    if not (length_K1 > 0).all():
        raise InputError("correlations need usage that varies over the examples: leave out directions without response")
    unit_KN = centred_KN / length_K1
    correlations: Float = unit_KN @ unit_KN.T
    return correlations


def diagonal_dominance(correlations_KK: Float, *, reach: int = REACH) -> Float:
    """d_k: how far the k-th direction is used apart from its neighbours, in [0, 1].

    Definition: 1 − the mean of |M_kj| over the up to 2·reach directions j ≠ k with |j − k| ≤ reach, in order of
    eigenvalue. Our choice: Xu 2026, §7, speaks of the diagonal dominance of M near k and does not define it. The mean,
    so that the first and last directions, which have fewer neighbours, are measured alike.
    Laws: 1 for uncorrelated directions, 0 where all are used alike; signs of directions do not matter.
    Null: the same of random directions.

    Args:
        correlations_KK: M, directions in order of eigenvalue.
        reach: How far "near" goes.

    Returns:
        Shape (K,); NaN for a direction that is alone.

    Raises:
        InputError: if reach is less than 1.
    """
    if reach < 1:
        raise InputError(f"reach must be at least 1, the nearest neighbour, got {reach}")
    order_K = np.arange(len(correlations_KK))
    distance_KK = np.abs(order_K[:, None] - order_K)
    near_KK = (distance_KK > 0) & (distance_KK <= reach)
    neighbours_K = near_KK.sum(axis=1)
    total_K = (np.abs(correlations_KK) * near_KK).sum(axis=1)
    alike_K = np.divide(total_K, neighbours_K, out=np.full(len(order_K), np.nan), where=neighbours_K > 0)
    dominance: Float = np.clip(1 - alike_K, 0.0, 1.0)
    return dominance


def sharedness(energy_OK: ArrayLike) -> Float:
    """S_k: how evenly O tasks use a direction, (Σ_o U_ok)² / (O Σ_o U_ok²).

    Definition: Xu 2026, App. A; U_ok is the mean of a_k² over the examples of task o.
    Laws: 1 if all tasks use it alike, the floor 1/O if one task alone does; scaling all usage changes nothing.
    Null: the same of random directions; it depends on the sizes of the tasks' losses.

    Args:
        energy_OK: U, shape (tasks, K), not negative.

    Returns:
        Shape (K,); NaN for a direction that no task uses.
    """
    energy = np.asarray(energy_OK, dtype=np.float64)
    squares_K = len(energy) * np.square(energy).sum(axis=0)
    shared: Float = np.divide(
        np.square(energy.sum(axis=0)), squares_K, out=np.full(len(squares_K), np.nan), where=squares_K > 0
    )
    return shared
