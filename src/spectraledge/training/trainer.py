"""One run in memory: network, optimiser, batches; advance, evaluate, save and restore."""

import json
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.errors import InputError
from spectraledge.models import Transformer
from spectraledge.tasks import Task
from spectraledge.training.config import RunConfig
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.trajectory import Layout

_EVALUATION_BATCH = 512
"""Inputs per evaluation pass: activations stay in cache, which is about five times faster than the grid at once."""


class NonFiniteLossError(InputError):
    """Training diverged: the loss is no longer a number."""


@dataclass(frozen=True)
class Evaluation:
    """What is known of a run at one step. Losses are mean cross-entropies in nats.

    Attributes:
        step: Optimiser steps taken.
        train_loss: Over all training pairs.
        test_loss: Over all test pairs.
        train_accuracy: Share of training pairs answered correctly.
        test_accuracy: Share of test pairs answered correctly.
        gradient_norm: Norm of the last step's gradient before clipping; 0 before the first step.
        weight_norm: Norm of all parameters.
    """

    step: int
    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    gradient_norm: float
    weight_norm: float


def _usable(device: torch.device | str) -> torch.device:
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used here ({reason}): use cpu, or see `doctor`") from error


class Trainer:
    """AdamW on batches of a task, from a configuration alone.

    All parameters are views of one flat vector, as are their gradients, so that clipping, decay and the optimiser each
    touch one tensor.

    Args:
        config: The run's configuration.
        task: Its task.
        device: Where to train. Default CPU.

    Raises:
        InputError: if the configuration is of another task, or the device cannot be used.
    """

    def __init__(self, config: RunConfig, task: Task, *, device: torch.device | str = "cpu") -> None:
        if config.task_digest != task.digest:
            raise InputError(
                f"the configuration is of another task than {task.name!r}: make it with RunConfig.for_task"
            )
        self.config = config
        self.device = _usable(device)
        self.step = 0
        self.gradient_norm = 0.0
        self.recent_losses: list[float] = []
        protocol = PROTOCOLS[config.protocol]
        self.split = protocol.split(len(task), fraction=config.train_fraction, seed=config.seed)
        self.batches = protocol.batches(config.seed, len(self.split.train_T), config.batch_size)
        self.model: Transformer = protocol.network(config.model, config.seed).to(self.device)
        self._inputs_N2 = torch.from_numpy(task.pairs_N2).to(self.device)
        self._labels_N = torch.from_numpy(task.labels_N).to(self.device)
        self._train_T = torch.from_numpy(self.split.train_T).to(self.device)
        self._test_T = torch.from_numpy(self.split.test_T).to(self.device)
        self._train_inputs = self._inputs_N2[self._train_T]
        self._train_labels = self._labels_N[self._train_T]
        parameters = dict(self.model.named_parameters())
        self.layout = Layout({name: tuple(parameter.shape) for name, parameter in parameters.items()})
        self._weights = self.layout.join({name: parameter.detach() for name, parameter in parameters.items()})
        self._gradient = torch.zeros_like(self._weights)
        weights, gradients = self.layout.split(self._weights), self.layout.split(self._gradient)
        for name, parameter in parameters.items():
            parameter.data = weights[name]
            parameter.grad = gradients[name]
        self._weights.grad = self._gradient
        self._optimizer = torch.optim.AdamW(
            [self._weights], config.learning_rate, betas=config.betas, weight_decay=config.weight_decay, fused=True
        )

    def advance(self, steps: int) -> None:
        """Take optimiser steps; `recent_losses` then holds their batch losses.

        Args:
            steps: How many.

        Raises:
            NonFiniteLossError: if a loss is not finite; that step is not taken.
        """
        self.recent_losses = []
        for _ in range(steps):
            batch = torch.from_numpy(self.batches.draw()).to(self.device)
            logits = self.model(self._train_inputs[batch]).logits_NC
            loss = F.cross_entropy(logits, self._train_labels[batch])
            value = float(loss.detach())
            if not np.isfinite(value):
                raise NonFiniteLossError(
                    f"the loss became {value} at step {self.step + 1} (learning rate {self.config.learning_rate:g}, "
                    f"weight decay {self.config.weight_decay:g}): lower the learning rate"
                )
            self._gradient.zero_()
            loss.backward()  # type: ignore[no-untyped-call]
            norm = self._gradient.norm()
            self._gradient.mul_((self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0))
            self._optimizer.step()
            self.gradient_norm = float(norm)
            self.recent_losses.append(value)
            self.step += 1

    @torch.no_grad()
    def evaluate(self) -> Evaluation:
        """Measure loss and accuracy on every pair of both halves."""
        logits = torch.cat([self.model(part).logits_NC for part in torch.split(self._inputs_N2, _EVALUATION_BATCH)])
        losses = F.cross_entropy(logits, self._labels_N, reduction="none")
        hits = (logits.argmax(-1) == self._labels_N).double()
        return Evaluation(
            step=self.step,
            train_loss=float(losses[self._train_T].mean()),
            test_loss=float(losses[self._test_T].mean()),
            train_accuracy=float(hits[self._train_T].mean()),
            test_accuracy=float(hits[self._test_T].mean()),
            gradient_norm=self.gradient_norm,
            weight_norm=float(self._weights.norm()),
        )

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters by name: views that change as training goes on."""
        return self.layout.split(self._weights)

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return all that the rest of the run depends on, as tensors and text."""
        moments = self._optimizer.state[self._weights]
        tensors = {"weights": self._weights}
        tensors |= {f"optimizer.{name}": value for name, value in moments.items()}
        text = {
            "step": str(self.step),
            "gradient_norm": repr(self.gradient_norm),
            "batches": json.dumps(self.batches.state()),
        }
        return tensors, text

    def restore(self, tensors: dict[str, Tensor], text: dict[str, str]) -> None:
        """Go to a saved state; what follows is bit for bit what would have followed."""
        self._weights.copy_(tensors["weights"])
        moments = {
            name.removeprefix("optimizer."): value.to(self.device)
            for name, value in tensors.items()
            if name != "weights"
        }
        self._optimizer.state[self._weights] = moments
        self.step = int(text["step"])
        self.gradient_norm = float(text["gradient_norm"])
        self.batches.restore(json.loads(text["batches"]))
