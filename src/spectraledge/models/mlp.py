"""A multilayer perceptron on pairs of tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer
from torch import Tensor, nn
from torch.nn import functional as F

from spectraledge.errors import InputError
from spectraledge.models.architecture import Parameters, rows_of_their_own
from spectraledge.models.module_tensors import normal_embedding
from spectraledge.models.modules import ModuleArchitecture

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "square": torch.square}


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
    activation: Literal["relu", "gelu", "square"] = "relu"
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
    """Hidden layers on two tokens side by side, and a linear head.

    Args:
        config: Sizes.
    """

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


@dataclass(frozen=True)
class MLPArchitecture(ModuleArchitecture):
    """Perceptrons of one size; what the head reads are the neurons of the last hidden layer."""

    @classmethod
    def of(cls, config: MLPConfig) -> "MLPArchitecture":
        """Make it for a configuration; no weights are allocated."""
        with torch.device("meta"):
            network = MLP(config)
        return cls(config.label, partial(MLP, config), network, config.tokens, config.answers)

    @property
    def watched(self) -> tuple[str, ...]:
        """The hidden layers' matrices."""
        return ("layers.*.weight",)

    def still(self, parameters: Parameters, pairs_N2: Tensor) -> dict[str, Tensor]:
        """Evaluate one network."""
        found = super().still(parameters, pairs_N2)
        return {**found, "neurons": found["residual"]}

    def token_table(self, parameters: Parameters) -> Tensor:
        """Return the embedding, or the first layer's weights on the first token's one-hot vector."""
        if "embedding.weight" in parameters:
            return parameters["embedding.weight"]
        return parameters["layers.0.weight"][:, : self.tokens].t()

    def embedded_logits(self, parameters: Parameters, vectors_N2D: Tensor) -> Tensor:
        """Answer inputs by their embeddings."""
        if "embedding.weight" not in parameters:
            raise InputError("this network reads one-hot vectors and has no embeddings: make it with inputs='embedded'")
        table, inputs_N2 = rows_of_their_own(vectors_N2D)
        return self.still({**parameters, "embedding.weight": table}, inputs_N2)["logits"]
