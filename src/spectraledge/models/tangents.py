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
from spectraledge.models.pairs import LayerTrace, LayerWeights, Weights, forward_pairs, rows_of
from spectraledge.models.transformer import TransformerConfig
from spectraledge.native import LONG
from spectraledge.native.calls import addresses, call, can_take
from spectraledge.products import multiply, multiply_into

_BATCH = 512
"""Inputs per pass: large enough for the products, small enough for what is kept to stay in cache."""

_NATIVE_BYTES = 2048
"""The same where C takes it, times the bytes of a number."""

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
    both = *parameters.values(), *directions.values()
    if len({each.dtype for each in both}) == 1 and can_take(both[0], torch.float32, torch.float64):
        batch = _NATIVE_BYTES // both[0].element_size()
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            fill = functools.partial(_fill_in_c, pool=pool)
            return _by_batches(config, parameters, directions, tokens_NL, config.width, batch, fill)
    return _each_along(config, parameters, directions, tokens_NL, _along, config.width)


def head_tangents(
    config: TransformerConfig, parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor], tokens_NL: Tensor
) -> Tensor:
    """Return the derivative of `HeadOutputs` along every direction, (K, N, depth·heads·D), layers first."""
    size = config.depth * config.heads * config.width
    return _each_along(config, parameters, directions, tokens_NL, _heads_along, size)


def _each_along(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    tokens_NL: Tensor,
    along: "_Along",
    size: int,
) -> Tensor:
    """Take the tangent along every direction, (K, N, size), at a batch of inputs after another."""
    batch = _BATCH if tokens_NL.device.type == "cpu" else _GPU_BATCH
    return _by_batches(config, parameters, directions, tokens_NL, size, batch, functools.partial(_fill, along=along))


def _by_batches(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    tokens_NL: Tensor,
    size: int,
    batch: int,
    fill: Callable[..., None],
) -> Tensor:
    """Prepare weights and directions, and fill in what each batch of inputs has along all directions, (K, N, size)."""
    assert has_tangents(config, directions)
    count = len(next(iter(directions.values())))
    found = parameters["norm.weight"].new_empty(count, len(tokens_NL), size)
    with torch.no_grad():
        weights = Weights.of(config, {name: value[None] for name, value in parameters.items()})
        folded = {name: value.contiguous() for name, value in _behind_norms(weights, parameters, directions).items()}
        tables: list[FirstTable | None] = [*first_tables(weights, folded, count)] or [None] * count
        for tokens, place in zip(torch.split(tokens_NL, batch), torch.split(found, batch, dim=1), strict=True):
            fill(weights, folded, tables, tokens, place)
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
    weights: Weights,
    directions: Mapping[str, Tensor],
    tables: Sequence[FirstTable | None],
    tokens: Tensor,
    found: Tensor,
    pool: ThreadPoolExecutor,
) -> None:
    """Write the same of the residual in one call of C for each of the threads, which share directions."""
    config, count = weights.config, len(found)
    precision, threads = str(found.dtype).removeprefix("torch."), min(torch.get_num_threads(), count)
    row_of = rows_of(config, tokens[None])
    passed = [part for layer in _layers(weights, row_of) for part in _as_passed(layer, directions)]
    first = [part for table in tables for part in ((table.scores, table.rows) if table else (None, None))]
    numbers = config.tokens, config.width, config.depth, config.heads, config.hidden, len(tokens)
    sizes, places = (LONG * len(numbers))(*numbers), (addresses(passed), addresses(first))
    memories = found.new_empty(threads, call(f"pair_tangents_room_{precision}", sizes))

    def take(number: int) -> None:
        own = count * number // threads, count * (number + 1) // threads
        call(f"pair_tangents_{precision}", sizes, memories[number], *places, row_of, *own, found, found.stride(0))

    for _ in pool.map(take, range(threads)):
        pass


def _as_passed(layer: "_Layer", directions: Mapping[str, Tensor]) -> list[Tensor | None]:
    """Return what `struct layer` of `native/pair_tangents.h` holds, each in one piece."""
    seen, name = layer.trace, f"{layer.weights.name}.attention"
    own = layer.weights.qkv.weight, layer.weights.output, layer.weights.up.weight, layer.weights.down
    attended = seen.attended
    left = (
        *(seen.norm1.out, seen.norm1.inverse_deviation),
        *(attended.query, attended.key_gap, attended.value_gap, attended.gate, layer.gate_slope, attended.mixed),
        *(seen.norm2.out, seen.norm2.inverse_deviation, layer.slope),
    )
    moved = (directions.get(f"{name}.{part}") for part in ("qkv.weight", "qkv.bias", "output.weight"))
    return [*(tensor.contiguous() for tensor in (*own, *left)), *moved]


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
