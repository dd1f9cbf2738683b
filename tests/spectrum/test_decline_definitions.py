"""Declines against loops, and their laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.spectrum import decline

series = st.lists(st.floats(0, 1e3), min_size=1, max_size=12)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def naive(values, since, resolution):
    seen = [max(value, least) for value, least in zip(values, resolution, strict=True)]
    return [(seen[0] if since == "first" else max(seen[: t + 1])) / seen[t] for t in range(len(seen))]


@pytest.mark.parametrize("since", ["first", "peak"])
@given(values=series, seed=st.integers(0, 99))
def test_declines_are_those_of_the_definition(since, values, seed):
    resolution = (torch.rand(len(values), generator=torch.Generator().manual_seed(seed)) + 1e-3).double()
    found = decline(tensor(values), since=since, resolution_T=resolution)
    torch.testing.assert_close(found, tensor(naive(values, since, resolution.tolist())), rtol=1e-12, atol=0)
    torch.testing.assert_close(decline(7 * tensor(values), since=since, resolution_T=7 * resolution), found)
    cut = decline(tensor(values)[:3], since=since, resolution_T=resolution[:3])
    torch.testing.assert_close(cut, found[:3], rtol=0, atol=0)


@given(values=series)
def test_the_peak_is_at_least_the_first_value(values):
    first, peak = (
        decline(tensor(values), since=since, resolution_T=torch.ones(len(values))) for since in ("first", "peak")
    )
    assert bool((peak >= first).all() and (peak >= 1).all())


def test_a_planted_decline():
    found = decline(tensor([2.0, 8.0, 1.0, 0.0]), since="peak", resolution_T=torch.full((4,), 0.01))
    torch.testing.assert_close(found, tensor([1.0, 1.0, 8.0, 800.0]), rtol=1e-6, atol=0)
    found = decline(tensor([2.0, 8.0, 1.0, 0.0]), since="first", resolution_T=torch.full((4,), 0.01))
    torch.testing.assert_close(found, tensor([1.0, 0.25, 2.0, 200.0]), rtol=1e-6, atol=0)


def test_what_has_no_decline_is_refused():
    one = torch.ones(2)
    with pytest.raises(InputError, match=r"got shapes \(2,\) and \(3,\)"):
        decline(one, since="peak", resolution_T=torch.ones(3))
    for values, resolution in (([1.0, -1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, 0.0]), ([1.0, float("nan")], [1.0, 1.0])):
        with pytest.raises(InputError, match="finite values that are not negative, and positive resolutions"):
            decline(tensor(values), since="peak", resolution_T=tensor(resolution))
    with pytest.raises(InputError, match="since the 'first' value or the 'peak', got 'last'"):
        decline(one, since="last", resolution_T=one)
