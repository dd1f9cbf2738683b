"""Exact responses of the transformer along changes of any of its parameters, by hand: what `torch.func.jvp` gives.

Beside `tangents`, which knows attention's matrices alone and is faster still. What makes it fast is the forward pass of
`pairs`, made once for all directions; what a direction does not move is passed over, so that a change of late layers
costs little.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.models.architecture import ReadoutName
from spectraledge.models.moved_linear import MovedLinear, each_direction, sum_of
from spectraledge.models.pair_parts import Normed
from spectraledge.models.pairs import LayerTrace, LayerWeights, Trace, Weights, forward_pairs, rows_of
from spectraledge.models.transformer import TransformerConfig

_BATCH = 512
"""Inputs per pass: large enough for the products, small enough for what is kept to stay in cache."""


def whole_tangents(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    tokens_NL: Tensor,
    readout: ReadoutName,
) -> Tensor:
    """Return a read-out's derivative along every direction, (K, N, D), or (K, N, answers·tokens) of the logits."""
    moving = each_direction(directions)
    size = config.answers * config.tokens if readout == "logits" else config.width
    found_KND = parameters["norm.weight"].new_zeros(len(moving), len(tokens_NL), size)
    with torch.no_grad():
        weights = Weights.of(config, {name: value[None] for name, value in parameters.items()})
        moved = [_Moved.of(config, parameters, direction) for direction in moving]
        for start in range(0, len(tokens_NL), _BATCH):
            place = slice(start, start + _BATCH)
            tokens = tokens_NL[place]
            row_of = rows_of(config, tokens[None])
            trace = forward_pairs(weights, row_of)
            slopes = [one.gelu.slope()[0] for one in trace.layers]
            for k, direction in enumerate(moved):
                stream = _along(weights, trace, slopes, direction)
                tangent = _read(readout, weights, parameters["norm.weight"], trace, direction, stream)
                if tangent is not None:
                    found_KND[k, place] = tangent
    return found_KND


@dataclass(frozen=True)
class _Moved:
    """One direction, as it acts on normalised rows.

    Attributes:
        table: Of the sum of token and position embedding, (2·V, D), if any.
        layers: Of Q, K, V together, attention's output, and both feed-forward layers, layer by layer.
        head: Of the head.
        scale: Of the final LayerNorm, (D,), if any; the head has it folded in.
        shift: The same of its shift.
    """

    table: Tensor | None
    layers: tuple[tuple[MovedLinear, MovedLinear, MovedLinear, MovedLinear], ...]
    head: MovedLinear
    scale: Tensor | None
    shift: Tensor | None

    @classmethod
    def of(
        cls, config: TransformerConfig, parameters: Mapping[str, Tensor], direction: Mapping[str, Tensor]
    ) -> "_Moved":
        position, token = direction.get("position_embedding"), direction.get("token_embedding.weight")
        table = sum_of(
            None if position is None else position.unsqueeze(1).expand(-1, config.tokens, -1),
            None if token is None else token.unsqueeze(0).expand(2, -1, -1),
        )

        def affine(linear: str, norm: str = "") -> MovedLinear:
            return MovedLinear.of(parameters, direction, linear, norm)

        names = [f"layers.{depth}" for depth in range(config.depth)]
        return cls(
            None if table is None else table.flatten(0, 1),
            tuple(
                (
                    affine(f"{name}.attention.qkv", f"{name}.norm1"),
                    affine(f"{name}.attention.output"),
                    affine(f"{name}.up", f"{name}.norm2"),
                    affine(f"{name}.down"),
                )
                for name in names
            ),
            affine("head", "norm"),
            direction.get("norm.weight"),
            direction.get("norm.bias"),
        )


def _along(weights: Weights, trace: Trace, slopes: list[Tensor], moved: _Moved) -> Tensor | None:
    """Tangent of the residual at a batch along one direction, if it moves."""
    row_of = trace.row_of
    stream = None if moved.table is None else moved.table.index_select(0, row_of)
    for depth, (layer, seen) in enumerate(zip(weights.layers, trace.layers, strict=True)):
        qkv, output, up, down = moved.layers[depth]
        before = moved.table if depth == 0 else stream
        normed = _transported(seen.norm1, before)
        mixed = None
        if normed is not None or qkv.moves:
            parts = _first(layer, seen, qkv, normed, row_of) if depth == 0 else _later(layer, seen, qkv, normed)
            mixed = _mixed(seen, *parts)
        count = seen.attended.mixed.shape[1]
        stream = None if stream is None else stream[:count]
        stream = sum_of(stream, output.through(seen.attended.mixed[0], layer.output[0], mixed))
        hidden = up.through(seen.norm2.out[0], layer.up.weight[0], _transported(seen.norm2, stream))
        hidden = None if hidden is None else hidden.mul_(slopes[depth])
        stream = sum_of(stream, down.through(seen.gelu.out[0], layer.down[0], hidden))
    return stream


def _read(
    readout: ReadoutName, weights: Weights, scale: Tensor, trace: Trace, moved: _Moved, stream: Tensor | None
) -> Tensor | None:
    """Tangent of a read-out, from that of the residual, if it moves."""
    if readout == "residual":
        return stream
    normed = _transported(trace.norm, stream)
    if readout == "logits":
        logits = moved.head.through(trace.norm.out[0], weights.head.weight[0], normed)
        return None if logits is None else logits - logits.mean(-1, keepdim=True)
    scaled = None if normed is None else normed * scale
    return sum_of(scaled, None if moved.scale is None else trace.norm.out[0] * moved.scale, moved.shift)


def _first(
    layer: LayerWeights, seen: LayerTrace, qkv: MovedLinear, normed: Tensor | None, row_of: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Tangents of queries, of the difference of keys and of values in the first layer, which sees rows of a table."""
    rows = qkv.through(seen.norm1.out[0], layer.qkv.weight[0], normed)
    assert rows is not None
    read, count, heads, width = seen.attended.query.shape[1:]
    query, key, value = rows.index_select(0, row_of).view(2, count, 3, heads, width).unbind(2)
    return query[:read], key[1:] - key[:1], value


def _later(
    layer: LayerWeights, seen: LayerTrace, qkv: MovedLinear, normed: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The same in a layer behind the first."""
    read, count, heads, width = seen.attended.query.shape[1:]
    size, still, matrix = heads * width, seen.norm1.out[0], layer.qkv.weight[0]
    keys = MovedLinear(qkv.rows(size, 2 * size).weight)  # The bias of the difference of two keys is nothing.
    parts = (
        (qkv.rows(0, size), still[: read * count], matrix[:size], None if normed is None else normed[: read * count]),
        (keys, _gap(still, count), matrix[size : 2 * size], None if normed is None else _gap(normed, count)),
        (qkv.rows(2 * size), still, matrix[2 * size :], normed),
    )
    found = []
    for affine, rows, part, moved in parts:
        tangent = affine.through(rows, part, moved)
        tangent = rows.new_zeros(len(rows), size) if tangent is None else tangent
        found.append(tangent.view(-1, count, heads, width))
    query, key_gap, value = found
    return query, key_gap, value


def _gap(rows: Tensor, count: int) -> Tensor:
    return rows[count:] - rows[:count]


def _mixed(seen: LayerTrace, query: Tensor, key_gap: Tensor, value: Tensor) -> Tensor:
    """Tangent of attention's weighted values, (Q·n, D)."""
    scale = 1 / math.sqrt(seen.attended.query.shape[-1])
    gate = seen.attended.gate[0]
    score = (query * seen.attended.key_gap[0] + seen.attended.query[0] * key_gap).sum(-1, keepdim=True)
    moved_gate = score.mul_(scale).mul_(gate * (1 - gate))
    return (
        torch.lerp(value[:1], value[1:], gate)
        .addcmul_(moved_gate, seen.attended.value_gap[0])
        .view(seen.attended.mixed.shape[1:])
    )


def _transported(norm: Normed, moved: Tensor | None) -> Tensor | None:
    return None if moved is None else norm.transport(moved.view(norm.x.shape))[0]
