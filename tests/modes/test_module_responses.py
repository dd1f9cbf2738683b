"""Responses of anybody's module against central differences of a copy, whatever derivative the module has."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from spectraledge.errors import InputError
from spectraledge.models import ModuleTensors
from spectraledge.modes import jvp_responses, responses_of_module
from spectraledge.trajectory import Layout

INPUTS = torch.randn(30, 5, 6, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(9, (30, 4), generator=torch.Generator().manual_seed(0))
COUNT = 3


def responses(module, inputs=INPUTS, patterns=None, select=lambda out: out.flatten(1), **options):
    """Responses along random directions, and the directions."""
    tensors = ModuleTensors.of(module.eval())
    names = [name for name in tensors.tensors if name in tensors.parameters and (not patterns or name in patterns)]
    layout = Layout({name: tuple(tensors.tensors[name].shape) for name in names})
    directions_KP = torch.randn(COUNT, layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    directions_KP /= directions_KP.norm(dim=1, keepdim=True)
    signs_K = torch.tensor([1.0, -1.0, 1.0])
    found = responses_of_module(
        tensors, {}, inputs, list(directions_KP.split(2)), layout=layout, select=select, signs_K=signs_K, **options
    )
    return found, layout.split(directions_KP), tensors


def moved_copies(module, inputs, directions, select=lambda out: out.flatten(1), size=1e-5):
    """Central differences of a copy in double precision whose parameters are moved."""
    twin = copy.deepcopy(module).double().eval()
    tensors = ModuleTensors.of(twin).tensors
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    rows = []
    with torch.no_grad():
        for k in range(COUNT):
            ends = []
            for step in (size, -2 * size, size):
                for name, value_K in directions.items():
                    tensors[name].data.add_(value_K[k], alpha=step)
                ends.append(select(twin(inputs)).clone())
            rows.append((ends[0] - ends[1]) / (2 * size))
    return torch.stack(rows)


class Sine(torch.autograd.Function):
    """Without a forward derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()


class OnceSine(Sine):
    """Without a second derivative."""

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return Sine.backward(ctx, gradient)


class Reversed(Sine):
    """With another derivative than its own, as for adversarial training."""

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


class WrongTangent(torch.autograd.Function):
    """With a mistake in its forward derivative."""

    @staticmethod
    def forward(x):
        return x.sin()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()

    @staticmethod
    def jvp(ctx, tangent):
        return 1.001 * tangent * ctx.saved_tensors[0].cos()


class Within(nn.Module):
    """Something between two layers."""

    def __init__(self, inner):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(30, 8), nn.Linear(8, 3)
        self.inner = inner

    def forward(self, x):
        return self.last(self.inner(self.first(x.flatten(1))))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 3)

    def forward(self, x):
        query, key, value = self.qkv(x).chunk(3, -1)
        return self.out(F.scaled_dot_product_attention(query, key, value, is_causal=True)[:, -1])


class SelfAttention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.options = nn.MultiheadAttention(6, 2, batch_first=True), options

    def forward(self, x):
        return self.attention(x, x, x, **self.options)[0][:, -1]


class Encoder(nn.Module):
    """With padding, for which the fast path would make nested tensors."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True), 2)

    def forward(self, x):
        padded = torch.arange(5).expand(len(x), 5) >= 3
        return self.encoder(x, src_key_padding_mask=padded)[:, 0]


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(0)
        self.layers = kind(6, 4, num_layers=2, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.layers(x)[0][:, -1]


class InPlace(nn.Module):
    """Writes into tensors, and branches on values of single inputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        found = torch.zeros(len(x), 8, dtype=x.dtype)
        for place in range(x.shape[1]):
            found[:, :] += torch.tanh(self.first(x[:, place]))
        found.mul_(0.5)
        rows = [torch.tanh(row) if row.sum() > 0 else row.square() for row in found]
        return self.second(torch.stack(rows))


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gate = nn.Linear(30, 4)
        self.experts = nn.ModuleList(nn.Linear(30, 3) for _ in range(4))

    def forward(self, x):
        weights, chosen = self.gate(x.flatten(1)).softmax(-1).topk(2, -1)
        found = torch.zeros(len(x), 3, dtype=x.dtype)
        for place, expert in enumerate(self.experts):
            rows, rank = torch.where(chosen == place)
            found.index_add_(0, rows, expert(x.flatten(1)[rows]) * weights[rows, rank].unsqueeze(1))
        return found


class Warped(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.place = nn.Linear(30, 6)

    def forward(self, x):
        grid = F.affine_grid(self.place(x.flatten(1)).view(-1, 2, 3), (len(x), 1, 5, 6), align_corners=False)
        return F.grid_sample(x.unsqueeze(1), grid, align_corners=False).flatten(1)


class Held(nn.Module):
    """A weight that is used twice, once through a list where a call with other tensors does not reach it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(9, 4)
        self.held = [self.embedding.weight]

    def forward(self, tokens):
        return torch.tanh(self.embedding(tokens).mean(1)) @ self.held[0].T


class Closure(Held):
    """The same through a function that a copy of the module would take along as it is."""

    def __init__(self):
        super().__init__()
        self.head = lambda hidden: hidden @ self.embedding.weight.T

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens).mean(1)))


class Tied(Held):
    """The same through a layer that shares it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        return self.head(torch.tanh(self.embedding(tokens).mean(1)))


def twice():
    part = nn.Linear(30, 30)
    return nn.Sequential(nn.Flatten(1), part, nn.Tanh(), part, nn.Linear(30, 2))


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def no_gradient(x):
    with torch.no_grad():
        return x.exp()


def normed(norm):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(1), norm(nn.Linear(30, 4)), nn.Tanh(), nn.Linear(4, 2))


FORWARD = {
    "fused attention": Attention,
    "attention module": lambda: SelfAttention(need_weights=False),
    "attention module with weights": SelfAttention,
    "encoder": Encoder,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "in place": InPlace,
    "without gradient": lambda: Within(Apply(no_gradient)),
    "experts": Experts,
    "checkpoint": lambda: Within(Apply(lambda x: checkpoint(torch.tanh, x, use_reentrant=False))),
    "spectral norm": lambda: normed(nn.utils.parametrizations.spectral_norm),
    "twice": twice,
    "compiled": lambda: torch.compile(Attention(), backend="eager"),
    "compiled part": lambda: Within(torch.compile(nn.Tanh(), backend="eager")),
    "data parallel": lambda: nn.DataParallel(Attention()),
    "batch norm without statistics": lambda: Within(nn.BatchNorm1d(8, track_running_stats=False)),
    "pooling": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 5)), nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    ),
}

BACKWARD = {
    "no forward derivative": lambda: Within(Apply(Sine.apply)),
    "wrong forward derivative": lambda: Within(Apply(WrongTangent.apply)),
    "weight norm": lambda: normed(nn.utils.parametrizations.weight_norm),
    "warped": Warped,
    "distances": lambda: Within(Apply(lambda x: torch.cdist(x, x.new_ones(8, 8).tril()))),
}

DIFFERENCES = {
    "no second derivative": lambda: Within(Apply(OnceSine.apply)),
    "another derivative": lambda: Within(Apply(Reversed.apply)),
    "detached": lambda: Within(Apply(lambda x: x * x.detach())),
    "detached for few inputs": lambda: Within(Apply(lambda x: torch.where(x[:, :1] > 0.8, x.detach(), x))),
    "numpy": lambda: Within(Apply(lambda x: torch.from_numpy(np.sin(x.detach().numpy())))),
}

TOKEN_MODULES = {
    "forward": {"tied": Tied},
    "central difference": {"held": Held, "bag": lambda: nn.EmbeddingBag(9, 4)},
}

CASES = [
    *((name, make, INPUTS, "forward") for name, make in FORWARD.items()),
    *((name, make, INPUTS, "double backward") for name, make in BACKWARD.items()),
    *((name, make, INPUTS, "central difference") for name, make in DIFFERENCES.items()),
    *((name, make, TOKENS, method) for method, found in TOKEN_MODULES.items() for name, make in found.items()),
]


@pytest.mark.parametrize(("make", "inputs", "method"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_responses_are_those_of_a_copy_that_was_moved(make, inputs, method):
    module = make()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found, directions, _ = responses(module, inputs)
    torch.testing.assert_close(dict(module.state_dict()), before, rtol=0, atol=0)
    assert found.method == method
    assert found.error < 1e-7
    assert all(remark.startswith(("not by ", "an answer depends")) for remark in found.remarks)
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        expected = moved_copies(module, inputs, directions)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    scale = float(expected.abs().max())
    torch.testing.assert_close(found.response_KND, expected, rtol=0, atol=1e-7 * scale)


def test_torchscript_is_differentiated_as_what_it_was_made_from():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(1), nn.Linear(30, 3), nn.Tanh())
    expected, scripted = responses(module)[0], responses(torch.jit.script(module))[0]
    assert scripted.method == "central difference"
    assert "not by forward: InputError: a TorchScript module takes no other parameters" in scripted.remarks[0]
    torch.testing.assert_close(scripted.response_KND, expected.response_KND, rtol=1e-7, atol=1e-8)


def test_a_function_that_holds_the_module_itself_moves_with_it():
    plain, held = Tied(), Closure()
    held.embedding.weight.data.copy_(plain.embedding.weight.data)
    expected, found = responses(plain, TOKENS)[0], responses(held, TOKENS)[0]
    assert found.method == "forward"
    torch.testing.assert_close(found.response_KND, expected.response_KND)


def test_parameters_that_directions_leave_out_stay():
    module = Attention()
    found, directions, _ = responses(module, patterns=["out.weight"])
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = moved_copies(module, INPUTS, directions)
    torch.testing.assert_close(found.response_KND, expected, rtol=1e-7, atol=1e-8)


class Frozen(nn.Module):
    """A parameter that the read-out does not use."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = Within(Apply(Sine.apply)), nn.Linear(2, 2)

    def forward(self, x):
        return self.used(x)


def test_parameters_that_the_read_out_does_not_use_move_nothing():
    module = Frozen()
    found, directions, _ = responses(module)
    used = {name: value for name, value in directions.items() if name.startswith("used")}
    torch.testing.assert_close(found.response_KND, moved_copies(module, INPUTS, used), rtol=1e-7, atol=1e-8)
    alone, _, _ = responses(module, patterns=["unused.weight"])
    assert not alone.response_KND.any()


class OneHot(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(9, 5), nn.Linear(5, 2)

    def forward(self, tokens):
        return self.second(torch.tanh(self.first(F.one_hot(tokens[:, 0], 9).float())))


class SingleAttribute(nn.Module):
    """A constant that is no buffer, so that nobody makes it double."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.mixing = nn.Linear(30, 5), torch.randn(5, 2)

    def forward(self, x):
        return self.first(x.flatten(1)) @ self.mixing


class SingleInside(nn.Module):
    """A norm in single precision, whatever it is given, as of Llama and T5."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(30, 8), nn.Linear(8, 2)

    def forward(self, x):
        hidden = self.first(x.flatten(1))
        single = hidden.to(torch.float32)
        normed = single * torch.rsqrt(single.square().mean(-1, keepdim=True) + 1e-6)
        return self.second(normed.to(hidden.dtype))


class SingleBuffer(SingleInside):
    """A result that is written into a tensor of single precision."""

    def forward(self, x):
        found = torch.zeros(len(x), 8)
        found[:] = self.first(x.flatten(1))
        return self.second(found.to(self.second.weight.dtype))


@pytest.mark.parametrize(
    ("make", "inputs", "message"),
    [
        (
            OneHot,
            TOKENS,
            "runs in torch.float32 only, not in torch.float64 .*Float and Double.*pass dtype=torch.float32",
        ),
        (SingleAttribute, INPUTS, "runs in torch.float32 only, not in torch.float64 .*pass dtype=torch.float32"),
        (SingleInside, INPUTS, "rounds to torch.float32 inside, .*double precision: pass dtype=torch.float32"),
        (SingleBuffer, INPUTS, "rounds to torch.float32 inside"),
    ],
)
def test_modules_of_single_precision_say_so_and_run_in_it(make, inputs, message):
    with pytest.raises(InputError, match=message):
        responses(make(), inputs)
    found, directions, tensors = responses(make(), inputs, dtype=torch.float32)
    assert found.method == "forward"
    assert found.response_KND.dtype == torch.float64
    assert found.error < 1e-2

    def read(values):
        inner = tensors.module
        if isinstance(inner, OneHot):
            x = F.one_hot(inputs[:, 0], 9).double()
            hidden = torch.tanh(x @ values["first.weight"].T + values["first.bias"])
        else:
            hidden = inputs.double().flatten(1) @ values["first.weight"].T + values["first.bias"]
        if isinstance(inner, SingleAttribute):
            return hidden @ inner.mixing.double()
        if type(inner) is SingleInside:
            hidden = hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + 1e-6)
        return hidden @ values["second.weight"].T + values["second.bias"]

    own = {name: tensor.detach().double() for name, tensor in tensors.tensors.items()}
    for k in range(COUNT):
        along = {name: value_K[k] for name, value_K in directions.items()}
        exact = torch.func.jvp(read, (own,), (along,))[1]
        torch.testing.assert_close(found.response_KND[k], exact, rtol=0, atol=1e-5 * float(exact.abs().max()))


def test_constants_of_single_precision_that_weights_do_not_reach_are_no_matter():
    module = Within(Apply(lambda x: x * torch.linspace(0, 1, 8).float()))
    assert responses(module)[0].method == "forward"


class Caching(nn.Module):
    """Keeps what it has made of its weights at the first call for the next ones."""

    def __init__(self):
        super().__init__()
        self.layer, self.made = nn.Linear(INPUTS.shape[-1], 3), None

    def forward(self, x):
        if self.made is None:
            self.made = self.layer.weight.square()
        return x @ self.made.T + self.layer(x)


def test_what_a_module_keeps_of_its_weights_is_made_anew():
    class Plain(Caching):
        def forward(self, x):
            return x @ self.layer.weight.square().T + self.layer(x)

    caching, plain = Caching(), Plain()
    plain.load_state_dict(caching.state_dict())
    found, expected = responses(caching)[0], responses(plain)[0]
    assert found.method == "forward"
    torch.testing.assert_close(found.response_KND, expected.response_KND)
    assert caching.made is None


class MixedInside(nn.Module):
    """A layer that chooses mixed precision itself, whose casts of weights are kept while an outer block lasts."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS.shape[-1], 8), nn.Linear(8, 3)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            found = self.first(x)
        return self.second(found.float().tanh())


def test_mixed_precision_inside_is_refused():
    for patterns in (None, ["first.weight"]):
        with pytest.raises(InputError, match=r"rounds to torch\.bfloat16 inside, .*too coarse for responses"):
            responses(MixedInside(), dtype=torch.float32, patterns=patterns)


@pytest.mark.parametrize("coarse", [torch.bfloat16, torch.float16])
def test_lower_precision_inside_is_refused(coarse):
    module = Within(Apply(lambda x: x.to(coarse).to(x.dtype)))
    for dtype in (torch.float64, torch.float32):
        with pytest.raises(InputError, match=f"rounds to {coarse} inside, .*too coarse for responses"):
            responses(module, dtype=dtype)
    with pytest.raises(InputError, match=r"dtype must be torch.float64 or torch.float32, got torch.bfloat16"):
        responses(module, dtype=torch.bfloat16)


def test_what_fails_in_the_module_or_the_read_out_is_told():
    with pytest.raises(InputError, match="the module fails on these inputs: RuntimeError: mat1 and mat2 shapes"):
        responses(Attention(), INPUTS[..., :5])
    with pytest.raises(InputError, match=r"the module fails on these inputs: AttributeError: .*'logits'"):
        responses(Attention(), select=lambda output: output.logits)


def test_a_kink_at_the_weights_themselves_has_no_derivative():
    class Kinked(Within):
        def __init__(self):
            super().__init__(nn.Tanh())
            self.gain = nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return super().forward(x) + (self.gain * (x[:, 0, :1] > 1.0)).abs()

    rows = (INPUTS[:, 0, 0] > 1.0).nonzero().flatten()
    with pytest.raises(
        InputError, match=f"a kink at these very weights, .* in {len(rows)} rows, the first is row {rows[0]}"
    ):
        responses(Kinked())
    found, directions, _ = responses(Kinked(), patterns=["first.weight"])
    torch.testing.assert_close(found.response_KND, moved_copies(Kinked(), INPUTS, directions), rtol=1e-7, atol=1e-8)


def test_noise_that_differences_cannot_resolve_is_refused():
    module = Within(Apply(lambda x: x + 1e-3 * torch.sin(1e13 * x.detach())))
    with pytest.raises(
        InputError, match=r"no derivative of the read-out can be confirmed; not by forward: central diff"
    ):
        responses(module)


def test_kinks_nearby_do_not_hide_the_derivative():
    torch.manual_seed(0)
    inputs = torch.randn(2000, 30)
    module = nn.Sequential(nn.Linear(30, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 2))
    found, _, _ = responses(module, inputs)
    assert found.method == "forward"
    by_differences, _, _ = responses(nn.Sequential(module, Apply(OnceSine.apply)), inputs)
    assert by_differences.method == "central difference"
    exact = found.response_KND * module(inputs).detach().double().cos()
    wrong = (by_differences.response_KND - exact).norm(dim=2) / exact.norm(dim=2).max()
    assert float(wrong.max()) < 1e-4


def test_all_inputs_are_confirmed_not_only_the_first():
    # One input in thirty has another derivative than the module says.
    module = Within(Apply(lambda x: torch.where(torch.arange(len(x)).unsqueeze(1) == 29, x.detach(), x)))
    assert responses(module)[0].method == "central difference"


def test_a_mistake_along_one_direction_shows(monkeypatch):
    def mistaken(*arguments, **options):
        found = jvp_responses(*arguments, **options)
        found[-1, 7] *= 1.01
        return found

    monkeypatch.setattr("spectraledge.modes.module_responses.jvp_responses", mistaken)
    assert responses(Attention())[0].remarks == ()
    expected = responses(Attention())[0]
    monkeypatch.undo()
    torch.testing.assert_close(responses(Attention())[0].response_KND, expected.response_KND, rtol=1e-12, atol=1e-12)
