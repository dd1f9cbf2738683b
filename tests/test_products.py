"""Products of matrices by either library, against float64."""

import pytest
import torch

from spectraledge import products

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}
LIBRARIES = [False, *([True] if torch.backends.mkldnn.enabled else [])]
VIEWS = {
    "rows": lambda m: m,
    "columns": lambda m: m.t().contiguous().t(),
    "strided": lambda m: m[::2, ::3],
    "repeated": lambda m: m[:1].expand(4, -1),
}


@pytest.fixture(params=LIBRARIES, ids=["onednn" if onednn else "mkl" for onednn in LIBRARIES], autouse=True)
def _library(monkeypatch, request):
    monkeypatch.setattr(products, "_PREFERS_ONEDNN", request.param)


def operands(*shapes, dtype):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("added", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("view", VIEWS)
def test_products_of_matrices_however_they_lie(view, added, dtype):
    left, right = (VIEWS[view](m) for m in operands((8, 12), (6, 12), dtype=dtype))
    bias = operands((len(right),), dtype=dtype)[0] if added else None
    expected = left.double() @ right.double().t() + (0 if bias is None else bias.double())
    found = products.multiply(left, right, bias)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("stacks", [1, 3])
@pytest.mark.parametrize("added", [True, False], ids=["bias", "no-bias"])
def test_stacks_are_multiplied_one_by_one(stacks, added):
    left, right, bias = operands((stacks, 8, 12), (stacks, 6, 12), (stacks, 6), dtype=torch.float32)
    chosen = bias if added else None
    found = products.multiply_stacks(left, right, chosen)
    alone = [products.multiply(left[s], right[s], bias[s] if added else None) for s in range(stacks)]
    torch.testing.assert_close(found, torch.stack(alone), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("sizes", [(1, 32, 4, 8), (1, 33, 7, 5), (1, 5, 2, 3), (3, 40, 9, 6)], ids=str)
@pytest.mark.parametrize("dense", [True, False])
def test_outer_products_are_the_gradients_of_a_linear_layer(dense, sizes, dtype):
    stacks, rows, outs, ins = sizes
    change, x = operands((stacks, rows, outs), (stacks, rows, ins), dtype=dtype)
    change = change if dense else change.transpose(1, 2).contiguous().transpose(1, 2)
    weight, bias = products.multiply_outer(change, x)
    exact = torch.einsum("sno,sni->soi", change.double(), x.double())
    torch.testing.assert_close(weight.double(), exact, rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])
    torch.testing.assert_close(bias.double(), change.double().sum(1), rtol=TOLERANCE[dtype], atol=10 * TOLERANCE[dtype])


def test_compiled_products_are_the_eager_ones_where_weights_are_themselves_computed():
    given = operands((1, 8, 12), (1, 6, 12), (1, 6), dtype=torch.float32)

    def scaled(left, right, bias):
        return torch.nn.functional.gelu(products.multiply_stacks(left * 2, right * 3, bias))

    # What another machine or another day compiled must not answer for what the compiler does now.
    options = {"cpp_wrapper": True, "fx_graph_cache": False}
    compiled = torch.compile(scaled, fullgraph=True, dynamic=False, options=options)
    torch.testing.assert_close(compiled(*given), scaled(*given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("count", "terms", "width"), [(9, 5, 128), (3, 1, 77), (4, 16, 3), (0, 2, 8)])
def test_weighted_rows_are_sums(monkeypatch, native, count, terms, width, dtype):
    monkeypatch.setattr(products, "_WEIGHTED_ROWS", native("weighted_rows", products._WEIGHTED_ROWS_ARGUMENTS))
    table, weights = operands((11, width), (count, terms), dtype=dtype)
    rows = torch.randint(0, 11, (terms, count), generator=torch.Generator().manual_seed(1)).t()
    expected = torch.einsum("nk,nkd->nd", weights.double(), table.double()[rows])
    found = products.weighted_rows(table, rows, weights)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("outputs", [1, 3, 4, 9, 12])
@pytest.mark.parametrize(("terms", "width"), [(1, 1), (5, 7), (20, 255), (20, 256), (3, 40_001)])
def test_combined_rows_are_rounded_once(monkeypatch, native, outputs, terms, width, dtype):
    monkeypatch.setattr(products, "_COMBINED_ROWS", native("combined_rows", products._COMBINED_ROWS_ARGUMENTS))
    (table,), (weights,) = operands((terms, width), dtype=dtype), operands((outputs, terms), dtype=torch.float64)
    # Terms that nearly cancel: sums in single precision would lose all of it.
    table[terms // 2 :] *= 1e6
    table[-1] = table[terms // 2]
    weights[:, -1] = weights[:, -1] if terms < 3 else -weights[:, terms // 2]
    found = products.combined_rows(weights, table)
    assert found.dtype == dtype
    exact = weights @ table.double()
    rounding = 4 * torch.finfo(torch.float64).eps * (weights.abs() @ table.double().abs())
    assert bool(((found.double() - exact).abs() <= rounding + torch.finfo(dtype).eps * exact.abs()).all())
