"""Responses of later read-outs, from the residual stream's by the chain rule: no further pass through the network.

Exact where the directions do not move the final LayerNorm or the head, as with the paper's watched attention matrices.
"""

import torch
from torch import Tensor


def normed_response(residual_ND: Tensor, response_KND: Tensor, weight_D: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Response after the final LayerNorm: its derivative at the residual, applied to the residual's response.

    Definition: w ∘ (r − mean r − z·mean(z∘r))/√(var + eps), z the normed residual, means over the width.
    Law: a response that only shifts all coordinates alike gives 0, and nearly so one along the centred residual.

    Args:
        residual_ND: The residual stream before the LayerNorm, shape (N, D).
        response_KND: Its responses, shape (K, N, D).
        weight_D: The LayerNorm's scale. Its shift has no influence.
        eps: The LayerNorm's. Default PyTorch's.

    Returns:
        Shape (K, N, D), units of the normed stream per unit of the parameters.
    """
    centred_ND = residual_ND - residual_ND.mean(-1, keepdim=True)
    inverse_N1 = (centred_ND.square().mean(-1, keepdim=True) + eps).rsqrt()
    normed_ND = centred_ND * inverse_N1
    along_KN1 = (normed_ND * response_KND).mean(-1, keepdim=True)
    return weight_D * inverse_N1 * (response_KND - response_KND.mean(-1, keepdim=True) - normed_ND * along_KN1)


def centred_logit_response(normed_response_KND: Tensor, head_weight_CD: Tensor) -> Tensor:
    """Response of the logits with their mean over classes removed: what the softmax can see of it.

    Args:
        normed_response_KND: Responses after the final LayerNorm, shape (K, N, D).
        head_weight_CD: The linear head's weight, shape (C, D). Its bias has no influence.

    Returns:
        Shape (K, N, C), logits per unit of the parameters; sums to 0 over classes.
    """
    return torch.einsum("knd,cd->knc", normed_response_KND, head_weight_CD - head_weight_CD.mean(0))
