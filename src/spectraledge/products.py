"""Products of matrices by the faster of the two GEMMs at hand, and sums of a few rows by weights.

On the CPU PyTorch multiplies float32 matrices with MKL, which uses AVX-512 on Intel's processors alone: on others that
have it, MKL reaches less than half of what oneDNN does, which PyTorch carries too. Without it MKL is the faster one by
an eighth. The choice depends on the machine alone, never on a measurement, so that a run repeats bit for bit.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.native import INT, LONG, POINTER, load

_WEIGHTED_ROWS_ARGUMENTS = [POINTER, POINTER, POINTER, LONG, LONG, LONG, POINTER]

_WEIGHTED_ROWS = load("weighted_rows", _WEIGHTED_ROWS_ARGUMENTS)

_COMBINED_ROWS_ARGUMENTS = [POINTER, POINTER, LONG, LONG, LONG, INT, POINTER]

_COMBINED_ROWS = load("combined_rows", _COMBINED_ROWS_ARGUMENTS)

_FEW = 9
"""Sums of rows from which on PyTorch's product of matrices is the faster way (measured for 20 rows of 131,072)."""

_BLOCK = 1 << 14
"""Columns per product in double precision: their copies stay in the second-level cache."""


def _prefers_onednn() -> bool:
    processor = Path("/proc/cpuinfo")
    intel = processor.is_file() and "GenuineIntel" in processor.read_text(errors="replace")
    carried = bool(torch.backends.mkldnn.enabled) and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return carried and not intel and torch.backends.cpu.get_cpu_capability() == "AVX512"


_PREFERS_ONEDNN = _prefers_onednn()


def _onednn_linear(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(left), _dense(right), bias, "none", [], "")
    return product


def _onednn_shape(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    return left.new_empty(len(left), len(right))


# An operator of our own, because the compiler takes PyTorch's for one whose weights are constants, and fails.
torch.library.define("spectraledge::onednn_linear", "(Tensor left, Tensor right, Tensor? bias) -> Tensor")
torch.library.impl("spectraledge::onednn_linear", "cpu", _onednn_linear)
torch.library.register_fake("spectraledge::onednn_linear", _onednn_shape)


def multiply(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left @ rightᵀ (+ bias) of plain matrices; no derivatives, no `torch.func` transforms.

    Args:
        left: Shape (rows, in).
        right: Shape (out, in).
        bias: Shape (out,), if any.

    Returns:
        Shape (rows, out).
    """
    if _by_onednn(left):
        product: Tensor = torch.ops.spectraledge.onednn_linear(left, right, bias)
        return product
    return left @ right.t() if bias is None else torch.addmm(bias, left, right.t())


def multiply_into(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """Add left @ rightᵀ to `total` in place, or return it where there is none yet; as `multiply` otherwise.

    Args:
        total: Shape (rows, out), if any.
        left: Shape (rows, in).
        right: Shape (out, in).

    Returns:
        The total.
    """
    if total is None:
        return multiply(left, right)
    if _by_onednn(left):
        return total.add_(multiply(left, right))
    return total.addmm_(left, right.t())


def multiply_stacks(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return left @ rightᵀ (+ bias) for each of S pairs of matrices; as `multiply` otherwise.

    Args:
        left: Shape (S, rows, in).
        right: Shape (S, out, in).
        bias: Shape (S, out), if any.

    Returns:
        Shape (S, rows, out).
    """
    product = multiply(left[0], right[0])[None] if len(left) == 1 else left @ right.transpose(1, 2)
    # A compiler makes one pass of this sum and of what follows; within the product it would be a pass of its own.
    return product if bias is None else product.add_(bias.unsqueeze(1))


def multiply_outer(change: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients of a linear layer's weight and bias, from those of its outputs, for each of S networks.

    Args:
        change: Shape (S, rows, out).
        x: What the layer is given, (S, rows, in).

    Returns:
        Sums over rows of change ⊗ x, (S, out, in), and of change, (S, out).
    """
    return multiply_stacks(change.transpose(1, 2), x.transpose(1, 2)), change.sum(1)


def weighted_rows(table: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    """Return sums of a table's rows by weights, a few per output; no derivatives, no `torch.func` transforms.

    Args:
        table: Shape (R, D).
        rows: Which rows each output sums, int64 (N, K), within 0..R−1; K at least 1.
        weights: By what, shape (N, K), of the table's type.

    Returns:
        Shape (N, D).
    """
    table, rows, weights = table.contiguous(), rows.contiguous(), weights.contiguous()
    # PyTorch has a fast loop for float32 on the CPU and one for GPUs; in float64 it takes five times as long as ours.
    if _WEIGHTED_ROWS is None or table.dtype != torch.float64 or table.device.type != "cpu":
        return F.embedding_bag(rows, table, mode="sum", per_sample_weights=weights)
    count, terms = rows.shape
    found = table.new_empty(count, table.shape[1])
    addresses = (tensor.data_ptr() for tensor in (table, rows, weights))
    _WEIGHTED_ROWS(*addresses, count, terms, table.shape[1], found.data_ptr())
    return found


def combined_rows(weights_KW: Tensor, table_WP: Tensor) -> Tensor:
    """Return weights @ table, with sums in float64 and rounded once to the table's type; no derivatives.

    Args:
        weights_KW: float64.
        table_WP: float32 or float64, few rows that are long.

    Returns:
        Shape (K, P), of the table's type and device.
    """
    weights_KW = weights_KW.to(table_WP.device).contiguous()
    sums_KP = table_WP.new_empty(len(weights_KW), table_WP.shape[1])
    plain = table_WP.device.type == "cpu" and table_WP.dtype in (torch.float32, torch.float64)
    if _COMBINED_ROWS is not None and plain and table_WP.is_contiguous() and len(weights_KW) <= _FEW:
        addresses = table_WP.data_ptr(), weights_KW.data_ptr()
        sizes = len(table_WP), len(weights_KW), table_WP.shape[1], table_WP.element_size()
        _COMBINED_ROWS(*addresses, *sizes, sums_KP.data_ptr())
        return sums_KP
    for sums, rows in zip(torch.split(sums_KP, _BLOCK, 1), torch.split(table_WP, _BLOCK, 1), strict=True):
        sums.copy_(weights_KW @ rows.double())
    return sums_KP


def _by_onednn(matrix: Tensor) -> bool:
    return matrix.device.type == "cpu" and matrix.dtype == torch.float32 and _PREFERS_ONEDNN


def _dense(matrix: Tensor) -> Tensor:
    # oneDNN falls back to a reference loop, a thousand times as slow, on strides of neither a matrix nor its transpose.
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()
