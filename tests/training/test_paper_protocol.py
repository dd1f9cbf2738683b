"""The paper protocol, against the plain PyTorch script that the paper describes."""

import contextlib
import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spectraledge.models import TransformerConfig, architecture_of
from spectraledge.tasks import named_task
from spectraledge.training import PROTOCOLS, RunConfig, Trainer


@contextlib.contextmanager
def global_streams(seed):
    """Seed every global stream as the author's scripts do, and put them back afterwards."""
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])


def script(network, task, config, steps):
    """Train as the script does, and return what it started from and what it saw."""
    with global_streams(config.seed):
        table = list(zip(task.pairs_N2.tolist(), task.labels_N.tolist(), strict=True))
        random.Random(config.seed).shuffle(table)
        train = table[: len(table) // 2]
        inputs = torch.tensor([pair for pair, _ in train])
        labels = torch.tensor([label for _, label in train])
        model = network(config.model)
        start = {name: parameter.detach().clone() for name, parameter in model.named_as_ours().items()}
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=config.weight_decay)
        batches, losses, norms = [], [], []
        for _ in range(steps):
            batch = np.random.randint(0, len(train), 512)
            loss = F.cross_entropy(model(inputs[batch])[0], labels[batch])
            optimizer.zero_grad()
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            batches.append(batch)
            losses.append(float(loss.detach()))
            norms.append(float(norm))
    return start, np.array(batches), losses, norms, {n: p.detach() for n, p in model.named_as_ours().items()}


@pytest.mark.parametrize(("name", "weight_decay", "steps"), [("add", 1.0, 50), ("mul", 0.0, 15)])
def test_fifty_steps_are_those_of_the_script(published_network, name, weight_decay, steps):
    task = named_task(name)
    config = RunConfig.for_task(task, protocol="paper", seed=42, weight_decay=weight_decay)
    start, batches, losses, norms, end = script(published_network, task, config, steps)
    trainer = Trainer(config, task)
    weights = {weight: tensor.clone() for weight, tensor in trainer.weights().items()}
    assert sorted(weights) == sorted(start)
    for weight, tensor in weights.items():
        torch.testing.assert_close(tensor, start[weight], rtol=0, atol=0)
    drawn = PROTOCOLS["paper"].batches(42, len(task) // 2, 512)
    np.testing.assert_array_equal([drawn.draw() for _ in range(steps)], batches)
    trainer.advance(steps)
    np.testing.assert_allclose(trainer.recent_losses, losses, rtol=0, atol=1e-4)
    np.testing.assert_allclose(trainer.gradient_norm, norms[-1], rtol=1e-3)
    for weight, tensor in trainer.weights().items():
        # A weight whose gradient is nearly nothing moves by its sign alone: compare whole tensors.
        moved, difference = (end[weight] - start[weight]).norm(), (tensor - end[weight]).norm()
        assert float(difference) < 0.02 * float(moved)


@pytest.mark.parametrize("seed", [42, 137, 2024])
@pytest.mark.parametrize("sizes", [{}, {"depth": 3}, {"width": 16, "heads": 2, "hidden": 32, "depth": 1}], ids=str)
def test_initial_weights_are_the_authors_bit_for_bit(published_network, sizes, seed):
    config = TransformerConfig(tokens=97, **sizes)
    with global_streams(seed):
        expected = published_network(config).named_as_ours()
    found = PROTOCOLS["paper"].weights(architecture_of(config), seed)
    assert sorted(found) == sorted(expected)
    for name, parameter in found.items():
        torch.testing.assert_close(parameter, expected[name], rtol=0, atol=0)


def test_all_layers_start_equal():
    weights = PROTOCOLS["paper"].weights(architecture_of(TransformerConfig(tokens=7)), 42)
    for name, parameter in weights.items():
        if name.startswith("layers.1."):
            torch.testing.assert_close(parameter, weights[name.replace("layers.1.", "layers.0.")], rtol=0, atol=0)


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
def test_batches_are_those_of_the_global_legacy_stream(seed):
    drawn = PROTOCOLS["paper"].batches(seed, 4704, 512)
    with global_streams(seed):
        expected = [np.random.randint(0, 4704, 512) for _ in range(100)]
    np.testing.assert_array_equal([drawn.draw() for _ in range(100)], expected)


def test_the_streams_of_the_manifest_all_have_the_seed():
    assert PROTOCOLS["paper"].seeds(137) == {"weights": 137, "split": 137, "batches": 137}
