"""The transformer on pairs of tokens, stacked over several networks: a forward pass that keeps what derivatives need.

Equal to `Transformer` (a test says so) and the base of everything fast: training steps (`gradients.py`), evaluation,
and responses (`tangents.py`). What makes it fast: the first layer sees few distinct (position, token) rows, so its
LayerNorm and Q, K, V are computed once per row; only position 0 leaves the last layer; attention over two keys is a
sigmoid of a difference; the scale and shift of each LayerNorm are folded into the linear layer behind it.

Shapes: S networks, n inputs, Q positions that go on (2, or 1 in the last layer), D width. Rows run over positions
first, so that a position is one contiguous block.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.models.pair_parts import Attended, Gelu, Normed
from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply_stacks


@dataclass(frozen=True)
class Folded:
    """A linear layer behind a LayerNorm whose scale and shift are folded into it.

    Attributes:
        weight: Shape (S, out, D), scaled by the LayerNorm's weight.
        bias: Shape (S, out), with the LayerNorm's shift sent through the layer.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor], norm: str, linear: str) -> "Folded":
        """Fold the LayerNorm called `norm` into the linear layer called `linear`."""
        weight, scale = parameters[f"{linear}.weight"], parameters[f"{norm}.weight"]
        shifted = (weight @ parameters[f"{norm}.bias"].unsqueeze(-1)).squeeze(-1)
        return cls(weight * scale.unsqueeze(-2), parameters[f"{linear}.bias"] + shifted)

    def rows(self, start: int, stop: int | None = None) -> "Folded":
        """Return the part that computes some of the outputs."""
        return Folded(self.weight[:, start:stop], self.bias[:, start:stop])

    def apply(self, normed: Tensor) -> Tensor:
        """Apply to normalised rows (S, rows, D)."""
        return multiply_stacks(normed, self.weight, self.bias)


@dataclass(frozen=True)
class LayerWeights:
    """One layer's weights: those behind a LayerNorm folded, the others as they are."""

    name: str
    qkv: Folded
    output: Tensor
    output_bias: Tensor
    up: Folded
    down: Tensor
    down_bias: Tensor


@dataclass(frozen=True)
class Weights:
    """All weights of S networks, ready for inputs.

    Attributes:
        config: Sizes.
        table: The sum of token and position embedding, shape (S, 2·V, D); row position·V + token.
        layers: Layer by layer.
        head: Behind the final LayerNorm.
    """

    config: TransformerConfig
    table: Tensor
    layers: tuple[LayerWeights, ...]
    head: Folded

    @classmethod
    def of(cls, config: TransformerConfig, parameters: Mapping[str, Tensor]) -> "Weights":
        """Prepare parameters by name, shapes (S, *parameter shape)."""
        assert config.length == 2
        table = parameters["position_embedding"].unsqueeze(2) + parameters["token_embedding.weight"].unsqueeze(1)
        layers = tuple(
            LayerWeights(
                name=name,
                qkv=Folded.of(parameters, f"{name}.norm1", f"{name}.attention.qkv"),
                output=parameters[f"{name}.attention.output.weight"],
                output_bias=parameters[f"{name}.attention.output.bias"],
                up=Folded.of(parameters, f"{name}.norm2", f"{name}.up"),
                down=parameters[f"{name}.down.weight"],
                down_bias=parameters[f"{name}.down.bias"],
            )
            for name in (f"layers.{depth}" for depth in range(config.depth))
        )
        return cls(config, table.flatten(1, 2), layers, Folded.of(parameters, "norm", "head"))


@dataclass(frozen=True)
class LayerTrace:
    """One layer at a batch: what its derivatives need.

    Attributes:
        norm1: Before attention: rows (S, 2·V, D) in the first layer, (S, 2·n, D) behind it.
        attended: Attention.
        norm2: Before the feed-forward layer, (S, Q·n, D).
        gelu: Within it, (S, Q·n, hidden).
    """

    norm1: Normed
    attended: Attended
    norm2: Normed
    gelu: Gelu


@dataclass(frozen=True)
class Trace:
    """A forward pass.

    Attributes:
        row_of: Row of the table of every (network, position, input), flat over S·2·V rows, int64 (S·2·n,).
        layers: Layer by layer.
        norm: The final LayerNorm; its `x` is the residual stream at position 0, (S, n, D).
        logits: Shape (S, n, answers, tokens).
    """

    row_of: Tensor
    layers: tuple[LayerTrace, ...]
    norm: Normed
    logits: Tensor


def rows_of(config: TransformerConfig, tokens_SNL: Tensor) -> Tensor:
    """Return the row of each network's table that each (position, input) reads, flat over S·2·V rows."""
    vocabulary = config.tokens
    offsets = torch.arange(0, 2 * vocabulary, vocabulary, device=tokens_SNL.device).unsqueeze(-1)
    stacks = torch.arange(len(tokens_SNL), device=tokens_SNL.device).view(-1, 1, 1) * (2 * vocabulary)
    return (tokens_SNL.transpose(1, 2) + offsets + stacks).flatten()


def forward_pairs(weights: Weights, row_of: Tensor) -> Trace:
    """Evaluate S networks on n pairs each, given as in `rows_of`."""
    config, stacks = weights.config, len(weights.table)
    width, heads = config.width, config.heads
    count = len(row_of) // (2 * stacks)
    stream = weights.table.flatten(0, 1).index_select(0, row_of)
    normed = Normed.of(weights.table)
    layers = []
    for depth, layer in enumerate(weights.layers):
        read = 1 if depth == config.depth - 1 else 2
        if depth == 0:
            rows = layer.qkv.apply(normed.out).flatten(0, 1)
            attended = Attended.of_rows(rows, row_of, stacks, read, heads)
        else:
            ahead, gap = normed.ahead(read), normed.gap()
            query = layer.qkv.rows(0, width).apply(ahead).view(stacks, read, count, heads, width // heads)
            # The bias of the difference of two keys is nothing.
            key_gap = multiply_stacks(gap, layer.qkv.weight[:, width : 2 * width]).view(query[:, :1].shape)
            value = layer.qkv.rows(2 * width).apply(normed.out).view(stacks, 2, count, heads, width // heads)
            attended = Attended.of(query, key_gap, value)
        before = stream.view(stacks, 2, count, width)[:, :read].reshape(stacks, read * count, width)
        norm2 = Normed.of_sum(multiply_stacks(attended.mixed, layer.output), layer.output_bias, before)
        gelu = Gelu.of(multiply_stacks(norm2.out, layer.up.weight), layer.up.bias)
        layers.append(LayerTrace(normed, attended, norm2, gelu))
        normed = Normed.of_sum(multiply_stacks(gelu.out, layer.down), layer.down_bias, norm2.x)
        stream = normed.x
    logits = weights.head.apply(normed.out).view(stacks, count, config.answers, config.tokens)
    return Trace(row_of, tuple(layers), normed, logits)
