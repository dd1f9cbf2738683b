"""Exact responses of the transformer's residual stream by hand: what `torch.func.jvp` gives, several times as fast.

The network is evaluated once per batch of inputs (`pairs.forward_pairs`), and all that its derivative needs is kept; a
direction then costs little more than the products of its tangents.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.models.pairs import LayerTrace, LayerWeights, Normed, Weights, forward_pairs, rows_of
from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply, multiply_into

_BATCH = 512
"""Inputs per pass: large enough for the products, small enough for what is kept to stay in cache."""

_GPU_BATCH = 32_768
"""The same on a GPU: large enough that its kernels take longer than launching them."""


def has_tangents(config: TransformerConfig, names: Iterable[str]) -> bool:
    """Tell whether responses along these parameters can be taken by hand: pairs of tokens, attention matrices."""
    return config.length == 2 and all(".attention." in name and name.endswith(".weight") for name in names)


def residual_tangents(
    config: TransformerConfig, parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor], tokens_NL: Tensor
) -> Tensor:
    """Derivative of the residual stream at position 0 along every direction, for every input.

    Args:
        config: Sizes of the network; see `has_tangents`.
        parameters: All its parameters by name.
        directions: Directions by parameter name, shapes (K, *parameter shape); attention matrices only.
        tokens_NL: Inputs, int64 (N, 2).

    Returns:
        Tensor (K, N, D), of the parameters' type and on their device.

    Cost: beside the result memory for 2·V²·heads numbers per direction, where one moves the first layer's Q, K or V.
    """
    assert has_tangents(config, directions)
    count = len(next(iter(directions.values())))
    found = parameters["norm.weight"].new_empty(count, len(tokens_NL), config.width)
    with torch.no_grad():
        weights = Weights.of(config, {name: value[None] for name, value in parameters.items()})
        folded = _behind_norms(weights, parameters, directions)
        tables = _first_tables(weights, folded)
        one_by_one = [{name: value[k] for name, value in folded.items()} for k in range(count)]
        batch = _BATCH if tokens_NL.device.type == "cpu" else _GPU_BATCH
        batches = torch.split(tokens_NL, batch)
        for tokens, place in zip(batches, torch.split(found, batch, dim=1), strict=True):
            layers = _layers(weights, rows_of(config, tokens[None]))
            pairs = tokens[:, 0] * config.tokens + tokens[:, 1]
            for k, direction in enumerate(one_by_one):
                first = tables[k].read(pairs, layers[0].row_of) if tables else None
                place[k] = _along(layers, direction, first)
    return found


@dataclass(frozen=True)
class _Layer:
    """One layer at a batch of n inputs: its trace, and what every direction needs of it.

    Attributes:
        weights: Of the layer.
        trace: Of one network.
        row_of: The row of the first layer's table of every (position, input).
        gate_slope: Derivative of the gate by the score, (1, Q, n, heads, 1).
        slope: GELU's derivative, (Q·n, hidden).
    """

    weights: LayerWeights
    trace: LayerTrace
    row_of: Tensor
    gate_slope: Tensor
    slope: Tensor


def _behind_norms(
    weights: Weights, parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return directions as they act on normalised rows: those of Q, K, V with their LayerNorm folded in."""
    folded = dict(directions)
    for layer in weights.layers:
        linear = f"{layer.name}.attention.qkv"
        if f"{linear}.weight" in directions:
            direction = directions[f"{linear}.weight"]
            folded[f"{linear}.weight"] = direction * parameters[f"{layer.name}.norm1.weight"]
            folded[f"{linear}.bias"] = direction @ parameters[f"{layer.name}.norm1.bias"]
    return folded


def _layers(weights: Weights, row_of: Tensor) -> list[_Layer]:
    trace = forward_pairs(weights, row_of)
    return [
        _Layer(
            weights=layer,
            trace=seen,
            row_of=row_of,
            gate_slope=seen.gate * (1 - seen.gate) / math.sqrt(seen.query.shape[-1]),
            slope=torch.ops.aten.gelu_backward(torch.ones_like(seen.hidden), seen.hidden)[0],
        )
        for layer, seen in zip(weights.layers, trace.layers, strict=True)
    ]


@dataclass(frozen=True)
class _FirstTable:
    """Tangents of the first layer's attention along one direction: functions of few tokens, V of them.

    Attributes:
        scores: Of every pair of tokens, (V², 2, heads): how the score of key 1 moves against that of key 0.
        values: Of every (position, token), (2·V, D).
    """

    scores: Tensor
    values: Tensor

    @classmethod
    def of(cls, normed: Tensor, query_key: Tensor, weight: Tensor, bias: Tensor, heads: int) -> "_FirstTable":
        """Along one direction's weight and bias, from normalised rows (2·V, D) and their Q and K, (2·V, 2·D)."""
        width = normed.shape[1]
        moved = multiply(normed, weight, bias)
        query, key, moved_query, moved_key = (
            part.reshape(2, -1, heads, width // heads)
            for part in (*query_key.chunk(2, -1), moved[:, :width], moved[:, width : 2 * width])
        )
        # Both terms of the product rule as one product.
        queries, keys = torch.cat([moved_query, query], -1), torch.cat([key, moved_key], -1)
        own = (queries * keys).sum(-1).transpose(1, 2)
        from_first = queries[0].transpose(0, 1) @ keys[1].permute(1, 2, 0) - own[0].unsqueeze(2)
        from_second = own[1].unsqueeze(1) - keys[0].transpose(0, 1) @ queries[1].permute(1, 2, 0)
        scores = torch.stack([from_first, from_second]).flatten(2).permute(2, 0, 1).contiguous()
        return cls(scores, moved[:, 2 * width :].contiguous())

    def read(self, pairs: Tensor, row_of: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tangents of scores, (2, n, heads), and of values, (2·n, D), of n pairs of tokens."""
        return self.scores.index_select(0, pairs).transpose(0, 1), self.values.index_select(0, row_of)


def _first_tables(weights: Weights, directions: Mapping[str, Tensor]) -> list[_FirstTable]:
    """Return the tangents of the first layer's attention along every direction; none where they do not move it."""
    layer, config = weights.layers[0], weights.config
    linear = f"{layer.name}.attention.qkv"
    if f"{linear}.weight" not in directions:
        return []
    normed = Normed.of(weights.table).out
    query_key = layer.qkv.rows(0, 2 * config.width).apply(normed)[0]
    moved = zip(directions[f"{linear}.weight"], directions[f"{linear}.bias"], strict=True)
    return [_FirstTable.of(normed[0], query_key, weight, bias, config.heads) for weight, bias in moved]


def _along(layers: list[_Layer], direction: Mapping[str, Tensor], first: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return the tangent of the stream at position 0, (n, D), along one direction.

    `first` is that of the first layer's scores and values, if any; see `_FirstTable.read`.
    """
    stream: Tensor | None = None
    for layer in layers:
        name, seen = layer.weights.name, layer.trace
        read, count = seen.query.shape[1:3]
        moved = None if stream is None else stream[: read * count]
        attended = first
        if layer is not layers[0]:
            weight, bias = (direction.get(f"{name}.attention.qkv.{part}") for part in ("weight", "bias"))
            attended = _attended(layer, weight, bias, stream)
        if attended:
            moved = multiply_into(moved, _mixed(layer, *attended), layer.weights.output[0])
        output = direction.get(f"{name}.attention.output.weight")
        if output is not None:
            moved = multiply_into(moved, seen.mixed[0], output)
        if moved is None:
            continue
        hidden = multiply(seen.norm2.transport(moved[None])[0], layer.weights.up.weight[0]).mul_(layer.slope)
        stream = multiply_into(moved, hidden, layer.weights.down[0])
    assert stream is not None
    return stream


def _attended(
    layer: _Layer, weight: Tensor | None, bias: Tensor | None, stream: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """Return the tangents of scores, (Q, n, heads), and of values, (2·n, D), of a layer behind the first, if any."""
    seen = layer.trace
    queried = seen.query.shape[1] * seen.query.shape[2]
    found = None
    if weight is not None and bias is not None:
        found = _projected((None, None, None), seen.norm1.out[0], weight, queried)
        # The bias of the difference of two keys is nothing.
        query, _, value = bias.chunk(3)
        found[0].add_(query)
        found[2].add_(value)
    if stream is not None:
        moved = seen.norm1.transport(stream[None])[0]
        found = _projected(found or (None, None, None), moved, layer.weights.qkv.weight[0], queried)
    if found is None:
        return None
    query, key_gap, value = found
    query, key_gap = query.view(seen.query.shape), key_gap.view(seen.key_gap.shape)
    return (query * seen.key_gap).addcmul_(seen.query, key_gap).sum(-1)[0], value


def _projected(
    totals: tuple[Tensor | None, Tensor | None, Tensor | None], rows: Tensor, weight: Tensor, queried: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Add the Q, key difference and V of rows (2·n, D) to what is there."""
    query, key, value = weight.chunk(3)
    count = len(rows) // 2
    return (
        multiply_into(totals[0], rows[:queried], query),
        multiply_into(totals[1], rows[count:] - rows[:count], key),
        multiply_into(totals[2], rows, value),
    )


def _mixed(layer: _Layer, score: Tensor, value: Tensor) -> Tensor:
    """Return the tangent of attention's weighted values, (Q·n, D), from those of scores and values."""
    seen = layer.trace
    read = seen.query.shape[1]
    first, second = value.view(1, 2, *seen.query.shape[2:]).chunk(2, 1)
    gate = score[None, :read].unsqueeze(-1) * layer.gate_slope
    return torch.lerp(first, second, seen.gate).addcmul_(gate, seen.value_gap).view(seen.mixed.shape[1:])
