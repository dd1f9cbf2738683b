"""How steps follow from gradients: as PyTorch's own optimizers take them, for S networks at once, and by hand."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.models import Architecture
from spectraledge.native.calls import call, can_take
from spectraledge.trajectory import Layout

OptimizerName = Literal["adamw", "adam", "sgd", "muon"]

OPTIMIZERS: dict[OptimizerName, str] = {"adamw": "AdamW", "adam": "Adam", "sgd": "SGD", "muon": "Muon"}
"""Every optimizer, and how it is written."""

COUPLED: tuple[OptimizerName, ...] = ("adam", "sgd")
"""Optimizers whose weight decay is a part of the gradient: nothing moves the weights but their own steps."""

WITH_MOMENTUM: tuple[OptimizerName, ...] = ("sgd", "muon")
"""Optimizers with a momentum."""

ADAM_EPSILON = 1e-8
"""PyTorch's default."""

MOVES = ("decay", "gradient", "clipped")
"""The fields of `Flat` that say what moved the weights."""

MEMORY = ("first", "second")
"""The fields of `Flat` that an optimizer remembers gradients in."""

_ADAMS = ("weights", "first", "second", "decay", "clipped")
"""The fields of `Flat` that a step of Adam changes, in the order of `native/adam.c`."""

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of Muon's iteration (Jordan 2024, kellerjordan.github.io/posts/muon); PyTorch's, as the next two."""

_ITERATIONS = 5
_LEAST_NORM = 1e-7

_MUON_SIZE = 0.2
"""Root mean square of Muon's step over the learning rate, as AdamW's is (Liu et al. 2025, arXiv 2502.16982)."""


@dataclass(frozen=True)
class Flat:
    """What a step changes in place, each of shape (S, P): one row per network, all parameters one after another.

    Attributes:
        weights: θ.
        first: Running mean of the gradient; of SGD their sum, each with the momentum to the power of its age.
        second: Running mean of the squared gradient; 0 where an optimizer has none.
        decay: Sum of what weight decay alone has moved θ by, since the sums were last set to zero.
        gradient: Sum of the gradients as they came.
        clipped: Sum of the gradients as the optimizer saw them.
    """

    weights: Tensor
    first: Tensor
    second: Tensor
    decay: Tensor
    gradient: Tensor
    clipped: Tensor

    def parts(self, layout: Layout) -> dict[str, "Flat"]:
        """Return the views of each parameter by name, of shape (S, *shape)."""
        split = {field.name: layout.split(getattr(self, field.name)) for field in fields(self)}
        return {name: Flat(**{kind: parts[name] for kind, parts in split.items()}) for name in layout.shapes}


class Rates(NamedTuple):
    """An optimizer's numbers at one step, each of shape (S, 1).

    Attributes:
        rate: Learning rate.
        shrink: 1 − learning rate · weight decay; 1 where decay is coupled.
        pull: Weight decay that is coupled: times θ it is added to the gradient.
        size: Learning rate, times the root of the second moment's bias correction, over that of the first.
        epsilon: AdamW's, times the same root.
        clip: Largest gradient norm.
    """

    rate: Tensor
    shrink: Tensor
    pull: Tensor
    size: Tensor
    epsilon: Tensor
    clip: Tensor


@dataclass(frozen=True)
class StepRule:
    """Steps of one optimizer.

    Definition: those of `torch.optim.AdamW`, `Adam` (weight decay coupled), `SGD` (the same; momentum without
    dampening) and `Muon` (Nesterov, `adjust_lr_fn="match_rms_adamw"`, so that learning rate and weight decay mean what
    they mean for AdamW), the latter for the matrices of hidden layers, and AdamW for all else, as PyTorch advises.

    Attributes:
        name: Which optimizer.
        betas: Of AdamW and Adam.
        momentum: Of SGD and Muon.
        layout: How parameters lie in a row.
        matrices: Names of those that Muon moves.
    """

    name: OptimizerName
    betas: tuple[float, float]
    momentum: float
    layout: Layout
    matrices: frozenset[str]

    @classmethod
    def of(
        cls,
        name: OptimizerName,
        architecture: Architecture,
        layout: Layout,
        *,
        betas: tuple[float, float],
        momentum: float,
    ) -> "StepRule":
        """Make the rule for networks of an architecture.

        Args:
            name: Which optimizer.
            architecture: Of the networks.
            layout: How parameters lie in a row.
            betas: Of AdamW and Adam.
            momentum: Of SGD and Muon.

        Returns:
            The rule.

        Raises:
            InputError: if Muon has no matrix to move.
        """
        matrices = architecture.hidden_matrices
        if name == "muon" and not matrices:
            raise InputError(
                "muon moves the matrices of hidden layers, and this network has none: use another optimizer"
            )
        return cls(name, betas, momentum, layout, matrices)

    def move(self, flat: Flat, rates: Rates, gradient_SP: Tensor) -> None:
        """Take a step along gradients, in place.

        Law: θ changes by what is added to `decay`, plus the optimizer's own step, exactly.

        Args:
            flat: Changed in place.
            rates: The optimizer's numbers at this step.
            gradient_SP: The gradients.
        """
        if self.name in ("adamw", "adam") and can_take(flat.weights, torch.float32):
            self._adam_in_one_pass(flat, rates, gradient_SP)
            return
        flat.clipped.add_(gradient_SP)
        if self.name in COUPLED:
            gradient_SP = torch.addcmul(gradient_SP, flat.weights, rates.pull)
        else:
            flat.decay.addcmul_(flat.weights, rates.shrink - 1)
            flat.weights.mul_(rates.shrink)
        if self.name == "sgd":
            flat.first.mul_(self.momentum).add_(gradient_SP)
            flat.weights.addcmul_(flat.first, -rates.rate)
        elif self.name == "muon":
            self._muon(flat, rates, gradient_SP)
        else:
            self._adam(flat, gradient_SP, rates.size, rates.epsilon)

    def memories(self, flat: Flat) -> Iterator[tuple[Tensor, float]]:
        """Return what is remembered of gradients, as views, and the factor by which that fades in a step."""
        if self.name == "sgd":
            yield flat.first, self.momentum
        elif self.name == "muon":
            for name, part in flat.parts(self.layout).items():
                yield part.first, self.momentum if name in self.matrices else self.betas[0]
            yield flat.second, self.betas[1]
        else:
            yield from zip((flat.first, flat.second), self.betas, strict=True)

    def _adam(self, flat: Flat, gradient: Tensor, size: Tensor, epsilon: Tensor) -> None:
        flat.first.lerp_(gradient, 1 - self.betas[0])
        flat.second.mul_(self.betas[1]).addcmul_(gradient, gradient, value=1 - self.betas[1])
        # Both sides of the published fraction times the root: one pass fewer over all parameters.
        change = flat.second.sqrt().add_(epsilon)
        torch.div(flat.first, change, out=change).mul_(size)
        flat.weights.sub_(change)

    def _adam_in_one_pass(self, flat: Flat, rates: Rates, gradient_SP: Tensor) -> None:
        pull = rates.pull if self.name in COUPLED else torch.zeros_like(rates.pull)
        numbers_S4 = torch.cat([rates.shrink, pull, rates.size, rates.epsilon], 1).tolist()
        first, second = self.betas
        for own, gradient, *state in zip(
            numbers_S4, gradient_SP, *(getattr(flat, kind) for kind in _ADAMS), strict=True
        ):
            call("adam", gradient, gradient.numel(), *own, 1 - first, second, 1 - second, *state)

    def _muon(self, flat: Flat, rates: Rates, gradient_SP: Tensor) -> None:
        gradients = self.layout.split(gradient_SP)
        for name, part in flat.parts(self.layout).items():
            gradient = gradients[name]
            rate, size, epsilon = (
                number.view(-1, *[1] * (gradient.dim() - 1)) for number in (rates.rate, rates.size, rates.epsilon)
            )
            if name in self.matrices:
                part.first.lerp_(gradient, 1 - self.momentum)
                ahead = gradient.lerp(part.first, self.momentum)
                part.weights.sub_(orthogonalised(ahead) * (rate * _MUON_SIZE * math.sqrt(max(gradient.shape[1:]))))
            else:
                self._adam(part, gradient, size, epsilon)


def orthogonalised(matrices_SAB: Tensor) -> Tensor:
    """Bring all singular values of matrices near to 1 (.5 to 1.5), by Muon's Newton–Schulz iteration in bfloat16.

    Args:
        matrices_SAB: S matrices.

    Returns:
        Shape (S, A, B), bfloat16.
    """
    tall = matrices_SAB.shape[1] > matrices_SAB.shape[2]
    found = matrices_SAB.bfloat16()
    found = found.mT if tall else found
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp(min=_LEAST_NORM)
    linear, cubic, quintic = _QUINTIC
    for _ in range(_ITERATIONS):
        gram = found @ found.mT
        found = torch.baddbmm(found, torch.baddbmm(gram, gram, gram, beta=cubic, alpha=quintic), found, beta=linear)
    return found.mT if tall else found
