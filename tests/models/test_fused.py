"""What the transformer does between products, in one pass each, against the definitions in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from spectraledge.models import TransformerConfig
from spectraledge.models.fused import Attended, Gelu, Normed
from spectraledge.models.gradients import loss_and_gradient
from spectraledge.models.pairs import rows_of
from spectraledge.models.transformer import empty_transformer
from spectraledge.native import step_passes

SIZES = [(1, 1, 1), (1, 7, 3), (2, 5, 31), (1, 33, 64), (3, 4, 130)]
"""Networks, rows and numbers of a row: less than a register holds, more, and no multiples of that."""


@pytest.fixture(autouse=True)
def _passes(monkeypatch, native):
    """Run every test with each set of instructions, and with PyTorch's ways."""
    monkeypatch.setattr(
        step_passes, "FUNCTIONS", {name: native(name, types) for name, types in step_passes.ARGUMENTS.items()}
    )


def drawn(*shapes, scale=1.0):
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(shape, generator=generator) for shape in shapes]


def assert_rounded(found, exact, tolerance=2e-6):
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


def test_gelu_and_its_derivative_are_rounded_alone():
    x = torch.cat(
        [torch.linspace(-20, 20, 100_001), torch.logspace(-30, -2, 99), torch.tensor([0.0, -0.0, 1e30, -1e30])]
    )
    exact = x.double().requires_grad_()
    F.gelu(exact).sum().backward()
    gelu = Gelu.of(x.clone().view(1, 1, -1), torch.zeros(1, len(x)))
    # PyTorch's own way loses the tail: 1 + erf is nothing there.
    bound = 1e-6 if not gelu.derived else 3e-7 * x.double().abs().clamp(max=1) + 1e-37
    assert bool(((gelu.out.flatten().double() - F.gelu(x.double())).abs() <= bound + 1.2e-7 * x.double().abs()).all())
    torch.testing.assert_close(gelu.slope().flatten().double(), exact.grad, rtol=0, atol=4e-7)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_gelu_adds_each_networks_bias(sizes):
    product, change = drawn(sizes, sizes, scale=3.0)
    (bias,) = drawn((sizes[0], sizes[2]))
    exact = (product.double() + bias.double().unsqueeze(1)).requires_grad_()
    F.gelu(exact).backward(change.double())
    gelu = Gelu.of(product.clone(), bias)
    assert_rounded(gelu.out, F.gelu(exact.detach()))
    assert_rounded(gelu.back(change.clone()), exact.grad)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_rows_are_normalised_and_changes_sent_back(sizes):
    product, before, change, stream = drawn(*[sizes] * 4)
    # A mean that is large beside the deviation, and a bias that does not lie in one piece.
    bias = drawn((sizes[0], 2 * sizes[2]))[0][:, : sizes[2]] + 30
    exact = (product.double() + bias.double().unsqueeze(1) + before.double()).requires_grad_()
    expected = F.layer_norm(exact, exact.shape[-1:])
    expected.backward(change.double())
    normed = Normed.of_sum(product.clone(), bias, before)
    assert_rounded(normed.x, exact.detach())
    if sizes[2] > 1:
        assert_rounded(normed.out, expected.detach(), 2e-5)
        assert_rounded(normed.transport(change), exact.grad, 5e-5)
    assert_rounded(normed.transport_onto(stream.clone(), change), stream.double() + exact.grad, 5e-5)
    assert normed.mean.shape == normed.inverse_deviation.shape == (*sizes[:2], 1)


def attention(query, key, value):
    """Two positions' outputs by softmax, from Q, K and V of (S, positions, n, heads, size)."""
    scores = torch.einsum("sqnhd,sknhd->sqknh", query, key) / math.sqrt(query.shape[-1])
    return torch.einsum("sqknh,sknhd->sqnhd", scores.softmax(2), value)


@pytest.mark.parametrize(
    ("stacks", "read", "count", "heads", "size"), [(1, 2, 9, 4, 32), (3, 1, 5, 2, 3), (2, 2, 1, 1, 17)]
)
def test_attention_is_a_softmax_over_two_keys(stacks, read, count, heads, size):
    both = (stacks, 2, count, heads, size)
    query, key, value, change = drawn(both, both, both, both, scale=2.0)
    query, change = query[:, :read].contiguous(), change[:, :read].contiguous()
    exact = [part.double().requires_grad_() for part in (query, key, value)]
    expected = attention(*exact)
    expected.backward(change.double())
    attended = Attended.of(query, (key[:, 1:] - key[:, :1]).contiguous(), value)
    assert_rounded(attended.mixed.view(query.shape), expected.detach())
    torch.testing.assert_close(attended.value_gap, value[:, 1:] - value[:, :1], rtol=0, atol=0)
    of_query, of_gap, of_value = attended.back(change.view(attended.mixed.shape))
    for found, right in ((of_query, exact[0].grad), (of_gap, exact[1].grad[:, 1]), (of_value, exact[2].grad)):
        assert_rounded(found, right, 1e-5)


@pytest.mark.parametrize(("stacks", "read", "count", "heads", "size"), [(1, 2, 40, 4, 32), (2, 1, 23, 3, 5)])
def test_attention_reads_rows_of_a_table_and_sums_up_their_gradients(stacks, read, count, heads, size):
    tokens, width = 7, heads * size
    config = TransformerConfig(tokens=tokens, width=width, heads=heads)
    row_of = rows_of(config, torch.randint(tokens, (stacks, count, 2), generator=torch.Generator().manual_seed(1)))
    (rows,), (change,) = drawn((stacks * 2 * tokens, 3 * width)), drawn((stacks, read * count, width))
    exact = rows.double().requires_grad_()
    query, key, value = exact[row_of].view(stacks, 2, count, 3, heads, size).unbind(3)
    expected = attention(query[:, :read], key, value).reshape(change.shape)
    expected.backward(change.double())
    attended = Attended.of_rows(rows, row_of, stacks, read, heads)
    assert_rounded(attended.mixed, expected.detach())
    assert_rounded(attended.key_gap, (key[:, 1:] - key[:, :1]).detach())
    assert_rounded(attended.back_to_rows(change, row_of, len(rows)), exact.grad, 1e-5)


@pytest.mark.parametrize("place", ["layers.0.attention.qkv.bias", "layers.1.up.weight", "head.weight"])
def test_what_is_no_number_stays_none(place):
    config = TransformerConfig(tokens=5, width=8, heads=2, hidden=12)
    shapes = {name: parameter.shape for name, parameter in empty_transformer(config).named_parameters()}
    parameters = {name: tensor[None] for name, tensor in zip(shapes, drawn(*shapes.values()), strict=True)}
    parameters[place].view(-1)[0] = math.nan
    pairs, labels = torch.zeros(1, 4, 2, dtype=torch.int64), torch.zeros(1, 4, 1, dtype=torch.int64)
    losses, _ = loss_and_gradient(config, parameters, rows_of(config, pairs), labels)
    assert bool(losses.isnan())


@pytest.mark.parametrize("stacks", [1, 3])
@pytest.mark.parametrize("answers", [1, 2])
def test_a_whole_gradient_is_that_in_double_precision(stacks, answers):
    config = TransformerConfig(tokens=11, width=20, heads=2, hidden=27, depth=3, answers=answers)
    shapes = {name: (stacks, *parameter.shape) for name, parameter in empty_transformer(config).named_parameters()}
    parameters = dict(zip(shapes, drawn(*shapes.values(), scale=0.3), strict=True))
    generator = torch.Generator().manual_seed(2)
    pairs, labels = (torch.randint(11, (stacks, 37, size), generator=generator) for size in (2, answers))
    losses, gradients = loss_and_gradient(config, parameters, rows_of(config, pairs), labels)
    doubles = {name: value.double() for name, value in parameters.items()}
    exact_losses, exact = loss_and_gradient(config, doubles, rows_of(config, pairs), labels)
    assert_rounded(losses, exact_losses, 1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(
            gradient.double(), exact[name], rtol=1e-4, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )
