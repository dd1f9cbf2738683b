"""One run in memory: what a step does, what an evaluation measures, what a saved state brings back."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spectraledge.errors import InputError
from spectraledge.tasks import named_task
from spectraledge.training import NonFiniteLossError, Trainer


def test_an_evaluation_agrees_with_a_loop_over_pairs(small_config, small_task):
    trainer = Trainer(small_config(), small_task)
    trainer.advance(100)
    found = trainer.evaluate()
    for half, loss, accuracy in (
        (trainer.split.train_T, found.train_loss, found.train_accuracy),
        (trainer.split.test_T, found.test_loss, found.test_accuracy),
    ):
        losses, hits = [], []
        for place in half.tolist():
            with torch.no_grad():
                logits = trainer.model(torch.from_numpy(small_task.pairs_N2[place : place + 1])).logits_NC[0]
            label = int(small_task.labels_N[place])
            losses.append(float(logits.double().logsumexp(0) - logits[label]))
            hits.append(int(logits.argmax()) == label)
        np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)
        np.testing.assert_allclose(accuracy, np.mean(hits), rtol=1e-12)
    squares = sum(float(tensor.double().square().sum()) for tensor in trainer.weights().values())
    np.testing.assert_allclose(found.weight_norm, math.sqrt(squares), rtol=1e-6)
    assert (found.step, found.gradient_norm) == (100, trainer.gradient_norm)


def test_an_evaluation_changes_nothing(small_config, small_task):
    trainer, undisturbed = (Trainer(small_config(), small_task) for _ in range(2))
    for _ in range(5):
        trainer.evaluate()
        trainer.advance(4)
    undisturbed.advance(20)
    torch.testing.assert_close(trainer.weights(), undisturbed.weights(), rtol=0, atol=0)


def test_steps_are_counted_and_their_losses_kept(small_config, small_task):
    trainer, whole = (Trainer(small_config(), small_task) for _ in range(2))
    whole.advance(12)
    trainer.advance(5)
    first = trainer.recent_losses
    trainer.advance(7)
    assert (trainer.step, len(first), len(trainer.recent_losses)) == (12, 5, 7)
    np.testing.assert_array_equal(first + trainer.recent_losses, whole.recent_losses)


def test_the_first_loss_is_that_of_the_first_batch(small_config, small_task):
    config = small_config()
    trainer, source = Trainer(config, small_task), Trainer(config, small_task)
    places = source.split.train_T[source.batches.draw()]
    with torch.no_grad():
        logits = source.model(torch.from_numpy(small_task.pairs_N2[places])).logits_NC
    trainer.advance(1)
    expected = F.cross_entropy(logits, torch.from_numpy(small_task.labels_N[places]))
    np.testing.assert_allclose(trainer.recent_losses, [float(expected)], rtol=1e-6)


def test_weights_are_those_of_the_network_and_change_with_it(small_config, small_task):
    trainer = Trainer(small_config(), small_task)
    weights = trainer.weights()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    trainer.advance(1)
    assert list(weights) == [name for name, _ in trainer.model.named_parameters()]
    for name, parameter in trainer.model.named_parameters():
        torch.testing.assert_close(weights[name], parameter.detach(), rtol=0, atol=0)
        assert float((weights[name] - before[name]).abs().max()) > 0


def test_weight_decay_shrinks_every_parameter(small_config, small_task):
    decayed, free = (Trainer(small_config(weight_decay=decay), small_task) for decay in (1.0, 0.0))
    before = {name: tensor.clone() for name, tensor in free.weights().items()}
    for trainer in (decayed, free):
        trainer.advance(1)
    for name, tensor in decayed.weights().items():
        expected = free.weights()[name] - 1e-3 * before[name]
        torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("clip_norm", [1e-3, 0.5, 1e6])
def test_the_gradient_is_clipped_before_the_step(small_config, small_task, clip_norm):
    trainer = Trainer(small_config(clip_norm=clip_norm), small_task)
    trainer.advance(1)
    clipped = torch.cat([part.flatten() for part in trainer.moves()["clipped"].values()]).norm()
    np.testing.assert_allclose(float(clipped), min(clip_norm, trainer.gradient_norm), rtol=1e-4)


@pytest.mark.parametrize("protocol", ["paper", "default"])
@pytest.mark.parametrize("steps", [0, 7])
def test_a_restored_run_goes_on_bit_for_bit(small_config, small_task, protocol, steps):
    config = small_config(protocol=protocol)
    trainer = Trainer(config, small_task)
    trainer.advance(steps)
    tensors, text = trainer.state()
    saved = {name: tensor.clone() for name, tensor in tensors.items()}
    trainer.advance(30)
    restored = Trainer(config, small_task)
    restored.restore(saved, text)
    assert (restored.step, restored.evaluate().step) == (steps, steps)
    restored.advance(30)
    torch.testing.assert_close(restored.weights(), trainer.weights(), rtol=0, atol=0)
    np.testing.assert_array_equal(restored.recent_losses, trainer.recent_losses)
    assert restored.evaluate() == trainer.evaluate()


def test_divergence_stops_at_the_step_that_diverged(small_config, small_task):
    trainer = Trainer(small_config(learning_rate=1e6), small_task)
    with pytest.raises(
        NonFiniteLossError, match=r"the loss became (nan|inf) at step \d+ \(learning rate 1e\+06"
    ) as seen:
        trainer.advance(400)
    assert f"at step {trainer.step + 1} " in str(seen.value)
    assert len(trainer.recent_losses) == trainer.step
    assert np.isfinite(trainer.recent_losses).all()


def test_divergence_is_an_input_error(small_config, small_task):
    with pytest.raises(InputError, match="lower the learning rate"):
        Trainer(small_config(learning_rate=1e6), small_task).advance(400)


def test_the_configuration_of_another_task_is_refused(small_config):
    with pytest.raises(InputError, match=r"the configuration is of another task than 'sub': .*RunConfig\.for_task"):
        Trainer(small_config(), named_task("sub", modulus=13))
