"""How well a run answers: losses and accuracies of both halves of its domain, part by part."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Bools
from spectraledge.models import Architecture, LossName, Parameters, answer_losses
from spectraledge.tasks import JointTask, Split, Task


@dataclass(frozen=True)
class PartEvaluation:
    """How well one part of a task is answered. Losses are means of `answer_losses`.

    Attributes:
        part: Name of the part.
        train_loss: Over all training pairs.
        test_loss: Over all test pairs.
        train_accuracy: Share of training pairs answered correctly.
        test_accuracy: Share of test pairs answered correctly.
    """

    part: str
    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """What is known of a run at one step.

    Attributes:
        step: Optimiser steps taken.
        train_loss: Mean over all training pairs of `answer_losses`, summed over the task's parts.
        test_loss: The same over all test pairs.
        train_accuracy: Share of training pairs answered correctly, of the required part where it is lowest.
        test_accuracy: The same of test pairs.
        gradient_norm: Norm of the last step's gradient before clipping; 0 before the first step.
        weight_norm: Norm of all parameters.
        parts: The parts one by one.
    """

    step: int
    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    gradient_norm: float
    weight_norm: float
    parts: tuple[PartEvaluation, ...] = ()

    @classmethod
    def of(
        cls,
        task: Task | JointTask,
        split: Split,
        answers: tuple[NDArray[np.floating], Bools],
        *,
        required: tuple[str, ...],
        step: int,
        gradient_norm: float,
        weight_norm: float,
    ) -> "Evaluation":
        """Average the losses and hits of every answer, (N, O) each; accuracies are of `required` parts, or of all."""
        halves = split.train_T, split.test_T
        parts = tuple(
            PartEvaluation(
                part.name,
                *(float(losses_N[half].mean()) for half in halves),
                *(float(hits_N[half].mean(dtype=np.float64)) for half in halves),
            )
            for part, losses_N, hits_N in zip(task.parts, *(answer_NO.T for answer_NO in answers), strict=True)
        )
        counting = [part for part in parts if not required or part.part in required]
        return cls(
            step=step,
            train_loss=sum(part.train_loss for part in parts),
            test_loss=sum(part.test_loss for part in parts),
            train_accuracy=min(part.train_accuracy for part in counting),
            test_accuracy=min(part.test_accuracy for part in counting),
            gradient_norm=gradient_norm,
            weight_norm=weight_norm,
            parts=parts,
        )


def answers(
    architecture: Architecture, parameters: Parameters, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName
) -> tuple[Tensor, Tensor]:
    """Return the loss of every answer, and whether it is right, each of shape (S, N, O)."""
    logits = architecture.logits(parameters, inputs_S2N)
    return answer_losses(logits, labels_SNO, loss), logits.argmax(-1) == labels_SNO
