"""Where a run's random numbers come from: initial weights, split and batches."""

import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from spectraledge.arrays import Ints
from spectraledge.models import Architecture
from spectraledge.streams import derived_seed, numpy_generator
from spectraledge.tasks import Split, default_split, paper_split


class BatchSource(typing.Protocol):
    """An endless stream of batches whose position can be saved."""

    def draw(self) -> Ints:
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

    def draw(self) -> Ints:
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

    def draw(self) -> Ints:
        return self._stream.integers(0, *self._sizes)

    def state(self) -> dict[str, Any]:
        return dict(self._stream.bit_generator.state)

    def restore(self, state: dict[str, Any]) -> None:
        self._stream.bit_generator.state = state


@dataclass(frozen=True)
class _AllPairs:
    """All training pairs, every time."""

    count: int

    def draw(self) -> Ints:
        return np.arange(self.count, dtype=np.int64)

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        pass


@dataclass(frozen=True)
class Protocol:
    """One way of drawing random numbers.

    Attributes:
        published: Whether initial weights are drawn in the author's way; see `Architecture.draw`.
        split: Divides N pairs; see `paper_split`.
        drawn: Makes a source of drawn batches from seed, number of training pairs and batch size.
        seeds: Seed of each stream under a root seed, for the manifest.
    """

    published: bool
    split: Callable[..., Split]
    drawn: Callable[[int, int, int], BatchSource]
    seeds: Callable[[int], dict[str, int]]

    def batches(self, seed: int, train_size: int, batch_size: int) -> BatchSource:
        """Make the source of batches; of all training pairs each, where the batch size is 0."""
        return self.drawn(seed, train_size, batch_size) if batch_size else _AllPairs(train_size)

    def weights(self, architecture: Architecture, seed: int) -> dict[str, Tensor]:
        """Draw a network's initial weights under a root seed."""
        return architecture.draw(self.seeds(seed)["weights"], published=self.published)


PROTOCOLS = {
    "paper": Protocol(
        True, paper_split, _LegacyBatches, lambda seed: dict.fromkeys(("weights", "split", "batches"), seed)
    ),
    "default": Protocol(
        False,
        default_split,
        _NamedBatches,
        lambda seed: {name: derived_seed(seed, name) for name in ("weights", "split", "batches")},
    ),
}
"""Every protocol by name. "paper" draws the author's streams (scripts of Xu 2026): a seed means what it means there."""
