"""The linear layer: x Wᵀ + b on the last axis, as one product of matrices, by the faster of the two GEMMs there are.

PyTorch multiplies float32 matrices on the CPU with MKL, which on AMD processors reaches half of what the oneDNN that
PyTorch carries does; on Intel the two are close. oneDNN is reached through an operator without derivatives, which are
given here. Whatever it cannot take (other types, other devices, a build without it) goes through `torch.addmm`.
"""

from typing import Any

import torch
from torch import Tensor

_HAS_ONEDNN = bool(torch.backends.mkldnn.enabled) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply a linear layer.

    Args:
        x: Shape (..., in).
        weight: Shape (out, in).
        bias: Shape (out,).

    Returns:
        Shape (..., out). Equal to `torch.nn.functional.linear` up to rounding.
    """
    # Two axes always: on more, `F.linear` copies its input once per direction under `vmap(jvp)`: 2.5 times as slow.
    # Contiguous always: oneDNN falls back to a reference loop on some strides.
    rows = x.reshape(-1, x.shape[-1]).contiguous()
    if _HAS_ONEDNN and x.dtype == torch.float32 and x.device.type == "cpu":
        product: Tensor = _OneDnnAffine.apply(rows, weight, bias)  # type: ignore[no-untyped-call]
    else:
        product = _plain(rows, weight, bias)
    return product.view(*x.shape[:-1], -1)


def _multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left @ rightᵀ (+ bias)."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product


def _plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, x, weight.t())


class _OneDnnAffine(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return _multiply(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        return (
            _multiply(gradient, weight.t()) if ctx.needs_input_grad[0] else None,
            _multiply(gradient.t(), x.t()) if ctx.needs_input_grad[1] else None,
            gradient.sum(0) if ctx.needs_input_grad[2] else None,
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *operands: Tensor) -> tuple[Tensor, int]:
        return torch.func.vmap(_plain, in_dims)(*operands), 0

    @staticmethod
    def jvp(ctx: Any, x_tangent: Tensor, weight_tangent: Tensor, bias_tangent: Tensor) -> Tensor:
        x, weight = ctx.saved_tensors
        tangent: Tensor = x_tangent @ weight.t() + x @ weight_tangent.t() + bias_tangent
        return tangent
