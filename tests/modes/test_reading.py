"""Calling anybody's module: inputs by name, what depends on what, and answers that cannot be used."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from spectraledge.errors import InputError
from spectraledge.modes.reading import ModuleFailedError, reading

INPUTS = torch.randn(40, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def linear(*sizes):
    torch.manual_seed(0)
    return nn.Linear(*sizes).double().eval()


def read(module, inputs=INPUTS, select=lambda output: output, directions=7):
    options = {"dtype": torch.float64, "device": torch.device("cpu"), "directions": directions}
    return reading(module.eval(), inputs, select, **options)


@dataclass
class Answer:
    logits: torch.Tensor
    others: tuple[torch.Tensor, ...]


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4).double(), linear(4, 3)

    def forward(self, *, tokens, mask=None, scale=1.0):
        mask = torch.ones_like(tokens) if mask is None else mask
        mixed = (self.embedding(tokens) * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        return Answer(scale * self.head(mixed), (mixed,))


def test_inputs_go_by_name_with_what_is_no_tensor():
    module = ByName()
    tokens = torch.arange(40 * 5).view(40, 5) % 9
    mask = (torch.arange(5) < 1 + torch.arange(40).unsqueeze(1) % 5).long()
    found, answers = read(module, {"tokens": tokens, "mask": mask, "scale": 2.0}, select=lambda output: output.logits)
    torch.testing.assert_close(answers, module(tokens=tokens, mask=mask, scale=2.0).logits.detach())
    assert not found.together
    few = found.at({"head.bias": torch.full((3,), 100.0, dtype=torch.float64)}, torch.tensor([7, 3]))
    own = module(tokens=tokens[[7, 3]], mask=mask[[7, 3]], scale=2.0).logits
    torch.testing.assert_close(few, own - 2 * module.head.bias + 200)


class BatchMean(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Graph(nn.Module):
    """Every input is a node of one graph: no part of them can be given alone."""

    def __init__(self):
        super().__init__()
        self.register_buffer("edges", torch.rand(40, 40, dtype=torch.float64))

    def forward(self, x):
        return self.edges @ x


class Squeezing(nn.Module):
    def forward(self, x):
        return x.squeeze() if len(x) > 1 else x.squeeze(0)[:, None]


@pytest.mark.parametrize(
    "module",
    [BatchMean(), Graph(), nn.BatchNorm1d(6, track_running_stats=False).double(), Squeezing()],
    ids=lambda module: type(module).__name__,
)
def test_inputs_that_cannot_be_parted_go_together(module, monkeypatch):
    monkeypatch.setattr("spectraledge.modes.reading.ENTRIES", 13)
    found, answers = read(module)
    assert found.together
    torch.testing.assert_close(answers, module(INPUTS))


def test_rows_are_in_the_order_that_the_read_out_gives_for_all_inputs():
    tokens = torch.arange(40 * 5).view(40, 5) % 9
    module = nn.Embedding(9, 4).double()
    for select in (lambda out: out.transpose(0, 1).flatten(0, 1), lambda out: out.flatten(0, 1)):
        found, answers = read(module, tokens, select)
        assert torch.equal(answers, select(module(tokens)))
        assert found.together == (select is not None and not torch.equal(answers, module(tokens).flatten(0, 1)))


class Noise(nn.Module):
    def forward(self, x):
        return x + 0.001 * torch.randn_like(x)


class Counting(nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls


@pytest.mark.parametrize("part", [Noise(), Counting()])
def test_modules_that_answer_differently_each_time_are_refused_by_name(part):
    module = nn.Sequential(linear(6, 4), nn.ModuleDict({"inner": part})["inner"], linear(4, 3))
    with pytest.raises(InputError, match="two calls on the same inputs differ: '1' draws random numbers or keeps"):
        read(module)
    with pytest.raises(InputError, match="differ: the module itself draws"):
        read(part)


class Renormed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = linear(6, 3)

    def forward(self, x):
        self.layer.weight.data = nn.functional.normalize(self.layer.weight.data)
        return self.layer(x)


@pytest.mark.parametrize("place", ["data", "memory"])
def test_modules_that_change_their_own_weights_are_refused_by_name(place):
    if place == "data":
        module, inputs, name = Renormed(), INPUTS, "layer.weight"
    else:
        module, inputs = nn.Sequential(nn.Embedding(9, 6, max_norm=0.1).double(), linear(6, 3)), torch.arange(9)
        name = "0.weight"
    before = module.get_parameter(name).detach().clone()
    with pytest.raises(InputError, match=f"changes {name} when it is called, as Embedding"):
        read(module, inputs)
    assert torch.equal(module.get_parameter(name), before)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (lambda out: out[:, 0], r"must have shape \(N, D\), got \(40,\): add or pick an axis"),
        (lambda out: (out,), r"must pick a tensor out of what the module returns \(Tensor\), got tuple"),
        (
            lambda out: out.argmax(1, keepdim=True),
            "must be real and floating-point to have a derivative, got torch.int",
        ),
        (lambda out: torch.fft.fft(out), "real and floating-point to have a derivative, got torch.complex128"),
        (lambda out: out / (out[:, :1] > out[2, 0]), "not finite in .* rows, the first is row"),
    ],
)
def test_read_outs_that_have_no_derivative_are_refused(select, message):
    with pytest.raises(InputError, match=message):
        read(linear(6, 3), select=select)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([1, 2], "a tensor, or tensors by argument name, got list"),
        (torch.tensor(1.0), r"one row for every input, got shapes \(\)"),
        (torch.ones(0, 6), r"got shapes \(0, 6\)"),
        ({"input": INPUTS, "other": INPUTS[:3]}, r"got shapes input \(40, 6\), other \(3, 6\)"),
        ({"input": 3}, "got shapes none"),
        (INPUTS.to_sparse(), "must be a dense tensor, got torch.sparse_coo"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(inputs, message):
    with pytest.raises(InputError, match=message):
        read(linear(6, 3), inputs)


def test_what_fails_in_the_module_says_so():
    with pytest.raises(ModuleFailedError) as caught:
        read(linear(5, 3))
    assert "shapes cannot be multiplied" in str(caught.value.__cause__)


def test_a_pass_holds_fewer_inputs_of_a_larger_module():
    small, large = (read(nn.Sequential(linear(6, width), linear(width, 3)))[0] for width in (8, 200_000))
    assert small.entries == 2**12
    # Of every input: itself, the hidden layer and the answer.
    assert large.entries == 2**26 // (6 + 200_000 + 3)
    assert (small.directions(40), large.directions(40)) == (40, 4)
    assert (small.batch(40), large.batch(4)) == (102, large.entries // 4)
