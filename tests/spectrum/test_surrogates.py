"""Surrogates in C: those of PyTorch, from the same random numbers, on every instruction set."""

import numpy as np
import pytest
import torch

from spectraledge.native import calls
from spectraledge.spectrum import noise, noise_floor


def stream(seed=0):
    return torch.Generator("cpu").manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=stream(seed))


@pytest.fixture
def functions(monkeypatch, native):
    found = {name: native(name, types) for name, types in calls.ARGUMENTS.items()}
    monkeypatch.setattr(calls, "FUNCTIONS", found)
    return found


def grams_by_definition(waves_WC, count, generator):
    """Of surrogates from the generator's numbers, by complex exponentials."""
    width, size = waves_WC.shape
    pairs, grams = (width - 1) // 2, []
    constant, cosines, sines, last = np.split(waves_WC.numpy(), [1, 1 + pairs, 1 + 2 * pairs])
    for _ in range(count):
        turns = torch.rand(pairs, size, dtype=torch.float64, generator=generator).numpy()
        signs = 2 * torch.randint(2, last.shape, generator=generator).numpy() - 1
        turned = np.abs(cosines + 1j * sines) * np.exp(2j * np.pi * turns)
        rows = np.concatenate([constant, turned.real, turned.imag, last * signs])
        grams.append(rows @ rows.T)
    return np.array(grams)


def assert_as_defined(width, size, ours, theirs):
    waves_WC = normal(width, size, seed=width)
    grams_BWW = torch.zeros(3, width, width, dtype=torch.float64)
    noise._add_grams(waves_WC, noise._randomise_phases, ours, grams_BWW)
    expected = grams_by_definition(waves_WC, 3, theirs)
    np.testing.assert_allclose(grams_BWW.numpy(), expected, rtol=1e-12, atol=1e-13 * size)
    assert torch.equal(ours.get_state(), theirs.get_state())


@pytest.mark.usefixtures("functions")
def test_grams_of_windows_of_every_width_are_those_of_the_definition():
    for width in range(3, 26):
        for size in (1, 13, 256, 700 + width):
            assert_as_defined(width, size, stream(size), stream(size))


@pytest.mark.usefixtures("functions")
@pytest.mark.parametrize("drawn", [0, 1, 2, 311, 622, 623, 624, 625, 1248])
def test_draws_go_on_where_the_generator_stands_and_it_goes_on_behind_them(drawn):
    for width in (3, 4, 10):
        for size in (1, 2, 103, 312):
            ours, theirs = stream(size), stream(size)
            for generator in (ours, theirs):
                torch.randn(1, dtype=torch.float64, generator=generator)
                torch.rand(drawn, dtype=torch.float32, generator=generator)
            assert_as_defined(width, size, ours, theirs)
            after = [torch.randn(3, dtype=torch.float64, generator=generator) for generator in (ours, theirs)]
            assert torch.equal(*after)


@pytest.mark.parametrize("null", ["lengths", "stationary", "phase", "sign"])
def test_floors_are_those_of_pytorch(monkeypatch, functions, null):
    monkeypatch.setattr(noise, "_COLUMNS", 271)
    for window in (3, 10, 25):
        updates_WP = normal(window, 700, seed=window).float() * torch.linspace(1, 3, window)[:, None]
        floors, states = [], []
        for way in (dict.fromkeys(functions), functions):
            monkeypatch.setattr(calls, "FUNCTIONS", way)
            generator = stream()
            floors.append(noise_floor(updates_WP, generator=generator, null=null, surrogates=4, level=0.2).floor_W)
            states.append(generator.get_state())
        torch.testing.assert_close(floors[1], floors[0], rtol=1e-12, atol=1e-12 * float(floors[0].max()))
        assert torch.equal(*states)


def test_draws_of_this_pytorch_are_known(functions):
    if functions["add_surrogates"] is not None:
        assert noise._draws_agree.__wrapped__()
        assert noise._is_known(stream())


def test_a_generator_that_c_does_not_know_is_left_to_pytorch(monkeypatch):
    expected = noise_floor(normal(6, 50), generator=stream()).floor_W
    monkeypatch.setitem(calls.FUNCTIONS, "add_surrogates", lambda *_: 0)
    assert not noise._draws_agree.__wrapped__()
    for name, value in (("_draws_agree", lambda: False), ("_STATE_BYTES", 5064)):
        with monkeypatch.context() as patched:
            patched.setattr(noise, "_draws_agree", lambda: True)
            patched.setattr(noise, name, value)
            torch.testing.assert_close(noise_floor(normal(6, 50), generator=stream()).floor_W, expected)
