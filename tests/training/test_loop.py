"""The training loop: when it evaluates, records and stops."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.training import Evaluation, InMemory, NonFiniteLossError, Trainer, train


@dataclass
class Scripted:
    """A trainer whose test accuracies are given."""

    config: object
    accuracies: list
    step: int = 0
    advanced: list = field(default_factory=list)

    def advance(self, steps):
        self.step += steps
        self.advanced.append(steps)

    def evaluate(self):
        return Evaluation(self.step, 0.0, 0.0, 1.0, self.accuracies[self.step // self.config.every], 0.0, 1.0)

    @property
    def stack(self):
        return ScriptedStack([self])

    def weights(self):
        return {"w": torch.tensor([float(self.step)])}


@dataclass
class ScriptedStack:
    """A stack of one such trainer."""

    members: list

    def __len__(self):
        return len(self.members)

    def advance(self, steps):
        self.members[0].advance(steps)
        return {}

    def evaluate(self):
        return [self.members[0].evaluate()]


def naive_stop(accuracies, threshold, patience):
    """Index of the evaluation after which training stops, and why; the first one is before any step."""
    run = 0
    for i, accuracy in enumerate(accuracies):
        run = run + 1 if i > 0 and accuracy >= threshold else 0
        if run == patience:
            return i, "accuracy"
    return len(accuracies) - 1, "budget"


@given(
    accuracies=st.lists(st.sampled_from([0.5, 0.97, 0.98, 1.0]), min_size=2, max_size=12),
    patience=st.integers(1, 4),
)
def test_the_stop_rule(small_config, accuracies, patience):
    budget = 20 * (len(accuracies) - 1)
    trainer = Scripted(small_config(stop_accuracy=0.98, stop_patience=patience, steps=budget), accuracies)
    recorder, seen = InMemory(), []
    train(trainer, recorder, on_progress=seen.append)
    last, reason = naive_stop(accuracies, 0.98, patience)
    assert recorder.stopped == reason
    assert recorder.steps == [20 * i for i in range(last + 1)]
    assert [evaluation.test_accuracy for evaluation in recorder.evaluations] == accuracies[: last + 1]
    assert trainer.advanced == [20] * last
    assert [(p.evaluation.step, p.budget) for p in seen] == [(20 * i, budget) for i in range(1, last + 1)]
    assert min(p.steps_per_second for p in seen) > 0


def test_memory_keeps_copies(small_config):
    recorder = InMemory()
    train(Scripted(small_config(steps=60), [0.0] * 4), recorder)
    np.testing.assert_array_equal([float(snapshot["w"]) for snapshot in recorder.snapshots], [0, 20, 40, 60])


def test_snapshots_are_the_weights_of_their_steps(small_config, small_task):
    config = small_config(steps=60)
    recorder, alone = InMemory(), Trainer(config, small_task)
    train(Trainer(config, small_task), recorder)
    for snapshot, evaluation in zip(recorder.snapshots, recorder.evaluations, strict=True):
        torch.testing.assert_close(snapshot, alone.weights(), rtol=0, atol=0)
        assert evaluation == alone.evaluate()
        alone.advance(20)


def test_a_small_task_is_learnt(small_config, small_task):
    recorder = InMemory()
    train(Trainer(small_config(weight_decay=0.0, steps=800, learning_rate=3e-3), small_task), recorder)
    assert recorder.evaluations[-1].train_accuracy == 1.0
    assert recorder.evaluations[0].train_loss == pytest.approx(np.log(13), rel=0.2)


def test_the_recorder_is_told_of_a_divergence(small_config, small_task):
    recorder = InMemory()
    with pytest.raises(NonFiniteLossError, match="the loss became"):
        train(Trainer(small_config(learning_rate=1e6), small_task), recorder)
    assert recorder.stopped.startswith("the loss became")
    assert recorder.steps[0] == 0
