"""What the transformer on pairs does between products of matrices, there and back.

Shapes: S networks, n inputs, Q positions that go on (2, or 1 in the last layer), V tokens, D width.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-5
"""Of every LayerNorm: PyTorch's default."""


@dataclass(frozen=True)
class Normed:
    """A LayerNorm without scale and shift, at its input, and what its derivative needs."""

    x: Tensor
    out: Tensor
    mean: Tensor
    inverse_deviation: Tensor

    @classmethod
    def of(cls, x: Tensor, eps: float = _EPSILON) -> "Normed":
        """Normalise the last axis."""
        return cls(x, *torch.native_layer_norm(x, x.shape[-1:], None, None, eps))

    @classmethod
    def of_sum(cls, product: Tensor, bias: Tensor, before: Tensor) -> "Normed":
        """Normalise the stream after a linear layer: its `product`, (S, rows, D), which becomes `x`, bias, `before`."""
        return cls.of(product.add_(bias.unsqueeze(1)).add_(before))

    def ahead(self, read: int) -> Tensor:
        """Return the normalised rows of the positions that go on, of rows (S, 2·n, D)."""
        count = self.out.shape[1] // 2
        return self.out[:, : read * count]

    def gap(self) -> Tensor:
        """Return the normalised rows of position 1 minus those of position 0, of rows (S, 2·n, D)."""
        count = self.out.shape[1] // 2
        return self.out[:, count:] - self.out[:, :count]

    def transport(self, change: Tensor) -> Tensor:
        """Send a tangent of the input forward, or a gradient of the output back: the derivative is symmetric."""
        moved: Tensor = torch.ops.aten.native_layer_norm_backward(
            change, self.x, self.x.shape[-1:], self.mean, self.inverse_deviation, None, None, [True, False, False]
        )[0]
        return moved


@dataclass(frozen=True)
class Gelu:
    """GELU at what it is given, and what it gives, (S, rows, hidden) each."""

    given: Tensor
    out: Tensor

    @classmethod
    def of(cls, product: Tensor, bias: Tensor) -> "Gelu":
        """Apply it to a linear layer's product, which is of no use afterwards, and bias."""
        given = product.add_(bias.unsqueeze(1))
        return cls(given, F.gelu(given))

    def slope(self) -> Tensor:
        """Return the derivative."""
        return self.back(torch.ones_like(self.given))

    def back(self, change: Tensor) -> Tensor:
        """Return the gradient in the input of one in the output."""
        moved: Tensor = torch.ops.aten.gelu_backward(change, self.given)
        return moved


@dataclass(frozen=True)
class Attended:
    """Attention over two keys, a sigmoid of a difference.

    Attributes:
        query: Shape (S, Q, n, heads, D/heads).
        key_gap: Key of position 1 minus that of position 0, (S, 1, n, heads, D/heads).
        value_gap: The same of values.
        gate: Attention paid to position 1, (S, Q, n, heads, 1).
        mixed: Weighted values, (S, Q·n, D).
    """

    query: Tensor
    key_gap: Tensor
    value_gap: Tensor
    gate: Tensor
    mixed: Tensor

    @classmethod
    def of(cls, query: Tensor, key_gap: Tensor, value: Tensor) -> "Attended":
        """Attend with queries, gaps of keys, and values of both positions, (S, 2, n, heads, D/heads)."""
        stacks, read, count, heads, size = query.shape
        value_gap = value[:, 1:] - value[:, :1]
        gate = (query * key_gap).sum(-1, keepdim=True).mul_(1 / math.sqrt(size)).sigmoid_()
        mixed = torch.addcmul(value[:, :1], gate, value_gap).view(stacks, read * count, heads * size)
        return cls(query, key_gap, value_gap, gate, mixed)

    @classmethod
    def of_rows(cls, rows: Tensor, row_of: Tensor, stacks: int, read: int, heads: int) -> "Attended":
        """Attend with the rows of tables, (S·2·V, 3·D) with Q, K and V beside each other, that inputs read."""
        count, size = len(row_of) // (2 * stacks), rows.shape[1] // (3 * heads)
        query, key, value = rows.index_select(0, row_of).view(stacks, 2, count, 3, heads, size).unbind(3)
        return cls.of(query[:, :read], key[:, 1:] - key[:, :1], value)

    def back(self, change: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Send a gradient of `mixed` back to what `of` was given.

        Returns:
            Shapes (S, Q, n, heads, D/heads), (S, n, heads, D/heads), (S, 2, n, heads, D/heads).
        """
        change = change.view(self.query.shape)
        score = (change * self.value_gap).sum(-1, keepdim=True)
        score = score * self.gate * (1 - self.gate) / math.sqrt(self.query.shape[-1])
        value_gap, key_gap = (change * self.gate).sum(1), (self.query * score).sum(1)
        return score * self.key_gap, key_gap, torch.stack([change.sum(1) - value_gap, value_gap], 1)

    def back_to_rows(self, change: Tensor, row_of: Tensor, count: int) -> Tensor:
        """Send a gradient of `mixed` back to the `count` rows that `of_rows` was given."""
        query, key_gap, value = self.back(change)
        parts = query, torch.stack([-key_gap, key_gap], 1), value
        return torch.cat([collected(part, row_of, count, self.mixed.shape[-1]) for part in parts], -1)


def collected(part: Tensor, row_of: Tensor, count: int, width: int) -> Tensor:
    """Sum a gradient (S, positions, n, ...) within the `count` rows of tables that its entries come from."""
    read = row_of.view(len(part), 2, -1)[:, : part.shape[1]].flatten()
    return part.new_zeros(count, width).index_add_(0, read, part.reshape(len(read), -1))
