"""One optimiser step, against PyTorch's clipping and AdamW; and what moved the weights."""

import pytest
import torch
from torch.nn import functional as F

from spectraledge.native import calls
from spectraledge.tasks import joint_task, named_task
from spectraledge.training import Member, RunConfig, Stack, Trainer
from spectraledge.training.step_rules import MOVES


def oracle(config, task, steps):
    """Train with autograd, `clip_grad_norm_` and `torch.optim.AdamW` on the same batches; float32."""
    run = Trainer(config, task)
    model = run.model
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
        parameter.requires_grad_()
    optimizer = torch.optim.AdamW(
        model.parameters(), config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
    )
    sums = {kind: {n: torch.zeros_like(p) for n, p in model.named_parameters()} for kind in MOVES}
    for _ in range(steps):
        places = run.split.train_T[run.batches.draw()]
        logits = model(torch.from_numpy(task.pairs_N2[places])).logits_NC
        optimizer.zero_grad()
        F.cross_entropy(logits, torch.from_numpy(task.labels_N[places])).backward()
        named = dict(model.named_parameters())
        for name, parameter in named.items():
            sums["gradient"][name] += parameter.grad
            sums["decay"][name] -= config.learning_rate * config.weight_decay * parameter.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        for name, parameter in named.items():
            sums["clipped"][name] += parameter.grad
        optimizer.step()
    return {name: parameter.detach() for name, parameter in model.named_parameters()}, sums


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.0, "clip_norm": 0.3}, {"betas": (0.5, 0.9)}], ids=str)
def test_steps_are_those_of_pytorch(small_config, small_task, settings):
    config = small_config(**settings)
    weights, sums = oracle(config, small_task, 12)
    trainer = Trainer(config, small_task)
    start = {name: tensor.clone() for name, tensor in trainer.weights().items()}
    trainer.advance(12)
    width = config.model.width
    for name, tensor in trainer.weights().items():
        # The keys' biases have no gradient, and AdamW makes steps of its rounding.
        places = torch.arange(len(tensor))
        kept = (places < width) | (places >= 2 * width) if name.endswith("qkv.bias") else places
        expected = {"weights": weights, **sums}
        found = {"weights": trainer.weights(), **trainer.moves()}
        for kind in found:
            ours, theirs = found[kind][name][kept], expected[kind][name][kept]
            size = theirs - start[name][kept] if kind == "weights" else theirs
            assert float((ours - theirs).norm()) <= 1e-3 * float(size.norm()), (kind, name)


def test_without_a_gradient_only_decay_moves_the_weights(small_config, small_task):
    """The law: δθ is the decay's part plus AdamW's; where AdamW's rate is nearly nothing, it is the decay's."""
    trainer = Trainer(small_config(learning_rate=1e-2, weight_decay=0.5, clip_norm=1e-30), small_task)
    start = {name: tensor.clone() for name, tensor in trainer.weights().items()}
    trainer.advance(10)
    for name, tensor in trainer.weights().items():
        torch.testing.assert_close(trainer.moves()["decay"][name], tensor - start[name], rtol=1e-4, atol=1e-6)


def test_what_moved_the_weights_is_of_the_last_interval(small_config, small_task):
    trainer, again = (Trainer(small_config(), small_task) for _ in range(2))
    trainer.advance(7)
    trainer.advance(5)
    again.advance(7)
    before = {name: tensor.clone() for name, tensor in again.weights().items()}
    again.advance(5)
    torch.testing.assert_close(trainer.moves(), again.moves(), rtol=0, atol=0)
    name = "head.weight"
    expected = -sum((1 - 1e-3) ** t for t in range(5)) * 1e-3
    # Nearly: AdamW moves θ by a thousandth in between.
    torch.testing.assert_close(trainer.moves()["decay"][name], expected * before[name], rtol=0.1, atol=1e-4)


def test_decay_is_nothing_without_weight_decay():
    task = named_task("sub", modulus=13)
    trainer = Trainer(RunConfig.for_task(task, {"width": 16, "heads": 2, "hidden": 32}, weight_decay=0.0), task)
    trainer.advance(3)
    assert max(float(part.abs().max()) for part in trainer.moves()["decay"].values()) == 0.0


@pytest.mark.parametrize("joint", [False, True], ids=["one", "joint"])
@pytest.mark.parametrize("stacks", [1, 3])
def test_compiled_passes_make_the_steps_of_pytorch(monkeypatch, native, stacks, joint):
    """In C and without, steps differ by rounding alone, and by nothing when they are taken again."""
    task = (
        joint_task([named_task(name, modulus=13) for name in ("add", "mul")])
        if joint
        else named_task("add", modulus=13)
    )
    sizes = {"width": 20, "heads": 2, "hidden": 27}

    def moved(functions):
        monkeypatch.setattr(calls, "FUNCTIONS", functions)
        stack = Stack(
            [Member(RunConfig.for_task(task, sizes, seed=seed, batch_size=37), task) for seed in range(stacks)]
        )
        start = stack.flat.weights.clone()
        stack.advance(5)
        return stack.layout.split(stack.flat.weights - start), stack.flat.gradient

    functions = {name: native(name, types) for name, types in calls.ARGUMENTS.items()}
    ours, gradient = moved(functions)
    again, gradient_again = moved(functions)
    torch.testing.assert_close((ours, gradient), (again, gradient_again), rtol=0, atol=0)
    plain, plain_gradient = moved(dict.fromkeys(functions))
    assert float((gradient - plain_gradient).norm()) <= 1e-5 * float(plain_gradient.norm())
    for name, value in plain.items():
        # Attention does not see a shift of all keys: what moves their bias is rounding alone.
        for part in (0, 2) if name.endswith("qkv.bias") else (0, 1, 2):
            found, right = (tensor.tensor_split(3, 1)[part] for tensor in (ours[name], value))
            assert float((found - right).norm()) <= 1e-3 * float(right.norm()), name
