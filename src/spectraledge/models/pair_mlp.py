"""The perceptron on pairs of tokens as an architecture: by hand what trains and what responds."""

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.models.architecture import Parameters, ReadoutName, rows_of_their_own
from spectraledge.models.losses import LossName
from spectraledge.models.mlp import MLP, MLPConfig
from spectraledge.models.mlp_passes import Passes, rows_of
from spectraledge.models.modules import ModuleArchitecture
from spectraledge.models.native_networks import NativeNetworks
from spectraledge.native.calls import can_take


@dataclass(frozen=True)
class MLPArchitecture(ModuleArchitecture):
    """Perceptrons of one size; what the head reads are the neurons of the last hidden layer."""

    config: MLPConfig = field(kw_only=True)

    @classmethod
    def of(cls, config: MLPConfig) -> "MLPArchitecture":
        """Make it for a configuration; no weights are allocated."""
        with torch.device("meta"):
            network = MLP(config)
        return cls(config.label, partial(MLP, config), network, config.tokens, config.answers, config=config)

    @property
    def watched(self) -> tuple[str, ...]:
        """The hidden layers' matrices."""
        return ("layers.*.weight",)

    def encode(self, pairs_SN2: Tensor) -> Tensor:
        """Return the rows of the first layer's table that pairs read."""
        return rows_of(self.config, pairs_SN2)

    def is_in_c(self, like: Tensor) -> bool:
        """Tell whether it can be; a single answer of several is left to PyTorch."""
        return self.chosen < 0 and can_take(like)

    def _passes(self, parameters: Parameters) -> Passes | NativeNetworks:
        """Prepare networks for inputs."""
        if self.is_in_c(parameters["head.weight"]):
            return NativeNetworks.perceptrons(self.config, parameters)
        return Passes.of(self.config, parameters, self.chosen)

    def logits(self, parameters: Parameters, inputs_S2N: Tensor) -> Tensor:
        """Answer pairs."""
        return self._passes(parameters).logits(inputs_S2N)

    def loss_and_gradient(
        self, parameters: Parameters, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName = "cross-entropy"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return losses and gradients."""
        return self._passes(parameters).loss_and_gradient(inputs_S2N, labels_SNO, loss)

    def residual_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor) -> Tensor:
        """Return the responses of the last hidden layer's neurons."""
        return self.whole_tangents(parameters, directions, pairs_N2, "residual")

    def whole_tangents(
        self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor, readout: ReadoutName
    ) -> Tensor:
        """Return a read-out's responses."""
        self.check_readout(readout)
        one = {name: value.unsqueeze(0) for name, value in parameters.items()}
        with torch.no_grad():
            passes = Passes.of(self.config, one, self.chosen)
            return passes.tangents(directions, self.encode(pairs_N2[None])[0], readout == "logits")

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
