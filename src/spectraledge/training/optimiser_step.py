"""One optimiser step of S networks at once: loss, gradient, clipping, and what the optimizer makes of that."""

import torch
from torch import Tensor

from spectraledge.models import Architecture, LossName
from spectraledge.training.step_rules import Flat, Rates, StepRule
from spectraledge.trajectory import Layout


def take_gradient(
    architecture: Architecture,
    layout: Layout,
    loss: LossName,
    flat: Flat,
    rates: Rates,
    inputs_S2N: Tensor,
    labels_SNO: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of a step as the optimizer sees them, and add them as they came to `flat.gradient`.

    Definition: the gradient of the mean loss, summed over answers, scaled to a norm of at most `clip` as
    `torch.nn.utils.clip_grad_norm_` does.

    Args:
        architecture: Of the networks.
        layout: How parameters lie in a row.
        loss: See `answer_losses`.
        flat: Where the networks are.
        rates: The optimizer's numbers at this step.
        inputs_S2N: See `Architecture.encode`.
        labels_SNO: Right answers, int64.

    Returns:
        Losses and gradient norms before clipping, each of shape (S,), and the gradients, (S, P).
    """
    losses_S, gradients = architecture.loss_and_gradient(layout.split(flat.weights), inputs_S2N, labels_SNO, loss)
    gradient_SP = layout.join_rows(gradients)
    norms_S1 = torch.linalg.vector_norm(gradient_SP, dim=1, keepdim=True)
    flat.gradient.add_(gradient_SP)
    gradient_SP.mul_((rates.clip / (norms_S1 + 1e-6)).clamp(max=1.0))
    return losses_S, norms_S1.squeeze(1), gradient_SP


def take_step(
    architecture: Architecture,
    layout: Layout,
    loss: LossName,
    rule: StepRule,
    flat: Flat,
    rates: Rates,
    inputs_S2N: Tensor,
    labels_SNO: Tensor,
) -> tuple[Tensor, Tensor]:
    """Take one whole step in place: `take_gradient`, then `StepRule.move`.

    Args:
        architecture: Of the networks.
        layout: How parameters lie in a row.
        loss: See `answer_losses`.
        rule: Of the optimizer.
        flat: Changed in place.
        rates: The optimizer's numbers at this step.
        inputs_S2N: See `Architecture.encode`.
        labels_SNO: Right answers, int64.

    Returns:
        Losses and gradient norms before clipping, each of shape (S,).
    """
    losses_S, norms_S, gradient_SP = take_gradient(architecture, layout, loss, flat, rates, inputs_S2N, labels_SNO)
    rule.move(flat, rates, gradient_SP)
    return losses_S, norms_S
