"""The perceptron on pairs by hand, for S networks: answers, loss and gradient, and responses.

What autograd and `torch.func.jvp` give (tests say so), with less work. The first layer meets every token at a position
in one way only, so that its product is taken once per token, and an input adds up two rows. Inputs pass through all
layers a few hundred at a time, there and back, so that what they leave behind stays in the cache.

Shapes: S networks, n inputs, V tokens, H neurons of a layer, O answers.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.models.losses import LossName, losses_and_slopes
from spectraledge.models.mlp import ACTIVATIONS, ActivationName, MLPConfig
from spectraledge.models.moved_linear import MovedLinear, each_direction, sum_of
from spectraledge.products import multiply_into, multiply_stacks, weighted_rows

_BACKWARD: dict[ActivationName, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda change, x: torch.ops.aten.threshold_backward(change, x, 0),
    "gelu": lambda change, x: torch.ops.aten.gelu_backward(change, x),
    "square": lambda change, x: change.mul_(x).mul_(2),
}
"""A change of what an activation gives, to one of what it is given; the first is of no use afterwards."""

_BATCH = 512
"""Inputs per pass on a CPU: large enough for the products, small enough for the cache."""


@dataclass(frozen=True)
class Passes:
    """S networks, ready for inputs.

    Attributes:
        config: Sizes.
        parameters: By name, shapes (S, *parameter shape).
        table: What each token adds to the first layer at each position, the bias included, (S·2·V, H); see `rows_of`.
        answers: Which of the head's rows answer.
    """

    config: MLPConfig
    parameters: Mapping[str, Tensor]
    table: Tensor
    answers: slice

    @classmethod
    def of(cls, config: MLPConfig, parameters: Mapping[str, Tensor], chosen: int = -1) -> "Passes":
        """Prepare networks, with all their answers or only the chosen one."""
        table_SPVH = _added_by_tokens(config, parameters["layers.0.weight"], parameters.get("embedding.weight"))
        if config.bias:
            table_SPVH[:, 0] += parameters["layers.0.bias"].unsqueeze(1)
        answers = slice(None) if chosen < 0 else slice(chosen * config.tokens, (chosen + 1) * config.tokens)
        return cls(config, parameters, table_SPVH.flatten(0, 2), answers)

    def logits(self, rows_S2N: Tensor) -> Tensor:
        """Answer pairs; shape (S, N, O, V)."""
        parts = [self._answered(self._forward(rows)[-1][1]) for rows in self._batches(rows_S2N)]
        return torch.cat(parts, 1)

    def loss_and_gradient(
        self, rows_S2N: Tensor, labels_SNO: Tensor, loss: LossName
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of each network on its own pairs, summed over answers, and its gradient by parameter name."""
        count, config = rows_S2N.shape[2], self.config
        gradient = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        rows_of_table = torch.zeros_like(self.table)
        losses_S = self.table.new_zeros(len(rows_S2N))
        batches = zip(self._batches(rows_S2N), torch.split(labels_SNO, self._batch(count), 1), strict=True)
        for rows, labels in batches:
            layers = self._forward(rows)
            losses_SnO, slopes = losses_and_slopes(self._answered(layers[-1][1]), labels, loss)
            losses_S += losses_SnO.sum((1, 2)) / count
            change = slopes.div_(count).flatten(2)
            change = self._back("head", self.answers, gradient, change, layers[-1][1])
            for depth in range(config.depth - 1, 0, -1):
                change = _BACKWARD[config.activation](change, layers[depth][0])
                change = self._back(f"layers.{depth}", slice(None), gradient, change, layers[depth - 1][1])
            change = _BACKWARD[config.activation](change, layers[0][0]).flatten(0, 1)
            for position in (0, 1):
                rows_of_table.index_add_(0, rows[:, position].flatten(), change)
        self._back_to_tokens(gradient, rows_of_table)
        return losses_S, gradient

    def tangents(self, directions: Mapping[str, Tensor], rows_2N: Tensor, logits: bool) -> Tensor:
        """Derivative along directions of the centred logits, (K, N, O·V), or of the last neurons, (K, N, H)."""
        config = self.config
        moved = [_Moved.of(config, self.parameters, one, self.answers) for one in each_direction(directions)]
        size = self.parameters["head.weight"][0, self.answers].shape[0] if logits else config.hidden
        found_KND = self.table.new_zeros(len(moved), rows_2N.shape[1], size)
        start = 0
        for rows_12n in self._batches(rows_2N[None]):
            layers = [(given[0], active[0]) for given, active in self._forward(rows_12n)]
            slopes = [_BACKWARD[config.activation](torch.ones_like(given), given) for given, _ in layers]
            place = slice(start, start := start + rows_12n.shape[2])
            for k, direction in enumerate(moved):
                tangent = self._along(direction, rows_12n[0], layers, slopes)
                if logits:
                    matrix = self.parameters["head.weight"][0, self.answers]
                    tangent = direction.head.through(layers[-1][1], matrix, tangent)
                if tangent is not None:
                    found_KND[k, place] = tangent
        if logits:
            by_answer = found_KND.view(*found_KND.shape[:2], -1, config.tokens)
            by_answer -= by_answer.mean(-1, keepdim=True)
        return found_KND

    def _along(
        self, moved: "_Moved", rows_2n: Tensor, layers: list[tuple[Tensor, Tensor]], slopes: list[Tensor]
    ) -> Tensor | None:
        """Tangent of the last neurons at a batch along one direction, if they move."""
        tangent = None
        if moved.table is not None:
            tangent = _both(moved.table, rows_2n.t()).mul_(slopes[0])
        for depth, layer in enumerate(moved.layers, 1):
            matrix = self.parameters[f"layers.{depth}.weight"][0]
            tangent = layer.through(layers[depth - 1][1], matrix, tangent)
            tangent = None if tangent is None else tangent.mul_(slopes[depth])
        return tangent

    def _forward(self, rows_S2n: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return what every layer is given behind its matrix, and what it gives, (S, n, H) each."""
        given = _both(self.table, rows_S2n.transpose(1, 2))
        active = ACTIVATIONS[self.config.activation]
        layers = [(given, active(given))]
        for depth in range(1, self.config.depth):
            given = self._linear(f"layers.{depth}", slice(None), layers[-1][1])
            layers.append((given, active(given)))
        return layers

    def _answered(self, hidden: Tensor) -> Tensor:
        return self._linear("head", self.answers, hidden).view(*hidden.shape[:2], -1, self.config.tokens)

    def _linear(self, name: str, own: slice, x: Tensor) -> Tensor:
        bias = self.parameters[f"{name}.bias"][:, own] if self.config.bias else None
        return multiply_stacks(x, self.parameters[f"{name}.weight"][:, own], bias)

    def _back(self, name: str, own: slice, gradient: dict[str, Tensor], change: Tensor, x: Tensor) -> Tensor:
        """Go back through a linear layer, and add to the gradient of its parameters."""
        total = gradient[f"{name}.weight"][:, own]
        if len(x) == 1:
            multiply_into(total[0], change[0].t(), x[0].t())
        else:
            total.baddbmm_(change.transpose(1, 2), x)
        if self.config.bias:
            gradient[f"{name}.bias"][:, own] += change.sum(1)
        return multiply_stacks(change, self.parameters[f"{name}.weight"][:, own].transpose(1, 2))

    def _back_to_tokens(self, gradient: dict[str, Tensor], rows_of_table: Tensor) -> None:
        """Go back from the rows that tokens add to the first layer."""
        config, name = self.config, "layers.0.weight"
        rows = rows_of_table.view(-1, 2, config.tokens, config.hidden)
        if config.bias:
            gradient["layers.0.bias"] = rows[:, 0].sum(1)
        if config.inputs == "one_hot":
            gradient[name] = rows.permute(0, 3, 1, 2).flatten(2)
            return
        vectors, (first, second) = (
            self.parameters["embedding.weight"],
            torch.split(self.parameters[name], config.width, 2),
        )
        gradient[name] = torch.cat([rows[:, position].transpose(1, 2) @ vectors for position in (0, 1)], -1)
        gradient["embedding.weight"] = rows[:, 0] @ first + rows[:, 1] @ second

    def _batches(self, rows_S2N: Tensor) -> Iterator[Tensor]:
        yield from torch.split(rows_S2N, self._batch(rows_S2N.shape[2]), 2)

    def _batch(self, count: int) -> int:
        # A GPU, and a compiler, take all inputs at once.
        return count if torch.compiler.is_compiling() or self.table.is_cuda else _BATCH


def rows_of(config: MLPConfig, pairs_SN2: Tensor) -> Tensor:
    """Return the row of `Passes.table` that each input's token at each position reads, int64 (S, 2, N)."""
    device = pairs_SN2.device
    positions = torch.arange(2, device=device).unsqueeze(-1) * config.tokens
    stacks = torch.arange(len(pairs_SN2), device=device).view(-1, 1, 1) * (2 * config.tokens)
    return pairs_SN2.transpose(1, 2) + positions + stacks


@dataclass(frozen=True)
class _Moved:
    """One direction.

    Attributes:
        table: Of `Passes.table`, if any.
        layers: Of the layers behind the first.
        head: Of those rows of the head that answer.
    """

    table: Tensor | None
    layers: tuple[MovedLinear, ...]
    head: MovedLinear

    @classmethod
    def of(
        cls, config: MLPConfig, parameters: Mapping[str, Tensor], direction: Mapping[str, Tensor], answers: slice
    ) -> "_Moved":
        """Make it for a direction by parameter name; `parameters` are those of one network, stacked."""
        first, vectors = (direction.get(name) for name in ("layers.0.weight", "embedding.weight"))
        parts = []
        if first is not None:
            parts.append(_added_by_tokens(config, first[None], parameters.get("embedding.weight")))
        if vectors is not None:
            parts.append(_added_by_tokens(config, parameters["layers.0.weight"], vectors[None]))
        bias = direction.get("layers.0.bias")
        if bias is not None:
            at_first = torch.tensor([1, 0], dtype=bias.dtype, device=bias.device)
            parts.append((at_first[:, None, None] * bias).unsqueeze(0).expand(-1, -1, config.tokens, -1))
        table = sum_of(*parts)
        return cls(
            None if table is None else table.flatten(0, 2),
            tuple(MovedLinear.of(parameters, direction, f"layers.{depth}") for depth in range(1, config.depth)),
            MovedLinear.of(parameters, direction, "head").rows(answers.start or 0, answers.stop),
        )


def _added_by_tokens(config: MLPConfig, first_SHX: Tensor, vectors_SVD: Tensor | None) -> Tensor:
    """Return what every token adds to the first layer at each position, (S, 2, V, H)."""
    if vectors_SVD is None:
        turned_S2VH = first_SHX.view(*first_SHX.shape[:2], 2, config.tokens).permute(0, 2, 3, 1)
        # A copy also of a single neuron, whose weights lie in this order already: the bias is added to it.
        return turned_S2VH.clone(memory_format=torch.contiguous_format)
    parts = first_SHX[..., : config.width], first_SHX[..., config.width :]
    return torch.stack([multiply_stacks(vectors_SVD, part) for part in parts], 1)


def _both(table: Tensor, rows_n2: Tensor) -> Tensor:
    """Return the sum of two of a table's rows per input, (..., H)."""
    if torch.compiler.is_compiling():
        return F.embedding(rows_n2, table).sum(-2)
    flat = rows_n2.reshape(-1, 2)
    return weighted_rows(table, flat, table.new_ones(flat.shape)).view(*rows_n2.shape[:-1], -1)
