"""Names of a module's tensors, ties among them, and putting others in their place for a while."""

import pytest
import torch
from torch import nn

from spectraledge.errors import InputError
from spectraledge.models import ModuleTensors
from spectraledge.models.module_tensors import substituted


class Tied(nn.Module):
    """A tied head, a part that is registered twice, a buffer, and a list that holds a parameter."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        part = nn.Linear(4, 4)
        self.trunk = nn.Sequential(part, nn.Tanh(), part)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.ones(4), persistent=False)
        self.held = [self.embedding.weight]
        self.calls = 0

    def forward(self, tokens):
        self.calls += 1
        self.scale = self.scale + 1
        return self.head(self.trunk(self.embedding(tokens)) * self.scale)


def tied():
    torch.manual_seed(0)
    return Tied().eval()


def test_tied_tensors_count_once_under_every_name():
    tensors = ModuleTensors.of(tied())
    assert list(tensors.tensors) == ["embedding.weight", "trunk.0.weight", "trunk.0.bias", "scale"]
    assert tensors.aliases["head.weight"] == "embedding.weight"
    assert tensors.aliases["trunk.2.bias"] == "trunk.0.bias"
    assert "scale" not in tensors.parameters


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda module: torch.compile(module, backend="eager"),
        lambda module: nn.DataParallel(torch.compile(module, backend="eager")),
    ],
)
def test_wrappers_leave_no_trace_in_names(wrap):
    plain, wrapped = ModuleTensors.of(tied()), ModuleTensors.of(wrap(tied()).eval())
    assert wrapped.aliases == plain.aliases
    assert wrapped.plain("module._orig_mod.head.weight") == "head.weight"


def test_a_compiled_part_keeps_its_own_name_for_the_module():
    module = nn.Sequential(torch.compile(nn.Linear(3, 2), backend="eager")).eval()
    assert ModuleTensors.of(module).own == {"0.weight": "0._orig_mod.weight", "0.bias": "0._orig_mod.bias"}


def test_a_part_called_module_keeps_its_name():
    module = nn.ModuleDict({"module": nn.Linear(3, 2)}).eval()
    assert ModuleTensors.of(module).plain("module.weight") == "module.weight"


def test_other_values_are_seen_everywhere_and_taken_back():
    module = tied()
    tensors = ModuleTensors.of(module)
    before = {name: (tensor.data_ptr(), tensor.clone()) for name, tensor in tensors.tensors.items()}
    weight, attributes = module.embedding.weight, set(vars(module))

    def interrupted():
        with tensors.placed({"embedding.weight": torch.zeros(5, 4)}, torch.float64):
            assert module.held[0] is module.head.weight is module.embedding.weight is weight
            assert weight.dtype == module.scale.dtype == torch.float64
            assert not weight.any()
            module.extra = 3
            assert module(torch.arange(3)).dtype == torch.float64
            weight.data.add_(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(vars(module)) == attributes
    assert module.calls == 0
    for name, (place, value) in before.items():
        assert tensors.tensors[name].data_ptr() == place
        torch.testing.assert_close(tensors.tensors[name].detach(), value.detach(), rtol=0, atol=0)
    assert torch.equal(module.scale, torch.ones(4))


def test_a_tensor_is_substituted_in_all_its_uses_and_put_back():
    module = tied()
    part, weight = module.trunk[0], module.embedding.weight
    own = part.weight
    with substituted(module, {"trunk.2.weight": torch.zeros(4, 4), "head.weight": torch.ones(5, 4)}):
        assert not module.trunk[0].weight.any()
        assert module.embedding.weight is module.head.weight
        assert module.head.weight.all()
    # PyTorch's own functional_call leaves its tensor in a part that is registered twice.
    assert part.weight is own
    assert module.embedding.weight is weight
    with (
        pytest.raises(InputError, match=r"no nothing: it has embedding\.weight"),
        substituted(module, {"nothing": torch.ones(1)}),
    ):
        pass
    with pytest.raises(InputError, match="TorchScript"), substituted(torch.jit.script(nn.Linear(2, 2)), {}):
        pass


@pytest.mark.parametrize("make", ["meta", "inference"])
def test_a_module_without_values_of_its_own_is_copied(make):
    with torch.device("meta") if make == "meta" else torch.inference_mode():
        module = nn.Linear(3, 2).eval()
    tensors = ModuleTensors.of(module).in_memory({"weight", "bias"})
    with tensors.placed({"weight": torch.ones(2, 3), "bias": torch.zeros(2)}, torch.float64):
        assert tensors.module(torch.ones(1, 3, dtype=torch.float64)).tolist() == [[3, 3]]


def test_a_module_without_values_needs_them_from_snapshots():
    with torch.device("meta"):
        module = nn.BatchNorm1d(3).eval()
    with pytest.raises(InputError, match="num_batches_tracked, running_mean, running_var of the module on the meta"):
        ModuleTensors.of(module).in_memory({"weight", "bias"})


class Packed(nn.Linear):
    """As quantising libraries name theirs."""

    __module__ = "torch.ao.nn.quantized.modules.linear"


def with_integers():
    module = nn.Linear(2, 2)
    module.weight = nn.Parameter(torch.ones(2, 2, dtype=torch.int8), requires_grad=False)
    return module


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: "model.pt", "expected a torch.nn.Module, got str"),
        (lambda: nn.Linear(2, 2).train(), r"the module itself in training mode.*call module.eval\(\) first"),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.Dropout().train()), "1 in training mode"),
        (lambda: nn.Sequential(nn.LazyLinear(2)), "'0.weight' has no shape yet: call the module once"),
        (lambda: nn.Sequential(Packed(2, 2)), "0: quantised weights move in jumps"),
        (with_integers, "'weight' is torch.int8: quantised weights"),
    ],
)
def test_modules_that_have_no_responses_are_refused_by_name(module, message):
    made = module()
    for part in getattr(made, "modules", list)():
        if "Dropout" not in type(part).__name__ and "itself" not in message:
            part.training = False
    with pytest.raises(InputError, match=message):
        ModuleTensors.of(made)
