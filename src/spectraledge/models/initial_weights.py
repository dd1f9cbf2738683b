"""Initial weights of the transformer, drawn in the order of the author's constructor."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spectraledge.models.transformer import Transformer, TransformerConfig
from spectraledge.streams import seeded_torch

_ENCODER_NAMES = {
    "attention.qkv.weight": "self_attn.in_proj_weight",
    "attention.qkv.bias": "self_attn.in_proj_bias",
    "attention.output.weight": "self_attn.out_proj.weight",
    "attention.output.bias": "self_attn.out_proj.bias",
    "up.weight": "linear1.weight",
    "up.bias": "linear1.bias",
    "down.weight": "linear2.weight",
    "down.bias": "linear2.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
}
"""Our parameter names within a layer, and those of `nn.TransformerEncoderLayer`."""


def drawn_transformer(config: TransformerConfig, seed: int, *, shared_layers: bool) -> Transformer:
    """Return a network with weights drawn from PyTorch's stream, which is as before afterwards.

    The order is that of the author's constructor: embeddings, encoder layer, head (Xu 2026, scripts). Layers share one
    drawing, as in `nn.TransformerEncoder`, or each has its own.
    """
    with seeded_torch(seed):
        model = Transformer(config)
    with seeded_torch(seed), torch.no_grad():
        nn.init.normal_(model.token_embedding.weight)
        nn.init.normal_(model.position_embedding).div_(config.width**0.5)
        drawn: Mapping[str, Tensor] = {}
        for layer in model.layers:
            if not drawn or not shared_layers:
                drawn = nn.TransformerEncoderLayer(config.width, config.heads, config.hidden).state_dict()
            for ours, theirs in _ENCODER_NAMES.items():
                layer.get_parameter(ours).copy_(drawn[theirs])
        # Heads one after another, each its weight and then its bias.
        heads = [nn.Linear(config.width, config.tokens) for _ in range(config.answers)]
        model.head.weight.copy_(torch.cat([head.weight for head in heads]))
        model.head.bias.copy_(torch.cat([head.bias for head in heads]))
    return model
