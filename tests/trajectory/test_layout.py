"""Layouts: named tensors to one vector and back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.trajectory import Layout

shapes = st.dictionaries(
    st.text(max_size=4), st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=5
)


def random_tensors(shapes, lead=()):
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn((*lead, *shape), generator=generator) for name, shape in shapes.items()}


@given(shapes=shapes)
def test_round_trip(shapes):
    layout, tensors = Layout(shapes), random_tensors(shapes)
    flat_P = layout.join(tensors)
    assert flat_P.shape == (layout.size,) == (sum(math.prod(shape) for shape in shapes.values()),)
    parts = layout.split(flat_P)
    assert list(parts) == list(shapes)
    for name, tensor in tensors.items():
        torch.testing.assert_close(parts[name], tensor, rtol=0, atol=0)
    torch.testing.assert_close(layout.join(parts), flat_P, rtol=0, atol=0)


@given(shapes=shapes, count=st.integers(1, 3))
def test_rows_are_vectors_one_below_another(shapes, count):
    layout, stacked = Layout(shapes), random_tensors(shapes, (count,))
    expected = torch.stack([layout.join({name: part[i] for name, part in stacked.items()}) for i in range(count)])
    torch.testing.assert_close(layout.join_rows(stacked), expected, rtol=0, atol=0)


@given(shapes=shapes, lead=st.lists(st.integers(1, 3), max_size=2).map(tuple))
def test_leading_axes_are_kept(shapes, lead):
    layout = Layout(shapes)
    flat = torch.randn((*lead, layout.size), generator=torch.Generator().manual_seed(0))
    for name, part in layout.split(flat).items():
        assert part.shape == (*lead, *shapes[name])
    for place in np.ndindex(lead):
        for name, part in layout.split(flat[place]).items():
            torch.testing.assert_close(layout.split(flat)[name][place], part, rtol=0, atol=0)


def test_the_order_is_that_of_the_layout_not_of_the_tensors():
    layout = Layout({"b": (2,), "a": (1, 2)})
    flat_P = layout.join({"a": torch.tensor([[3.0, 4.0]]), "b": torch.tensor([1.0, 2.0]), "c": torch.zeros(9)})
    torch.testing.assert_close(flat_P, torch.tensor([1.0, 2.0, 3.0, 4.0]))


def test_parts_are_views():
    layout, flat_P = Layout({"a": (2, 2), "b": ()}), torch.zeros(5)
    layout.split(flat_P)["a"].fill_(1.0)
    layout.split(flat_P)["b"].fill_(2.0)
    torch.testing.assert_close(flat_P, torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0]))


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(RuntimeError, match="split_with_sizes"):
        Layout({"a": (2,)}).split(torch.zeros(3))
