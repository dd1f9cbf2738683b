"""Training to the end: evaluate and record at every interval, stop by rule, resume where a record ends."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

from spectraledge.training.config import RunConfig
from spectraledge.training.trainer import Evaluation, NonFiniteLossError, Trainer

GROKKED = 0.95
"""Test accuracy from which a run counts as having generalised (Xu 2026, §2)."""


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        evaluation: At the last recorded step.
        budget: Steps it may take in all.
        steps_per_second: Since this sitting began, evaluation and recording included; 0 before the first step.
    """

    evaluation: Evaluation
    budget: int
    steps_per_second: float


class Recorder(Protocol):
    """What a training loop reports to."""

    def resume(self, trainer: Trainer) -> list[Evaluation]:
        """Bring the trainer to where the record ends, and return the evaluations up to there."""
        ...

    def record(self, trainer: Trainer, evaluations: list[Evaluation]) -> None:
        """Keep a snapshot of the trainer; the last evaluation is of this step."""
        ...

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Note that the run is complete, and why it stopped."""
        ...

    def fail(self, error: NonFiniteLossError) -> None:
        """Note that the run failed."""
        ...


@dataclass
class InMemory:
    """A recorder that keeps everything in memory.

    Attributes:
        steps: Step of each snapshot.
        snapshots: Parameters by name at each step, copied.
        evaluations: Metrics at each step.
        stopped: Why training ended.
    """

    steps: list[int] = field(default_factory=list)
    snapshots: list[dict[str, Tensor]] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    stopped: str = ""

    def resume(self, trainer: Trainer) -> list[Evaluation]:
        """Start at the beginning."""
        return []

    def record(self, trainer: Trainer, evaluations: list[Evaluation]) -> None:
        """Copy the parameters."""
        self.steps.append(trainer.step)
        self.snapshots.append({name: weights.clone() for name, weights in trainer.weights().items()})
        self.evaluations = list(evaluations)

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Note why it stopped."""
        self.stopped = stopped

    def fail(self, error: NonFiniteLossError) -> None:
        """Note the failure."""
        self.stopped = str(error)


def train(trainer: Trainer, recorder: Recorder, *, on_progress: Callable[[Progress], None] | None = None) -> None:
    """Train until the stop rule or the budget ends the run.

    The stop rule: test accuracy of at least `stop_accuracy` at `stop_patience` evaluations in a row (Xu 2026, scripts).

    Args:
        trainer: The run, fresh.
        recorder: Where snapshots and metrics go; a run that it holds part of goes on from there.
        on_progress: Called after every recorded step.

    Raises:
        NonFiniteLossError: if the loss is no longer finite; the recorder has been told.
    """
    config = trainer.config
    evaluations = recorder.resume(trainer)
    began, first = time.monotonic(), trainer.step
    if not evaluations:
        evaluations.append(trainer.evaluate())
        recorder.record(trainer, evaluations)
    while not (stopped := _stopped(config, evaluations)):
        try:
            trainer.advance(config.every)
        except NonFiniteLossError as error:
            recorder.fail(error)
            raise
        evaluations.append(trainer.evaluate())
        recorder.record(trainer, evaluations)
        if on_progress:
            speed = (trainer.step - first) / (time.monotonic() - began)
            on_progress(Progress(evaluations[-1], config.steps, speed))
    recorder.finish(stopped)


def _stopped(config: RunConfig, evaluations: list[Evaluation]) -> Literal["", "accuracy", "budget"]:
    recent = [e.test_accuracy for e in evaluations[-config.stop_patience :] if e.step > 0]
    if len(recent) == config.stop_patience and min(recent) >= config.stop_accuracy:
        return "accuracy"
    return "budget" if evaluations[-1].step >= config.steps else ""
