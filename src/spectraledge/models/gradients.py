"""Loss and gradient of the transformer on pairs, by hand: what autograd gives, without its bookkeeping, for S networks.

The backward pass of `pairs.forward_pairs`, from the logits to the embeddings.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.models.losses import LossName, losses_and_slopes
from spectraledge.models.pair_parts import collected
from spectraledge.models.pairs import Folded, LayerTrace, LayerWeights, Weights, forward_pairs
from spectraledge.models.transformer import TransformerConfig
from spectraledge.products import multiply_outer, multiply_stacks


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
        stream, mixed = backward.layer(layer, seen, stream)
        if layer is weights.layers[0]:
            backward.first(layer, seen, row_of, mixed, stream)
        else:
            stream = backward.later(layer, seen, mixed, stream)
    return losses_SNO.sum(-1).mean(-1), {name: backward.gradient[name] for name in parameters}


class _Backward:
    """The steps of the backward pass; each leaves the gradients of its own parameters in `gradient`."""

    def __init__(self, weights: Weights, parameters: Mapping[str, Tensor]) -> None:
        self.weights = weights
        self.parameters = parameters
        self.gradient: dict[str, Tensor] = {}

    def layer(self, layer: LayerWeights, seen: LayerTrace, stream: Tensor) -> tuple[Tensor, Tensor]:
        """Go back to the stream behind attention, and to attention's weighted values, (S, Q·n, D) each."""
        hidden = seen.gelu.back(self._linear(f"{layer.name}.down", stream, seen.gelu.out))
        normed = self.folded(f"{layer.name}.norm2", f"{layer.name}.up", layer.up, hidden, seen.norm2.out)
        stream = stream + seen.norm2.transport(normed)
        return stream, self._linear(f"{layer.name}.attention.output", stream, seen.attended.mixed)

    def first(self, layer: LayerWeights, seen: LayerTrace, row_of: Tensor, mixed: Tensor, stream: Tensor) -> None:
        """Go back from the first layer to the embeddings."""
        table, width = self.weights.table, layer.output.shape[-1]
        count = len(table) * table.shape[1]
        rows = seen.attended.back_to_rows(mixed, row_of, count).view(len(table), -1, 3 * width)
        linear = f"{layer.name}.attention.qkv"
        weight, bias = multiply_outer(rows, seen.norm1.out)
        self._unfold(f"{layer.name}.norm1", linear, weight, _qkv_bias(bias[:, :width], bias[:, 2 * width :]))
        embedded = collected(stream.view(*seen.attended.query.shape[:3], width), row_of, count, width).view_as(table)
        embedded = embedded + seen.norm1.transport(_back(rows, layer.qkv.weight))
        per_position = embedded.view(len(table), 2, -1, width)
        self.gradient["token_embedding.weight"] = per_position.sum(1)
        self.gradient["position_embedding"] = per_position.sum(2)

    def later(self, layer: LayerWeights, seen: LayerTrace, mixed: Tensor, stream: Tensor) -> Tensor:
        """Go back from a layer behind the first to the stream before it, both positions, (S, 2·n, D)."""
        stacks, read, count = seen.attended.query.shape[:3]
        width = layer.output.shape[-1]
        query, key_gap, value = (part.reshape(stacks, -1, width) for part in seen.attended.back(mixed))
        of_query, of_key, of_value = layer.qkv.weight.chunk(3, 1)
        query_weight, query_bias = multiply_outer(query, seen.norm1.ahead(read))
        key_weight, _ = multiply_outer(key_gap, seen.norm1.gap())
        value_weight, value_bias = multiply_outer(value, seen.norm1.out)
        weight, bias = torch.cat([query_weight, key_weight, value_weight], 1), _qkv_bias(query_bias, value_bias)
        self._unfold(f"{layer.name}.norm1", f"{layer.name}.attention.qkv", weight, bias)
        normed = _back(value, of_value).view(stacks, 2, count, width)
        between = _back(key_gap, of_key)
        normed[:, 0] -= between
        normed[:, 1] += between
        normed[:, :read] += _back(query, of_query).view(stacks, read, count, width)
        before = F.pad(stream, (0, 0, 0, (2 - read) * count))
        return before + seen.norm1.transport(normed.view(stacks, 2 * count, width))

    def folded(self, norm: str, linear: str, folded: Folded, change: Tensor, normed: Tensor) -> Tensor:
        """Go back through a linear layer with its LayerNorm's scale and shift, to the normalised rows."""
        self._unfold(norm, linear, *multiply_outer(change, normed))
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
        self.gradient[f"{name}.weight"], self.gradient[f"{name}.bias"] = multiply_outer(change, x)
        return _back(change, self.parameters[f"{name}.weight"])


def _qkv_bias(of_query: Tensor, of_value: Tensor) -> Tensor:
    """Return the gradient of the biases of Q, K, V: attention does not see a shift of all keys, so K's is nothing."""
    return torch.cat([of_query, torch.zeros_like(of_query), of_value], -1)


def _back(change: Tensor, weight: Tensor) -> Tensor:
    """Return change @ weight, (S, rows, in)."""
    return multiply_stacks(change, weight.transpose(1, 2))
