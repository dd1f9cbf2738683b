"""Loss and gradient of the transformer on pairs, by hand: what autograd gives, without its bookkeeping, for S networks.

The backward pass of `pairs.forward_pairs`, from the logits to the embeddings.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from spectraledge.models.losses import LossName, losses_and_slopes
from spectraledge.models.pairs import Folded, LayerTrace, LayerWeights, Weights, forward_pairs
from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply_stacks


def loss_and_gradient(
    config: TransformerConfig,
    parameters: Mapping[str, Tensor],
    row_of: Tensor,
    labels_SNO: Tensor,
    loss: LossName = "cross-entropy",
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean loss of each of S networks on its own n pairs, summed over its O answers, and its gradient.

    Law: equal to autograd through `Transformer` and `answer_losses`, up to rounding.

    Returns:
        Losses, shape (S,), and the gradients by name, shapes as the parameters.
    """
    weights = Weights.of(config, parameters)
    trace = forward_pairs(weights, row_of)
    losses_SNO, slopes = losses_and_slopes(trace.logits, labels_SNO, loss)
    backward = _Backward(weights, parameters)
    logits = slopes.div_(labels_SNO.shape[1]).flatten(2)
    stream = backward.folded("norm", "head", weights.head, logits, trace.norm.out)
    stream = trace.norm.transport(stream)
    for layer, seen in zip(reversed(weights.layers), reversed(trace.layers), strict=True):
        stream, query, key_gap, value = backward.layer(layer, seen, stream)
        parts = query, key_gap, value
        if layer is weights.layers[0]:
            backward.first(layer, seen, row_of, parts, stream)
        else:
            stream = backward.later(layer, seen, parts, stream)
    return losses_SNO.sum(-1).mean(-1), {name: backward.gradient[name] for name in parameters}


class _Backward:
    """The steps of the backward pass; each leaves the gradients of its own parameters in `gradient`."""

    def __init__(self, weights: Weights, parameters: Mapping[str, Tensor]) -> None:
        self.weights = weights
        self.parameters = parameters
        self.gradient: dict[str, Tensor] = {}

    def layer(self, layer: LayerWeights, seen: LayerTrace, stream: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Go back to the stream behind attention, to Q, to the difference of the two keys, and to V.

        Returns:
            Shapes (S, Q·n, D), (S, Q, n, heads, D/heads), (S, n, heads, D/heads), (S, 2, n, heads, D/heads).
        """
        hidden = self._linear(f"{layer.name}.down", stream, seen.active)
        hidden = torch.ops.aten.gelu_backward(hidden, seen.hidden)
        normed = self.folded(f"{layer.name}.norm2", f"{layer.name}.up", layer.up, hidden, seen.norm2.out)
        stream = stream + seen.norm2.transport(normed)
        mixed = self._linear(f"{layer.name}.attention.output", stream, seen.mixed).view(seen.query.shape)
        score = (mixed * seen.value_gap).sum(-1, keepdim=True)
        score = score * seen.gate * (1 - seen.gate) / math.sqrt(seen.query.shape[-1])
        value_gap, key_gap = (mixed * seen.gate).sum(1), (seen.query * score).sum(1)
        value = torch.stack([mixed.sum(1) - value_gap, value_gap], 1)
        return stream, score * seen.key_gap, key_gap, value

    def first(
        self,
        layer: LayerWeights,
        seen: LayerTrace,
        row_of: Tensor,
        parts: tuple[Tensor, Tensor, Tensor],
        stream: Tensor,
    ) -> None:
        """Go back from the first layer to the embeddings."""
        table = self.weights.table

        def collected(part: Tensor) -> Tensor:
            """Sum a gradient (S, positions, n, ...) within the rows of the table that its entries come from."""
            read = row_of.view(len(table), 2, -1)[:, : part.shape[1]].flatten()
            rows = torch.zeros_like(table).flatten(0, 1)
            return rows.index_add_(0, read, part.reshape(len(read), -1)).view_as(table)

        query, key_gap, value = parts
        of_query, of_value = collected(query), collected(value)
        rows = torch.cat([of_query, collected(torch.stack([-key_gap, key_gap], 1)), of_value], -1)
        linear = f"{layer.name}.attention.qkv"
        self._unfold(f"{layer.name}.norm1", linear, _outer(rows, seen.norm1.out), _qkv_bias(of_query, of_value))
        normed = seen.norm1.transport(_back(rows, layer.qkv.weight))
        stream = collected(stream.view(len(table), seen.query.shape[1], -1, table.shape[-1]))
        per_position = (stream + normed).view(len(table), 2, -1, table.shape[-1])
        self.gradient["token_embedding.weight"] = per_position.sum(1)
        self.gradient["position_embedding"] = per_position.sum(2)

    def later(
        self, layer: LayerWeights, seen: LayerTrace, parts: tuple[Tensor, Tensor, Tensor], stream: Tensor
    ) -> Tensor:
        """Go back from a layer behind the first to the stream before it, both positions, (S, 2·n, D)."""
        stacks, read, count = seen.query.shape[:3]
        width = layer.output.shape[-1]
        query, key_gap, value = (part.reshape(stacks, -1, width) for part in parts)
        of_query, of_key, of_value = layer.qkv.weight.chunk(3, 1)
        weight = [
            _outer(query, seen.norm1.ahead(read)),
            _outer(key_gap, seen.norm1.gap()),
            _outer(value, seen.norm1.out),
        ]
        linear = f"{layer.name}.attention.qkv"
        self._unfold(f"{layer.name}.norm1", linear, torch.cat(weight, 1), _qkv_bias(query, value))
        normed = _back(value, of_value).view(stacks, 2, count, width)
        between = _back(key_gap, of_key)
        normed[:, 0] -= between
        normed[:, 1] += between
        normed[:, :read] += _back(query, of_query).view(stacks, read, count, width)
        before = seen.norm1.transport(normed.view(stacks, 2 * count, width)).view(stacks, 2, count, width)
        before[:, :read] += stream.view(stacks, read, count, width)
        return before.view(stacks, 2 * count, width)

    def folded(self, norm: str, linear: str, folded: Folded, change: Tensor, normed: Tensor) -> Tensor:
        """Go back through a linear layer with its LayerNorm's scale and shift, to the normalised rows."""
        self._unfold(norm, linear, _outer(change, normed), change.sum(1))
        return _back(change, folded.weight)

    def _unfold(self, norm: str, linear: str, weight: Tensor, bias: Tensor) -> None:
        """Split the gradient of a folded layer (see `pairs.Folded`) among the LayerNorm and the linear layer."""
        own = self.parameters[f"{linear}.weight"]
        scale, shift = self.parameters[f"{norm}.weight"].unsqueeze(-2), self.parameters[f"{norm}.bias"].unsqueeze(-2)
        bias_column = bias.unsqueeze(-1)
        self.gradient[f"{norm}.weight"] = (weight * own).sum(1)
        self.gradient[f"{norm}.bias"] = (own * bias_column).sum(1)
        self.gradient[f"{linear}.weight"] = torch.addcmul(weight * scale, bias_column, shift)
        self.gradient[f"{linear}.bias"] = bias

    def _linear(self, name: str, change: Tensor, x: Tensor) -> Tensor:
        self.gradient[f"{name}.weight"] = _outer(change, x)
        self.gradient[f"{name}.bias"] = change.sum(1)
        return _back(change, self.parameters[f"{name}.weight"])


def _qkv_bias(query: Tensor, value: Tensor) -> Tensor:
    """Return the gradient of the biases of Q, K, V: attention does not see a shift of all keys, so K's is nothing."""
    of_query = query.sum(1)
    return torch.cat([of_query, torch.zeros_like(of_query), value.sum(1)], -1)


def _outer(change: Tensor, x: Tensor) -> Tensor:
    """Return Σ_rows change ⊗ x, (S, out, in)."""
    return multiply_stacks(change.transpose(1, 2), x.transpose(1, 2))


def _back(change: Tensor, weight: Tensor) -> Tensor:
    """Return change @ weight, (S, rows, in)."""
    return multiply_stacks(change, weight.transpose(1, 2))
