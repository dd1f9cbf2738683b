"""Steps of every optimizer, against PyTorch's own classes in a plain loop."""

from dataclasses import fields

import pytest
import torch

from network_cases import write_module
from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.models import answer_losses
from spectraledge.native import calls
from spectraledge.tasks import any_task
from spectraledge.training import Member, RunConfig, Stack, Trainer, train_in_folder
from spectraledge.training.step_rules import OPTIMIZERS, Flat, Rates, StepRule, orthogonalised
from spectraledge.trajectory import Layout, find_snapshots

STEPS = 10
RATES = {"adamw": 0.01, "adam": 0.01, "sgd": 0.1, "muon": 0.01}
TOLERANCE = {"adamw": 1e-4, "adam": 1e-4, "sgd": 1e-4, "muon": 5e-2}
"""Of the length of the whole move; Muon's iteration in bfloat16 makes percents of a gradient's last bits."""


def configured(model, optimizer, **settings):
    small = {
        "batch_size": 8,
        "steps": STEPS,
        "every": STEPS,
        "stop_accuracy": 2.0,
        "weight_decay": 0.1,
        "clip_norm": 0.3,
    }
    task = any_task("add", modulus=5)
    own = {"optimizer": optimizer, "learning_rate": RATES[optimizer]}
    return RunConfig.for_task(task, model, **small | own | settings), task


def of_pytorch(config, named, matrices):
    """PyTorch's optimizers of a configuration, as anyone would make them."""
    decay = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return [torch.optim.SGD(named.values(), momentum=config.momentum, **decay)]
    if config.optimizer == "muon":
        hidden, others = ([p for name, p in named.items() if (name in matrices) == one] for one in (True, False))
        own = {"momentum": config.momentum, "adjust_lr_fn": "match_rms_adamw"}
        return [torch.optim.Muon(hidden, **own, **decay), torch.optim.AdamW(others, betas=config.betas, **decay)]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return [kind(named.values(), betas=config.betas, **decay)]


def plain_loop(config, task):
    """Weights at the end, from the run's own first weights and batches."""
    run = Trainer(config, task)
    architecture = run.stack.architecture
    module = architecture.module()
    module = module.to_empty(device="cpu") if next(module.parameters()).is_meta else module
    module.load_state_dict(run.weights(), strict=False)
    named = dict(module.named_parameters())
    optimizers = of_pytorch(config, named, architecture.hidden_matrices)
    pairs = torch.from_numpy(task.pairs_N2[run.split.train_T])
    labels = torch.from_numpy(task.labels_N[run.split.train_T])
    for _ in range(STEPS):
        batch = run.batches.draw()
        out = module(pairs[batch])
        logits = out.logits_NC if hasattr(out, "logits_NC") else out
        module.zero_grad()
        answer_losses(logits, labels[batch], config.loss).mean().backward()
        if config.clip_norm:
            torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
    return {name: parameter.detach() for name, parameter in named.items()}


def assert_alike(found, expected, start, tolerance):
    for name, value in found.items():
        # Attention does not see a shift of all keys: what moves their bias is rounding alone.
        for part in (0, 2) if name.endswith("qkv.bias") else (0, 1, 2):
            ours, theirs, before = (tensor.tensor_split(3)[part] for tensor in (value, expected[name], start[name]))
            assert float((ours - theirs).norm()) <= tolerance * float((theirs - before).norm()), name


def assert_is_pytorch(config, task):
    trainer = Trainer(config, task)
    start = {name: value.clone() for name, value in trainer.weights().items()}
    trainer.advance(STEPS)
    assert_alike(trainer.weights(), plain_loop(config, task), start, TOLERANCE[config.optimizer])


@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 37), (2, 130)], ids=str)
def test_a_step_of_adam_is_its_definition_in_double_precision(monkeypatch, native, optimizer, sizes):
    monkeypatch.setattr(calls, "FUNCTIONS", {n: native(n, types) for n, types in calls.ARGUMENTS.items()})
    generator = torch.Generator().manual_seed(0)
    flat = Flat(*torch.randn((6, *sizes), generator=generator).unbind())
    flat.second.abs_()
    gradient = torch.randn(sizes, generator=generator)
    numbers = torch.rand((sizes[0], 6), generator=generator)
    numbers[:, 1] = 1.0 if optimizer == "adam" else 0.9
    rates, layout = Rates(*numbers.split(1, 1)), Layout({"w": sizes[1:]})
    exact = Flat(*(getattr(flat, field.name).double() for field in fields(Flat)))
    rule = StepRule(optimizer, (0.9, 0.98), 0.0, layout, frozenset())
    rule.move(flat, rates, gradient.clone())
    rule.move(exact, Rates(*(number.double() for number in rates)), gradient.double())
    for field in fields(Flat):
        found, right = getattr(flat, field.name), getattr(exact, field.name)
        torch.testing.assert_close(found.double(), right, rtol=1e-6, atol=1e-6, msg=lambda m, f=field.name: f"{f}: {m}")


every_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@every_optimizer
@pytest.mark.parametrize("case", ["transformer", "embedded_mlp", "module"])
@pytest.mark.parametrize("loss", ["cross-entropy", "mse"])
def test_steps_are_those_of_pytorch(network_model, case, optimizer, loss):
    config, task = configured(network_model(case), optimizer, loss=loss)
    assert_is_pytorch(config, task)


@every_optimizer
@pytest.mark.parametrize("settings", [{"weight_decay": 0.0}, {"clip_norm": 0.0}, {"batch_size": 0}], ids=str)
def test_settings_mean_what_they_mean_there(network_model, optimizer, settings):
    config, task = configured(network_model("mlp"), optimizer, **settings)
    assert_is_pytorch(config, task)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_another_momentum_is_that_of_pytorch(network_model, optimizer):
    config, task = configured(network_model("mlp"), optimizer, momentum=0.5)
    assert_is_pytorch(config, task)


@every_optimizer
def test_the_update_is_decay_and_the_optimizers_own_step(network_model, optimizer):
    """The law: with what decoupled decay did taken back, the step is that without decay; coupled decay does nothing."""
    config, task = configured(network_model("mlp"), optimizer, weight_decay=0.5)
    trainer = Trainer(config, task)
    start = {name: value.clone() for name, value in trainer.weights().items()}
    trainer.advance(1)
    moved = trainer.moves()["decay"]
    for name, value in start.items():
        expected = 0 * value if optimizer in ("adam", "sgd") else -config.learning_rate * 0.5 * value
        torch.testing.assert_close(moved[name], expected, rtol=1e-4, atol=1e-8)
    plain, _ = configured(network_model("mlp"), optimizer, weight_decay=0.0)
    alone = Trainer(plain, task)
    alone.advance(1)
    if optimizer in ("adamw", "muon"):
        for name, value in trainer.weights().items():
            torch.testing.assert_close(value - moved[name], alone.weights()[name], rtol=1e-4, atol=1e-6)


@every_optimizer
def test_a_stack_is_its_runs_one_by_one(network_model, optimizer):
    runs = [configured(network_model("mlp"), optimizer, seed=seed, weight_decay=0.1 * seed) for seed in (1, 2, 3)]
    stack = Stack([Member(*run) for run in runs])
    starts = [{name: value.clone() for name, value in member.weights().items()} for member in stack.members]
    stack.advance(STEPS)
    for run, member, start in zip(runs, stack.members, starts, strict=True):
        alone = Trainer(*run)
        alone.advance(STEPS)
        assert_alike(member.weights(), alone.weights(), start, TOLERANCE[optimizer])


@every_optimizer
def test_an_intervention_changes_the_update_and_the_part_of_decay(network_model, optimizer):
    config, task = configured(network_model("mlp"), optimizer, interventions=[Intervention.of("remove:all")])
    trainer = Trainer(config, task)
    start = {name: value.clone() for name, value in trainer.weights().items()}
    trainer.advance(STEPS)
    for name, value in trainer.weights().items():
        watched = name == "layers.0.weight"
        assert torch.equal(value, start[name]) == watched
        if watched:
            torch.testing.assert_close(trainer.moves()["decay"][name], 0 * value, rtol=0, atol=1e-8)


def test_compiled_steps_are_the_eager_ones(monkeypatch, network_model):
    monkeypatch.setattr(calls, "FUNCTIONS", dict.fromkeys(calls.FUNCTIONS))
    # With something done in between, gradient and move are programs of their own.
    optimizer, changes = "muon", [Intervention.of("remove:random:2,on=gradient")]
    compiled, eager = (
        Trainer(
            *configured(network_model("published_mlp"), optimizer, loss="mse", engine=engine, interventions=changes)
        )
        for engine in ("compiled", "eager")
    )
    start = {name: value.clone() for name, value in eager.weights().items()}
    for trainer in (compiled, eager):
        trainer.advance(STEPS)
    assert_alike(compiled.weights(), eager.weights(), start, TOLERANCE[optimizer])
    assert compiled.evaluate().test_loss == pytest.approx(eager.evaluate().test_loss, rel=1e-2)


class Killed(BaseException):
    """Stands for a signal."""


@every_optimizer
def test_a_killed_run_goes_on_bit_for_bit(network_model, tmp_path, optimizer):
    config, task = configured(network_model("mlp"), optimizer, steps=20, every=5)

    def die(progress):
        if progress.evaluation.step == 10:
            raise Killed

    with pytest.raises(Killed):
        train_in_folder(tmp_path / "killed", config, task, on_progress=die)
    train_in_folder(tmp_path / "killed", config, task)
    train_in_folder(tmp_path / "whole", config, task)
    left, right = ([one.path.read_bytes() for one in find_snapshots(tmp_path / name)] for name in ("killed", "whole"))
    assert left == right
    assert len(left) == 5


@pytest.mark.parametrize("shape", [(4, 9), (7, 5), (64, 192)])
def test_steps_of_muon_along_given_gradients_are_pytorchs(shape):
    """Along given gradients, so that only the step itself rounds."""
    generator = torch.Generator().manual_seed(0)
    weights, *gradients = (torch.randn(shape, generator=generator) for _ in range(4))
    theirs = torch.nn.Parameter(weights.clone())
    optimizer = torch.optim.Muon([theirs], 0.01, weight_decay=0.1, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    layout = Layout({"w": shape})
    flat = Flat(weights.flatten()[None].clone(), *(torch.zeros(1, layout.size) for _ in range(5)))
    rule = StepRule("muon", (0.9, 0.98), 0.9, layout, frozenset({"w"}))
    rates = Rates(*(torch.tensor([[number]]) for number in (0.01, 1 - 0.01 * 0.1, 0.1, 0.0, 0.0, 1.0)))
    for gradient in gradients:
        rule.move(flat, rates, gradient.flatten()[None])
        theirs.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(layout.split(flat.weights[0])["w"], theirs.detach(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4, 9), (2, 7, 5), (1, 6, 6)])
def test_singular_values_come_near_one(shape):
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalised(drawn).float())
    assert values.min() > 0.4
    assert values.max() < 1.5


@pytest.mark.parametrize(
    ("case", "matrices"),
    [
        ("mlp", {"layers.0.weight"}),
        ("embedded_mlp", {"layers.0.weight", "layers.1.weight"}),
        ("module", {"mix.weight"}),
        ("tied_module", {"mix.weight"}),
        (
            "transformer",
            {f"layers.{n}.{m}.weight" for n in (0, 1) for m in ("attention.qkv", "attention.output", "up", "down")},
        ),
    ],
)
def test_muon_moves_the_matrices_of_hidden_layers(architecture, case, matrices):
    assert architecture(case).hidden_matrices == matrices


def test_muon_needs_a_matrix(tmp_path):
    body = """class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.table = nn.Embedding(classes, classes)

    def forward(self, pairs):
        return self.table(pairs).sum(1)

def build(task):
    return Net(task.modulus)"""
    config, task = configured({"kind": write_module(tmp_path, body)}, "muon")
    with pytest.raises(InputError, match="muon moves the matrices of hidden layers, and this network has none"):
        Trainer(config, task)


def test_all_pairs_at_once_need_as_many(network_model):
    one, task = configured(network_model("mlp"), "adam", batch_size=0)
    other, _ = configured(network_model("mlp"), "adam", batch_size=0, train_fraction=0.3)
    with pytest.raises(InputError, match="all training pairs at every step must have as many, got 7 and 12"):
        Stack([Member(config, task) for config in (one, other)])
