"""The function of a model read while it trains: against the model called by hand, and nothing is changed by it."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from tracking_support import Training

from spectraledge import InputError, SpectralEdgeTracker
from spectraledge.modes import feature_basis, shares

INPUTS = torch.randn(40, 5, generator=torch.Generator().manual_seed(7))
SIGNS = feature_basis("signs", {"first": INPUTS[:, 0].numpy() > 0, "second": INPUTS[:, 1].numpy() > 0})
LINEAR = feature_basis("linear", {"inputs": INPUTS.double().numpy()})


class Noisy(nn.Module):
    """A network with dropout, batch statistics, and a counter of its calls."""

    def __init__(self):
        super().__init__()
        self.attn = nn.Linear(5, 6)
        self.norm = nn.BatchNorm1d(6)
        self.dropout = nn.Dropout(0.5)
        self.mlp = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, inputs):
        self.calls += 1
        return self.mlp(self.dropout(torch.tanh(self.norm(self.attn(inputs)))))


def final(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_score_is_that_of_the_model_called_by_hand() -> None:
    training = Training()
    tracker = training.tracker()
    tracker.watch_function(INPUTS, lambda output: output, [SIGNS, LINEAR])
    expected = []
    with tracker:
        for _ in range(4):
            with torch.no_grad():
                expected.append(training.model(INPUTS).double().numpy())
            training.steps(3)
    score = tracker.results().score
    assert sorted(set(score["step"])) == [0, 3, 6, 9, 12]
    for step, values_ND in zip((0, 3, 6, 9), expected, strict=True):
        for basis in (SIGNS, LINEAR):
            rows = score[(score["basis"] == basis.name) & (score["step"] == step)]
            found = shares(basis.energies(values_ND[None]), basis)
            np.testing.assert_allclose(rows["share"], found.share_KS[0, 1:])
            np.testing.assert_allclose(rows["chance"], found.chance_S[1:])
            assert rows["subspace"].tolist() == list(basis.subspaces[1:])


class Mixed(nn.Module):
    """A network that chooses mixed precision itself."""

    def __init__(self):
        super().__init__()
        self.attn, self.mlp = nn.Linear(5, 6), nn.Linear(6, 3)

    def forward(self, inputs):
        with torch.autocast("cpu", torch.bfloat16):
            found = self.attn(inputs)
        return self.mlp(torch.tanh(found.float()))


def test_casts_of_weights_are_those_after_the_step() -> None:
    training = Training(network=Mixed)
    tracker = training.tracker(every=1)
    tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    with tracker, torch.autocast("cpu", torch.bfloat16):
        training.steps(1)
    with torch.no_grad():
        values_ND = training.model(INPUTS).double().numpy()
    found = shares(SIGNS.energies(values_ND[None]), SIGNS).share_KS[0, 1:]
    np.testing.assert_allclose(tracker.results().score.tail(len(found))["share"], found)


@pytest.mark.parametrize("watches", [False, True])
def test_a_watched_training_is_bit_identical(watches: bool) -> None:
    results = []
    for reads in (False, watches):
        torch.manual_seed(3)
        training = Training(network=Noisy)
        tracker = training.tracker(params="attn.weight")
        if reads:
            tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
        with tracker:
            training.steps(12)
            drawn = torch.rand(3)
        assert all(part.training for part in training.model.modules())
        results.append((final(training.model), drawn, tracker.results().edge))
    for name, value in results[0][0].items():
        assert torch.equal(value, results[1][0][name]), name
    assert torch.equal(results[0][1], results[1][1])
    pd.testing.assert_frame_equal(results[0][2], results[1][2])


def test_parts_that_are_frozen_in_evaluation_mode_stay_so() -> None:
    training = Training(network=Noisy)
    training.model.norm.eval()
    training.tracker(params="attn.weight").watch_function(INPUTS, lambda output: output, [SIGNS])
    assert training.model.training
    assert not training.model.norm.training


def test_a_resumed_training_has_the_whole_score(tmp_path) -> None:
    def watched(training):
        tracker = training.tracker()
        tracker.watch_function({"inputs": INPUTS}, lambda output: output, [SIGNS])
        return tracker

    whole = Training()
    tracker = watched(whole)
    with tracker:
        whole.steps(12)
    first = Training()
    before = watched(first)
    with before:
        first.steps(6)
    torch.save(before.state_dict(), tmp_path / "state.pt")
    after = watched(first)
    after.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    with after:
        first.steps(6)
    pd.testing.assert_frame_equal(after.results().score, tracker.results().score)
    after.save(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "score.parquet"), tracker.results().score)
    other = first.tracker()
    other.watch_function(INPUTS, lambda output: output, [LINEAR])
    with pytest.raises(InputError, match="read in signs"):
        other.load_state_dict(after.state_dict())


def test_a_model_that_changes_its_weights_when_it_is_called_is_refused_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Embedding(4, 3, max_norm=0.01), nn.Linear(3, 2))
    before, tokens = final(model), torch.arange(40) % 4
    tracker = SpectralEdgeTracker(model, None, params="*weight")
    with pytest.raises(InputError, match=r"changes 0.weight when it is called, as Embedding\(max_norm"):
        tracker.watch_function(tokens, lambda output: output, [SIGNS])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_function_that_is_not_finite_is_missing() -> None:
    training = Training()
    tracker = training.tracker(params="attn.weight", every=1)
    watched = tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    with tracker:
        training.steps(1)
        with torch.no_grad():
            training.model.mlp.bias.fill_(torch.inf)
        training.model.mlp.requires_grad_(False)
        watched.read(5)
    score = tracker.results().score
    assert score[score["step"] == 5]["share"].isna().all()
    assert score[score["step"] < 5]["share"].notna().all()


def test_mistakes_are_told_when_the_function_is_chosen() -> None:
    tracker = Training().tracker()
    with pytest.raises(InputError, match="different names, got none"):
        tracker.watch_function(INPUTS, lambda output: output, [])
    with pytest.raises(InputError, match="different names, got signs, signs"):
        tracker.watch_function(INPUTS, lambda output: output, [SIGNS, SIGNS])
    with pytest.raises(InputError, match="is over 40 inputs, got responses of 39"):
        tracker.watch_function(INPUTS[:39], lambda output: output, [SIGNS])
    with pytest.raises(InputError, match="the model fails on these inputs: RuntimeError"):
        tracker.watch_function(INPUTS[:, :3], lambda output: output, [SIGNS])
    for given, said in ((INPUTS.numpy(), "by argument name, got ndarray"), ({"scale": 2.0}, "got shapes none")):
        with pytest.raises(InputError, match=said):
            tracker.watch_function(given, lambda output: output, [SIGNS])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"must have shape \(N, D\)"):
        tracker.watch_function(INPUTS, lambda output: output[:, 0], [SIGNS])
    with pytest.raises(InputError, match="not finite on these inputs"):
        tracker.watch_function(INPUTS, lambda output: output / 0, [SIGNS])
    tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    with pytest.raises(InputError, match="watches a function already"):
        tracker.watch_function(INPUTS, lambda output: output, [LINEAR])
