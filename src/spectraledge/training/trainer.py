"""One run in memory: network, optimiser, batches; advance, evaluate, save and restore."""

from functools import cached_property

import torch
from torch import nn

from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.member import Member
from spectraledge.training.saved_state import State
from spectraledge.training.stack import Stack


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
