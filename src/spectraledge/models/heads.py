"""What every attention head adds to the residual stream at position 0."""

import torch
from torch import Tensor

from spectraledge.models.transformer import Layer, Transformer, affine


class HeadOutputs(Transformer):
    """The same network, read out head by head; parameters have the same names.

    Args:
        config: Sizes.
    """

    def forward(self, tokens_NL: Tensor) -> Tensor:  # type: ignore[override]
        """Read out N inputs.

        Definition: head h of a layer adds W_O^h m_h(x) at position 0, W_O^h the columns of the output projection that
        belong to the head and m_h its mixed values. Law: over a layer's heads they sum, with the projection's bias, to
        what attention adds to the stream.

        Args:
            tokens_NL: int64, shape (N, length).

        Returns:
            Shape (N, depth · heads · width): one vector of the stream per layer and head, layers first.
        """
        heads, width = self.config.heads, self.config.width
        stream = self.token_embedding(tokens_NL) + self.position_embedding
        outputs = []
        for layer in self.layers:
            assert isinstance(layer, Layer)
            attention = layer.attention
            query, key, value = affine(layer.norm1(stream), attention.qkv.weight, attention.qkv.bias).chunk(3, dim=-1)
            mixed = attention.mix(query, key, value)
            columns_HED = attention.output.weight.t().reshape(heads, width // heads, width)
            mixed_HNE = mixed[:, 0].reshape(-1, heads, width // heads).transpose(0, 1)
            outputs.append((mixed_HNE @ columns_HED).transpose(0, 1))
            stream = layer.finish(stream, mixed)
        return torch.stack(outputs, dim=1).flatten(1)
