"""Where a run's random numbers come from: initial weights, split and batches."""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spectraledge.models import Transformer, TransformerConfig
from spectraledge.streams import derived_seed, numpy_generator
from spectraledge.tasks import Split, default_split, paper_split


class BatchSource(typing.Protocol):
    """An endless stream of batches whose position can be saved."""

    def draw(self) -> NDArray[np.int64]:
        """Return the next batch: indices into the training pairs, with replacement."""
        ...

    def state(self) -> dict[str, Any]:
        """Return its position as JSON data."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go to a saved position."""
        ...


class _LegacyBatches:
    """`numpy.random.randint` as after `numpy.random.seed(seed)`, without touching the global stream."""

    def __init__(self, seed: int, train_size: int, batch_size: int) -> None:
        self._stream = np.random.RandomState(seed)
        self._sizes = train_size, batch_size

    def draw(self) -> NDArray[np.int64]:
        return self._stream.randint(0, *self._sizes)

    def state(self) -> dict[str, Any]:
        state = self._stream.get_state(legacy=False)
        return {"key": state["state"]["key"].tolist(), "position": state["state"]["pos"]}

    def restore(self, state: dict[str, Any]) -> None:
        key = np.array(state["key"], dtype=np.uint32)
        self._stream.set_state(("MT19937", key, state["position"], 0, 0.0))


class _NamedBatches:
    """The stream "batches" of the root seed."""

    def __init__(self, seed: int, train_size: int, batch_size: int) -> None:
        self._stream = numpy_generator(seed, "batches")
        self._sizes = train_size, batch_size

    def draw(self) -> NDArray[np.int64]:
        return self._stream.integers(0, *self._sizes)

    def state(self) -> dict[str, Any]:
        return dict(self._stream.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        self._stream.bit_generator.state = state


@dataclass(frozen=True)
class Protocol:
    """One way of drawing random numbers.

    Attributes:
        network: Makes the network with its initial weights, from sizes and seed.
        split: Divides N pairs; see `paper_split`.
        batches: Makes the batch source from seed, number of training pairs and batch size.
        seeds: Seed of each stream under a root seed, for the manifest.
    """

    network: Callable[[TransformerConfig, int], Transformer]
    split: Callable[..., Split]
    batches: Callable[[int, int, int], BatchSource]
    seeds: Callable[[int], dict[str, int]]


def _paper_network(config: TransformerConfig, seed: int) -> Transformer:
    return _initialised(config, seed, shared_layers=True)


def _default_network(config: TransformerConfig, seed: int) -> Transformer:
    return _initialised(config, derived_seed(seed, "weights"), shared_layers=False)


def _initialised(config: TransformerConfig, seed: int, *, shared_layers: bool) -> Transformer:
    # The order of the author's constructor: embeddings, encoder layer, head (Xu 2026, scripts). With `shared_layers`
    # one encoder layer is drawn and copied, as `nn.TransformerEncoder` does; else each is drawn for itself.
    with torch.random.fork_rng(devices=[]):
        model = Transformer(config)
        torch.default_generator.manual_seed(seed)
        with torch.no_grad():
            nn.init.normal_(model.token_embedding.weight)
            nn.init.normal_(model.position_embedding).div_(config.width**0.5)
            drawn: Mapping[str, torch.Tensor] = {}
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


PROTOCOLS = {
    "paper": Protocol(
        _paper_network, paper_split, _LegacyBatches, lambda seed: dict.fromkeys(("weights", "split", "batches"), seed)
    ),
    "default": Protocol(
        _default_network,
        default_split,
        _NamedBatches,
        lambda seed: {name: derived_seed(seed, name) for name in ("weights", "split", "batches")},
    ),
}
"""Every protocol by name. "paper" draws the author's streams (scripts of Xu 2026): a seed means what it means there."""
