"""One run of a stack: what tells it from the others, and what is kept of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Bools
from spectraledge.errors import InputError
from spectraledge.interventions.intervening import Intervening
from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.training.rows import Rows
from spectraledge.training.saved_state import State
from spectraledge.training.step_rules import MEMORY, MOVES, Flat
from spectraledge.trajectory import Layout

_INTERVENTIONS = "interventions/"

_KEPT = ("weights", *MEMORY)
"""Rows that the rest of a run depends on."""


class NonFiniteLossError(InputError):
    """Training diverged: the loss is no longer a number."""


@dataclass(frozen=True)
class Moment:
    """A run at a step, on the CPU.

    Attributes:
        step: Optimiser steps taken.
        rows: Its row of each kind, shape (P,).
        layout: How parameters lie in a row.
        moved: Whether there was an `advance` before.
        state: All that the rest of the run depends on.
    """

    step: int
    rows: Flat
    layout: Layout
    moved: bool
    state: State

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters by name: views."""
        return self.layout.split(self.rows.weights)

    def moves(self, names: Sequence[str]) -> dict[str, Tensor]:
        """Return what moved some parameters in the last `advance` by "kind/name" (kinds as in `Flat`): views."""
        parts = ((kind, self.layout.take(getattr(self.rows, kind), names)) for kind in MOVES)
        return {f"{kind}/{name}": part for kind, of_kind in parts for name, part in of_kind.items()}


class Member:
    """One run of a stack: its configuration, its streams, and its row of the stack's weights.

    Args:
        config: The run's configuration.
        task: Its task.
        trunk: Weights to start from instead of those drawn, by name: those of the run that `config.start` names.
        origin: The state to go on from, of the run that `config.fork` names.

    Attributes:
        config: The run's configuration.
        task: Its task.
        trunk: Weights it starts from instead of those drawn.
        origin: The state it goes on from, if it is a fork.
        split: Which pairs train and which test.
        batches: Where its batches come from.
        step: Optimiser steps taken.
        remembers_since: The step after which the optimizer's memory began.
        interventions: What is done to its steps, once it is in a stack.
        gradient_norm: Norm of the last step's gradient before clipping.
        recent_losses: Batch losses of the last `advance`.

    Raises:
        InputError: if the configuration is of another task, or starts from another run and no trunk is given.
    """

    def __init__(
        self,
        config: RunConfig,
        task: Task | JointTask,
        trunk: Mapping[str, Tensor] | None = None,
        *,
        origin: State | None = None,
    ) -> None:
        if config.task_digest != task.digest:
            raise InputError(
                f"the configuration is of another task than {task.name!r}: make it with RunConfig.for_task"
            )
        if bool(config.start) != bool(trunk):
            raise InputError(
                f"a run that starts from another one needs its trunk, and no other run does: start is {config.start!r}"
            )
        if bool(config.fork) != bool(origin):
            raise InputError("a fork needs the state that it goes on from, and no other run does: see `origin`")
        protocol = PROTOCOLS[config.protocol]
        self.origin = origin
        self.trunk = trunk or {}
        self.config = config
        self.task = task
        self.split = protocol.split(len(task), fraction=config.train_fraction, seed=config.seed)
        self.batches = protocol.batches(config.seed, len(self.split.train_T), config.batch_size)
        self.step = self.remembers_since = 0
        self.interventions: Intervening
        self.gradient_norm = 0.0
        self.recent_losses: list[float] = []
        self._rows: Rows
        self._place: int

    def join(self, rows: Rows, place: int) -> None:
        """Take a row of those of a stack."""
        self._rows, self._place = rows, place

    @property
    def layout(self) -> Layout:
        """How parameters lie in its row."""
        return self._rows.layout

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._rows.flat.weights.device

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters by name: views that change as training goes on."""
        return self.layout.split(self._rows.flat.weights[self._place])

    def moves(self) -> dict[str, dict[str, Tensor]]:
        """Return what moved the weights in the last `advance`, by kind (see `Flat`) and parameter name: views."""
        return {kind: self.layout.split(getattr(self._rows.flat, kind)[self._place]) for kind in MOVES}

    def evaluation(self, answers: tuple[NDArray[np.floating], Bools], weight_norm: float) -> Evaluation:
        """Return how well it answers now, from the loss of every answer and whether it is right, (N, O) each."""
        return Evaluation.of(
            self.task,
            self.split,
            answers,
            required=self.config.required,
            step=self.step,
            gradient_norm=self.gradient_norm,
            weight_norm=weight_norm,
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return all that the rest of the run depends on, as tensors and text; `moves` is not part of it."""
        flat = self._rows.flat
        tensors = {name: getattr(flat, name)[self._place] for name in _KEPT}
        text = {
            "step": str(self.step),
            "gradient_norm": repr(self.gradient_norm),
            "batches": json.dumps(self.batches.state()),
        }
        if self.remembers_since:
            text["remembers_since"] = str(self.remembers_since)
        if self.interventions:
            own, text["interventions"] = self.interventions.state()
            tensors |= {f"{_INTERVENTIONS}{name}": tensor for name, tensor in own.items()}
        return tensors, text

    def moment(self, *, lasting: bool) -> Moment:
        """Return the run as it is now.

        Args:
            lasting: Whether it is to stay as it is while training goes on, by one copy for all runs of its stack (see
                `Rows.at_rest`); on a CPU its rows are views otherwise.

        Returns:
            The run as it is now.
        """
        flat = self._rows.at_rest() if lasting or self.device.type != "cpu" else self._rows.flat
        rows = Flat(*(getattr(flat, field.name)[self._place] for field in fields(Flat)))
        tensors, text = self.state()
        own = {
            name: getattr(rows, name) if name in _KEPT else tensor.to("cpu", copy=lasting)
            for name, tensor in tensors.items()
        }
        return Moment(self.step, rows, self.layout, bool(self.recent_losses), State(own, text))

    def restore(self, tensors: Mapping[str, Tensor], text: Mapping[str, str]) -> None:
        """Go to a saved state; what follows is bit for bit what would have followed."""
        self._rows.move_on()
        own = {}
        for name, value in tensors.items():
            if name.startswith(_INTERVENTIONS):
                own[name.removeprefix(_INTERVENTIONS)] = value
            else:
                getattr(self._rows.flat, name)[self._place].copy_(value)
        if "interventions" in text:
            self.interventions.restore(own, text["interventions"])
        self.step, self.remembers_since = int(text["step"]), int(text.get("remembers_since", 0))
        self.gradient_norm = float(text["gradient_norm"])
        self.batches.restore(json.loads(text["batches"]))
