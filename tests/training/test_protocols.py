"""What both protocols keep: reproducible streams of their own, and the global ones untouched."""

import json
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.models import TransformerConfig, architecture_of
from spectraledge.training import PROTOCOLS, Trainer

every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@every_protocol
def test_the_global_streams_are_untouched(protocol, small_config, small_task):
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    trainer = Trainer(small_config(protocol=protocol), small_task)
    trainer.advance(3)
    trainer.evaluate()
    trainer.restore(*trainer.state())
    torch.testing.assert_close(torch.get_rng_state(), before[0], rtol=0, atol=0)
    np.testing.assert_equal(np.random.get_state(), before[1])
    assert random.getstate() == before[2]


@every_protocol
def test_a_run_does_not_depend_on_the_global_streams(protocol, small_config, small_task):
    config = small_config(protocol=protocol)
    first = Trainer(config, small_task)
    first.advance(20)
    with torch.random.fork_rng(devices=[]):
        numpy_state, state = np.random.get_state(), random.getstate()
        torch.manual_seed(7)
        np.random.seed(7)
        random.seed(7)
        second = Trainer(config, small_task)
        second.advance(20)
        np.random.set_state(numpy_state)
        random.setstate(state)
    torch.testing.assert_close(second.weights(), first.weights(), rtol=0, atol=0)
    np.testing.assert_array_equal(second.recent_losses, first.recent_losses)


@every_protocol
def test_the_seed_decides_weights_split_and_batches(protocol, small_config, small_task):
    same, other = (Trainer(small_config(protocol=protocol, seed=seed), small_task) for seed in (1, 2))
    again = Trainer(small_config(protocol=protocol, seed=1), small_task)
    torch.testing.assert_close(again.weights(), same.weights(), rtol=0, atol=0)
    np.testing.assert_array_equal(again.split.train_T, same.split.train_T)
    for name, weights in same.weights().items():
        if "norm" not in name and name not in {
            f"layers.{i}.attention.{b}.bias" for i in (0, 1) for b in ("qkv", "output")
        }:
            assert float((weights - other.weights()[name]).abs().max()) > 0.01
    assert set(same.split.train_T) != set(other.split.train_T)
    assert same.batches.draw().tolist() != other.batches.draw().tolist()


@every_protocol
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 50), size=st.integers(1, 40))
def test_batches_are_places_among_the_training_pairs(protocol, seed, count, size):
    batch = PROTOCOLS[protocol].batches(seed, count, size).draw()
    assert (batch.shape, batch.dtype) == ((size,), np.int64)
    assert 0 <= batch.min() <= batch.max() < count


@every_protocol
def test_batches_are_drawn_with_replacement_and_evenly(protocol):
    source = PROTOCOLS[protocol].batches(0, 10, 50)
    drawn = np.array([source.draw() for _ in range(400)])
    np.testing.assert_allclose(np.bincount(drawn.ravel()), 2_000, atol=4.5 * math.sqrt(2_000 * 0.9))
    assert max(len(set(batch)) for batch in drawn.tolist()) == 10


@every_protocol
@given(seed=st.integers(0, 2**32 - 1), before=st.integers(0, 30))
def test_a_saved_position_is_gone_on_from(protocol, seed, before):
    make = PROTOCOLS[protocol].batches
    source = make(seed, 97, 33)
    for _ in range(before):
        source.draw()
    saved = json.loads(json.dumps(source.state()))
    expected = [source.draw() for _ in range(25)]
    restored = make(seed + 1, 97, 33)
    restored.draw()
    restored.restore(saved)
    np.testing.assert_array_equal([restored.draw() for _ in range(25)], expected)


def test_default_layers_start_different():
    weights = PROTOCOLS["default"].weights(architecture_of(TransformerConfig(tokens=7)), 42)
    for name in ("attention.qkv.weight", "attention.output.weight", "up.weight", "up.bias", "down.weight"):
        assert float((weights[f"layers.0.{name}"] - weights[f"layers.1.{name}"]).abs().max()) > 0.01


def test_default_streams_are_apart():
    for seed in (0, 1):
        assert len(set(PROTOCOLS["default"].seeds(seed).values())) == 3
    assert not set(PROTOCOLS["default"].seeds(0).values()) & set(PROTOCOLS["default"].seeds(1).values())


def test_default_streams_are_those_that_the_manifest_names():
    seeds, protocol = PROTOCOLS["default"].seeds(5), PROTOCOLS["default"]
    tokens = protocol.weights(architecture_of(TransformerConfig(tokens=97)), 5)["token_embedding.weight"]
    expected = torch.randn(97, 128, generator=torch.Generator().manual_seed(seeds["weights"]))
    torch.testing.assert_close(tokens, expected, rtol=0, atol=0)
    split = protocol.split(100, fraction=0.3, seed=5)
    np.testing.assert_array_equal(split.train_T, np.random.default_rng(seeds["split"]).permutation(100)[:30])
    expected = np.random.default_rng(seeds["batches"]).integers(0, 97, 33)
    np.testing.assert_array_equal(protocol.batches(5, 97, 33).draw(), expected)


@every_protocol
def test_initial_weights_have_the_published_distributions(protocol):
    width = 128
    weights = PROTOCOLS[protocol].weights(architecture_of(TransformerConfig(tokens=97)), 5)
    tokens = weights["token_embedding.weight"]
    torch.testing.assert_close(float(tokens.std()), 1.0, rtol=0.03, atol=0)
    torch.testing.assert_close(float(weights["position_embedding"].std()), width**-0.5, rtol=0.15, atol=0)
    bounds = {
        "attention.qkv.weight": math.sqrt(6 / (4 * width)),
        "attention.output.weight": math.sqrt(1 / width),
        "up.weight": math.sqrt(1 / width),
        "down.weight": math.sqrt(1 / 256),
    }
    for part, bound in bounds.items():
        for depth in range(2):
            uniform = weights[f"layers.{depth}.{part}"]
            assert float(uniform.abs().max()) <= bound
            torch.testing.assert_close(float(uniform.std()), bound / math.sqrt(3), rtol=0.02, atol=0)
    for name, parameter in weights.items():
        if "norm" in name:
            constant = 1.0 if name.endswith("weight") else 0.0
            torch.testing.assert_close(parameter, torch.full_like(parameter, constant), rtol=0, atol=0)
