"""One optimiser step of S networks at once: loss, gradient, clipping, AdamW, and what moved the weights."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from spectraledge.models import Architecture
from spectraledge.trajectory import Layout

ADAM_EPSILON = 1e-8
"""PyTorch's default."""

MOVES = ("decay", "gradient", "clipped")
"""The fields of `Flat` that say what moved the weights."""


@dataclass(frozen=True)
class Flat:
    """What a step changes in place, each of shape (S, P): one row per network, all parameters one after another.

    Attributes:
        weights: θ.
        first: AdamW's running mean of the gradient.
        second: AdamW's running mean of the squared gradient.
        decay: Sum of what weight decay alone has moved θ by, since the sums were last set to zero.
        gradient: Sum of the gradients as they came.
        clipped: Sum of the gradients as AdamW saw them.
    """

    weights: Tensor
    first: Tensor
    second: Tensor
    decay: Tensor
    gradient: Tensor
    clipped: Tensor


class Rates(NamedTuple):
    """AdamW's numbers at one step, each of shape (S, 1).

    Attributes:
        shrink: 1 − learning rate · weight decay.
        size: Learning rate, times the root of the second moment's bias correction, over that of the first.
        epsilon: AdamW's, times the same root.
        clip: Largest gradient norm.
    """

    shrink: Tensor
    size: Tensor
    epsilon: Tensor
    clip: Tensor


def take_gradient(
    architecture: Architecture,
    layout: Layout,
    flat: Flat,
    rates: Rates,
    inputs_S2N: Tensor,
    labels_SNO: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a step as AdamW sees them, and add them as they came to `flat.gradient`.

    Definition: the gradient of the mean cross-entropy, summed over answers, scaled to a norm of at most `clip` as
    `torch.nn.utils.clip_grad_norm_` does.

    Args:
        architecture: Of the networks.
        layout: How parameters lie in a row.
        flat: Where the networks are.
        rates: AdamW's numbers at this step.
        inputs_S2N: See `Architecture.encode`.
        labels_SNO: Right answers, int64.

    Returns:
        Losses in nats and gradient norms before clipping, each of shape (S,), and the gradients, (S, P).
    """
    losses_S, gradients = architecture.loss_and_gradient(layout.split(flat.weights), inputs_S2N, labels_SNO)
    gradient_SP = layout.join_rows(gradients)
    norms_S1 = torch.linalg.vector_norm(gradient_SP, dim=1, keepdim=True)
    flat.gradient.add_(gradient_SP)
    gradient_SP.mul_((rates.clip / (norms_S1 + 1e-6)).clamp(max=1.0))
    return losses_S, norms_S1.squeeze(1), gradient_SP


def move_weights(betas: tuple[float, float], flat: Flat, rates: Rates, gradient_SP: Tensor) -> None:
    """Take the step along gradients as `torch.optim.AdamW` does (decay before the step, decoupled), in place.

    Law: θ changes by what is added to `decay`, plus AdamW's own step, exactly.

    Args:
        betas: AdamW's.
        flat: Changed in place.
        rates: AdamW's numbers at this step.
        gradient_SP: The gradients.
    """
    flat.clipped.add_(gradient_SP)
    flat.decay.addcmul_(flat.weights, rates.shrink - 1)
    flat.first.lerp_(gradient_SP, 1 - betas[0])
    flat.second.mul_(betas[1]).addcmul_(gradient_SP, gradient_SP, value=1 - betas[1])
    # Both sides of the published fraction times the root: one pass fewer over all parameters.
    change = flat.second.sqrt().add_(rates.epsilon)
    torch.div(flat.first, change, out=change).mul_(rates.size)
    flat.weights.mul_(rates.shrink).sub_(change)


def take_step(
    architecture: Architecture,
    layout: Layout,
    betas: tuple[float, float],
    flat: Flat,
    rates: Rates,
    inputs_S2N: Tensor,
    labels_SNO: Tensor,
) -> tuple[Tensor, Tensor]:
    """Take one whole step in place: `take_gradient`, then `move_weights`.

    Args:
        architecture: Of the networks.
        layout: How parameters lie in a row.
        betas: AdamW's.
        flat: Changed in place.
        rates: AdamW's numbers at this step.
        inputs_S2N: See `Architecture.encode`.
        labels_SNO: Right answers, int64.

    Returns:
        Losses in nats and gradient norms before clipping, each of shape (S,).
    """
    losses_S, norms_S, gradient_SP = take_gradient(architecture, layout, flat, rates, inputs_S2N, labels_SNO)
    move_weights(betas, flat, rates, gradient_SP)
    return losses_S, norms_S
