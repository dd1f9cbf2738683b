"""What networks are trained on: the loss of every answer, and its slope in the logits."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

LossName = Literal["cross-entropy", "mse"]
"""Losses; see `answer_losses`."""

LOSSES: dict[LossName, str] = {"cross-entropy": "cross-entropy", "mse": "squared error"}
"""Every loss, and how it is written."""

LOSS_UNITS: dict[LossName, str] = {"cross-entropy": "nats", "mse": "logit²"}
"""The unit of each."""

ANY_LOSS = " or ".join(LOSS_UNITS.values())
"""The unit of a column that holds losses of any run."""


def answer_losses(logits: Tensor, labels: Tensor, loss: LossName) -> Tensor:
    """Loss of every answer, differentiable by autograd.

    Definition: "cross-entropy" as PyTorch's; "mse" is the squared distance, summed over classes, between the logits
    and the one-hot answer, both without their mean over classes (Tian 2025, arXiv 2509.21519, as in the scripts of Xu).
    Law: adding a constant to all logits of an answer changes neither.

    Args:
        logits: Shape (N, ..., C).
        labels: Right answers, int64, shape (N, ...).
        loss: Which.

    Returns:
        Shape (N, ...); see `LOSS_UNITS`.
    """
    if loss == "cross-entropy":
        return F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")
    return _gaps(logits, labels).square().sum(-1)


def losses_and_slopes(logits: Tensor, labels: Tensor, loss: LossName) -> tuple[Tensor, Tensor]:
    """Loss of every answer, and its derivative with respect to the logits, by hand.

    Law: equal to `answer_losses` and autograd, up to rounding.

    Args:
        logits: Shape (..., C).
        labels: Right answers, int64, shape (...).
        loss: Which.

    Returns:
        Losses, shape (...), and slopes, shape (..., C).
    """
    if loss == "mse":
        gaps = _gaps(logits, labels)
        return gaps.square().sum(-1), 2 * gaps
    log_probabilities, places = torch.log_softmax(logits, -1), labels.unsqueeze(-1)
    losses = -log_probabilities.gather(-1, places).squeeze(-1)
    slopes = log_probabilities.exp()
    return losses, slopes.scatter_add_(-1, places, slopes.new_full((), -1.0).expand(places.shape))


def _gaps(logits: Tensor, labels: Tensor) -> Tensor:
    """Logits minus the one-hot answer, without their mean over classes."""
    # `F.one_hot` checks its values, which `torch.func.vmap` does not allow.
    right = torch.arange(logits.shape[-1], device=logits.device) == labels.unsqueeze(-1)
    gaps = logits - right.to(logits.dtype)
    return gaps - gaps.mean(-1, keepdim=True)
