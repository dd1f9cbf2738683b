"""The pre-norm transformer encoder of Xu 2026, §2, read at position 0, computing only what that position needs."""

import math
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from spectraledge.errors import InputError
from spectraledge.models.module_tensors import normal_embedding, normal_table


class TransformerConfig(BaseModel):
    """Sizes of the network. Defaults: Xu 2026, §2 (290,401 parameters at 97 tokens).

    Attributes:
        tokens: Vocabulary size and number of classes (the modulus).
        answers: Answers per input, each with a head of its own over `tokens` classes.
        length: Tokens per input.
        width: Width D of the residual stream.
        depth: Number of layers.
        heads: Attention heads; must divide the width.
        hidden: Width of the feed-forward layer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int = Field(gt=1)
    answers: int = Field(default=1, gt=0)
    length: int = Field(default=2, gt=0)
    width: int = Field(default=128, gt=0)
    depth: int = Field(default=2, gt=0)
    heads: int = Field(default=4, gt=0)
    hidden: int = Field(default=256, gt=0)

    @property
    def work(self) -> int:
        """Multiplications for an input, up to a factor."""
        return self.depth * self.width**2

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "TransformerConfig":
        if self.width % self.heads:
            raise ValueError(f"heads must divide width, got {self.heads} heads for width {self.width}")
        return self


class Readout(NamedTuple):
    """What the network says about N inputs.

    Attributes:
        logits_NC: Shape (N, answers·tokens), head by head.
        residual_ND: The residual stream at position 0 after the last layer, before the final LayerNorm; (N, width).
    """

    logits_NC: Tensor
    residual_ND: Tensor


class _Attention(nn.Module):
    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def mix(self, query_NQD: Tensor, key_NLD: Tensor, value_NLD: Tensor) -> Tensor:
        """Multi-head attention of Q queries over L keys, before the output projection; (N, Q, D)."""
        # Products and sums, not matrix products: with a handful of keys those are far too small for a GEMM.
        split = self.heads, query_NQD.shape[-1] // self.heads
        query, key, value = (part.reshape(*part.shape[:-1], *split) for part in (query_NQD, key_NLD, value_NLD))
        scores_NQLH = (query.unsqueeze(2) * key.unsqueeze(1)).sum(-1) / math.sqrt(query.shape[-1])
        weights = scores_NQLH.softmax(2).unsqueeze(-1)
        mixed: Tensor = (weights * value.unsqueeze(1)).sum(2).flatten(-2)
        return mixed


class Layer(nn.Module):
    """One layer: attention and a feed-forward layer, each behind its LayerNorm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = _Attention(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)

    def finish(self, stream: Tensor, mixed: Tensor) -> Tensor:
        """Add attention's output and then the feed-forward layer's to the residual stream."""
        output, up, down = self.attention.output, self.up, self.down
        stream = stream + affine(mixed, output.weight, output.bias)
        hidden = F.gelu(affine(self.norm2(stream), up.weight, up.bias))
        return stream + affine(hidden, down.weight, down.bias)


class Transformer(nn.Module):
    """A transformer encoder over short token sequences, read at position 0.

    With equal weights its logits equal those of an `nn.TransformerEncoder` stack (pre-norm, exact GELU, no dropout)
    followed by LayerNorm and a linear head at position 0. It does less work for them: the first layer's LayerNorm and
    Q, K, V are computed once per distinct (token, position), and in the last layer only position 0 goes through.

    Args:
        config: Sizes.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = normal_embedding(config.tokens, config.width)
        self.position_embedding = nn.Parameter(normal_table(config.length, config.width, over=math.sqrt(config.width)))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.answers * config.tokens)

    def forward(self, tokens_NL: Tensor) -> Readout:
        """Read out N inputs.

        Args:
            tokens_NL: int64, shape (N, length), in 0..tokens − 1.

        Returns:
            Logits and the residual stream at position 0.

        Raises:
            InputError: if the shape is not (N, length).
        """
        length, width = self.config.length, self.config.width
        if tokens_NL.dim() != 2 or tokens_NL.shape[1] != length:
            raise InputError(f"inputs must have shape (N, {length}), got {tuple(tokens_NL.shape)}")
        rows_VLD = self.token_embedding.weight[:, None, :] + self.position_embedding
        row_of_NL = tokens_NL * length + torch.arange(length, device=tokens_NL.device)
        stream = F.embedding(row_of_NL, rows_VLD.flatten(0, 1))
        for depth, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            read = 1 if depth == self.config.depth - 1 else length
            weight, bias = layer.attention.qkv.weight, layer.attention.qkv.bias
            if depth == 0:
                qkv_rows = affine(layer.norm1(rows_VLD.flatten(0, 1)), weight, bias)
                query, key, value = F.embedding(row_of_NL, qkv_rows).chunk(3, dim=-1)
                query = query[:, :read]
            else:
                normed = layer.norm1(stream)
                query = affine(normed[:, :read], weight[:width], bias[:width])
                key, value = affine(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
            stream = layer.finish(stream[:, :read], layer.attention.mix(query, key, value))
        residual_ND = stream[:, 0]
        return Readout(affine(self.norm(residual_ND), self.head.weight, self.head.bias), residual_ND)


class HeadOutputs(Transformer):
    """The same network, read out head by head; parameters have the same names."""

    def forward(self, tokens_NL: Tensor) -> Tensor:  # type: ignore[override]
        """Read out N inputs.

        Definition: head h of a layer adds W_O^h m_h(x) at position 0, W_O^h the columns of the output projection that
        belong to the head and m_h its mixed values. Law: over a layer's heads they sum, with the projection's bias, to
        what attention adds to the stream.

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


def empty_transformer(config: TransformerConfig) -> Transformer:
    """Return a network without weights, drawing no random number; load or assign them, or give them at each call."""
    with torch.device("meta"):
        return Transformer(config)


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x Wᵀ + b on the last axis: `torch.nn.functional.linear` up to rounding."""
    # Two axes always: on more, `F.linear` copies its input once per direction under `vmap(jvp)`: 2.5 times as slow.
    rows = torch.addmm(bias, x.reshape(-1, x.shape[-1]), weight.t())
    return rows.view(*x.shape[:-1], rows.shape[-1])
