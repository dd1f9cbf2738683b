"""Responses of later read-outs, from the residual stream's by the chain rule: no further pass through the network.

Exact where the directions do not move the final LayerNorm or the head, as with the paper's watched attention matrices.
"""

import torch
from torch import Tensor


def normed_response(residual_ND: Tensor, response_KND: Tensor, weight_D: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Response after the final LayerNorm: its derivative at the residual, applied to the residual's response.

    Definition: w ∘ (r − mean r − z·mean(z∘r))/√(var + eps), z the normed residual, means over the width.
    Law: a response that only shifts all coordinates alike gives 0, and nearly so one along the centred residual.

    Returns:
        Shape (K, N, D), units of the normed stream per unit of the parameters.
    """
    if residual_ND.dtype == torch.float64:
        return _in_one_pass(residual_ND, response_KND, eps).mul_(weight_D)
    # In single precision that would round sums in another order.
    centred_ND = residual_ND - residual_ND.mean(-1, keepdim=True)
    inverse_N1 = (centred_ND.square().mean(-1, keepdim=True) + eps).rsqrt()
    normed_ND = centred_ND * inverse_N1
    along_KN1 = (normed_ND * response_KND).mean(-1, keepdim=True)
    return weight_D * inverse_N1 * (response_KND - response_KND.mean(-1, keepdim=True) - normed_ND * along_KN1)


def _in_one_pass(residual_ND: Tensor, response_KND: Tensor, eps: float) -> Tensor:
    """Without weights the derivative is symmetric: PyTorch's way back, which is one pass, is also the way there."""
    width = [residual_ND.shape[-1]]
    _, mean_N1, inverse_N1 = torch.native_layer_norm(residual_ND, width, None, None, eps)
    back, chosen = torch.ops.aten.native_layer_norm_backward, [True, False, False]
    found = [
        back(response_ND, residual_ND, width, mean_N1, inverse_N1, None, None, chosen)[0]
        for response_ND in response_KND
    ]
    return torch.stack(found)


def centred_logit_response(normed_response_KND: Tensor, head_weight_CD: Tensor) -> Tensor:
    """Response of the logits without their mean over classes, (K, N, C): what the softmax can see of it."""
    return torch.einsum("knd,cd->knc", normed_response_KND, head_weight_CD - head_weight_CD.mean(0))
