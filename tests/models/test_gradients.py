"""The stacked network on pairs: its answers and its gradient by hand, against the network as published and autograd."""

import pytest
import torch
from torch.nn import functional as F

from spectraledge.models import TransformerConfig
from spectraledge.models.gradients import loss_and_gradient
from spectraledge.models.pairs import Weights, forward_pairs, rows_of

CONFIGS = [
    TransformerConfig(tokens=7, width=12, heads=2, hidden=16, depth=1),
    TransformerConfig(tokens=11, width=8, heads=4, hidden=20, depth=2),
    TransformerConfig(tokens=5, width=12, heads=3, hidden=8, depth=3),
]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}


def stacked(network, config, stacks, dtype):
    """Networks as published, away from their initial weights, their weights by our names, inputs and answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = [network(config).to(dtype) for _ in range(stacks)]
        with torch.no_grad():
            for parameter in (p for n in networks for p in n.parameters()):
                parameter.add_(0.1 * torch.randn_like(parameter))
        pairs = torch.randint(config.tokens, (stacks, 23, 2))
        labels = torch.randint(config.tokens, (stacks, 23))
    named = [n.named_as_ours() for n in networks]
    parameters = {name: torch.stack([n[name].detach() for n in named]) for name in named[0]}
    return networks, named, parameters, pairs, labels


cases = pytest.mark.parametrize(
    ("config", "stacks", "dtype"),
    [(config, stacks, dtype) for config in CONFIGS for stacks in (1, 3) for dtype in TOLERANCE],
    ids=lambda value: f"depth {value.depth}" if isinstance(value, TransformerConfig) else str(value),
)


@cases
def test_answers_are_those_of_each_network(published_network, config, stacks, dtype):
    networks, _, parameters, pairs, _ = stacked(published_network, config, stacks, dtype)
    trace = forward_pairs(Weights.of(config, parameters), rows_of(config, pairs))
    for s, network in enumerate(networks):
        with torch.no_grad():
            logits, residual = network(pairs[s])
        torch.testing.assert_close(trace.logits[s].flatten(1), logits, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        torch.testing.assert_close(trace.norm.x[s], residual, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@cases
def test_the_gradient_is_autograds(published_network, config, stacks, dtype):
    networks, named, parameters, pairs, labels = stacked(published_network, config, stacks, dtype)
    losses, gradients = loss_and_gradient(config, parameters, rows_of(config, pairs), labels.unsqueeze(-1))
    assert list(gradients) == list(parameters)
    for s, network in enumerate(networks):
        loss = F.cross_entropy(network(pairs[s])[0], labels[s])
        loss.backward()
        torch.testing.assert_close(losses[s], loss.detach(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                gradient[s],
                named[s][name].grad,
                rtol=TOLERANCE[dtype],
                atol=TOLERANCE[dtype],
                msg=lambda m, n=name: f"{n}: {m}",
            )


def test_the_published_sizes_on_the_whole_grid(published_network):
    config = TransformerConfig(tokens=97)
    (network,), (named,), parameters, _, _ = stacked(published_network, config, 1, torch.float32)
    pairs = torch.cartesian_prod(torch.arange(97), torch.arange(97))
    labels = pairs.sum(1) % 97
    loss = F.cross_entropy(network(pairs)[0], labels)
    loss.backward()
    found, gradients = loss_and_gradient(config, parameters, rows_of(config, pairs[None]), labels[None, :, None])
    torch.testing.assert_close(found[0], loss.detach(), rtol=1e-5, atol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient[0], named[name].grad, rtol=1e-5, atol=1e-5)
