"""The transformer, against PyTorch's own encoder with the same weights."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from spectraledge.errors import InputError
from spectraledge.models import Transformer, TransformerConfig

SIZES = [
    {"tokens": 7, "width": 16, "heads": 2, "hidden": 32},
    {"tokens": 7, "width": 16, "heads": 2, "hidden": 32, "depth": 1},
    {"tokens": 5, "width": 12, "heads": 3, "hidden": 20, "depth": 3},
    {"tokens": 5, "width": 12, "heads": 1, "hidden": 7, "length": 3},
    {"tokens": 5, "width": 12, "heads": 12, "hidden": 7, "length": 3, "depth": 1},
    {"tokens": 11, "width": 8, "heads": 4, "hidden": 16, "length": 1},
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def both(network, sizes, dtype, seed=0):
    """Our network and the published one, with equal weights, and inputs."""
    config = TransformerConfig(**sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, reference = Transformer(config).to(dtype), network(config).to(dtype)
        with torch.no_grad():
            for parameter in reference.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        inputs = torch.randint(config.tokens, (23, config.length))
    ours, theirs = dict(model.named_parameters()), reference.named_as_ours()
    assert sorted(ours) == sorted(theirs)
    with torch.no_grad():
        for name, parameter in ours.items():
            parameter.copy_(theirs[name])
    return model, reference, inputs


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_logits_and_residual_equal_the_encoders(published_network, sizes, dtype):
    model, reference, inputs = both(published_network, sizes, dtype)
    logits, residual = model(inputs)
    expected_logits, expected_residual = reference(inputs)
    torch.testing.assert_close(logits, expected_logits, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    torch.testing.assert_close(residual, expected_residual, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("part", [0, 1], ids=["logits", "residual"])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gradients_equal_the_encoders(published_network, sizes, dtype, part):
    model, reference, inputs = both(published_network, sizes, dtype)
    seen = [network(inputs)[part] for network in (model, reference)]
    pull = torch.randn(seen[0].shape, dtype=dtype, generator=torch.Generator().manual_seed(1)) / len(inputs)
    for value in seen:
        (value * pull).sum().backward()
    theirs = reference.named_as_ours()
    for name, parameter in model.named_parameters():
        expected = theirs[name].grad
        if expected is None:
            assert parameter.grad is None
            continue
        torch.testing.assert_close(
            parameter.grad, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], msg=lambda m, n=name: f"{n}: {m}"
        )


def test_the_published_sizes_equal_the_encoders_on_the_whole_grid(published_network):
    model, reference, _ = both(published_network, {"tokens": 97}, torch.float32)
    inputs = torch.cartesian_prod(torch.arange(97), torch.arange(97))
    with torch.no_grad():
        found, (logits, residual) = model(inputs), reference(inputs)
    torch.testing.assert_close(found.logits_NC, logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found.residual_ND, residual, rtol=1e-5, atol=1e-5)


def test_parameters_number_what_is_published():
    model = Transformer(TransformerConfig(tokens=97))
    assert sum(parameter.numel() for parameter in model.parameters()) == 290_401
    assert sum(p.numel() for n, p in model.named_parameters() if ".attention." in n and n.endswith("weight")) == 131_072


def test_inputs_are_read_one_by_one(published_network):
    model, _, inputs = both(published_network, SIZES[0], torch.float64)
    alone = torch.cat([model(row[None]).logits_NC for row in inputs])
    torch.testing.assert_close(model(inputs).logits_NC, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 2), (2, 1)])
def test_inputs_of_another_shape_are_refused(published_network, shape):
    model, _, _ = both(published_network, SIZES[0], torch.float32)
    with pytest.raises(InputError, match=r"inputs must have shape \(N, 2\), got \("):
        model(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"tokens": 7, "width": 10, "heads": 4}, "heads must divide width, got 4 heads for width 10"),
        ({"tokens": 1}, "greater than 1"),
        ({"tokens": 7, "depth": 0}, "greater than 0"),
        ({"tokens": 7, "dropout": 0.1}, "Extra inputs are not permitted"),
        ({}, "Field required"),
    ],
)
def test_impossible_sizes_are_refused(sizes, message):
    with pytest.raises(ValidationError, match=message):
        TransformerConfig(**sizes)


def test_no_inputs_have_no_answers():
    model = Transformer(TransformerConfig(tokens=5, width=8, heads=2, hidden=4))
    found = model(torch.zeros(0, 2, dtype=torch.int64))
    assert found.logits_NC.shape == (0, 5)
    assert found.residual_ND.shape == (0, 8)


def test_an_empty_network_is_made_without_loading_a_compiler():
    script = (
        "import sys; from spectraledge.models.transformer import TransformerConfig, empty_transformer; "
        "empty_transformer(TransformerConfig(tokens=7)); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
