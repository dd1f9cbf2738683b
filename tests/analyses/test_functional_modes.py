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
from spectraledge.modes import feature_basis, jvp_responses, module_readout, selection_ratio_of_energies
from spectraledge.observed.observation import observe_run
from spectraledge.observed.view import View
from spectraledge.spectrum import window_directions
from spectraledge.statistics import span_directions
from spectraledge.streams import torch_generator
from spectraledge.studies import functional_modes
from spectraledge.trajectory import Layout

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


def test_the_function_itself_and_its_change_over_the_window():
    module = network()
    snapshots = wandering(module)
    basis = feature_basis("labels", {"label": np.arange(40) % 4, "linear": INPUTS.numpy()})
    found = modes(module, snapshots, bases=[basis])
    before, after = (
        torch.func.functional_call(module.double(), {n: v.double() for n, v in snapshots[at].items()}, INPUTS.double())
        .detach()
        .numpy()
        for at in (-7, -1)
    )
    for snapshot, values in (("first", before), ("last", after)):
        energies = basis.energies(values[None])[0, 1:]
        rows = found.score[found.score["snapshot"] == snapshot]
        np.testing.assert_allclose(rows["share"], energies / energies.sum(), rtol=1e-9)
        assert rows["subspace"].tolist() == ["label", "linear", "rest"]
        np.testing.assert_allclose(rows["chance"], basis.dimensions_S[1:] / 39)
    gained = basis.energies(after[None])[0, 1:] - basis.energies(before[None])[0, 1:]
    np.testing.assert_allclose(found.growth["growth"], gained / basis.energies(before[None])[0, 1:].sum(), rtol=1e-8)
    moved = basis.energies((after - before)[None])[0, 1:]
    np.testing.assert_allclose(found.growth["share"], moved / moved.sum(), rtol=1e-8)
    assert modes(module.float(), snapshots).score.empty


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


class Attending(nn.Module):
    """Attention and a layer that is shared between tokens and answers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens, mask=None):
        padded = None if mask is None else mask == 0
        return {"logits": self.head(self.layer(self.embedding(tokens), src_key_padding_mask=padded)[:, 0])}


@pytest.mark.parametrize("compiled", [False, True])
def test_a_compiled_module_of_fused_attention_gives_what_a_plain_one_does(compiled):
    torch.manual_seed(0)
    module = Attending().eval()
    snapshots = wandering(module)
    tokens = torch.randint(7, (30, 5), generator=torch.Generator().manual_seed(0))
    inputs = {"tokens": tokens, "mask": (torch.arange(5) < 2 + torch.arange(30).unsqueeze(1) % 4).long()}
    options = {"readout": lambda output: output["logits"], "params": ["embedding.weight", "layer.*weight"]}
    plain = modes(module, snapshots, inputs, **options)
    assert (plain.derivative, plain.remarks, plain.unmoved) == ("forward", (), ())
    assert plain.derivative_error < 1e-6
    assert plain.watched[0] == "embedding.weight"
    if compiled:
        wrapped = torch.compile(module, backend="eager")
        renamed = [{f"_orig_mod.{name}": value for name, value in snapshot.items()} for snapshot in snapshots]
    else:
        wrapped = nn.DataParallel(module)
        renamed = [{f"module.{name}": value for name, value in snapshot.items()} for snapshot in snapshots]
    found = modes(wrapped, renamed, inputs, **options)
    assert found.watched == plain.watched
    assert found.components.equals(plain.components)
    assert modes(module, snapshots, inputs, **options | {"params": "head*"}).watched == ("embedding.weight",)


def test_responses_in_the_span_are_mixtures_of_the_windows():
    module = network()
    snapshots = wandering(module)
    basis = feature_basis("linear", {"inputs": INPUTS.numpy()})
    found = modes(module, snapshots, bases=[basis], nulls=3)
    last = {name: value.double() for name, value in (dict(module.named_buffers()) | snapshots[-1]).items()}
    watched = torch.stack(
        [torch.cat([snapshot[name].double().flatten() for name in found.watched]) for snapshot in snapshots[-7:]]
    )
    directions = window_directions(watched.diff(dim=0))
    span_BP = span_directions(directions.vectors_KP, 3, torch_generator(42, "span"))
    layout = Layout({name: tuple(last[name].shape) for name in found.watched})
    response_BND = jvp_responses(
        module_readout(module, lambda output: output), last, layout.split(span_BP), INPUTS.double()
    )
    energies_BS = basis.energies(response_BND.numpy())
    expected = energies_BS[:, 1] / energies_BS[:, 1:].sum(1)
    np.testing.assert_allclose(found.shares.query("kind == 'span' and part == 'inputs'")["share"], expected, rtol=1e-9)


@pytest.mark.parametrize("architecture", ["gpt2", "bert", "llama"])
def test_modules_of_transformers_run_as_they_come(architecture):
    transformers = pytest.importorskip("transformers")
    sizes = {
        "vocab_size": 20,
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
    }
    torch.manual_seed(0)
    if architecture == "gpt2":
        config = transformers.GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=16)
        module, pick = transformers.GPT2LMHeadModel(config), lambda output: output.logits[:, -1]
    elif architecture == "bert":
        module, pick = transformers.BertModel(transformers.BertConfig(**sizes)), lambda out: out.last_hidden_state[:, 0]
    else:
        module = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, num_key_value_heads=1))
        pick = lambda output: output.logits[:, -1]  # noqa: E731
    module.eval()
    tokens = torch.randint(20, (12, 6), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    snapshots, options = wandering(module, scale=0.01), {"readout": pick, "params": "*weight", "components": 1}
    if architecture == "llama":
        with pytest.raises(InputError, match=r"rounds to torch.float32 inside.*pass dtype=torch.float32"):
            modes(module, snapshots, inputs, **options)
        options["dtype"] = torch.float32
    found = modes(module, snapshots, inputs, **options)
    assert found.derivative == "forward"
    assert found.derivative_error < (1e-2 if "dtype" in options else 1e-6)
    assert found.response_KND.dtype == np.float64


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
        modes(module, [{name: value.clone() for name, value in snapshots[0].items()} for _ in range(8)])
    with pytest.raises(InputError, match=r"one and the same memory for 0.weight"):
        modes(module, [module.state_dict() for _ in range(8)])
    with pytest.raises(InputError, match="does not move along the window's directions"):
        modes(module, snapshots, readout=lambda output: 0 * output)
    with pytest.raises(InputError, match=r"must have shape \(N, D\), got \(40,\)"):
        modes(module, snapshots, readout=lambda output: output[:, 0])
    with pytest.raises(InputError, match="is over 3 inputs"):
        modes(module, snapshots, bases=[feature_basis("other", {"label": np.arange(3)})])
