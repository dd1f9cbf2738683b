"""Windows of updates from snapshots in memory, and what is wrong with them, by name."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from spectraledge.errors import InputError
from spectraledge.models import ModuleTensors
from spectraledge.modes import ModuleWindow


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()


def wandering(module, count=5):
    generator = torch.Generator().manual_seed(1)
    state = {name: value.detach().clone() for name, value in module.state_dict().items()}
    moving = [name for name, _ in module.named_parameters()]
    found = []
    for _ in range(count):
        found.append(state)
        state = state | {name: state[name] + torch.randn(state[name].shape, generator=generator) for name in moving}
    return found


def window(snapshots, module=None, patterns=("*weight",)):
    return ModuleWindow.of(snapshots, ModuleTensors.of(module or network()), patterns=patterns, window=3)


def test_updates_are_those_of_the_last_snapshots():
    module = network()
    snapshots = wandering(module)
    found = window(snapshots, module)
    assert list(found.layout.shapes) == ["0.weight", "1.weight", "2.weight"]
    expected = [
        torch.cat([(after[n].double() - before[n].double()).flatten() for n in found.layout.shapes])
        for before, after in pairwise(snapshots[1:])
    ]
    torch.testing.assert_close(found.updates_WP, torch.stack(expected), rtol=1e-12, atol=0)
    assert found.state["1.running_mean"] is snapshots[-1]["1.running_mean"]


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod."])
def test_names_that_wrappers_gave_are_the_modules_own(prefix):
    module = network()
    snapshots = wandering(module)
    renamed = [{prefix + name: value for name, value in snapshot.items()} for snapshot in snapshots]
    found = window(renamed, module, [f"{prefix}0.*"])
    assert list(found.layout.shapes) == ["0.weight", "0.bias"]
    mixed = window([*snapshots[:3], *renamed[3:]], module, ["0.*"])
    torch.testing.assert_close(found.updates_WP, mixed.updates_WP, rtol=0, atol=0)


def test_what_does_not_move_is_not_watched():
    module = network()
    still = module.state_dict()["0.weight"].clone()
    found = window([snapshot | {"0.weight": still.clone()} for snapshot in wandering(module)], module)
    assert found.unmoved == ("0.weight",)
    assert list(found.layout.shapes) == ["1.weight", "2.weight"]


def test_frozen_tensors_may_be_one_and_the_same():
    module = network()
    module[0].weight.requires_grad_(False)
    still = module.state_dict()["0.weight"].clone()
    assert window([snapshot | {"0.weight": still} for snapshot in wandering(module)], module).unmoved == ("0.weight",)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight


def test_tied_tensors_may_have_any_of_their_names():
    module = Tied().eval()
    full = [{"embedding.weight": v, "head.weight": v} for v in torch.randn(5, 5, 4)]
    expected = window(full, module)
    assert list(expected.layout.shapes) == ["embedding.weight"]
    alone = [{"head.weight": snapshot["head.weight"]} for snapshot in full]
    for snapshots, patterns in ((alone, "*weight"), (alone, "head*"), (full, "head*")):
        found = window(snapshots, module, [patterns])
        torch.testing.assert_close(found.updates_WP, expected.updates_WP, rtol=0, atol=0)
    untied = [snapshot | {"head.weight": snapshot["head.weight"] + 1} for snapshot in full]
    with pytest.raises(InputError, match=r"ties 'head.weight' to 'embedding.weight', and snapshot 1 holds different"):
        window(untied, module)


@pytest.mark.parametrize(
    ("snapshots", "message"),
    [
        (lambda _, found: found[:3], "a window of 3 updates needs 4 snapshots, got 3"),
        (lambda module, _: [module.state_dict() for _ in range(5)], r"same memory for 0.weight, .*clone\(\)"),
        (
            lambda _, found: [s | {"0.weight": found[0]["0.weight"]} for s in found],
            "same memory for 0.weight: state_dict",
        ),
        (lambda _, found: [{k: v.clone() for k, v in found[0].items()} for _ in found], "do not move"),
        (lambda _, found: [s if i != 2 else s | {"other": s["0.bias"]} for i, s in enumerate(found)], "2 holds other"),
        (
            lambda _, found: [s if i != 2 else s | {"0.weight": torch.ones(4, 5)} for i, s in enumerate(found)],
            r"'0.weight' has shape \(4, 5\) in snapshot 2 and \(4, 3\) in the module",
        ),
        (
            lambda _, found: [{k: v for k, v in s.items() if i != 2 or k != "2.weight"} for i, s in enumerate(found)],
            "snapshot 2 lacks 2.weight, which the last one has",
        ),
        (
            lambda _, found: [{k: v for k, v in s.items() if i != 4 or k != "2.bias"} for i, s in enumerate(found)],
            "the last snapshot lacks 2.bias, which snapshot 1 has",
        ),
        (lambda _, found: [{"model": s, "step": 1} for s in found], "snapshot 1 holds model, step, which the module"),
        (lambda _, found: [{k: v.numpy() for k, v in s.items()} for s in found], "holds a ndarray as '0.weight'"),
        (lambda module, found: [module for _ in found], "snapshot 1 is a Sequential: give tensors by name"),
        (lambda _, found: dict(enumerate(found)), "snapshots must be a list, oldest first, got .* by name"),
        (
            lambda _, found: [{"0.weight": s["0.weight"]} for s in found],
            r"lack 0.bias, 1.weight, 1.bias, .* the module is of another moment: its 0.weight is not that of the last",
        ),
    ],
)
def test_snapshots_that_do_not_fit_are_refused_by_name(snapshots, message):
    module = network()
    with pytest.raises(InputError, match=message):
        window(snapshots(module, wandering(module)), module)


def test_what_snapshots_lack_is_of_the_moment_at_which_the_module_stands():
    module = network()
    full = wandering(module)
    parts = [{"0.weight": snapshot["0.weight"]} for snapshot in full]
    module.load_state_dict(parts[-1], strict=False)
    there = window((snapshot for snapshot in parts), module)
    torch.testing.assert_close(there.updates_WP, window(full, module, ["0.weight"]).updates_WP, rtol=0, atol=0)
    module.load_state_dict(full[0])
    module[1].requires_grad_(False)
    module[2].requires_grad_(False)
    kept = [{name: value for name, value in snapshot.items() if name[0] == "0"} for snapshot in full]
    assert there.remarks == window(full, module).remarks == ()
    (remark,) = window(kept, module).remarks
    assert remark.startswith("snapshots lack 1.running_mean, 1.running_var: the module's own were taken, though its 0.")


def test_complex_parameters_are_not_watched():
    module = nn.ParameterDict({"weight": torch.ones(3, dtype=torch.complex64), "bias": torch.ones(3)}).eval()
    snapshots = [{"weight": v.to(torch.complex64), "bias": v} for v in torch.randn(5, 3)]
    with pytest.raises(InputError, match=r"'weight' is torch.complex64: only real floating-point"):
        window(snapshots, module)
    assert list(window(snapshots, module, ["bias"]).layout.shapes) == ["bias"]
