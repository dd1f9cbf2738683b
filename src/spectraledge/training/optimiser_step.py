"""One optimiser step of S networks at once: loss, gradient, clipping, AdamW, and what moved the weights."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class Changes(Protocol):
    """What changes the steps of some of the networks; see `Intervening`."""

    def before(self, gradient_SP: Tensor, shrink_S1: Tensor) -> None:
        """Change gradients in place, as AdamW would see them, and note the weights, which decay is to multiply."""
        ...

    def after(self) -> None:
        """Change the weights in place, and the sum of what decay alone has moved them by."""
        ...


def take_step(
    architecture: Architecture,
    layout: Layout,
    betas: tuple[float, float],
    flat: Flat,
    rates: Rates,
    inputs_S2N: Tensor,
    labels_SNO: Tensor,
    changes: Changes | None = None,
) -> tuple[Tensor, Tensor]:
    """Take one step in place.

    Definition: the gradient of the mean cross-entropy, summed over answers, scaled to a norm of at most `clip` as
    `torch.nn.utils.clip_grad_norm_` does, then AdamW as `torch.optim.AdamW` does (decay before the step, decoupled).
    Law: θ changes by what is added to `decay`, plus AdamW's own step, exactly. Where an update is changed, both parts
    are mapped as their sum is.

    Args:
        architecture: Of the networks.
        layout: How parameters lie in a row.
        betas: AdamW's.
        flat: Changed in place.
        rates: AdamW's numbers at this step.
        inputs_S2N: See `Architecture.encode`.
        labels_SNO: Right answers, int64.
        changes: What changes the step, if anything; without it nothing is computed for it.

    Returns:
        Losses in nats and gradient norms before clipping, each of shape (S,).
    """
    losses_S, gradients = architecture.loss_and_gradient(layout.split(flat.weights), inputs_S2N, labels_SNO)
    gradient = layout.join_rows(gradients)
    norms_S1 = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    flat.gradient.add_(gradient)
    gradient.mul_((rates.clip / (norms_S1 + 1e-6)).clamp(max=1.0))
    if changes is not None:
        changes.before(gradient, rates.shrink)
    flat.clipped.add_(gradient)
    flat.decay.addcmul_(flat.weights, rates.shrink - 1)
    flat.first.lerp_(gradient, 1 - betas[0])
    flat.second.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
    # Both sides of the published fraction times the root: one pass fewer over all parameters.
    change = flat.second.sqrt().add_(rates.epsilon)
    torch.div(flat.first, change, out=change).mul_(rates.size)
    flat.weights.mul_(rates.shrink).sub_(change)
    if changes is not None:
        changes.after()
    return losses_S, norms_S1.squeeze(1)
