"""Tensors that change places between two snapshots: told from training, and from copies."""

import itertools

import pytest
import torch
from safetensors.torch import save_file

from spectraledge.analyses.spectra import analyze_folder
from spectraledge.errors import InputError
from spectraledge.trajectory import verify_series
from spectraledge.trajectory.exchanges import exchanged


def network(seed=0):
    """Four matrices of one shape, two vectors that begin alike, and a matrix of another shape."""
    generator = torch.Generator().manual_seed(seed)
    matrices = {f"layers.{i}.weight": torch.randn(8, 12, generator=generator, dtype=torch.float64) for i in range(4)}
    gains = {f"layers.{i}.gain": torch.ones(32, dtype=torch.float64) for i in range(2)}
    return {**matrices, **gains, "head.weight": torch.randn(12, 8, generator=generator, dtype=torch.float64)}


def moved(tensors, size=0.01, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: one + size * torch.randn(one.shape, generator=generator, dtype=one.dtype) for name, one in tensors.items()
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_those_that_changed_places_are_named_whatever_the_order(order):
    before = network()
    now = moved(before)
    names = [f"layers.{i}.weight" for i in range(4)]
    now = now | {name: now[names[place]] for name, place in zip(names, order, strict=True)}
    assert set(exchanged(before, now)) == {names[i] for i in range(4) if order[i] != i}


def test_training_and_new_beginnings_and_copies_are_no_exchange():
    before = network()
    assert exchanged(before, before) == exchanged(before, moved(before, 3.0)) == exchanged(before, network(5)) == ()
    followed = moved(before)
    followed["layers.1.weight"] = followed["layers.0.weight"].clone()
    followed["layers.2.weight"] = before["layers.1.weight"].clone()
    assert exchanged(before, followed) == ()


@pytest.mark.parametrize("back", [True, False])
def test_a_series_with_exchanged_tensors_is_no_path_of_updates(tmp_path, back):
    one = network()
    for step in range(8):
        one = moved(one, seed=step)
        names = "layers.1.weight", "layers.3.weight"
        wrong = step == 4 or (step > 4 and not back)
        held = one | ({names[0]: one[names[1]], names[1]: one[names[0]]} if wrong else {})
        save_file({name: tensor.contiguous() for name, tensor in held.items()}, tmp_path / f"step_{step}.safetensors")
    said = "layers.1.weight, layers.3.weight have changed places between steps 3 and 4"
    assert [(one.kind, one.steps, one.text) for one in verify_series(tmp_path).findings] == [("exchanged", (4,), said)]
    with pytest.raises(InputError, match=rf"{said}, .*checkpoints verify"):
        analyze_folder(tmp_path, window=3)
    assert len(analyze_folder(tmp_path, patterns=["layers.0.*", "layers.2.*", "head.*"], window=3).edge) == 5
