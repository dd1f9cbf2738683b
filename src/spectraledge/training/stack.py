"""Several runs of equal shapes trained as one batched program: what differs is the task, seed, split and rates.

A run alone is a stack of one.
"""

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import fields
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spectraledge.errors import InputError
from spectraledge.interventions.intervening import Intervening
from spectraledge.models import architecture_of
from spectraledge.models.native_networks import threads_of_their_own
from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import Engine, RunConfig
from spectraledge.training.engine import compiled_if, keep_freed_memory
from spectraledge.training.evaluation import Evaluation, answers
from spectraledge.training.member import Member, NonFiniteLossError
from spectraledge.training.optimiser_step import take_gradient, take_step
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.training.replay import Replay
from spectraledge.training.rows import Rows
from spectraledge.training.saved_state import State
from spectraledge.training.step_rules import ADAM_EPSILON, MOVES, Flat, Rates, StepRule
from spectraledge.trajectory import Layout

_EVALUATION_BATCH = 512
"""Inputs per evaluation pass and network: activations stay in cache, several times faster than the grid at once."""

_INPUTS_IN_C = 2_048
"""The same where networks are computed in C, which takes few of them at a time, and prepares the weights once."""

_GPU_INPUTS = 32_768
"""Inputs per evaluation pass of all networks together that keep a GPU busy."""

_DRAWN_AHEAD = 10
"""Steps whose batches are drawn at once: a GPU takes the last ones while the next are drawn."""

_SHARED = ("model", "batch_size", "optimizer", "betas", "momentum", "loss", "every", "engine")
"""Settings that runs of one stack have in common: they are the shapes and the rhythm of the program."""


class Stack:
    """S runs as one program, on any device. Each equals the same run alone up to rounding, and is saved alone.

    Args:
        members: The runs; their configurations must agree in model, batch size, optimizer, betas, momentum, loss,
            `every` and engine.
        device: Where to train. Default CPU.

    Attributes:
        members: The runs.
        architecture: Of their networks.
        layout: How parameters lie in a row.

    Raises:
        InputError: if there is no run, configurations differ in one of these, or the device cannot be used.
    """

    def __init__(self, members: Sequence[Member], *, device: torch.device | str = "cpu") -> None:
        place = _usable(device)
        configs = [member.config for member in members]
        _check(members)
        if place.type == "cpu":
            keep_freed_memory()
        self.architecture = architecture_of(configs[0].model, device=place)
        self.layout = Layout(self.architecture.shapes)
        shared = configs[0]
        self._rule = StepRule.of(
            shared.optimizer, self.architecture, self.layout, betas=shared.betas, momentum=shared.momentum
        )
        self.members = list(members)
        weights = torch.stack([self.layout.join(self._initial_weights(member)) for member in members]).to(place)
        self._in_c = self.architecture.is_in_c(weights)
        self._threads = threads_of_their_own if self._in_c else nullcontext
        # What is compiled already gains nothing from a compiler.
        self._engine: Engine = "eager" if self._in_c else shared.engine
        self._rows = Rows(Flat(weights, *(torch.zeros_like(weights) for _ in fields(Flat)[1:])), self.layout)
        for row, member in zip(weights, self.members, strict=True):
            config, views = member.config, self.layout.split(row)
            member.interventions = Intervening(config.interventions, views, config.watched, step=config.begins)
        self._place_members()
        for member in self.members:
            if member.origin:
                member.restore(*member.origin)

    def __len__(self) -> int:
        """Return the number of runs, S."""
        return len(self.members)

    @property
    def flat(self) -> Flat:
        """Weights and moments of all runs, one row each."""
        return self._rows.flat

    @torch.no_grad()
    def advance(self, steps: int) -> dict[int, NonFiniteLossError]:
        """Take optimiser steps; every member's `recent_losses` then holds their batch losses.

        Args:
            steps: How many.

        Returns:
            The error of each run, by place, whose loss stopped being finite; its `step` is the last good one, and its
            weights are of no further use. The other runs are not touched by it.
        """
        self._rows.move_on()
        for kind in MOVES:
            getattr(self.flat, kind).zero_()
        if steps == 0:
            return {}
        outcomes = []
        rates = self._rates(steps)
        with self._threads():
            for done in range(0, steps, _DRAWN_AHEAD):
                ahead = rates[done : done + _DRAWN_AHEAD]
                outcomes += [
                    self._step(*of_step, inputs, labels)
                    for of_step, inputs, labels in zip(ahead, *self._batches(len(ahead)), strict=True)
                ]
        losses_TS = torch.stack([losses for losses, _ in outcomes]).cpu().numpy()
        norms_TS = torch.stack([norms for _, norms in outcomes]).cpu().numpy()
        failed = {}
        for i, member in enumerate(self.members):
            finite = np.isfinite(losses_TS[:, i])
            taken = steps if finite.all() else int(finite.argmin())
            member.step += taken
            member.recent_losses = losses_TS[:taken, i].tolist()
            member.gradient_norm = float(norms_TS[taken - 1, i]) if taken else member.gradient_norm
            if taken < steps:
                failed[i] = NonFiniteLossError(
                    f"the loss became {losses_TS[taken, i]} at step {member.step + 1} "
                    f"(learning rate {member.config.learning_rate:g}, weight decay {member.config.weight_decay:g}): "
                    "lower the learning rate"
                )
        return failed

    @torch.no_grad()
    def warm_up(self, steps: int) -> None:
        """Fill the optimiser's memory at weights that stay where they are: its running means over some batches.

        Definition: after n gradients at the same weights the running means are averages of these gradients times
        1 − βⁿ. They are scaled to 1 − βᵗ, as they are after t steps: what an optimiser would remember that had always
        been here. The steps do not count.

        Args:
            steps: How many batches, n.
        """
        self._rows.move_on()
        for rates in self._rates(steps):
            zero = torch.zeros_like(rates.rate)
            still = rates._replace(rate=zero, shrink=torch.ones_like(zero), size=zero)
            (inputs,), (labels,) = self._batches(1)
            self._step(*still, inputs, labels)
        for means, beta in self._rule.memories(self.flat):
            taken = means.new_tensor([1 - beta**member.step for member in self.members])
            means.mul_((taken / (1 - beta**steps)).view(-1, *[1] * (means.dim() - 1)))

    @torch.no_grad()
    def evaluate(self) -> list[Evaluation]:
        """Measure loss and accuracy of every run on every pair of both halves."""
        shared = self.members[0].config
        parameters = self.layout.split(self.flat.weights)
        answered = compiled_if(answers, self._engine, self.flat.weights.device.type)
        with self._threads():
            parts = [
                answered(self.architecture, parameters, inputs, right, shared.loss)
                for inputs, right in zip(
                    torch.split(self._inputs_S2N, self._evaluated, 2),
                    torch.split(self._labels_SNO, self._evaluated, 1),
                    strict=True,
                )
            ]
        losses_SNO, hits_SNO = (torch.cat(part, 1).cpu().numpy() for part in zip(*parts, strict=True))
        norms_S = self.flat.weights.norm(dim=1).tolist()
        return [
            member.evaluation((losses_NO, hits_NO), norm)
            for member, losses_NO, hits_NO, norm in zip(self.members, losses_SNO, hits_SNO, norms_S, strict=True)
        ]

    def keep(self, places: Sequence[int]) -> None:
        """Go on with some of the runs only; the others keep no weights."""
        self.members = [self.members[i] for i in places]
        self._rows = self._rows.chosen(places)
        self._place_members()

    def _place_members(self) -> None:
        """Set up what follows from the members: their pairs and answers on the device, and the step of all of them."""
        for place, member in enumerate(self.members):
            member.join(self._rows, place)
        shared, device = self.members[0].config, self.flat.weights.device
        inputs = _INPUTS_IN_C if self._in_c else _EVALUATION_BATCH
        busy = inputs if device.type == "cpu" else max(_EVALUATION_BATCH, _GPU_INPUTS // len(self))
        longest = max(len(member.task) for member in self.members)
        passes = -(-longest // busy)
        self._evaluated = -(-longest // (passes * _EVALUATION_BATCH)) * _EVALUATION_BATCH
        # Shorter domains, and the last pass, are filled up with pairs whose answers nobody reads.
        padded = passes * self._evaluated
        pairs_SN2 = np.zeros((len(self), padded, 2), dtype=np.int64)
        labels_SNO = np.zeros((len(self), padded, shared.model.answers), dtype=np.int64)
        for i, member in enumerate(self.members):
            pairs_SN2[i, : len(member.task)] = member.task.pairs_N2
            labels_SNO[i, : len(member.task)] = member.task.answers_NO
        self._inputs_S2N = self.architecture.encode(torch.from_numpy(pairs_SN2).to(device))
        self._labels_SNO = torch.from_numpy(labels_SNO).to(device)
        compiled = functools.partial(compiled_if, engine=self._engine, device_type=device.type)
        changes = _Changes(self.layout, self.flat, self.members)
        if changes:
            # Windows and their directions are followed from outside of a program.
            self._step = self._changed_step(compiled(take_gradient), compiled(StepRule.move), changes)
            return
        step = compiled(take_step)
        fixed = self.architecture, self.layout, shared.loss, self._rule, self.flat

        def take(*operands: Tensor) -> tuple[Tensor, ...]:
            *rates, inputs, labels = operands
            losses_S, norms_S = step(*fixed, Rates(*rates), inputs, labels)
            return losses_S, norms_S

        self._step = Replay(take) if device.type == "cuda" else take

    def _changed_step(
        self, gradient: Callable[..., Any], move: Callable[..., Any], changes: "_Changes"
    ) -> Callable[..., tuple[Tensor, ...]]:
        """Return a step whose gradients and updates are changed on the way; both parts of it may be programs."""
        fixed = self.architecture, self.layout, self.members[0].config.loss, self.flat

        def take(*operands: Tensor) -> tuple[Tensor, ...]:
            *numbers, inputs, labels = operands
            rates = Rates(*numbers)
            losses_S, norms_S, gradient_SP = gradient(*fixed, rates, inputs, labels)
            changes.before(gradient_SP, rates.shrink)
            move(self._rule, self.flat, rates, gradient_SP)
            changes.after()
            return losses_S, norms_S

        return take

    def _batches(self, steps: int) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """Draw every run's next batches: `Architecture.encode`d inputs (S, 2, n), and labels (S, n, O), per step."""
        drawn = [member.split.train_T[[member.batches.draw() for _ in range(steps)]] for member in self.members]
        drawn_TSn = torch.from_numpy(np.stack(drawn, 1))
        if self._inputs_S2N.is_cuda:
            drawn_TSn = drawn_TSn.pin_memory().to(self._inputs_S2N.device, non_blocking=True)
        inputs = torch.take_along_dim(self._inputs_S2N[None], drawn_TSn.unsqueeze(2), 3)
        labels = torch.take_along_dim(self._labels_SNO[None], drawn_TSn.unsqueeze(3), 2)
        return inputs.unbind(0), labels.unbind(0)

    def _rates(self, steps: int) -> list[Rates]:
        """The optimizer's numbers at each of the next steps."""
        configs = [member.config for member in self.members]
        rate = np.array([config.learning_rate for config in configs])
        taken_S = np.array([member.step - member.remembers_since for member in self.members])
        count_TS = np.arange(1, steps + 1)[:, None] + taken_S
        first, second = configs[0].betas
        root_TS = np.sqrt(1 - second**count_TS)
        size_TS, epsilon_TS = rate / (1 - first**count_TS) * root_TS, ADAM_EPSILON * root_TS
        like = functools.partial(torch.tensor, dtype=self.flat.weights.dtype, device=self.flat.weights.device)
        numbers_S4 = like([[c.learning_rate, c.shrink, c.weight_decay, c.clip_norm or inf] for c in configs])
        rate_S1, shrink_S1, pull_S1, clip_S1 = torch.split(numbers_S4, 1, dim=1)
        sizes, epsilons = like(size_TS).unsqueeze(2), like(epsilon_TS).unsqueeze(2)
        return [
            Rates(rate_S1, shrink_S1, pull_S1, size, epsilon, clip_S1)
            for size, epsilon in zip(sizes, epsilons, strict=True)
        ]

    def _initial_weights(self, member: Member) -> dict[str, Tensor]:
        if member.origin:
            return self.layout.split(member.origin.tensors["weights"])
        drawn = PROTOCOLS[member.config.protocol].weights(self.architecture, member.config.seed)
        if member.trunk and set(member.trunk) != set(drawn) - self.architecture.head:
            raise InputError(
                f"a run starts from all weights of another but the heads', got a trunk of {', '.join(member.trunk)}: "
                "start from a network of the same kind and size"
            )
        return drawn | dict(member.trunk)


class _Changes:
    """Interventions on rows of a stack; where an update is changed, decay's part of it is mapped as the whole is."""

    def __init__(self, layout: Layout, flat: Flat, members: Sequence[Member]) -> None:
        self._layout = layout
        self._changed = [
            (place, member.interventions, layout.split(flat.weights[place]), layout.split(flat.decay[place]))
            for place, member in enumerate(members)
            if member.interventions
        ]
        self._decays: list[dict[str, Tensor]] = []

    def __bool__(self) -> bool:
        return bool(self._changed)

    def before(self, gradient_SP: Tensor, shrink_S1: Tensor) -> None:
        """Change gradients in place, as the optimizer is to see them, and note what decay is to move the weights by."""
        self._decays = []
        for place, interventions, weights, _ in self._changed:
            interventions.before_step(weights)
            if interventions.needs_gradients:
                interventions.change_gradients(self._layout.split(gradient_SP[place]))
            self._decays.append({name: weights[name] * (shrink_S1[place, 0] - 1) for name in interventions.moved})

    def after(self) -> None:
        """Change the weights in place, and the sum of what decay alone has moved them by."""
        for (_, interventions, weights, sums), alone in zip(self._changed, self._decays, strict=True):
            mapped = dict(alone)
            interventions.after_step(weights, mapped)
            for name, part in mapped.items():
                if part is not alone[name]:
                    sums[name].add_(part - alone[name])


def _usable(device: torch.device | str) -> torch.device:
    try:
        place = torch.empty(0, dtype=torch.float32, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used here ({reason}): use cpu, or see `doctor`") from error
    if place.type == "meta":
        raise InputError("device 'meta' holds no numbers: use cpu, or see `doctor`")
    return place


def _check(members: Sequence[Member]) -> None:
    if not members:
        raise InputError("a stack needs at least one run, got none")
    configs = [member.config for member in members]
    for config in configs:
        for name in _SHARED:
            if getattr(config, name) != getattr(configs[0], name):
                raise InputError(
                    f"runs of one stack must agree in {name}, got {getattr(configs[0], name)} and "
                    f"{getattr(config, name)}: train them in stacks of their own"
                )
    trained = {len(member.split.train_T) for member in members}
    if not configs[0].batch_size and len(trained) > 1:
        raise InputError(
            "runs of one stack that take all training pairs at every step must have as many, got "
            f"{' and '.join(map(str, sorted(trained)))}: train them in stacks of their own"
        )


class Trainer(Member):
    """A run from a configuration alone: a stack of one, and its only member.

    Args:
        config: The run's configuration.
        task: Its task.
        device: Where to train. Default CPU.
        origin: The state to go on from, of a fork (see `forks.origin`).

    Raises:
        InputError: if the configuration is of another task, or the device cannot be used.
    """

    def __init__(
        self,
        config: RunConfig,
        task: Task | JointTask,
        *,
        device: torch.device | str = "cpu",
        origin: State | None = None,
    ) -> None:
        super().__init__(config, task, origin=origin)
        self.stack = Stack([self], device=device)

    @cached_property
    def model(self) -> nn.Module:
        """The network; its parameters are the run's weights and change as training goes on."""
        network, weights = self.stack.architecture.module(), self.weights()
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        # A tied parameter has several names, and the run one of them.
        tied = {name: weights[names[id(same)]] for name, same in network.named_parameters(remove_duplicate=False)}
        network.load_state_dict(tied, strict=False, assign=True)
        return network

    def advance(self, steps: int) -> None:
        """Take optimiser steps; `recent_losses` then holds their batch losses.

        Args:
            steps: How many.

        Raises:
            NonFiniteLossError: if a loss is not finite; `step` is then the last good one, and the weights are of no
                further use.
        """
        for error in self.stack.advance(steps).values():
            raise error

    def evaluate(self) -> Evaluation:
        """Measure loss and accuracy on every pair of both halves."""
        return self.stack.evaluate()[0]
