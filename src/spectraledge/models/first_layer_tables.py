"""What the first layer's attention adds to the stream of a transformer on pairs along directions, as tables."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.models.pair_parts import Attended, Normed
from spectraledge.models.pairs import Weights
from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply, weighted_rows


@dataclass(frozen=True)
class FirstReads:
    """What every direction reads of its `FirstTable` at a batch of n inputs.

    Attributes:
        pairs: Number of the pair of tokens of every input, (n,).
        rows: Rows of each output: both keys' tangents by head, then both keys' own rows, (Q·n, 4·heads).
        shares: Attention paid to both keys by head, (Q·n, 2·heads).
        gate_slope: Derivative of attention paid to key 1 by the score, (Q, n, heads).
    """

    pairs: Tensor
    rows: Tensor
    shares: Tensor
    gate_slope: Tensor

    @classmethod
    def of(
        cls, config: TransformerConfig, tokens: Tensor, row_of: Tensor, attended: Attended, gate_slope: Tensor
    ) -> "FirstReads":
        """Prepare a batch."""
        read, count = attended.query.shape[1:3]
        starts = torch.arange(2 * config.heads, device=tokens.device).mul_(2 * config.tokens)
        rows = (starts.view(2, 1, 1, -1) + row_of.view(1, 2, -1, 1)).permute(2, 0, 1, 3).flatten(1)
        gate = attended.gate.view(read * count, config.heads)
        return cls(
            pairs=tokens[:, 0] * config.tokens + tokens[:, 1],
            rows=rows.repeat(read, 1),
            shares=torch.cat([1 - gate, gate], 1),
            gate_slope=gate_slope.view(read, count, config.heads),
        )


@dataclass(frozen=True)
class FirstTable:
    """What the first layer's attention adds to the stream along one direction: sums of few rows; V tokens.

    Attributes:
        scores: Of every pair of tokens, (V², 2, heads): how the score of key 1 moves against that of key 0. Nothing
            where the direction moves neither Q nor K.
        rows: Of every (head, position, token), what its value sends to the stream: how that moves, and, where scores
            move, that itself; (2·heads·2·V, D) or half of it.
    """

    scores: Tensor | None
    rows: Tensor

    def attended(self, reads: FirstReads) -> Tensor:
        """Return how the stream moves behind the first layer's attention, (Q·n, D)."""
        return weighted_rows(self.rows, *self._taken(reads))

    def by_head(self, reads: FirstReads) -> Tensor:
        """Return how what each head adds at position 0 moves, (n, heads, D)."""
        rows, weights = (part[: len(reads.pairs)] for part in self._taken(reads))
        heads = reads.gate_slope.shape[-1]
        each = [weighted_rows(self.rows, rows[:, head::heads], weights[:, head::heads]) for head in range(heads)]
        return torch.stack(each, 1)

    def _taken(self, reads: FirstReads) -> tuple[Tensor, Tensor]:
        """Which rows every output sums and by what; columns of a head are as many apart as there are heads."""
        if self.scores is None:
            return reads.rows[:, : reads.shares.shape[1]], reads.shares
        moved = self.scores.index_select(0, reads.pairs).transpose(0, 1)[: len(reads.gate_slope)]
        moved = (moved * reads.gate_slope).flatten(0, 1)
        return reads.rows, torch.cat([reads.shares, -moved, moved], 1)


def first_tables(weights: Weights, directions: Mapping[str, Tensor], count: int) -> list[FirstTable]:
    """Return the first layer's table of every direction; none where they do not move its attention."""
    layer, heads = weights.layers[0], weights.config.heads
    moved_qkv, moved_bias, moved_output = (
        directions.get(f"{layer.name}.attention.{name}") for name in ("qkv.weight", "qkv.bias", "output.weight")
    )
    if moved_qkv is None and moved_output is None:
        return []
    normed = Normed.of(weights.table).out
    sizes = [2 * weights.config.width, weights.config.width]
    query_key, value = torch.split(layer.qkv.apply(normed)[0], sizes, dim=1)
    own = _through_output(value, layer.output[0], heads)
    tables = []
    for k in range(count):
        scores, rows = None, None if moved_output is None else _through_output(value, moved_output[k], heads)
        if moved_qkv is not None and moved_bias is not None:
            moved = multiply(normed[0], moved_qkv[k], moved_bias[k])
            moved_query_key, moved_value = torch.split(moved, sizes, dim=1)
            scores = _moved_scores(query_key, moved_query_key, heads)
            sent = _through_output(moved_value, layer.output[0], heads)
            rows = torch.cat([sent if rows is None else rows.add_(sent), own])
        assert rows is not None
        tables.append(FirstTable(scores, rows))
    return tables


def _through_output(value: Tensor, output: Tensor, heads: int) -> Tensor:
    """Return what the values (2·V, D) of each head send through an output projection, (heads·2·V, D)."""
    by_head = value.reshape(len(value), heads, -1).transpose(0, 1)
    return (by_head @ output.reshape(len(output), heads, -1).permute(1, 2, 0)).flatten(0, 1)


def _moved_scores(query_key: Tensor, moved: Tensor, heads: int) -> Tensor:
    """Return how the scores of every pair of tokens move, from Q and K, (2·V, 2·D), and how those do; `FirstTable`."""
    query, key, moved_query, moved_key = (
        part.reshape(2, len(part) // 2, heads, -1) for part in (*query_key.chunk(2, -1), *moved.chunk(2, -1))
    )
    # Both terms of the product rule as one product.
    queries, keys = torch.cat([moved_query, query], -1), torch.cat([key, moved_key], -1)
    own = (queries * keys).sum(-1).transpose(1, 2)
    from_first = queries[0].transpose(0, 1) @ keys[1].permute(1, 2, 0) - own[0].unsqueeze(2)
    from_second = own[1].unsqueeze(1) - keys[0].transpose(0, 1) @ queries[1].permute(1, 2, 0)
    return torch.stack([from_first, from_second]).flatten(2).permute(2, 0, 1).contiguous()
