"""Products of matrices by the fastest GEMM at hand.

On the CPU PyTorch multiplies with MKL, which on AMD processors reaches less than half of what two others do that are
there anyway: oneDNN, which PyTorch carries (float32), and the BLAS of NumPy (float64). On Intel they are about equal.
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
        fused: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(left), _dense(right), bias, "none", [], "")
        return fused
    if left.device.type == "cpu" and left.dtype == torch.float64:
        product = torch.from_numpy(left.detach().numpy() @ right.detach().numpy().T)
        return product if bias is None else product.add_(bias)
    return left @ right.t() if bias is None else torch.addmm(bias, left, right.t())


def _dense(matrix: Tensor) -> Tensor:
    # oneDNN falls back to a reference loop, a thousand times as slow, on strides of neither a matrix nor its transpose.
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()
