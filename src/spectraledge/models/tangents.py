"""Exact responses of the transformer's residual stream by hand: what `torch.func.jvp` gives, several times as fast.

The network is evaluated once per batch of inputs (`pairs.forward_pairs`), and all that its derivative needs is kept; a
direction then costs little more than the products of its tangents.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.models.first_layer_tables import FirstReads, FirstTable, first_tables
from spectraledge.models.native_networks import transformer_names, transformer_sizes
from spectraledge.models.pairs import LayerTrace, LayerWeights, Weights, forward_pairs, rows_of
from spectraledge.models.transformer import TransformerConfig
from spectraledge.native import LONG
from spectraledge.native.calls import Inputs, addresses, call, can_take, in_precision
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
    """Return the derivative of the residual stream at position 0 along every direction, (K, N, D); see `has_tangents`.

    Cost: beside the result memory for 2·heads·(V² + 2·V·D) numbers per direction, where one moves the first layer.
    """
    return _tangents(config, parameters, directions, tokens_NL, by_head=False)


def head_tangents(
    config: TransformerConfig, parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor], tokens_NL: Tensor
) -> Tensor:
    """Return the derivative of `HeadOutputs` along every direction, (K, N, depth·heads·D), layers first."""
    return _tangents(config, parameters, directions, tokens_NL, by_head=True)


def _tangents(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    tokens_NL: Tensor,
    *,
    by_head: bool,
) -> Tensor:
    """Fill in the tangent along every direction, (K, N, size), where it can be by C."""
    assert has_tangents(config, directions)
    both = *parameters.values(), *directions.values()
    size = config.width * (config.depth * config.heads if by_head else 1)
    found = parameters["norm.weight"].new_empty(len(next(iter(directions.values()))), len(tokens_NL), size)
    with torch.no_grad():
        weights = Weights.of(config, {name: value[None] for name, value in parameters.items()})
        folded = {name: value.contiguous() for name, value in _behind_norms(weights, parameters, directions).items()}
        tables: list[FirstTable | None] = [*first_tables(weights, folded, len(found))] or [None] * len(found)
        if len({each.dtype for each in both}) == 1 and can_take(both[0]):
            _fill_in_c(config, parameters, folded, tables, tokens_NL, found, by_head=by_head)
            return found
        along, batch = _heads_along if by_head else _along, _BATCH if found.device.type == "cpu" else _GPU_BATCH
        for tokens, place in zip(torch.split(tokens_NL, batch), torch.split(found, batch, dim=1), strict=True):
            _fill(weights, folded, tables, tokens, place, along)
    return found


def _fill(
    weights: Weights,
    directions: Mapping[str, Tensor],
    tables: Sequence[FirstTable | None],
    tokens: Tensor,
    found: Tensor,
    along: "_Along",
) -> None:
    """Write the tangents at a batch of inputs, one direction after another."""
    row_of = rows_of(weights.config, tokens[None])
    layers = _layers(weights, row_of)
    reads = FirstReads.of(weights.config, tokens, row_of, layers[0].trace.attended, layers[0].gate_slope)
    for k, table in enumerate(tables):
        found[k] = along(layers, {name: value[k] for name, value in directions.items()}, table, reads)


def _fill_in_c(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    tables: Sequence[FirstTable | None],
    tokens_NL: Tensor,
    found: Tensor,
    *,
    by_head: bool,
) -> None:
    """Write the same in one call of C for each of the threads, which share inputs."""
    count, inputs, _ = found.shape
    numbers = transformer_sizes(config, answers=0)
    sizes = (LONG * len(numbers))(*numbers)
    in_precision_of_found = functools.partial(in_precision, dtype=found.dtype)
    whole = [parameters[name].contiguous() for name in transformer_names(config)]
    row_of = rows_of(config, tokens_NL[None])
    parts = "qkv.weight", "qkv.bias", "output.weight"
    moved = addresses(directions.get(f"layers.{k}.attention.{part}") for k in range(config.depth) for part in parts)
    read = addresses(part for table in tables for part in ((table.scores, table.rows) if table else (None, None)))
    panels = found.new_empty(count, call(in_precision_of_found("pair_tangents_panels"), sizes))
    call(in_precision_of_found("pair_tangents_lay_out"), sizes, moved, count, panels)
    given = addresses(whole), moved, read, panels, count
    room = call(in_precision_of_found("pair_tangents_room"), sizes)

    def take(start: int, stop: int) -> None:
        rows = Inputs(row_of[start:].data_ptr(), inputs, 0)
        given_here = found.new_empty(room), *given, rows, stop - start, by_head, found[:, start:], found.stride(0)
        call(in_precision_of_found("pair_tangents"), sizes, *given_here)

    threads = max(1, min(torch.get_num_threads(), inputs))
    ends = [inputs * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(take, ends[:-1], ends[1:]):
            pass


@dataclass(frozen=True)
class _Layer:
    """One layer at a batch of n inputs: its trace, and what every direction needs of it.

    Attributes:
        weights: Of the layer.
        trace: Of one network.
        gate_slope: Derivative of the gate by the score, (1, Q, n, heads, 1).
        slope: GELU's derivative, (Q·n, hidden).
    """

    weights: LayerWeights
    trace: LayerTrace
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
            gate_slope=seen.attended.gate * (1 - seen.attended.gate) / math.sqrt(seen.attended.query.shape[-1]),
            slope=seen.gelu.slope()[0],
        )
        for layer, seen in zip(weights.layers, trace.layers, strict=True)
    ]


_Along = Callable[[list[_Layer], Mapping[str, Tensor], FirstTable | None, FirstReads], Tensor]


def _along(
    layers: list[_Layer], direction: Mapping[str, Tensor], table: FirstTable | None, reads: FirstReads
) -> Tensor:
    """Return the tangent of the stream at position 0, (n, D), along one direction."""
    stream = _behind_feed_forward(layers[0], table.attended(reads) if table else None)
    for layer in layers[1:]:
        moved = _behind_attention(layer, direction, stream, _moved_mix(layer, direction, stream))
        stream = _behind_feed_forward(layer, moved)
    assert stream is not None
    return stream


def _heads_along(
    layers: list[_Layer], direction: Mapping[str, Tensor], table: FirstTable | None, reads: FirstReads
) -> Tensor:
    """Return the tangents of what heads add to the stream at position 0, (n, depth·heads·D), along one direction."""
    count, heads, width = len(reads.pairs), reads.gate_slope.shape[-1], layers[0].weights.output.shape[-1]
    found = [reads.shares.new_zeros(count, heads, width) if table is None else table.by_head(reads)]
    stream = _behind_feed_forward(layers[0], table.attended(reads) if table else None)
    for layer in layers[1:]:
        mixed, moved_output = _moved_mix(layer, direction, stream), _moved_output(layer, direction)
        found.append(torch.zeros_like(found[0]))
        for rows, output in ((mixed, layer.weights.output[0]), (layer.trace.attended.mixed[0], moved_output)):
            if rows is not None and output is not None:
                by_head = rows[:count].view(count, heads, -1)
                found[-1] += torch.einsum("nhe,dhe->nhd", by_head, output.view(width, heads, -1))
        stream = _behind_feed_forward(layer, _behind_attention(layer, direction, stream, mixed))
    return torch.stack(found, 1).flatten(1)


def _moved_output(layer: _Layer, direction: Mapping[str, Tensor]) -> Tensor | None:
    return direction.get(f"{layer.weights.name}.attention.output.weight")


def _moved_mix(layer: _Layer, direction: Mapping[str, Tensor], stream: Tensor | None) -> Tensor | None:
    """Return the tangent of attention's weighted values, (Q·n, D), of a layer behind the first, if any."""
    weight, bias = (direction.get(f"{layer.weights.name}.attention.qkv.{part}") for part in ("weight", "bias"))
    attended = _attended(layer, weight, bias, stream)
    return _mixed(layer, *attended) if attended else None


def _behind_attention(
    layer: _Layer, direction: Mapping[str, Tensor], stream: Tensor | None, mixed: Tensor | None
) -> Tensor | None:
    """Return the tangent of the stream behind attention, (Q·n, D), from those before it and of weighted values."""
    seen, output = layer.trace, _moved_output(layer, direction)
    moved = None if stream is None else stream[: seen.attended.mixed.shape[1]]
    if mixed is not None:
        moved = multiply_into(moved, mixed, layer.weights.output[0])
    return moved if output is None else multiply_into(moved, seen.attended.mixed[0], output)


def _behind_feed_forward(layer: _Layer, moved: Tensor | None) -> Tensor | None:
    """Return the tangent of the stream behind a layer, (Q·n, D), from that behind its attention, if any."""
    if moved is None:
        return None
    hidden = multiply(layer.trace.norm2.transport(moved[None])[0], layer.weights.up.weight[0]).mul_(layer.slope)
    return multiply_into(moved, hidden, layer.weights.down[0])


def _attended(
    layer: _Layer, weight: Tensor | None, bias: Tensor | None, stream: Tensor | None
) -> tuple[Tensor, Tensor] | None:
    """Return the tangents of scores, (Q, n, heads), and of values, (2·n, D), of a layer behind the first, if any."""
    seen = layer.trace
    queried = seen.attended.query.shape[1] * seen.attended.query.shape[2]
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
    query, key_gap = query.view(seen.attended.query.shape), key_gap.view(seen.attended.key_gap.shape)
    return (query * seen.attended.key_gap).addcmul_(seen.attended.query, key_gap).sum(-1)[0], value


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
    read = seen.attended.query.shape[1]
    first, second = value.view(1, 2, *seen.attended.query.shape[2:]).chunk(2, 1)
    gate = score[None, :read].unsqueeze(-1) * layer.gate_slope
    return (
        torch.lerp(first, second, seen.attended.gate)
        .addcmul_(gate, seen.attended.value_gap)
        .view(seen.attended.mixed.shape[1:])
    )
