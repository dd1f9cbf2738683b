"""The linear layer, its derivatives and their batches, against `torch.nn.functional.linear` in float64."""

import pytest
import torch
from torch.nn import functional as F

from spectraledge import products
from spectraledge.models.affine import affine

SHAPES = [(5,), (1, 5), (7, 5), (3, 4, 5), (2, 3, 4, 5)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}

pytestmark = pytest.mark.parametrize("onednn", [True, False], ids=["onednn", "addmm"])


@pytest.fixture(autouse=True)
def _multiplication(monkeypatch, onednn):
    if onednn and not products._HAS_ONEDNN:
        pytest.skip("this PyTorch carries no oneDNN")
    monkeypatch.setattr(products, "_HAS_ONEDNN", onednn)


def operands(shape, dtype, outputs=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = [shape, (outputs, shape[-1]), (outputs,)]
    return [torch.randn(s, dtype=torch.float64, generator=generator).to(dtype) for s in shapes]


def assert_near(found, expected, dtype):
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def in_float64(tensors):
    return [tensor.double() for tensor in tensors]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("added", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize(
    "view",
    [lambda m: m, lambda m: m.t().contiguous().t(), lambda m: m[::2, ::3], lambda m: m[:1].expand(4, -1)],
    ids=["rows", "columns", "strided", "repeated"],
)
def test_products_of_matrices_however_they_lie(view, added, dtype):
    left, right, _ = operands((8, 12), dtype)
    left, right = view(left), view(right)
    bias = operands((1,), dtype, outputs=len(right))[2] if added else None
    expected = left.double() @ right.double().t() + (0 if bias is None else bias.double())
    assert_near(products.multiply(left, right, bias), expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(shape, dtype):
    given = operands(shape, dtype)
    assert_near(affine(*given), F.linear(*in_float64(given)), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
def test_values_and_gradients_of_strided_operands(dtype):
    x, weight, bias = operands((9, 8, 5), dtype)
    given = [x[::2, 1:4].transpose(0, 1), weight.t().contiguous().t()[1:5], bias[1:5]]
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    exact = [tensor.double().detach().requires_grad_() for tensor in given]
    found, expected = affine(*leaves), F.linear(*exact)
    assert_near(found, expected, dtype)
    pull = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad(found, leaves, pull.to(dtype))
    for gradient, exact_gradient in zip(gradients, torch.autograd.grad(expected, exact, pull), strict=True):
        assert_near(gradient, exact_gradient, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("needed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients(shape, needed, dtype):
    given, exact = operands(shape, dtype), in_float64(operands(shape, dtype))
    for place in needed:
        given[place].requires_grad_()
        exact[place].requires_grad_()
    pull = torch.randn(F.linear(*exact).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(affine(*given), [given[place] for place in needed], pull.to(dtype))
    expected = torch.autograd.grad(F.linear(*exact), [exact[place] for place in needed], pull)
    for gradient, exact_gradient in zip(found, expected, strict=True):
        assert_near(gradient, exact_gradient, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("moving", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_forward_derivatives_alone_and_in_batches(moving, dtype):
    given = operands((3, 4, 5), dtype)
    tangents = [torch.stack([operands((3, 4, 5), dtype, seed=1 + k)[place] for k in range(3)]) for place in moving]

    def along(function, base, *tangent):
        def moved(*values):
            placed = dict(zip(moving, values, strict=True))
            return function(*(placed.get(place, value) for place, value in enumerate(base)))

        return torch.func.jvp(moved, tuple(base[place] for place in moving), tangent)[1]

    expected = torch.stack(
        [along(F.linear, in_float64(given), *(tangent[k].double() for tangent in tangents)) for k in range(3)]
    )
    alone = torch.stack([along(affine, given, *(tangent[k] for tangent in tangents)) for k in range(3)])
    together = torch.func.vmap(lambda *tangent: along(affine, given, *tangent))(*tangents)
    assert_near(alone, expected, dtype)
    assert_near(together, expected, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("batched", [(0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
def test_batches_of_operands(batched, dtype):
    given = operands((4, 5), dtype)
    for place in batched:
        given[place] = torch.stack([operands((4, 5), dtype, seed=1 + k)[place] for k in range(3)])
    places = tuple(0 if place in batched else None for place in range(3))
    found = torch.func.vmap(affine, places)(*given)
    expected = [
        F.linear(*(value[k].double() if place in batched else value.double() for place, value in enumerate(given)))
        for k in range(3)
    ]
    assert_near(found, torch.stack(expected), dtype)


def test_second_derivatives():
    def second(function, dtype):
        x, weight, bias = (tensor.requires_grad_() for tensor in operands((4, 5), dtype))
        first = torch.autograd.grad(function(x, weight, bias).square().sum(), weight, create_graph=True)[0]
        return torch.autograd.grad(first.square().sum(), x)[0]

    expected = second(F.linear, torch.float64)
    torch.testing.assert_close(second(affine, torch.float64), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(second(affine, torch.float32).double(), expected, rtol=1e-4, atol=1e-3)
