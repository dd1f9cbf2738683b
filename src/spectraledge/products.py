"""Products of matrices by the faster of the two GEMMs at hand.

On the CPU PyTorch multiplies float32 matrices with MKL, which on AMD processors reaches less than half of what oneDNN
does, which PyTorch carries too. On Intel they are about equal.
"""

import torch
from torch import Tensor

_HAS_ONEDNN = bool(torch.backends.mkldnn.enabled) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left @ rightᵀ (+ bias) of plain matrices; no derivatives, no `torch.func` transforms.

    Args:
        left: Shape (rows, in).
        right: Shape (out, in).
        bias: Shape (out,), if any.

    Returns:
        Shape (rows, out).
    """
    if left.device.type == "cpu" and left.dtype == torch.float32 and _HAS_ONEDNN:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(left), _dense(right), bias, "none", [], "")
        return product
    return left @ right.t() if bias is None else torch.addmm(bias, left, right.t())


def _dense(matrix: Tensor) -> Tensor:
    # oneDNN falls back to a reference loop, a thousand times as slow, on strides of neither a matrix nor its transpose.
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()
