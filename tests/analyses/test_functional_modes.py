"""Functional modes of any network: against Jacobians written out, on networks of several kinds."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from spectraledge.analyses.selection_tables import selection_table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.models import Transformer
from spectraledge.modes import feature_basis, selection_ratio_of_energies
from spectraledge.observed.observation import observe_run
from spectraledge.observed.view import View
from spectraledge.spectrum import window_directions
from spectraledge.studies import functional_modes

INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)).eval()


def wandering(module, count=8, seed=1, scale=0.1):
    """Snapshots of a module's parameters on a random walk."""
    generator = torch.Generator().manual_seed(seed)
    state = {name: value.detach().clone() for name, value in module.named_parameters()}
    found = []
    for _ in range(count):
        found.append(state)
        state = {n: v + scale * torch.randn(v.shape, generator=generator) for n, v in state.items()}
    return found


def modes(module, snapshots, inputs=INPUTS, **options):
    chosen = {"window": 6, "nulls": 5, "components": 2, "readout": lambda output: output} | options
    return functional_modes(module, snapshots, inputs, **chosen)


def test_responses_are_the_jacobian_times_the_directions():
    module = network()
    snapshots = wandering(module)
    found = modes(module, snapshots, params=["0.weight", "3.*"])
    assert found.watched == ("0.weight", "3.weight", "3.bias")
    last = {name: value.double() for name, value in snapshots[-1].items()}
    module.double()
    joined = [torch.cat([snapshot[name].double().flatten() for name in found.watched]) for snapshot in snapshots[-7:]]
    directions = window_directions(torch.stack(joined).diff(dim=0))

    def read(flat):
        moved, start = dict(last), 0
        for name in found.watched:
            moved[name] = flat[start : start + last[name].numel()].view(last[name].shape)
            start += last[name].numel()
        return torch.func.functional_call(module, moved, (INPUTS.double(),))

    jacobian_NDP = torch.autograd.functional.jacobian(read, joined[-1])
    expected = torch.einsum("ndp,kp->knd", jacobian_NDP, directions.vectors_KP)
    np.testing.assert_allclose(found.response_KND, expected, atol=1e-10)
    np.testing.assert_allclose(found.eigenvalues_K, directions.eigenvalues_K)


def test_tables_hold_what_the_statistics_give():
    module = network()
    labels = np.arange(40) % 4
    bases = [
        feature_basis("labels", {"label": labels}),
        feature_basis("both", {"linear": INPUTS.numpy(), "label": labels}),
    ]
    found = modes(module, wandering(module), bases=bases, edge=2)
    counts = found.shares.groupby(["basis", "kind", "part"]).size().unstack("kind")
    assert counts["edge"].tolist() == [2] * 5
    assert counts["bulk"].tolist() == [4] * 5
    assert counts["random"].tolist() == counts["span"].tolist() == [5] * 5
    for _, rows in found.shares.groupby(["basis", "kind", "direction"]):
        assert rows["share"].sum() == pytest.approx(1)
    for _, rows in found.component_shares.groupby(["basis", "component"]):
        assert rows["share"].sum() == pytest.approx(1)
    table = found.selection.set_index(["basis", "subspace"])
    for basis in bases:
        energies_KS = basis.energies(found.response_KND)
        # The denominator does not enter the window's share.
        ratio = selection_ratio_of_energies(energies_KS, found.eigenvalues_K, energies_KS, basis)
        np.testing.assert_allclose(
            [table.loc[(basis.name, name), "window_share"] for name in ratio.subspaces], ratio.numerator_share
        )
    components = found.components
    np.testing.assert_allclose(components["share"].cumsum(), components["window_share"])
    assert (components["random_components_share"] <= components["window_share"] + 1e-12).all()


def test_no_basis_is_needed_and_a_seed_decides():
    module = network()
    snapshots = wandering(module)
    one, same, other = (modes(module, snapshots, seed=seed) for seed in (1, 1, 2))
    assert one.selection.empty
    assert one.shares.empty
    assert one.components.equals(same.components)
    assert not one.components.equals(other.components)


def test_a_window_that_moves_one_function_is_told_from_random_directions():
    module = nn.Linear(5, 1, bias=False).eval()
    step = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    noise = wandering(module, scale=0.01)
    snapshots = [{"weight": state["weight"] + place * step} for place, state in enumerate(noise)]
    basis = feature_basis("axis", {"third": INPUTS[:, 2].numpy()})
    found = modes(module, snapshots, bases=[basis], nulls=40, components=1)
    third = found.selection.set_index("subspace").loc["third"]
    assert third["window_share"] > 0.99
    assert third["p_exact"] < 0.06
    assert found.component_shares.set_index("subspace").loc["third", "share"] > 0.99
    assert found.components.loc[0, "split_share"] > 0.99


class Tied(nn.Module):
    """Token inputs, a tied head and a list as output."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens):
        return [self.head(self.drop(torch.tanh(self.embedding(tokens))))]


def test_tokens_tied_weights_and_other_outputs():
    torch.manual_seed(0)
    module = Tied()
    snapshots = [{**state, "head.weight": state["embedding.weight"]} for state in wandering(module)]
    tokens = torch.arange(21) % 7
    with pytest.raises(InputError, match=r"call module.eval\(\) first"):
        modes(module, snapshots, tokens, readout=lambda output: output[0])
    found = modes(module.eval(), snapshots, tokens, readout=lambda output: output[0])
    assert found.watched == ("embedding.weight",)
    moved = torch.from_numpy(found.response_KND)
    torch.testing.assert_close(moved[:, :7], moved[:, 7:14])


def test_a_recorded_run_gives_what_its_study_gives(run):
    options = {"window": 6, "center": True, "nulls": 5}
    seen = observe_run(run, View(step=200, **options))
    expected = selection_table(seen, AnalysisConfig()).query("basis == 'output'").set_index("subspace")
    snapshots = [load_file(snapshot.path) for snapshot in seen.run.series.snapshots]
    found = functional_modes(
        Transformer(seen.run.config.model).eval(),
        snapshots,
        torch.from_numpy(seen.run.task.pairs_N2),
        readout=lambda output: output.residual_ND,
        bases=[seen.bases["output"]],
        params="*.attention.*weight",
        components=2,
        **options,
    )
    np.testing.assert_allclose(found.eigenvalues_K, seen.window.directions.eigenvalues_K, rtol=1e-9)
    table = found.selection.set_index("subspace").loc[expected.index]
    np.testing.assert_allclose(table["window_share"], expected["window_share"], rtol=1e-9)


def test_nothing_of_the_module_changes():
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes(module, wandering(module))
    for name, value in module.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_mistakes():
    module = network()
    snapshots = wandering(module)
    with pytest.raises(InputError, match="a window of 20 updates needs 21 snapshots, got 8"):
        modes(module, snapshots, window=20)
    with pytest.raises(InputError, match="at least 2 directions of each null, got 1"):
        modes(module, snapshots, nulls=1)
    with pytest.raises(InputError, match="'attention' matches nothing"):
        modes(module, snapshots, params="attention")
    with pytest.raises(InputError, match="do not move"):
        modes(module, [snapshots[0]] * 8)
    with pytest.raises(InputError, match=r"must have shape \(N, D\), got \(40,\)"):
        modes(module, snapshots, readout=lambda output: output[:, 0])
    with pytest.raises(InputError, match="is over 3 inputs"):
        modes(module, snapshots, bases=[feature_basis("other", {"label": np.arange(3)})])
