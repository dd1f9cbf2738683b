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

_BATCH = 384
"""Inputs per pass: large enough for the products, small enough for what is kept to stay in cache."""


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
    """
    assert has_tangents(config, directions)
    count = len(next(iter(directions.values())))
    found = parameters["norm.weight"].new_empty(count, len(tokens_NL), config.width)
    with torch.no_grad():
        weights = Weights.of(config, {name: value[None] for name, value in parameters.items()})
        folded = _behind_norms(weights, parameters, directions)
        tables = _first_tables(weights, folded, count)
        batches = torch.split(tokens_NL, _BATCH)
        for tokens, place in zip(batches, torch.split(found, _BATCH, dim=1), strict=True):
            layers = _layers(weights, rows_of(config, tokens[None]))
            for k in range(count):
                place[k] = _along(layers, {name: value[k] for name, value in folded.items()}, tables[k])
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


def _first_tables(weights: Weights, directions: Mapping[str, Tensor], count: int) -> list[Tensor | None]:
    """Return the tangents of the first layer's Q, K, V, (2·V, 3·D), of every direction that moves them: few rows."""
    layer = weights.layers[0]
    linear = f"{layer.name}.attention.qkv"
    if f"{linear}.weight" not in directions:
        return [None] * count
    normed = Normed.of(weights.table).out[0]
    moved = zip(directions[f"{linear}.weight"], directions[f"{linear}.bias"], strict=True)
    return [multiply(normed, weight, bias) for weight, bias in moved]


def _along(layers: list[_Layer], direction: Mapping[str, Tensor], table: Tensor | None) -> Tensor:
    """Return the tangent of the stream at position 0, (n, D), along one direction; `table` as in `_first_tables`."""
    stream: Tensor | None = None
    for layer in layers:
        name, seen = layer.weights.name, layer.trace
        read, count = seen.query.shape[1:3]
        moved = None if stream is None else stream[: read * count]
        projections = None
        if layer is not layers[0]:
            weight, bias = (direction.get(f"{name}.attention.qkv.{part}") for part in ("weight", "bias"))
            projections = _projections(layer, weight, bias, stream)
        elif table is not None:
            query, key, value = table.index_select(0, layer.row_of).chunk(3, -1)
            projections = query[: read * count], key[count:] - key[:count], value
        if projections:
            mixed = _mixed(layer, *projections)
            moved = multiply_into(moved, mixed, layer.weights.output[0])
        output = direction.get(f"{name}.attention.output.weight")
        if output is not None:
            moved = multiply_into(moved, seen.mixed[0], output)
        if moved is None:
            continue
        hidden = multiply(seen.norm2.transport(moved[None])[0], layer.weights.up.weight[0]).mul_(layer.slope)
        stream = multiply_into(moved, hidden, layer.weights.down[0])
    assert stream is not None
    return stream


def _projections(
    layer: _Layer, weight: Tensor | None, bias: Tensor | None, stream: Tensor | None
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Return the tangents of Q (Q·n, D), of the difference of the two keys (n, D), and of V (2·n, D), if any."""
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
    return found


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


def _mixed(layer: _Layer, query: Tensor, key_gap: Tensor, value: Tensor) -> Tensor:
    """Return the tangent of attention's weighted values, (Q·n, D)."""
    seen = layer.trace
    query, key_gap = query.reshape(seen.query.shape), key_gap.reshape(seen.key_gap.shape)
    values = value.reshape(1, 2, *seen.query.shape[2:])
    score = (query * seen.key_gap).addcmul_(seen.query, key_gap).sum(-1, keepdim=True).mul_(layer.gate_slope)
    mixed = torch.addcmul(values[:, :1], seen.gate, values[:, 1:] - values[:, :1])
    return mixed.addcmul_(score, seen.value_gap).view(seen.mixed.shape[1:])
