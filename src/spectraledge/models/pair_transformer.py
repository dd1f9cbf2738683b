"""The transformer on pairs of tokens as an architecture, by hand wherever that is faster."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.models.architecture import READOUTS, Attention, Parameters, ReadOut, ReadoutName, rows_of_their_own
from spectraledge.models.gradients import loss_and_gradient
from spectraledge.models.initial_weights import drawn_transformer
from spectraledge.models.losses import LossName
from spectraledge.models.native_networks import NativeNetworks
from spectraledge.models.pairs import Weights, forward_pairs, rows_of
from spectraledge.models.readouts import centred_logit_response, normed_response
from spectraledge.models.tangents import has_tangents, head_tangents, residual_tangents
from spectraledge.models.transformer import HeadOutputs, Readout, Transformer, TransformerConfig, empty_transformer
from spectraledge.models.whole_tangents import whole_tangents
from spectraledge.native.calls import can_take


@dataclass(frozen=True)
class PairTransformer:
    """Transformers of one size; see `Architecture`."""

    config: TransformerConfig

    readouts = READOUTS
    head = frozenset(("head.weight", "head.bias"))
    watched = ("layers.*.attention.*.weight",)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter by name; none is allocated."""
        return {name: tuple(parameter.shape) for name, parameter in self.module().named_parameters()}

    @property
    def hidden_matrices(self) -> frozenset[str]:
        """Those of attention and feed-forward layers."""
        return frozenset(name for name, shape in self.shapes.items() if name.startswith("layers.") and len(shape) == 2)

    @property
    def groups(self) -> dict[str, str]:
        """Embeddings, attention and feed-forward of every layer with the LayerNorm before it, and the head with its."""
        return {name: _group(name) for name in self.shapes}

    @property
    def attention(self) -> Attention:
        """Where attention's matrices lie."""
        layers = [f"layers.{depth}.attention" for depth in range(self.config.depth)]
        qkv, output = (tuple(f"{layer}.{matrix}.weight" for layer in layers) for matrix in ("qkv", "output"))
        return Attention(self.config.heads, self.config.width, qkv, output)

    def draw(self, seed: int, *, published: bool) -> dict[str, Tensor]:
        """Draw initial weights."""
        network = drawn_transformer(self.config, seed, shared_layers=published)
        return {name: parameter.detach() for name, parameter in network.named_parameters()}

    def module(self) -> Transformer:
        """Make a network without weights."""
        return empty_transformer(self.config)

    def encode(self, pairs_SN2: Tensor) -> Tensor:
        """Return the rows of the tables that pairs read."""
        return rows_of(self.config, pairs_SN2).view(len(pairs_SN2), 2, -1)

    def is_in_c(self, like: Tensor) -> bool:
        """Tell whether it can be."""
        return can_take(like)

    def logits(self, parameters: Parameters, inputs_S2N: Tensor) -> Tensor:
        """Answer pairs."""
        if self.is_in_c(parameters["norm.weight"]):
            return NativeNetworks.transformers(self.config, parameters).logits(inputs_S2N)
        return forward_pairs(Weights.of(self.config, parameters), inputs_S2N.flatten()).logits

    def loss_and_gradient(
        self, parameters: Parameters, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName = "cross-entropy"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return losses and gradients."""
        if self.is_in_c(parameters["norm.weight"]):
            return NativeNetworks.transformers(self.config, parameters).loss_and_gradient(inputs_S2N, labels_SNO, loss)
        return loss_and_gradient(self.config, parameters, inputs_S2N.flatten(), labels_SNO, loss)

    def part(self, parameters: Parameters, number: int) -> tuple["PairTransformer", dict[str, Tensor]]:
        """Return the networks with one head."""
        own = slice(number * self.config.tokens, (number + 1) * self.config.tokens)
        left = {name: value[own] if name in self.head else value for name, value in parameters.items()}
        return PairTransformer(self.config.model_copy(update={"answers": 1})), left

    def still(self, parameters: Parameters, pairs_N2: Tensor) -> dict[str, Tensor]:
        """Evaluate one network of one head."""
        stacked = {name: value.unsqueeze(0) for name, value in parameters.items()}
        if self.is_in_c(parameters["norm.weight"]):
            networks = NativeNetworks.transformers(self.config, stacked)
            return {name: value[0] for name, value in networks.still(self.encode(pairs_N2[None])).items()}
        trace = forward_pairs(Weights.of(self.config, stacked), rows_of(self.config, pairs_N2[None]))
        return {"residual": trace.norm.x[0], "neurons": trace.layers[-1].gelu.out[0], "logits": trace.logits[0, :, 0]}

    def read(self, readout: ReadoutName) -> ReadOut:
        """Return a read-out."""
        network = self.module()

        def read(parameters: Parameters, pairs_N2: Tensor) -> Tensor:
            seen: Readout = torch.func.functional_call(network, dict(parameters), (pairs_N2,))
            if readout == "residual":
                return seen.residual_ND
            if readout == "normed":
                scale, shift = parameters["norm.weight"], parameters["norm.bias"]
                return F.layer_norm(seen.residual_ND, scale.shape, scale, shift)
            return seen.logits_NC - seen.logits_NC.mean(-1, keepdim=True)

        return read

    def read_heads(self) -> ReadOut:
        """Return what every head adds to the stream."""
        with torch.device("meta"):
            network = HeadOutputs(self.config)

        def read(parameters: Parameters, pairs_N2: Tensor) -> Tensor:
            added: Tensor = torch.func.functional_call(network, dict(parameters), (pairs_N2,))
            return added

        return read

    def follows(self, names: Iterable[str]) -> bool:
        """Tell whether the residual's responses are taken by hand, and later ones follow."""
        return has_tangents(self.config, names)

    def follow(self, parameters: Parameters, residual_ND: Tensor, response_KND: Tensor, readout: ReadoutName) -> Tensor:
        """Return a later read-out's response."""
        normed_KND = normed_response(residual_ND, response_KND, parameters["norm.weight"])
        return normed_KND if readout == "normed" else centred_logit_response(normed_KND, parameters["head.weight"])

    def residual_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor) -> Tensor:
        """Return the residual's responses by hand."""
        return residual_tangents(self.config, parameters, directions, pairs_N2)

    def head_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor) -> Tensor:
        """Return the derivative of what every head adds, by hand."""
        return head_tangents(self.config, parameters, directions, pairs_N2)

    def whole_tangents(
        self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor, readout: ReadoutName
    ) -> Tensor:
        """Return a read-out's responses to changes of any parameter, by hand."""
        return whole_tangents(self.config, parameters, directions, pairs_N2, readout)

    def token_table(self, parameters: Parameters) -> Tensor:
        """Return the token embedding."""
        return parameters["token_embedding.weight"]

    def embedded_logits(self, parameters: Parameters, vectors_N2D: Tensor) -> Tensor:
        """Answer inputs by their embeddings."""
        table, inputs_N2 = rows_of_their_own(vectors_N2D)
        seen: Readout = torch.func.functional_call(
            self.module(), {**parameters, "token_embedding.weight": table}, (inputs_N2,)
        )
        return seen.logits_NC


def _group(name: str) -> str:
    first, *rest = name.split(".")
    if first != "layers":
        return "embeddings" if "embedding" in first else "head"
    return f"{'attention' if rest[1] in ('norm1', 'attention') else 'feed-forward'} {int(rest[0]) + 1}"
