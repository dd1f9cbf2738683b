"""Exact responses of the transformer's residual stream by hand: what `torch.func.jvp` gives, several times as fast.

The network is evaluated once per batch of inputs, and all that its derivative needs is kept; a direction then costs
little more than the products of its tangents. For pairs of tokens, where attention over two keys is a sigmoid of a
difference.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply

_BATCH = 512
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
    batches = torch.split(tokens_NL, _BATCH)
    found = parameters["norm.weight"].new_empty(count, len(tokens_NL), config.width)
    with torch.no_grad():
        for tokens, place in zip(batches, torch.split(found, _BATCH, dim=1), strict=True):
            layers = _evaluate(config, parameters, tokens)
            for k in range(count):
                place[k] = _along(layers, {name: value[k] for name, value in directions.items()})
    return found


@dataclass(frozen=True)
class _Norm:
    """A LayerNorm at its input, rows × D, and what its derivative needs."""

    x: Tensor
    mean: Tensor
    inverse_deviation: Tensor

    @classmethod
    def at(cls, x: Tensor) -> tuple["_Norm", Tensor]:
        normed, mean, inverse_deviation = torch.native_layer_norm(x, x.shape[-1:], None, None, 1e-5)
        return cls(x, mean, inverse_deviation), normed

    def tangent(self, x_tangent: Tensor) -> Tensor:
        # The derivative of (x − mean)/deviation is a symmetric matrix, so its backward kernel is its forward tangent.
        moved: Tensor = torch.ops.aten.native_layer_norm_backward(
            x_tangent, self.x, self.x.shape[-1:], self.mean, self.inverse_deviation, None, None, [True, False, False]
        )[0]
        return moved


@dataclass(frozen=True)
class _Layer:
    """One layer at a batch of n inputs, of which Q positions go on; weights with their LayerNorm's scale folded in."""

    name: str
    row_of: Tensor | None
    norm1: _Norm
    normed1: Tensor
    normed1_read: Tensor
    query_weight: Tensor
    key_value_weight: Tensor
    query: Tensor
    key_gap: Tensor
    value_gap: Tensor
    gate: Tensor
    gate_slope: Tensor
    mixed: Tensor
    output_weight: Tensor
    norm2: _Norm
    up_weight: Tensor
    slope: Tensor
    down_weight: Tensor


def _evaluate(config: TransformerConfig, parameters: Mapping[str, Tensor], tokens_NL: Tensor) -> list[_Layer]:
    width, heads = config.width, config.heads
    table = (parameters["token_embedding.weight"][:, None] + parameters["position_embedding"]).flatten(0, 1)
    row_of = (tokens_NL * 2 + torch.arange(2, device=tokens_NL.device)).flatten()
    stream = table[row_of].view(-1, 2, width)
    layers = []
    for depth in range(config.depth):
        name = f"layers.{depth}."
        own = {key.removeprefix(name): value for key, value in parameters.items() if key.startswith(name)}
        read = 1 if depth == config.depth - 1 else 2
        # The first layer sees few distinct rows: tokens × positions.
        norm1, hat1 = _Norm.at(table if depth == 0 else stream.flatten(0, 1))
        normed1 = hat1 * own["norm1.weight"] + own["norm1.bias"]
        qkv = multiply(normed1, own["attention.qkv.weight"], own["attention.qkv.bias"])
        qkv = (qkv[row_of] if depth == 0 else qkv).view(-1, 2, 3, heads, width // heads)
        query = qkv[:, :read, 0].contiguous()
        key_gap, value_gap = (qkv[:, 1:, part] - qkv[:, :1, part] for part in (1, 2))
        root = math.sqrt(width // heads)
        gate = torch.sigmoid((query * key_gap).sum(-1, keepdim=True) / root)
        mixed = (qkv[:, :1, 2] + gate * value_gap).reshape(-1, width)
        stream = stream[:, :read] + multiply(mixed, own["attention.output.weight"], own["attention.output.bias"]).view(
            -1, read, width
        )
        norm2, hat2 = _Norm.at(stream.reshape(-1, width))
        before = multiply(hat2 * own["norm2.weight"] + own["norm2.bias"], own["up.weight"], own["up.bias"])
        stream = stream + multiply(F.gelu(before), own["down.weight"], own["down.bias"]).view(-1, read, width)
        scaled = own["attention.qkv.weight"] * own["norm1.weight"]
        layers.append(
            _Layer(
                name=name,
                row_of=row_of if depth == 0 else None,
                norm1=norm1,
                normed1=normed1,
                normed1_read=normed1.view(-1, 2, width)[:, :read].reshape(-1, width),
                query_weight=scaled[:width],
                key_value_weight=scaled[width:],
                query=query,
                key_gap=key_gap,
                value_gap=value_gap,
                gate=gate,
                gate_slope=gate * (1 - gate) / root,
                mixed=mixed,
                output_weight=own["attention.output.weight"],
                norm2=norm2,
                up_weight=own["up.weight"] * own["norm2.weight"],
                slope=torch.ops.aten.gelu_backward(torch.ones_like(before), before),
                down_weight=own["down.weight"],
            )
        )
    return layers


def _along(layers: list[_Layer], direction: Mapping[str, Tensor]) -> Tensor:
    """Return the tangent of the stream at position 0, (n, D), along one direction."""
    stream: Tensor | None = None
    for layer in layers:
        count, read = layer.query.shape[:2]
        query, key_value = _projections(layer, direction.get(f"{layer.name}attention.qkv.weight"), stream)
        mixed = None
        if query is not None and key_value is not None:
            mixed = _mixed(layer, query.view(layer.query.shape), key_value.view(count, 2, 2, *layer.query.shape[2:]))
        moved = None if mixed is None else multiply(mixed.view_as(layer.mixed), layer.output_weight)
        output = direction.get(f"{layer.name}attention.output.weight")
        if output is not None:
            added = multiply(layer.mixed, output)
            moved = added if moved is None else moved.add_(added)
        if stream is not None:
            before = stream[:, :read].reshape(count * read, -1)
            moved = before if moved is None else moved.add_(before)
        if moved is None:
            continue
        hidden = multiply(layer.norm2.tangent(moved), layer.up_weight).mul_(layer.slope)
        stream = moved.add_(multiply(hidden, layer.down_weight)).view(count, read, -1)
    assert stream is not None
    return stream[:, 0]


def _projections(layer: _Layer, weight: Tensor | None, stream: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Return the tangents of Q at the positions that go on, and of K and V at both, one row per position."""
    width = layer.output_weight.shape[0]
    query = key_value = None
    if weight is not None and layer.row_of is not None:
        rows = multiply(layer.normed1, weight)[layer.row_of].view(-1, 2, 3 * width)
        return rows[:, : layer.query.shape[1], :width].contiguous(), rows[:, :, width:].contiguous()
    if weight is not None:
        query, key_value = multiply(layer.normed1_read, weight[:width]), multiply(layer.normed1, weight[width:])
    if stream is not None:
        hat = layer.norm1.tangent(stream.flatten(0, 1))
        hat_read = hat.view_as(stream)[:, : layer.query.shape[1]].reshape(-1, width)
        moved_query, moved_key_value = multiply(hat_read, layer.query_weight), multiply(hat, layer.key_value_weight)
        query = moved_query if query is None else query.add_(moved_query)
        key_value = moved_key_value if key_value is None else key_value.add_(moved_key_value)
    return query, key_value


def _mixed(layer: _Layer, query: Tensor, key_value: Tensor) -> Tensor:
    """Return the tangent of attention's weighted values, (n, Q, heads, D / heads)."""
    key_gap, value_gap = (key_value[:, 1:, part] - key_value[:, :1, part] for part in (0, 1))
    score = query.mul_(layer.key_gap).addcmul_(layer.query, key_gap).sum(-1, keepdim=True)
    mixed = torch.addcmul(key_value[:, :1, 1], layer.gate, value_gap)
    return mixed.addcmul_(score * layer.gate_slope, layer.value_gap)
