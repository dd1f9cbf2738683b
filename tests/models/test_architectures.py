"""Every kind of network through one door, against its own module, autograd and central differences."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from network_cases import MODELS, write_module
from spectraledge.errors import InputError
from spectraledge.models import HasAttention, HasTangents, HasTokenTable, architecture_of, model_config
from spectraledge.modes import jvp_responses

PAIRS = torch.cartesian_prod(torch.arange(5), torch.arange(5))
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}
TINY = 1e-6

every_model = pytest.mark.parametrize("case", MODELS)
every_precision = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def drawn(architecture, dtype=torch.float64, seed=0):
    """Weights away from zero biases."""
    generator = torch.Generator().manual_seed(seed)
    weights = architecture.draw(seed, published=False)
    return {name: (p + 0.1 * torch.randn(p.shape, generator=generator)).to(dtype) for name, p in weights.items()}


def loaded(architecture, weights):
    module, dtype = architecture.module(), next(iter(weights.values())).dtype
    module = module.to_empty(device="cpu") if next(module.parameters()).is_meta else module
    module.to(dtype).load_state_dict(weights, strict=False)
    return module


def answered(module, pairs):
    out = module(pairs)
    return out.logits_NC if hasattr(out, "logits_NC") else out


def moved(weights, directions, k, size):
    return {**weights, **{name: weights[name] + size * value[k] for name, value in directions.items()}}


def directions_of(weights, names, count=2):
    generator = torch.Generator().manual_seed(9)
    shapes = {name: (count, *weights[name].shape) for name in names}
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64).to(weights[name].dtype)
        for name, shape in shapes.items()
    }


@every_model
def test_every_parameter_is_in_a_group_and_the_head_is_one(architecture, case):
    made = architecture(case)
    groups = made.groups
    assert set(groups) == set(made.shapes)
    assert all(groups[name] == "head" for name in made.head)
    assert len(set(groups.values())) > 1


@every_model
@every_precision
@pytest.mark.parametrize("answers", [1, 2])
@pytest.mark.parametrize("stacks", [1, 3])
def test_answers_losses_and_gradients_are_those_of_each_module(architecture, case, dtype, answers, stacks):
    made, tolerance = architecture(case, answers=answers), TOLERANCE[dtype]
    weights = [drawn(made, dtype, seed) for seed in range(stacks)]
    stacked = {name: torch.stack([one[name] for one in weights]) for name in made.shapes}
    generator = torch.Generator().manual_seed(1)
    pairs = torch.randint(5, (stacks, 11, 2), generator=generator)
    labels = torch.randint(5, (stacks, 11, answers), generator=generator)
    with torch.no_grad():
        inputs = made.encode(pairs)
        logits = made.logits(stacked, inputs)
        losses, gradients = made.loss_and_gradient(stacked, inputs, labels)
    assert logits.shape == (stacks, 11, answers, 5)
    for s, one in enumerate(weights):
        module = loaded(made, one)
        expected = answered(module, pairs[s]).view(11, answers, 5)
        torch.testing.assert_close(logits[s], expected.detach(), rtol=tolerance, atol=tolerance)
        loss = sum(F.cross_entropy(expected[:, o], labels[s, :, o]) for o in range(answers))
        loss.backward()
        torch.testing.assert_close(losses[s], loss.detach(), rtol=tolerance, atol=tolerance)
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(gradients[name][s], parameter.grad, rtol=tolerance, atol=tolerance)


@every_model
@every_precision
def test_read_outs_respond_as_central_differences_do(architecture, case, dtype):
    made = architecture(case)
    weights = drawn(made, dtype)
    exact = {name: value.double() for name, value in weights.items()}
    directions = directions_of(weights, made.shapes)
    for readout in made.readouts:
        read = made.read(readout)
        found = jvp_responses(read, weights, directions, PAIRS)
        assert found.dtype == dtype
        for k in range(2):
            double = {name: value.double() for name, value in directions.items()}
            ends = (read(moved(exact, double, k, size), PAIRS) for size in (TINY, -TINY))
            expected = ((next(ends) - next(ends)) / (2 * TINY)).detach()
            tolerance = 1e-4 if dtype == torch.float32 else 1e-7
            torch.testing.assert_close(
                found[k].double(), expected, rtol=tolerance, atol=tolerance * float(expected.abs().max())
            )


@every_model
@every_precision
def test_later_read_outs_follow_from_the_residual(architecture, case, dtype):
    made = architecture(case, answers=2)
    made, weights = made.part(drawn(made, dtype), 1)
    if "residual" not in made.readouts:
        assert not made.follows([next(iter(made.shapes))])
        return
    names = [name for name in made.shapes if ".attention." in name and name.endswith(".weight")]
    names = names or sorted(set(made.shapes) - made.head)
    assert made.follows(names)
    assert not made.follows([*names, *made.head])
    directions = directions_of(weights, names)
    residual = made.still(weights, PAIRS)["residual"].detach()
    response = jvp_responses(made.read("residual"), weights, directions, PAIRS)
    for readout in set(made.readouts) - {"residual"}:
        expected = jvp_responses(made.read(readout), weights, directions, PAIRS)
        found = made.follow(weights, residual, response, readout)
        scale = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale)
    if isinstance(made, HasTangents):
        by_hand = made.residual_tangents(weights, directions, PAIRS)
        torch.testing.assert_close(by_hand, response, rtol=0, atol=TOLERANCE[dtype] * float(response.abs().max()))


@every_model
def test_a_part_is_one_answer_of_the_whole(architecture, case):
    whole = architecture(case, answers=3)
    weights = drawn(whole)
    labels = torch.randint(5, (1, 25, 3), generator=torch.Generator().manual_seed(2))
    module = loaded(whole, weights)
    logits = answered(module, PAIRS).view(25, 3, 5)
    for number in range(3):
        part, left = whole.part(weights, number)
        with torch.no_grad():
            torch.testing.assert_close(part.still(left, PAIRS)["logits"], logits[:, number])
            stacked = {name: value[None] for name, value in left.items()}
            inputs = part.encode(PAIRS[None])
            loss, gradients = part.loss_and_gradient(stacked, inputs, labels[..., number : number + 1])
        module.zero_grad()
        expected = F.cross_entropy(logits[:, number], labels[0, :, number])
        expected.backward(retain_graph=True)
        torch.testing.assert_close(loss[0], expected.detach())
        for name, parameter in module.named_parameters():
            gradient = parameter.grad
            if len(left[name]) != len(parameter):
                gradient = gradient[5 * number : 5 * number + 5]
            torch.testing.assert_close(gradients[name][0], gradient)


@every_model
def test_weights_repeat_and_leave_the_stream_alone(architecture, case):
    made, before = architecture(case), torch.get_rng_state()
    first, again, other = (made.draw(seed, published=False) for seed in (3, 3, 4))
    torch.testing.assert_close(torch.get_rng_state(), before, rtol=0, atol=0)
    assert {name: tuple(value.shape) for name, value in first.items()} == dict(made.shapes)
    assert made.head <= set(made.shapes)
    for name, value in first.items():
        torch.testing.assert_close(value, again[name], rtol=0, atol=0)
    assert any(not value.equal(other[name]) for name, value in first.items())


@every_model
def test_weights_do_not_depend_on_the_programs_defaults(architecture, case):
    expected = architecture(case).draw(3, published=True)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = architecture(case).draw(3, published=True)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def test_what_is_there_only_of_some_networks(architecture):
    has = {case: architecture(case) for case in MODELS}
    assert [case for case, made in has.items() if isinstance(made, HasAttention)] == ["transformer"]
    tables = ["transformer", "mlp", "embedded_mlp", "published_mlp"]
    assert [case for case, made in has.items() if isinstance(made, HasTokenTable)] == tables
    assert [case for case, made in has.items() if "residual" not in made.readouts] == ["unstacked_module"]
    weights = {case: drawn(has[case]) for case in tables}
    widths = {case: tuple(has[case].token_table(weights[case]).shape) for case in tables}
    assert widths == {"transformer": (5, 8), "mlp": (5, 6), "embedded_mlp": (5, 5), "published_mlp": (5, 6)}
    # What a one-hot token adds to the first layer.
    first = torch.zeros(5, 10, dtype=torch.float64)
    first[:, :5] = torch.eye(5)
    torch.testing.assert_close(
        has["mlp"].token_table(weights["mlp"]), F.linear(first, weights["mlp"]["layers.0.weight"])
    )


@pytest.mark.parametrize(
    ("case", "watched"),
    [
        ("transformer", ("layers.*.attention.*.weight",)),
        ("mlp", ("layers.*.weight",)),
        ("module", ("embed.weight", "mix.weight")),
        ("unstacked_module", ("second", "first.weight")),
        ("tied_module", ("mix.weight",)),
    ],
)
def test_what_is_watched_by_default(architecture, case, watched):
    assert architecture(case).watched == watched


def test_an_unknown_read_out_says_how_to_have_it(architecture):
    with pytest.raises(InputError, match=r"no read-out 'residual', only logits: return what an nn.Linear gives"):
        architecture("unstacked_module").read("residual")


NET = "class Net(nn.Module):\n    def __init__(self, task, **sizes):\n        super().__init__()\n        {}\n    def forward(self, pairs):\n        {}\n\nbuild = Net"  # noqa: E501
HEAD = "self.head = nn.Linear(2, task.modulus)"


@pytest.mark.parametrize(
    ("made", "answers", "message"),
    [
        (HEAD, "return self.head(pairs)", r"failed on pairs \(N, 2\): RuntimeError"),
        (HEAD, "return self.head(pairs.float())[:, :4]", r"logits of shape \(8, 5\) for 8 pairs, got \(8, 4\)"),
        (HEAD, "return (self.head(pairs.float()),)", "a tensor of logits, got tuple"),
        (HEAD, "return self.head(pairs.float())", "in double precision: make tensors of the weights' type"),
        (HEAD, "return F.dropout(self.head(pairs.to(self.head.weight)), 0.5, self.training)", "answers differently in"),
        (HEAD, "return F.dropout(self.head(pairs.to(self.head.weight)), 0.5)", "answers differently in"),
        (HEAD, "x = self.head(pairs.to(self.head.weight)); return x - x.mean(0)", "every pair for itself"),
        (HEAD + "; self.n = nn.BatchNorm1d(2)", "return self.head(self.n(pairs.to(self.head.weight)))", "batch no"),
        ("self.head = torch.nn.Linear(2, task.modulus).double()", "return self.head(pairs.double())", "torch.float64"),
        (HEAD + ".requires_grad_(False)", "return self.head(pairs.to(self.head.weight))", "frozen"),
        (HEAD + "; self.register_buffer('b', torch.rand(2))", "return self.head(pairs + self.b)", "'b' .* is random"),
        (
            "import random; " + HEAD + "; self.w = nn.Parameter(torch.tensor(random.random()))",
            "return self.w * self.head(pairs.to(self.head.weight))",
            "'w' from another stream",
        ),
        (HEAD, "x = self.head(pairs.to(self.head.weight)); return x + x.detach().square()", "another derivative than"),
        (
            "self.head = nn.LazyLinear(task.modulus)",
            "return self.head(pairs.to(self.head.weight))",
            "'head.weight' .* has no size before the first pairs: give its layer sizes",
        ),
        (
            "self.head = nn.Embedding(task.modulus, task.modulus, sparse=True)",
            "return self.head(pairs).sum(1)",
            "the gradient of 'head.weight' .* is sparse: leave out sparse=True",
        ),
        ("self.none = 0", "return torch.zeros(len(pairs), 5)", "has no parameters"),
        ("raise KeyError('x')", "return pairs", "failed: KeyError"),
    ],
)
def test_networks_that_cannot_be_trained_rightly_are_refused(tmp_path: Path, made, answers, message):
    source = write_module(tmp_path, NET.format(made, answers))
    with pytest.raises(InputError, match=message):
        architecture_of(model_config(source, tokens=5, answers=1))


def test_a_function_that_makes_no_module_is_refused(tmp_path: Path):
    source = write_module(tmp_path, "def build(task):\n    return task.modulus")
    with pytest.raises(InputError, match=r"must return a torch.nn.Module, got int"):
        architecture_of(model_config(source, tokens=5, answers=1))
    with pytest.raises(InputError, match="unexpected keyword argument 'hidden'"):
        architecture_of(model_config(source, tokens=5, answers=1, hidden=3))
    with pytest.raises(InputError, match=r"unknown model 'perceptron': give transformer, mlp or module.py:function"):
        model_config("perceptron", tokens=5, answers=1)
