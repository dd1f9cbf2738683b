"""A multilayer perceptron on pairs of tokens."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor, nn
from torch.nn import functional as F

from spectraledge.models.module_tensors import normal_embedding

ActivationName = Literal["relu", "gelu", "square"]

ACTIVATIONS: dict[ActivationName, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "square": torch.square}


class MLPConfig(BaseModel):
    """Sizes of the network. Defaults are our choice, near those of Chughtai et al. 2023.

    Attributes:
        tokens: Vocabulary size and number of classes (the modulus).
        answers: Answers per input, each with a head of its own over `tokens` classes.
        inputs: What the first layer reads of each token: a one-hot vector, or one of an embedding that both share.
        width: Width of that embedding.
        depth: Number of hidden layers.
        hidden: Width of each.
        activation: Of each; square is x².
        bias: Whether layers and head have biases.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: ClassVar[str] = "mlp"

    kind: Literal["mlp"] = "mlp"
    tokens: int = Field(gt=1)
    answers: int = Field(default=1, gt=0)
    inputs: Literal["one_hot", "embedded"] = "one_hot"
    width: int = Field(default=128, gt=0)
    depth: int = Field(default=1, gt=0)
    hidden: int = Field(default=256, gt=0)
    activation: ActivationName = "relu"
    bias: bool = True

    @model_serializer(mode="wrap")
    def _as_data(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Networks of earlier versions, which all had biases, keep their hashes.
        return {name: value for name, value in dump(self).items() if name != "bias" or not value}

    @property
    def work(self) -> int:
        """Multiplications for an input, about."""
        read = self.tokens if self.inputs == "one_hot" else self.width
        return self.hidden * (2 * read + (self.depth - 1) * self.hidden + self.answers * self.tokens)


class MLP(nn.Module):
    """Hidden layers on two tokens side by side, and a linear head."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.config = config
        read = config.tokens
        if config.inputs == "embedded":
            self.embedding = normal_embedding(config.tokens, config.width)
            read = config.width
        widths = [2 * read, *[config.hidden] * config.depth]
        self.layers = nn.ModuleList(nn.Linear(*ends, bias=config.bias) for ends in pairwise(widths))
        self.head = nn.Linear(config.hidden, config.answers * config.tokens, bias=config.bias)

    def forward(self, pairs_N2: Tensor) -> Tensor:
        """Return the logits, (N, answers · tokens), answer by answer."""
        if self.config.inputs == "embedded":
            hidden = self.embedding(pairs_N2).flatten(1)
        else:
            # `F.one_hot` checks its values, which `torch.func.vmap` does not allow.
            tokens_V = torch.arange(self.config.tokens, device=pairs_N2.device)
            hidden = (pairs_N2.unsqueeze(-1) == tokens_V).flatten(1).to(self.head.weight.dtype)
        for layer in self.layers:
            hidden = ACTIVATIONS[self.config.activation](layer(hidden))
        logits: Tensor = self.head(hidden)
        return logits
