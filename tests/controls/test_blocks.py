"""Shares of a direction's norm by head and matrix, entry by entry, and what isotropic directions have."""

import numpy as np
import pytest
import scipy.stats
import torch

from spectraledge.controls import GRAINS, MATRICES, block_shares
from spectraledge.errors import InputError
from spectraledge.models import TransformerConfig, architecture_of
from spectraledge.statistics import empirical_p, random_directions
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.trajectory import Layout

HEADS, WIDTH, LAYERS = 2, 6, 2


def layout_of(width=WIDTH, layers=LAYERS):
    names = {}
    for layer in range(layers):
        names[f"layers.{layer}.attention.output.weight"] = (width, width)
        names[f"layers.{layer}.attention.qkv.weight"] = (3 * width, width)
    return Layout(names)


def attention(heads, width=WIDTH):
    return architecture_of(TransformerConfig(tokens=5, width=width, heads=heads, depth=LAYERS)).attention


def naive_shares(vector_P, layout, heads):
    """Every entry goes to the head of its row (Q, K, V) or of its column (output)."""
    found = {}
    for name, tensor in layout.split(vector_P).items():
        layer, width = int(name.split(".")[1]), tensor.shape[1]
        for (row, column), value in np.ndenumerate(tensor.numpy()):
            if "qkv" in name:
                matrix, head = ("query", "key", "value")[row // width], row % width // (width // heads)
            else:
                matrix, head = "output", column // (width // heads)
            place = layer, head, matrix
            found[place] = found.get(place, 0.0) + value**2
    total = sum(found.values())
    return {place: value / total for place, value in found.items()}


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_shares_equal_those_summed_entry_by_entry(heads):
    layout = layout_of()
    vectors_KP = 3 * torch.randn(4, layout.size, dtype=torch.float64, generator=torch_generator(0))
    found = block_shares(vectors_KP, layout, attention(heads))
    assert found.block_size * LAYERS * heads * 4 == layout.size
    for k, vector_P in enumerate(vectors_KP):
        expected = naive_shares(vector_P, layout, heads)
        for (layer, head, matrix), share in expected.items():
            np.testing.assert_allclose(found.shares_KLHM[k, layer, head, MATRICES.index(matrix)], share, rtol=1e-12)
        by_head = [sum(expected[i, j, m] for m in MATRICES) for i in range(LAYERS) for j in range(heads)]
        by_matrix = [sum(expected[i, j, m] for i in range(LAYERS) for j in range(heads)) for m in MATRICES]
        np.testing.assert_allclose(found.blocks("head")[k], by_head, rtol=1e-12)
        np.testing.assert_allclose(found.blocks("matrix")[k], by_matrix, rtol=1e-12)
        np.testing.assert_allclose(found.purity("head_matrix")[k], max(expected.values()), rtol=1e-12)


def test_the_papers_network_has_8_32_and_4_blocks_of_equal_size():
    layout = layout_of(width=128)
    found = block_shares(random_directions(1, layout.size, torch_generator(0)), layout, attention(4, 128))
    assert {grain: found.blocks(grain).shape[1] for grain in GRAINS} == {"head": 8, "head_matrix": 32, "matrix": 4}
    assert found.block_size == 4096


@pytest.mark.parametrize("matrix", MATRICES)
def test_a_direction_within_one_block_is_pure(matrix):
    layout = layout_of()
    tensors = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in layout.shapes.items()}
    rows = slice(3, 6)
    if matrix == "output":
        tensors["layers.1.attention.output.weight"][:, rows] = 0.7
    else:
        tensors["layers.1.attention.qkv.weight"].view(3, WIDTH, WIDTH)[MATRICES.index(matrix), rows] = 0.7
    found = block_shares(layout.join(tensors)[None], layout, attention(HEADS))
    for grain in GRAINS:
        np.testing.assert_allclose(found.purity(grain), 1, rtol=1e-12)
    assert found.shares_KLHM[0, 1, 1, MATRICES.index(matrix)] == pytest.approx(1)


@pytest.mark.parametrize("grain", GRAINS)
def test_isotropic_purity_is_that_of_isotropic_directions(grain):
    layout = layout_of()
    found = block_shares(random_directions(4_000, layout.size, torch_generator(1)), layout, attention(HEADS))
    null_B = found.isotropic_purity(grain, generator=numpy_generator(0, "null"), count=4_000)
    assert scipy.stats.ks_2samp(found.purity(grain), null_B).pvalue > 0.01
    p_values = [empirical_p(purity, null_B) for purity in found.purity(grain)[:1_000]]
    assert scipy.stats.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    "names",
    [
        ["layers.0.attention.qkv.weight"],
        ["layers.0.attention.qkv.weight", "layers.1.attention.output.weight"],
        ["layers.0.attention.qkv.weight", "layers.0.attention.output.weight", "head.weight"],
        ["layers.0.attention.qkv.weight", "layers.0.attention.output.bias"],
    ],
)
def test_other_weights_than_whole_attention_layers_are_refused(names):
    layout = Layout({name: (6, 2) if "qkv" in name else (2, 2) for name in names})
    with pytest.raises(InputError, match="matrices of whole layers, nothing else, got layers"):
        block_shares(torch.ones(1, layout.size), layout, attention(1, 2))


def test_a_direction_of_length_zero_is_refused():
    layout = layout_of()
    with pytest.raises(InputError, match="a direction of length 0 has no shares"):
        block_shares(torch.zeros(1, layout.size), layout, attention(HEADS))


def test_an_unknown_grain_is_refused():
    layout = layout_of()
    shares = block_shares(torch.ones(1, layout.size), layout, attention(HEADS))
    with pytest.raises(InputError, match="unknown grain 'heads': expected head, head_matrix, matrix"):
        shares.blocks("heads")
