"""Responses of later read-outs, from the residual stream's by the chain rule: no further pass through the network.

Exact where the directions do not move the final LayerNorm or the head, as with the paper's watched attention matrices.
"""

import torch
from torch import Tensor

from spectraledge.models.pair_parts import Normed


def normed_response(residual_ND: Tensor, response_KND: Tensor, weight_D: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Response after the final LayerNorm: its derivative at the residual, applied to the residual's response.

    Definition: w ∘ (r − mean r − z·mean(z∘r))/√(var + eps), z the normed residual, means over the width.
    Law: a response that only shifts all coordinates alike gives 0, and nearly so one along the centred residual.

    Returns:
        Shape (K, N, D), units of the normed stream per unit of the parameters.
    """
    normed = Normed.of(residual_ND, eps)
    return torch.stack([normed.transport(response_ND) for response_ND in response_KND]).mul_(weight_D)


def centred_logit_response(normed_response_KND: Tensor, head_weight_CD: Tensor) -> Tensor:
    """Response of the logits without their mean over classes, (K, N, C): what the softmax can see of it."""
    return torch.einsum("knd,cd->knc", normed_response_KND, head_weight_CD - head_weight_CD.mean(0))
