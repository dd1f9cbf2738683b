"""Forks: unchanged they are the run itself; changed, only in what was changed."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from small_runs import assert_same_run
from spectraledge.errors import DamageError, InputError
from spectraledge.interventions import Intervention
from spectraledge.models import architecture_of
from spectraledge.tasks import any_task, named_task
from spectraledge.training import RunConfig, Trainer, train_in_folder
from spectraledge.training.forks import WARM_UP, answers_of, fork_config, origin
from spectraledge.training.recorded_task import recorded_task
from spectraledge.training.saved_state import kept_states, state_path
from spectraledge.trajectory import Layout, find_snapshots, snapshot_path

EVERY = 20


@pytest.fixture(scope="module")
def parents(tmp_path_factory, small_task):
    """Runs of both protocols, one of them with an intervention, that kept their states."""
    made = {}
    texts = {"paper": [], "default": [], "changed": ["remove:edge:2,window=4"]}
    for name, interventions in texts.items():
        folder = tmp_path_factory.mktemp("forks") / name
        config = RunConfig.for_task(
            small_task,
            {"width": 16, "heads": 2, "hidden": 32},
            protocol="paper" if name == "paper" else "default",
            batch_size=32,
            steps=200,
            every=EVERY,
            stop_accuracy=2.0,
            interventions=[Intervention.of(text) for text in interventions],
        )
        train_in_folder(folder, config, small_task, keep_states=range(0, 201, 40))
        made[name] = folder
    return made


def branch(parent, folder, *, answers="own", step=80, steps=60, **changes):
    task = answers_of(recorded_task(parent), answers)
    config = fork_config(parent, task, step=step, steps=steps, **changes)
    train_in_folder(folder, config, task, parents=[parent])
    return config


def weights(folder, step):
    return load_file(snapshot_path(folder, step))


def assert_equal_weights(one, other, step):
    for name, part in weights(one, step).items():
        assert torch.equal(part, weights(other, step)[name]), (step, name)


@pytest.mark.parametrize("name", ["paper", "default", "changed"])
def test_a_fork_without_change_is_the_run(parents, tmp_path, name):
    config = branch(parents[name], tmp_path / "fork", steps=120)
    assert config.fork.warm_up == 0
    assert [one.step for one in find_snapshots(tmp_path / "fork")] == list(range(80, 201, EVERY))
    for step in range(80, 201, EVERY):
        assert_equal_weights(parents[name], tmp_path / "fork", step)
    for step in range(100, 201, EVERY):
        moves = f"moves/step_{step:08d}.safetensors"
        assert (parents[name] / moves).read_bytes() == (tmp_path / "fork" / moves).read_bytes()


def test_a_fork_of_a_fork_is_still_the_run(parents, tmp_path):
    task = recorded_task(parents["default"])
    first = fork_config(parents["default"], task, step=40, steps=80)
    train_in_folder(tmp_path / "first", first, task, parents=[parents["default"]], keep_states=[80])
    branch(tmp_path / "first", tmp_path / "second", steps=120)
    assert_equal_weights(parents["default"], tmp_path / "second", 200)


def test_a_fork_beside_its_run_finds_it(parents, tmp_path, small_task):
    parent = RunConfig.of_run(parents["default"])
    shutil.copytree(parents["default"], tmp_path / parent.run_id)
    config = fork_config(parents["default"], small_task, step=80, steps=20)
    train_in_folder(tmp_path / config.run_id, config, small_task)
    assert_equal_weights(parents["default"], tmp_path / config.run_id, 100)
    with pytest.raises(InputError, match=r"starts from the run with hash .*, which is not there or not finished"):
        train_in_folder(tmp_path / "elsewhere" / "run", config, small_task)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("changes", [{"weight_decay": 0.1}, {"optimizer": "adam"}], ids=str)
def test_a_fork_that_is_stopped_goes_on(parents, tmp_path, small_task, changes):
    config = branch(parents["default"], tmp_path / "whole", **changes)

    def stop(_):
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            train_in_folder(tmp_path / "parts", config, small_task, parents=[parents["default"]], on_progress=stop)
    train_in_folder(tmp_path / "parts", config, small_task, parents=[parents["default"]])
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


CHANGES = {
    "weight decay": {"weight_decay": 0.0},
    "learning rate": {"learning_rate": 0.01},
    "train share": {"train_fraction": 0.8},
    "batch order": {"batch_seed": 5},
    "answers": {"answers": "permuted"},
    "another task": {"answers": "sub"},
    "optimizer": {"optimizer": "sgd"},
    "an intervention": {"interventions": [Intervention.of("remove:random:40,on=gradient")]},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_changes_what_comes_after(parents, tmp_path, what):
    parent = parents["default"]
    config = branch(parent, tmp_path / "fork", steps=40, **CHANGES[what])
    assert_equal_weights(parent, tmp_path / "fork", 80)
    assert any(
        not torch.equal(part, weights(parent, 100)[name]) for name, part in weights(tmp_path / "fork", 100).items()
    )
    assert config.hash != RunConfig.of_run(parent).hash
    changed = {
        name for name in RunConfig.model_fields if getattr(config, name) != getattr(RunConfig.of_run(parent), name)
    }
    always = {"fork", "steps"}
    assert changed - always == {
        "answers": {"task", "task_digest"},
        "another task": {"task", "task_digest"},
        "batch order": set(),
    }.get(what, set(CHANGES[what]))


def test_a_step_of_a_fork_is_the_step_it_would_be(parents, small_task):
    """A changed weight decay against AdamW's definition, from the state by hand."""
    parent = parents["default"]
    config = fork_config(parent, small_task, step=80, steps=20, weight_decay=0.3)
    trainer = Trainer(config, small_task, origin=origin(parent, config))
    unchanged = fork_config(parent, small_task, step=80, steps=20)
    plain = Trainer(unchanged, small_task, origin=origin(parent, unchanged))
    before = trainer.stack.flat.weights.double()
    trainer.advance(1)
    plain.advance(1)
    # Adam's own step is the same; decay is not. Each step rounds weights once, to half of a unit in the last place.
    own = plain.stack.flat.weights - before * (1 - 1e-3 * 1.0)
    expected = (before * (1 - 1e-3 * 0.3) + own).float()
    unit = torch.finfo(torch.float32).eps
    torch.testing.assert_close(trainer.stack.flat.weights, expected, rtol=unit, atol=unit / 100)


def test_permuted_answers_keep_their_classes(small_task):
    found = [answers_of(small_task, answers) for answers in ("permuted", "permuted:1", "permuted:2")]
    for task in found:
        assert np.bincount(task.labels_N).tolist() == np.bincount(small_task.labels_N).tolist()
        assert np.array_equal(task.pairs_N2, small_task.pairs_N2)
    assert len({task.digest for task in (small_task, *found)}) == 4
    assert found[0].digest == named_task("permuted_add", modulus=13).digest
    assert [task.name for task in found] == ["add-permuted", "add-permuted1", "add-permuted2"]


def test_more_training_pairs_are_those_and_others(parents, small_task):
    config = fork_config(parents["default"], small_task, step=80, steps=20, train_fraction=0.8)
    more = Trainer(config, small_task, origin=origin(parents["default"], config)).split.train_T
    fewer = Trainer(RunConfig.of_run(parents["default"]), small_task).split.train_T
    assert set(fewer) < set(more)


def test_a_batch_order_is_that_of_its_seed(parents, small_task):
    configs = [fork_config(parents["default"], small_task, step=80, steps=20, batch_seed=seed) for seed in (5, 5, 6)]
    drawn = [Trainer(one, small_task, origin=origin(parents["default"], one)).batches.draw() for one in configs]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize("name", ["paper", "default"])
def test_without_a_state_the_memory_is_filled_anew(parents, tmp_path, name, small_task):
    parent = parents[name]
    config = fork_config(parent, small_task, step=60, steps=40)
    assert config.fork.warm_up == WARM_UP
    made = origin(parent, config)
    # Batches go on exactly where those of the run went on.
    exact = origin(parent, fork_config(parent, small_task, step=80, steps=20))
    trainer = Trainer(config, small_task, origin=made)
    for _ in range(20):
        trainer.batches.draw()
    assert json.loads(exact.text["batches"]) == trainer.batches.state()
    stored = weights(parent, 60)
    layout = Layout(architecture_of(config.model).shapes)
    assert torch.equal(made.tensors["weights"], layout.join(stored))
    train_in_folder(tmp_path / "fork", config, small_task, parents=[parent])
    assert_equal_weights(parent, tmp_path / "fork", 60)
    assert [one.step for one in find_snapshots(tmp_path / "fork")] == [60, 80, 100]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_memory_is_that_of_gradients_at_these_weights(parents, small_task, optimizer):
    """Against running means of autograd's gradients, by definition; SGD's are sums, with decay's part."""
    parent, warm_up = parents["default"], 30
    config = fork_config(parent, small_task, step=60, steps=40, warm_up=warm_up, optimizer=optimizer)
    made = origin(parent, config)
    plain = Trainer(RunConfig.of_run(parent).model_copy(update={"interventions": ()}), small_task)
    architecture, layout = plain.stack.architecture, plain.stack.layout
    from spectraledge.streams import derived_seed
    from spectraledge.training.protocols import PROTOCOLS

    stream = PROTOCOLS["default"].batches(derived_seed(42, "warm-up") % 2**32, len(plain.split.train_T), 32)
    parameters = {name: part[None] for name, part in weights(parent, 60).items()}
    first, second = 0.0, 0.0
    for _ in range(warm_up):
        chosen = plain.split.train_T[stream.draw()]
        inputs = architecture.encode(torch.from_numpy(small_task.pairs_N2[chosen])[None])
        labels = torch.from_numpy(small_task.answers_NO[chosen])[None]
        gradient = layout.join_rows(architecture.loss_and_gradient(parameters, inputs, labels)[1])[0].double()
        gradient = gradient * min(1.0, 1.0 / float(gradient.norm()))
        if optimizer == "sgd":
            first = 0.95 * first + gradient + layout.join_rows(parameters)[0].double()
        else:
            first, second = 0.9 * first + 0.1 * gradient, 0.98 * second + 0.02 * gradient**2
    fading = (0.95, 0.98) if optimizer == "sgd" else (0.9, 0.98)
    scale = [(1 - beta**60) / (1 - beta**warm_up) for beta in fading]
    if optimizer == "sgd":
        second = torch.zeros_like(first)
    torch.testing.assert_close(made.tensors["first"].double(), first * scale[0], rtol=1e-3, atol=1e-8)
    torch.testing.assert_close(made.tensors["second"].double(), second * scale[1], rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("step", [60, 80])
def test_another_optimizer_remembers_nothing(parents, small_task, step):
    """Against PyTorch's, made there, with the snapshot's weights and the run's batches; a state is kept at 80 alone."""
    config = fork_config(parents["default"], small_task, step=step, steps=20, optimizer="adam", weight_decay=0.01)
    assert config.fork.warm_up == 0
    trainer, other = (Trainer(config, small_task, origin=origin(parents["default"], config)) for _ in range(2))
    run = Trainer(RunConfig.of_run(parents["default"]), small_task)
    run.advance(step)
    assert other.batches.state() == run.batches.state()
    module = trainer.stack.architecture.module().to_empty(device="cpu")
    module.load_state_dict(weights(parents["default"], step))
    optimizer = torch.optim.Adam(module.parameters(), config.learning_rate, betas=config.betas, weight_decay=0.01)
    for _ in range(5):
        chosen = other.split.train_T[other.batches.draw()]
        logits = module(torch.from_numpy(small_task.pairs_N2[chosen])).logits_NC
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(small_task.labels_N[chosen])).backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        optimizer.step()
    trainer.advance(5)
    before = weights(parents["default"], step)
    for name, parameter in module.named_parameters():
        if not name.endswith("qkv.bias"):
            missed, moved = trainer.weights()[name] - parameter.detach(), parameter.detach() - before[name]
            assert float(missed.norm()) <= 1e-3 * float(moved.norm()), name


def test_a_fork_with_another_optimizer_is_forked_like_any_run(parents, tmp_path):
    task, parent = recorded_task(parents["default"]), parents["default"]
    first = fork_config(parent, task, step=40, steps=120, optimizer="muon")
    train_in_folder(tmp_path / "first", first, task, parents=[parent], keep_states=[80])
    branch(tmp_path / "first", tmp_path / "second", steps=80)
    assert_equal_weights(tmp_path / "first", tmp_path / "second", 160)


@pytest.mark.parametrize("optimizer", ["sgd", "muon"])
def test_another_optimizers_memory_can_be_filled(parents, small_task, optimizer):
    config = fork_config(parents["default"], small_task, step=60, steps=20, optimizer=optimizer, warm_up=30)
    made = origin(parents["default"], config)
    assert "remembers_since" not in made.text
    assert float(made.tensors["first"].norm()) > 0
    layout = Layout(architecture_of(config.model).shapes)
    assert torch.equal(made.tensors["weights"], layout.join(weights(parents["default"], 60)))


def test_states_are_kept_where_they_are_asked_for(parents):
    assert kept_states(parents["default"]) == [0, 40, 80, 120, 160, 200]
    state = origin(
        parents["default"], fork_config(parents["default"], recorded_task(parents["default"]), step=40, steps=20)
    )
    assert set(state.tensors) == {"weights", "first", "second"}
    assert int(state.text["step"]) == 40


def test_a_recorded_task_is_the_task(parents, tmp_path):
    found = recorded_task(parents["default"])
    assert (found.digest, found.structure) == (named_task("add", modulus=13).digest, "sum")
    joint = any_task("add+sub", modulus=7)
    config = RunConfig.for_task(joint, {"width": 8, "heads": 2, "hidden": 8}, steps=20, every=20, batch_size=8)
    train_in_folder(tmp_path / "joint", config, joint, keep_states=[0])
    assert recorded_task(tmp_path / "joint").digest == joint.digest
    branch(tmp_path / "joint", tmp_path / "fork", step=0, steps=20)
    assert_equal_weights(tmp_path / "joint", tmp_path / "fork", 20)
    with pytest.raises(InputError, match=r"a joint task .* keeps its answers in a fork"):
        answers_of(joint, "permuted")


@pytest.mark.parametrize(
    ("answers", "settings", "message"),
    [
        (
            "own",
            {"step": 5000, "steps": 20},
            "no snapshot at step 5000 in .*, which ends at 200: the nearest is at step 200",
        ),
        ("own", {"step": 70, "steps": 20}, "no snapshot at step 70 in .*: the nearest is at step 60"),
        (
            "own",
            {"step": 60, "steps": 20, "warm_up": 0},
            r"kept no state at step 60 \(kept: 0, 40, 80, 120, 160, 200\)",
        ),
        ("own", {"step": 80, "steps": 30}, "steps must be a multiple of every"),
        ("own", {"step": 80, "steps": 0}, "a fork starts from no other run, at a multiple of every"),
        ("own", {"step": 80, "steps": 20, "learning_rate": -1}, "learning_rate: Input should be greater than 0"),
        (
            "own",
            {"step": 80, "steps": 20, "batch_seed": -1},
            "fork.batch_seed: Input should be greater than or equal to 0",
        ),
        ("own", {"step": 80, "steps": 20, "width": 3}, "width: Extra inputs are not permitted"),
        ("nothing", {}, "unknown task 'nothing'"),
        ("mul", {}, "a fork answers the same pairs as its run, 169 of residues mod 13, and 'mul' has 144 mod 13"),
        ("add+sub", {}, "a fork answers the same pairs as its run"),
        ("permuted:x", {}, "unknown task"),
    ],
)
def test_what_no_fork_can_be_is_refused(parents, answers, settings, message):
    task = recorded_task(parents["default"])
    with pytest.raises(InputError, match=message):
        fork_config(parents["default"], answers_of(task, answers), **settings)


def test_a_table_of_another_modulus_is_refused(tmp_path, small_task):
    np.save(tmp_path / "table.npy", np.arange(25).reshape(5, 5) % 5)
    with pytest.raises(InputError, match="has 25 mod 5: choose another task"):
        answers_of(small_task, str(tmp_path / "table.npy"))


def test_a_damaged_state_is_refused(parents, tmp_path):
    shutil.copytree(parents["default"], tmp_path / "copy")
    path = state_path(tmp_path / "copy", 80)
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
    task = recorded_task(tmp_path / "copy")
    config = fork_config(tmp_path / "copy", task, step=80, steps=20)
    with pytest.raises(DamageError, match="is not what was written"):
        train_in_folder(tmp_path / "fork", config, task, parents=[tmp_path / "copy"])
    assert not (tmp_path / "fork").exists()


def test_another_run_is_no_origin(parents, small_task):
    config = fork_config(parents["default"], small_task, step=80, steps=20)
    with pytest.raises(InputError, match="holds another run, or another network, than the fork is of"):
        origin(parents["paper"], config)
    with pytest.raises(InputError, match="a fork needs the state that it goes on from"):
        Trainer(config, small_task)
