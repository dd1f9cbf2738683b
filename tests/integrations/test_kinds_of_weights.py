"""Weights of every kind: counted as what they are, or refused by name; against weights that a loop keeps itself."""

import warnings

import pytest
import torch
from torch import nn
from tracking_support import Kept, Network, Training

from spectraledge.errors import InputError
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.spectrum import Sketch

SETTINGS = {"params": "*", "window": 4, "every": 1}


class Spectral(nn.Module):
    """Complex weights, real ones, and a single number."""

    def __init__(self, dtype=torch.complex64):
        super().__init__()
        self.attn = nn.Parameter(torch.randn(5, 4, dtype=dtype))
        self.turn = nn.Parameter(torch.randn((), dtype=dtype))
        self.mlp = nn.Linear(4, 3)

    def forward(self, inputs):
        return self.mlp((inputs.to(self.attn.dtype) @ self.attn * self.turn).abs().float())


def follow(training, steps=8, pattern="", **settings):
    kept = Kept(training.model, pattern)
    with SpectralEdgeTracker(training.model, training.optimizer, **SETTINGS | settings) as tracker:
        for _ in range(steps):
            training.steps(1)
            kept.keep()
    return tracker, kept


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_weights_are_pairs_of_real_ones(dtype):
    tracker, kept = follow(Training(network=lambda: Spectral(dtype)))
    kept.check(tracker)
    parameters = tracker.selection.set_index("name")["parameters"].to_dict()
    assert parameters == {"attn": 40, "turn": 2, "mlp.weight": 12, "mlp.bias": 3}
    assert tracker.overhead.memory_bytes == (4 * 4 + dtype.itemsize // 2) * 42 + (4 * 4 + 4) * 15


def test_sketches_of_complex_weights_are_those_of_pairs():
    tracker, kept = follow(Training(network=Spectral), sketch=Sketch(1 << 18))
    kept.check(tracker)


def test_a_training_of_complex_weights_is_resumed():
    training = Training(network=Spectral)
    first, kept = follow(training)
    again = SpectralEdgeTracker(training.model, training.optimizer, **SETTINGS)
    again.load_state_dict(first.state_dict())
    with again:
        training.steps(1)
    kept.keep()
    kept.check(again)


class Odd(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.odd = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight)


def tagged(name, value=True):
    weight = nn.Parameter(torch.ones(3))
    setattr(weight, name, value)
    return weight


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.eye(3).to_sparse(), r"odd \(it is sparse: torch.sparse_coo\)"),
        (lambda: torch.empty(3, device="meta"), r"odd \(it is on the meta device\)"),
        (lambda: nn.UninitializedParameter(), r"odd \(it has no numbers before the first forward pass\)"),
        (lambda: torch.ones(3).to(torch.float8_e4m3fn), r"odd \(its numbers are torch.float8_e4m3fn\)"),
        (lambda: tagged("ds_id", 0), r"odd \(DeepSpeed spreads it over processes\)"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), r"odd \(it is a "),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_has_no_plain_numbers_is_refused_by_name(make, message):
    with pytest.raises(InputError, match=f"a tracker cannot subtract {message}.*: choose other parameters by their"):
        SpectralEdgeTracker(Odd(make()), None, **SETTINGS)


def test_a_part_of_megatron_s_tensor_parallel_weight_is_refused(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(InputError, match="one process's part of a tensor-parallel weight of Megatron"):
        SpectralEdgeTracker(Odd(tagged("tensor_model_parallel")), None, **SETTINGS)


def test_parameters_that_share_their_memory_count_once():
    training = Training()
    training.model.twin = nn.Linear(5, 6)
    training.model.twin.weight.data = training.model.attn.weight.data
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)
    tracker = SpectralEdgeTracker(training.model, training.optimizer, **SETTINGS | {"params": "*weight"})
    reasons = tracker.selection.set_index("name")["reason"]
    assert reasons[["attn.weight", "twin.weight"]].tolist() == ["", "tied to attn.weight"]


@pytest.mark.parametrize("view", [torch.t, torch.flatten, lambda weight: weight[1:4], torch.Tensor.detach])
def test_views_of_other_parameters_count_once(view):
    model = nn.ParameterDict({"whole": nn.Parameter(torch.eye(5))})
    model["view"] = nn.Parameter(view(model["whole"].data))
    selection = SpectralEdgeTracker(model, None, **SETTINGS | {"params": "*"}).selection.set_index("name")
    assert selection["reason"].to_dict() == {"whole": "", "view": "tied to whole"}


def test_parameters_that_have_some_numbers_in_common_are_refused():
    memory = torch.ones(30)
    model = nn.ParameterDict({"first": nn.Parameter(memory[:20]), "last": nn.Parameter(memory[15:])})
    with pytest.raises(InputError, match=r"the model has last and first with 33% of the numbers .* choose one of them"):
        SpectralEdgeTracker(model, None, **SETTINGS | {"params": "*"})


def test_parts_of_one_memory_are_several():
    model = Network()
    flat = torch.cat([part.detach().flatten() for part in model.parameters()])
    for part, piece in zip(model.parameters(), flat.split([part.numel() for part in model.parameters()]), strict=True):
        part.data = piece.view(part.shape)
    assert SpectralEdgeTracker(model, None, **SETTINGS).selection["watched"].all()


def test_weights_in_another_order_of_memory():
    class Picture(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn, self.mlp = nn.Conv2d(1, 20, 3, padding=1), nn.Linear(100, 3)

        def forward(self, inputs):
            return self.mlp(self.attn(inputs.view(-1, 1, 5, 1)).flatten(1))

    training = Training(network=lambda: Picture().to(memory_format=torch.channels_last))
    training.model.attn.weight.data = torch.randn(3, 3, 1, 20).permute(3, 2, 0, 1)
    tracker, kept = follow(training)
    kept.check(tracker)


def test_normed_weights_are_followed_in_what_is_trained():
    training = Training()
    nn.utils.parametrizations.weight_norm(training.model.attn)
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)
    tracker, kept = follow(training)
    kept.check(tracker)
    assert "attn.parametrizations.weight.original0" in tracker.selection["name"].tolist()


def test_adapters_are_followed_and_what_they_adapt_is_frozen():
    peft = pytest.importorskip("peft")
    training = Training()
    training.model = peft.get_peft_model(training.model, peft.LoraConfig(target_modules=["attn", "mlp"], r=2))
    training.optimizer = torch.optim.SGD([p for p in training.model.parameters() if p.requires_grad], 0.1)
    tracker, kept = follow(training, params="*weight", pattern="default.weight")
    kept.check(tracker)
    selection = tracker.selection
    assert selection.loc[selection["watched"], "name"].str.contains("lora_").all()
    assert (selection.loc[~selection["watched"], "reason"].isin(["frozen", "no pattern matches"])).all()


@pytest.mark.parametrize(("rate", "said"), [(1e-3, 1), (0.3, 0)])
def test_moves_within_the_rounding_of_16_bits_are_said_once(rate, said):
    model, generator = Network().bfloat16(), torch.Generator().manual_seed(0)
    with warnings.catch_warnings(record=True) as caught, SpectralEdgeTracker(model, None, **SETTINGS) as tracker:
        warnings.simplefilter("always")
        for _ in range(8):
            with torch.no_grad():
                for part in model.parameters():
                    part.add_((rate * torch.randn(part.shape, generator=generator)).bfloat16())
            tracker.record()
        values = tracker.results().spectrum["eigenvalue"]
    assert len([one for one in caught if "no more than their rounding can explain" in str(one.message)]) == said
    assert (values == 0).all() == bool(said)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_leading_eigenvalues_of_weights_of_16_bits(dtype):
    model, generator = Network(), torch.Generator().manual_seed(0)
    model.to(dtype)
    kept = Kept(model, "")
    with SpectralEdgeTracker(model, None, **SETTINGS) as tracker:
        for _ in range(6):
            with torch.no_grad():
                for part in model.parameters():
                    part.add_(torch.randn(part.shape, generator=generator).to(dtype))
            tracker.record()
            kept.keep()
    kept.check(tracker)
