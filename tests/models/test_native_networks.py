"""Answers and gradients of networks on pairs, in C and without, against PyTorch's in double precision."""

import math

import pytest
import scipy.special
import torch

from spectraledge.models import TransformerConfig, architecture_of
from spectraledge.models.mlp import MLPConfig
from spectraledge.native import calls

TRANSFORMERS = {
    "deep": TransformerConfig(tokens=11, width=20, heads=2, hidden=27, depth=3),
    "one layer": TransformerConfig(tokens=23, width=32, heads=4, hidden=64, depth=1),
    "two answers, one neuron": TransformerConfig(tokens=13, width=10, heads=1, hidden=1, answers=2),
    "as narrow as can be": TransformerConfig(tokens=2, width=2, heads=2, hidden=3),
    "one wide head, few tokens": TransformerConfig(tokens=2, width=160, heads=1, hidden=3),
    "wider than registers": TransformerConfig(tokens=40, width=66, heads=3, hidden=130),
}
PERCEPTRONS = {
    "relu": MLPConfig(tokens=11, hidden=37),
    "gelu, three layers, two answers": MLPConfig(tokens=7, hidden=18, depth=3, answers=2, activation="gelu"),
    "x², without biases": MLPConfig(tokens=13, hidden=65, activation="square", bias=False),
    "embedded": MLPConfig(tokens=9, inputs="embedded", width=35, hidden=20, depth=2),
    "embedded, a single neuron": MLPConfig(tokens=30, inputs="embedded", width=5, hidden=1, bias=False),
}
NETWORKS = TRANSFORMERS | PERCEPTRONS
every_network = pytest.mark.parametrize("case", NETWORKS)
both_precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["single", "double"])
ROUNDING = {torch.float32: (1e-4, 2e-6), torch.float64: (1e-10, 1e-14)}
"""Of gradients: relative, and absolute over the largest."""


@pytest.fixture(autouse=True)
def _functions(monkeypatch, native):
    """Run every test with each set of instructions, and with PyTorch's ways."""
    monkeypatch.setattr(calls, "FUNCTIONS", {name: native(name, types) for name, types in calls.ARGUMENTS.items()})


def drawn(case, stacks, count, scale=0.4, dtype=torch.float32):
    """An architecture, weights that lie apart as a stack's do, encoded inputs and labels."""
    config, generator = NETWORKS[case], torch.Generator().manual_seed(0)
    architecture = architecture_of(config)
    shapes = architecture.shapes
    sizes = [math.prod(shape) for shape in shapes.values()]
    rows = scale * torch.randn(stacks, sum(sizes) + 3, generator=generator).to(dtype)
    weights = {
        name: part.view(stacks, *shape)
        for (name, shape), part in zip(shapes.items(), rows[:, 3:].split(sizes, 1), strict=True)
    }
    pairs, labels = (
        torch.randint(config.tokens, (stacks, count, size), generator=generator) for size in (2, config.answers)
    )
    return architecture, weights, architecture.encode(pairs), labels


@pytest.fixture
def exact(monkeypatch):
    """Call a method of an architecture on weights in double precision, by PyTorch."""

    def run(method, weights, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(calls, "FUNCTIONS", dict.fromkeys(calls.FUNCTIONS))
            return method({name: value.double() for name, value in weights.items()}, *arguments)

    return run


def assert_rounded(found, expected, dtype=torch.float32):
    assert found.dtype == dtype
    assert found.shape == expected.shape
    relative, absolute = (3e-5, 3e-6) if dtype == torch.float32 else (1e-11, 1e-14)
    most = absolute * float(expected.abs().max()) + 1e-30
    torch.testing.assert_close(found.double(), expected, rtol=relative, atol=most)


def assert_gradients_rounded(gradients, expected, dtype=torch.float32):
    assert list(gradients) == list(expected)
    relative, absolute = ROUNDING[dtype]
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, gradient in gradients.items():
        assert gradient.dtype == dtype
        torch.testing.assert_close(
            gradient.double(),
            expected[name],
            rtol=relative,
            atol=absolute * largest,
            msg=lambda m, n=name: f"{n}: {m}",
        )


@every_network
@both_precisions
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
@pytest.mark.parametrize(("stacks", "count"), [(1, 150), (3, 37), (2, 1)])
def test_gradients_are_pytorchs_in_double_precision(exact, case, dtype, loss, stacks, count):
    architecture, weights, inputs, labels = drawn(case, stacks, count, dtype=dtype)
    losses, gradients = architecture.loss_and_gradient(weights, inputs, labels, loss)
    exact_losses, expected = exact(architecture.loss_and_gradient, weights, inputs, labels, loss)
    assert_rounded(losses, exact_losses, dtype)
    assert_gradients_rounded(gradients, expected, dtype)


@every_network
@both_precisions
@pytest.mark.parametrize(("stacks", "count"), [(1, 150), (3, 37)])
def test_answers_are_pytorchs_in_double_precision(exact, case, dtype, stacks, count):
    architecture, weights, inputs, _ = drawn(case, stacks, count, dtype=dtype)
    expected = exact(architecture.logits, weights, inputs)
    assert_rounded(architecture.logits(weights, inputs), expected, dtype)
    # Some of the inputs, as an evaluation takes them: they lie apart.
    assert_rounded(architecture.logits(weights, inputs[:, :, 20:31]), expected[:, 20:31], dtype)


@both_precisions
@pytest.mark.parametrize("case", [name for name, config in TRANSFORMERS.items() if config.answers == 1])
def test_read_outs_are_pytorchs_in_double_precision(exact, case, dtype):
    architecture, weights, _, _ = drawn(case, 1, 1, dtype=dtype)
    one = {name: value[0] for name, value in weights.items()}
    pairs = torch.randint(NETWORKS[case].tokens, (131, 2), generator=torch.Generator().manual_seed(1))
    found, expected = architecture.still(one, pairs), exact(architecture.still, one, pairs)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert_rounded(value, expected[name], dtype)


@every_network
@pytest.mark.parametrize("stacks", [1, 3])
def test_threads_share_networks_and_inputs(monkeypatch, exact, case, stacks):
    monkeypatch.setattr("spectraledge.models.native_networks._LEAST", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    architecture, weights, inputs, labels = drawn(case, stacks, 101)
    found = architecture.loss_and_gradient(weights, inputs, labels)
    again = architecture.loss_and_gradient(weights, inputs, labels)
    torch.testing.assert_close(found, again, rtol=0, atol=0)
    exact_losses, expected = exact(architecture.loss_and_gradient, weights, inputs, labels)
    assert_rounded(found[0], exact_losses)
    assert_gradients_rounded(found[1], expected)
    assert_rounded(architecture.logits(weights, inputs), exact(architecture.logits, weights, inputs))


@every_network
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_stays_none(exact, case, value):
    architecture, weights, inputs, labels = drawn(case, 2, 5)
    weights["head.weight"][1, 0, 0] = value
    losses, gradients = architecture.loss_and_gradient(weights, inputs, labels)
    exact_losses, _ = exact(architecture.loss_and_gradient, weights, inputs, labels)
    # A class that is infinitely unlikely leaves losses as they are.
    assert losses.isfinite().tolist() == exact_losses.isfinite().tolist()
    assert bool(losses[1].isfinite()) <= (value == math.inf)
    assert all(bool(gradient[0].isfinite().all()) for gradient in gradients.values())


def test_losses_of_large_logits_do_not_overflow(exact):
    architecture, weights, inputs, labels = drawn("relu", 1, 60, scale=30.0)
    losses, gradients = architecture.loss_and_gradient(weights, inputs, labels)
    exact_losses, expected = exact(architecture.loss_and_gradient, weights, inputs, labels)
    assert float(exact_losses[0]) > 1000
    assert_rounded(losses, exact_losses)
    assert_rounded(gradients["head.weight"], expected["head.weight"])


def test_rows_with_a_large_mean_are_normalised(exact):
    architecture, weights, inputs, labels = drawn("one layer", 1, 60)
    weights["layers.0.down.bias"] += 30
    losses, _ = architecture.loss_and_gradient(weights, inputs, labels)
    exact_losses, _ = exact(architecture.loss_and_gradient, weights, inputs, labels)
    torch.testing.assert_close(losses.double(), exact_losses, rtol=1e-4, atol=0)


@both_precisions
def test_gelu_is_rounded_alone(native, dtype):
    """Of one neuron that the first class alone reads: its logits are GELU, at what the first token says."""
    values = torch.cat(
        [torch.linspace(-20, 20, 3001), torch.logspace(-30, -2, 99), torch.tensor([0.0, -0.0, 1e15, -1e15])]
    ).to(dtype)
    config = MLPConfig(tokens=len(values), hidden=1, activation="gelu", bias=False)
    architecture = architecture_of(config)
    first, head = torch.zeros(1, 1, 2 * len(values), dtype=dtype), torch.zeros(1, len(values), 1, dtype=dtype)
    first[0, 0, : len(values)], head[0, 0] = values, 1
    weights = {"layers.0.weight": first, "head.weight": head}
    pairs = torch.stack([torch.arange(len(values)), torch.zeros(len(values), dtype=torch.int64)], 1)
    inputs = architecture.encode(pairs[None])
    found = architecture.logits(weights, inputs)[0, :, 0, 0].double()
    x = values.double()
    exact = torch.from_numpy(values.double().numpy() * scipy.special.ndtr(values.double().numpy()))
    if dtype == torch.float32:
        # PyTorch's own way loses the tail: 1 + erf is nothing there.
        tail = 1e-6 if native("adam", []) is None else 3e-7 * x.abs().clamp(max=1) + 1e-37
        assert bool(((found - exact).abs() <= tail + 1.2e-7 * x.abs()).all())
    else:
        assert bool(((found - exact).abs() <= 6e-16 * x.abs()).all())
