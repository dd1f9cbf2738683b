"""Training to the end: evaluate and record at every interval, stop by rule, resume where a record ends."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.member import Member, NonFiniteLossError
from spectraledge.training.stack import Stack, Trainer

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

    def resume(self, run: Member) -> list[Evaluation]:
        """Bring the run to where the record ends, and return the evaluations up to there."""
        ...

    def record(self, run: Member, evaluations: list[Evaluation]) -> None:
        """Keep a snapshot of the run; the last evaluation is of this step."""
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

    def resume(self, run: Member) -> list[Evaluation]:
        """Start at the beginning."""
        return []

    def record(self, run: Member, evaluations: list[Evaluation]) -> None:
        """Copy the parameters."""
        self.steps.append(run.step)
        self.snapshots.append({name: weights.clone() for name, weights in run.weights().items()})
        self.evaluations = list(evaluations)

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Note why it stopped."""
        self.stopped = stopped

    def fail(self, error: NonFiniteLossError) -> None:
        """Note the failure."""
        self.stopped = str(error)


def train(trainer: Trainer, recorder: Recorder, *, on_progress: Callable[[Progress], None] | None = None) -> None:
    """Train one run until the stop rule or the budget ends it; see `train_together`.

    Args:
        trainer: The run, fresh.
        recorder: Where snapshots and metrics go; a run that it holds part of goes on from there.
        on_progress: Called after every recorded step.

    Raises:
        NonFiniteLossError: if the loss is no longer finite; the recorder has been told.
    """
    report = None if on_progress is None else lambda _, progress: on_progress(progress)
    for error in train_together(trainer.stack, [recorder], on_progress=report).values():
        raise error


def train_together(
    stack: Stack, recorders: Sequence[Recorder], *, on_progress: Callable[[int, Progress], None] | None = None
) -> dict[int, NonFiniteLossError]:
    """Train the runs of a stack, each until its own stop rule or budget ends it.

    The stop rule: test accuracy of at least `stop_accuracy` at `stop_patience` evaluations in a row (Xu 2026, scripts).
    A run that is over computes along, unrecorded, until half of the runs are.

    Args:
        stack: The runs, fresh; they may resume at different steps.
        recorders: One for each run.
        on_progress: Called with a run's index and progress after each of its recorded steps.

    Returns:
        The error of each run, by index, whose loss is no longer finite; its recorder has been told, the others went on.
    """
    members = list(stack.members)
    histories = [recorder.resume(member) for recorder, member in zip(recorders, members, strict=True)]
    began, first = time.monotonic(), [member.step for member in members]
    if not all(histories):
        for history, recorder, evaluation, member in zip(histories, recorders, stack.evaluate(), members, strict=True):
            if not history:
                history.append(evaluation)
                recorder.record(member, history)
    going = {i for i, member in enumerate(members) if not _over(member.config, histories[i], recorders[i])}
    order, failed = list(range(len(members))), dict[int, NonFiniteLossError]()
    while going:
        if 2 * len(going) <= len(order):
            places = [place for place, i in enumerate(order) if i in going]
            stack.keep(places)
            order = [order[place] for place in places]
        errors = {order[place]: error for place, error in stack.advance(members[0].config.every).items()}
        for i in going & errors.keys():
            recorders[i].fail(errors[i])
            failed[i] = errors[i]
        going -= errors.keys()
        for i, evaluation in zip(order, stack.evaluate() if going else [], strict=bool(going)):
            if i not in going:
                continue
            histories[i].append(evaluation)
            recorders[i].record(members[i], histories[i])
            if on_progress:
                speed = (members[i].step - first[i]) / (time.monotonic() - began)
                on_progress(i, Progress(evaluation, members[i].config.steps, speed))
            if _over(members[i].config, histories[i], recorders[i]):
                going.discard(i)
    return failed


def _over(config: RunConfig, evaluations: list[Evaluation], recorder: Recorder) -> bool:
    stopped = _stopped(config, evaluations)
    if stopped:
        recorder.finish(stopped)
    return bool(stopped)


def _stopped(config: RunConfig, evaluations: list[Evaluation]) -> Literal["", "accuracy", "budget"]:
    recent = [e.test_accuracy for e in evaluations[-config.stop_patience :] if e.step > 0]
    if len(recent) == config.stop_patience and min(recent) >= config.stop_accuracy:
        return "accuracy"
    return "budget" if evaluations[-1].step >= config.steps else ""
