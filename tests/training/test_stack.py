"""Runs trained together: each equals the same run alone, stops by its own rule, fails alone, and resumes alone."""

import numpy as np
import pytest
import torch

from spectraledge.errors import InputError
from spectraledge.native import calls
from spectraledge.tasks import named_task
from spectraledge.training import (
    InMemory,
    Member,
    RunConfig,
    Stack,
    Trainer,
    train,
    train_in_folder,
    train_together,
)
from spectraledge.training.engine import compiled_if
from spectraledge.training.in_folders import train_in_folders
from spectraledge.trajectory import Manifest, find_snapshots, read_snapshot

SIZES = {"width": 16, "heads": 2, "hidden": 32}
SMALL = {"batch_size": 32, "steps": 60, "every": 20, "stop_accuracy": 2.0}


def make(name="add", modulus=13, **settings):
    task = named_task(name, modulus=modulus)
    return RunConfig.for_task(task, SIZES, **(SMALL | settings)), task


MIXED = [
    make("add"),
    make("mul", weight_decay=0.0),
    make("sub", seed=3, protocol="paper", learning_rate=3e-3),
    make("add", seed=4, train_fraction=0.3, clip_norm=0.2),
]


def assert_near(found, expected, tolerance=1e-4):
    """Equal up to the rounding of batched products."""
    # All tensors as one: AdamW makes steps of rounding alone where the gradient is zero, as of the keys' biases.
    ours, theirs = (torch.cat([parts[name].flatten() for name in expected]) for parts in (found, expected))
    assert float((ours - theirs).norm()) <= tolerance * float(theirs.norm())


def test_each_run_equals_the_same_run_alone():
    stack = Stack([Member(*pair) for pair in MIXED])
    alone = [Trainer(*pair) for pair in MIXED]
    for _ in range(2):
        assert stack.advance(20) == {}
        for trainer in alone:
            trainer.advance(20)
    for member, trainer, found in zip(stack.members, alone, stack.evaluate(), strict=True):
        assert_near(member.weights(), trainer.weights())
        assert_near(member.moves()["clipped"], trainer.moves()["clipped"])
        np.testing.assert_allclose(member.recent_losses, trainer.recent_losses, rtol=1e-4)
        expected = trainer.evaluate()
        assert (found.step, found.train_accuracy) == (expected.step, pytest.approx(expected.train_accuracy, abs=0.02))
        np.testing.assert_allclose([found.train_loss, found.test_loss], [expected.train_loss, expected.test_loss], 1e-4)


def test_runs_stop_by_their_own_rules_and_the_stack_shrinks():
    budgets = [20, 60, 40, 100]
    pairs = [make(seed=i, steps=steps) for i, steps in enumerate(budgets)]
    recorders = [InMemory() for _ in pairs]
    stack, seen = Stack([Member(*pair) for pair in pairs]), []
    assert train_together(stack, recorders, on_progress=lambda i, p: seen.append((i, p.evaluation.step))) == {}
    assert [recorder.steps[-1] for recorder in recorders] == budgets
    assert {recorder.stopped for recorder in recorders} == {"budget"}
    assert sorted(seen) == sorted((i, step) for i, b in enumerate(budgets) for step in range(20, b + 1, 20))
    assert len(stack) == 1
    for pair, recorder in zip(pairs, recorders, strict=True):
        alone = InMemory()
        train(Trainer(*pair), alone)
        assert_near(recorder.snapshots[-1], alone.snapshots[-1])


def test_a_run_that_diverges_leaves_the_others_alone(tmp_path):
    pairs = [make(), make(learning_rate=1e6), make(seed=5)]
    folders = [tmp_path / str(i) for i in range(3)]
    manifests = train_in_folders([(folder, *pair) for folder, pair in zip(folders, pairs, strict=True)])
    assert [manifest.status for manifest in manifests] == ["done", "failed", "done"]
    assert manifests[1].error.startswith("the loss became")
    train_in_folder(tmp_path / "alone", *pairs[2])
    assert_near(*(read_snapshot(find_snapshots(f)[-1].path) for f in (folders[2], tmp_path / "alone")))


def test_a_run_of_a_stack_resumes_alone_and_in_another_stack(tmp_path):
    pairs = [make(seed=i) for i in range(3)]
    folders = [tmp_path / str(i) for i in range(3)]

    class Killed(BaseException):
        pass

    def stop(index, progress):
        if (index, progress.evaluation.step) == (1, 40):
            raise Killed

    runs = [(folder, *pair) for folder, pair in zip(folders, pairs, strict=True)]
    with pytest.raises(Killed):
        train_in_folders(runs, on_progress=stop)
    assert [Manifest.read(folder).step for folder in folders] == [40, 40, 20]
    train_in_folder(*runs[0])
    manifests = train_in_folders(runs)
    assert [(m.status, m.step) for m in manifests] == [("done", 60)] * 3
    for folder, pair in zip(folders, pairs, strict=True):
        alone = InMemory()
        train(Trainer(*pair), alone)
        found = find_snapshots(folder)
        assert [snapshot.step for snapshot in found] == alone.steps
        assert_near(read_snapshot(found[-1].path), alone.snapshots[-1])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (make(batch_size=16), "must agree in batch_size, got 32 and 16"),
        (make(every=30), "must agree in every, got 20 and 30"),
        (make(modulus=11), "must agree in model"),
        (make(optimizer="sgd"), "must agree in optimizer, got adamw and sgd"),
        (make(loss="mse"), "must agree in loss, got cross-entropy and mse"),
    ],
)
def test_runs_of_other_shapes_make_no_stack(tmp_path, other, message):
    with pytest.raises(InputError, match=message):
        train_in_folders([(tmp_path / "a", *make()), (tmp_path / "b", *other)])
    assert list(tmp_path.iterdir()) == []


def test_no_runs_make_no_stack():
    with pytest.raises(InputError, match="at least one run"):
        Stack([])


@pytest.fixture
def _without_c(monkeypatch):
    """What C computes nobody compiles."""
    monkeypatch.setattr(calls, "FUNCTIONS", dict.fromkeys(calls.FUNCTIONS))


@pytest.mark.parametrize("model", [{}, {"kind": "mlp"}], ids=["transformer", "mlp"])
def test_in_c_both_engines_are_the_same(monkeypatch, model):
    monkeypatch.setattr(torch, "compile", None)
    task = named_task("add", modulus=11)
    compiled, eager = (
        Trainer(RunConfig.for_task(task, model, engine=engine, batch_size=32), task) for engine in ("compiled", "eager")
    )
    for trainer in (compiled, eager):
        trainer.advance(3)
    torch.testing.assert_close(compiled.weights(), eager.weights(), rtol=0, atol=0)
    assert compiled.evaluate() == eager.evaluate()


@pytest.mark.usefixtures("_without_c")
def test_the_compiled_step_is_the_eager_one():
    config, task = make(engine="compiled")
    compiled, eager = Trainer(config, task), Trainer(*make())
    for trainer in (compiled, eager):
        trainer.advance(20)
    np.testing.assert_allclose(compiled.recent_losses, eager.recent_losses, rtol=1e-4)
    assert_near(compiled.weights(), eager.weights())
    assert compiled.evaluate().test_loss == pytest.approx(eager.evaluate().test_loss, rel=1e-4)


@pytest.mark.usefixtures("_without_c")
def test_a_machine_that_cannot_compile_says_so(monkeypatch):
    config, task = make("sub", engine="compiled", batch_size=16)
    monkeypatch.setenv("CXX", "/no/such/compiler")
    torch._dynamo.reset()
    with (
        torch._inductor.config.patch({"cpp.cxx": ("/no/such/compiler",)}),
        pytest.raises(InputError, match=r"engine 'compiled' cannot be built here .* or use engine 'eager'"),
    ):
        Trainer(config, task).advance(1)


def test_one_process_compiles_for_stacks_of_many_sizes():
    with torch._dynamo.config.patch(recompile_limit=1):
        double = compiled_if(lambda x: 2 * x, "compiled", "cpu")
        for runs in (1, 2, 3):
            assert double(torch.ones(runs)).tolist() == [2.0] * runs
