"""What is asked of a network, whatever its kind: training, read-outs and their derivatives, never a tensor by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from spectraledge.models.losses import LossName

ReadoutName = Literal["residual", "normed", "logits"]
"""What the head reads before its normalisation, the residual stream of Xu 2026, §2.4; behind it; the logits without
their mean over classes."""

READOUTS: tuple[ReadoutName, ...] = get_args(ReadoutName)

Parameters = Mapping[str, Tensor]
"""All parameters of a network by name; of S networks stacked, with a first axis S each."""


ReadOut = Callable[[Parameters, Tensor], Tensor]
"""Maps the parameters of a network and pairs (N, 2) to what is read, shape (N, D)."""


class Architecture(Protocol):
    """Networks of one kind and size on pairs of tokens: what can be computed of them from their parameters."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every parameter by name."""
        ...

    @property
    def head(self) -> frozenset[str]:
        """Names of the parameters behind everything that the answers share: those of the heads, none if unknown."""
        ...

    @property
    def hidden_matrices(self) -> frozenset[str]:
        """Names of the parameters with two axes that belong neither to the heads nor to a table of embeddings."""
        ...

    @property
    def groups(self) -> Mapping[str, str]:
        """The part of the network that every parameter belongs to, by name, as a person calls it."""
        ...

    @property
    def watched(self) -> tuple[str, ...]:
        """Name patterns of the parameters whose updates are studied where nothing else is said."""
        ...

    @property
    def readouts(self) -> tuple[ReadoutName, ...]:
        """The read-outs that it has."""
        ...

    def draw(self, seed: int, *, published: bool) -> dict[str, Tensor]:
        """Draw initial weights.

        Args:
            seed: Of PyTorch's stream, from which they are drawn, and which is as before afterwards.
            published: Whether in the author's way, where there is one (Xu 2026, scripts).
        """
        ...

    def module(self) -> nn.Module:
        """Make a module with these parameters that takes pairs (N, 2); its weights are to be given or loaded."""
        ...

    def encode(self, pairs_SN2: Tensor) -> Tensor:
        """Return pairs in the form in which the next ones take them: what each position reads, int64 (S, 2, N)."""
        ...

    def is_in_c(self, like: Tensor) -> bool:
        """Tell whether the next two are computed in C for parameters such as this."""
        ...

    def logits(self, parameters: Parameters, inputs_S2N: Tensor) -> Tensor:
        """Answer pairs by S stacked networks, each its own; shape (S, N, answers, tokens)."""
        ...

    def loss_and_gradient(
        self, parameters: Parameters, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName = "cross-entropy"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of each of S stacked networks on its own pairs, summed over its answers, and its gradient.

        Args:
            parameters: Stacked.
            inputs_S2N: See `encode`.
            labels_SNO: Right answers, int64.
            loss: See `answer_losses`.

        Returns:
            Losses, shape (S,), and gradients by name, shapes as the parameters.
        """
        ...

    def part(self, parameters: Parameters, number: int) -> tuple["Architecture", dict[str, Tensor]]:
        """Return the networks with one of their answers only, and the parameters that are left for it."""
        ...

    def still(self, parameters: Parameters, pairs_N2: Tensor) -> dict[str, Tensor]:
        """Evaluate one network as it is.

        Returns:
            logits (N, tokens), and, where it has them, residual (N, D) and neurons (N, H): activations of the last
            hidden layer.
        """
        ...

    def read(self, readout: ReadoutName) -> ReadOut:
        """Return one network's read-out as a function of parameters and pairs (N, 2) that `torch.func` can transform.

        Raises:
            InputError: if it has no such read-out.
        """
        ...

    def follows(self, names: Iterable[str]) -> bool:
        """Tell whether, where only these parameters move, later read-outs follow from the residual; see `follow`."""
        ...

    def follow(self, parameters: Parameters, residual_ND: Tensor, response_KND: Tensor, readout: ReadoutName) -> Tensor:
        """Return a later read-out's response from that of the residual, by the chain rule."""
        ...


@runtime_checkable
class HasTangents(Protocol):
    """Networks that respond faster than by `torch.func.jvp`; fastest along parameters that they `follow`."""

    def residual_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor) -> Tensor:
        """Return the residual's derivative along directions (K, *parameter shape), (K, N, D)."""
        ...

    def whole_tangents(
        self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor, readout: ReadoutName
    ) -> Tensor:
        """Return a read-out's derivative along directions of any parameters, (K, N, D)."""
        ...


@runtime_checkable
class HasTokenTable(Protocol):
    """Networks with a vector for every token."""

    def token_table(self, parameters: Parameters) -> Tensor:
        """Return what the first position reads of every token, (tokens, D)."""
        ...

    def embedded_logits(self, parameters: Parameters, vectors_N2D: Tensor) -> Tensor:
        """Answer inputs that are given as two vectors each, as they stand in a table of embeddings.

        Returns:
            Shape (N, tokens).

        Raises:
            InputError: if the network has no such table.
        """
        ...


@dataclass(frozen=True)
class Attention:
    """Where the matrices of multi-head attention lie.

    Attributes:
        heads: Heads per layer; each has an equal stretch of the rows of Q, K and V and of the columns of O.
        width: Width D of the stream.
        qkv: Per layer the parameter that holds Q, K and V one under the other, (3·D, D).
        output: Per layer the parameter that holds O, (D, D).
    """

    heads: int
    width: int
    qkv: tuple[str, ...]
    output: tuple[str, ...]


@runtime_checkable
class HasAttention(Protocol):
    """Networks with multi-head attention."""

    @property
    def attention(self) -> Attention:
        """Where its matrices lie."""
        ...

    def read_heads(self) -> ReadOut:
        """Return as a read-out what every head adds to the stream at position 0, (N, layers · heads · D)."""
        ...

    def head_tangents(self, parameters: Parameters, directions: Parameters, pairs_N2: Tensor) -> Tensor:
        """Return its derivative along directions (K, *parameter shape) that the network follows."""
        ...


def rows_of_their_own(vectors_N2D: Tensor) -> tuple[Tensor, Tensor]:
    """Return a table of embeddings with a row for every place of every input, and the inputs that read it, (N, 2)."""
    return vectors_N2D.flatten(0, 1), torch.arange(2 * len(vectors_N2D), device=vectors_N2D.device).view(-1, 2)
