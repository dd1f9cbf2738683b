"""Networks of every kind are trained, recorded and resumed alike, against a plain PyTorch loop."""

import shutil
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from network_cases import MODELS, SOURCE
from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.models import TransformerConfig
from spectraledge.tasks import any_task
from spectraledge.training import InMemory, RunConfig, Trainer, train, train_in_folder, train_in_folders
from spectraledge.trajectory import find_snapshots, read_snapshot

every_model = pytest.mark.parametrize("case", MODELS)
SMALL = {"batch_size": 8, "steps": 12, "every": 4, "stop_accuracy": 2.0, "learning_rate": 0.01}


def configured(model, name="add", modulus=5, **settings):
    task = any_task(name, modulus=modulus)
    return RunConfig.for_task(task, model, **SMALL | settings), task


def plain_loop(config, task):
    """Train as anyone would: one module, one optimiser, the run's own first weights and batches."""
    run = Trainer(config, task)
    module = run.stack.architecture.module()
    module = module.to_empty(device="cpu") if next(module.parameters()).is_meta else module
    module.load_state_dict(run.weights(), strict=False)
    pairs = torch.from_numpy(task.pairs_N2[run.split.train_T])
    labels = torch.from_numpy(task.answers_NO[run.split.train_T])
    decay = {"lr": config.learning_rate, "betas": config.betas, "weight_decay": config.weight_decay}
    optimizer = torch.optim.AdamW(module.parameters(), **decay)
    weights, losses = [], []
    for step in range(config.steps + 1):
        if step % config.every == 0:
            weights.append({name: p.detach().clone() for name, p in module.named_parameters()})
        batch = run.batches.draw()
        out = module(pairs[batch])
        logits = (out.logits_NC if hasattr(out, "logits_NC") else out).view(len(batch), labels.shape[1], -1)
        loss = sum(F.cross_entropy(logits[:, o], labels[batch, o]) for o in range(labels.shape[1]))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip_norm)
        optimizer.step()
        losses.append(float(loss.detach()))
    return weights, losses[:-1]


def assert_alike(name, found, expected):
    # Attention does not see a shift of all keys: what moves their bias is rounding alone.
    for part in (0, 2) if name.endswith(("qkv.bias", "in_proj_bias")) else (0, 1, 2):
        ours, theirs = (tensor.tensor_split(3)[part] for tensor in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6)


@every_model
@pytest.mark.parametrize("name", ["add", "add+mul"])
@pytest.mark.parametrize("protocol", ["default", "paper"])
def test_training_is_that_of_a_plain_loop(network_model, case, name, protocol):
    config, task = configured(network_model(case), name, protocol=protocol, clip_norm=0.3)
    recorder, run = InMemory(), Trainer(config, task)
    train(run, recorder)
    weights, losses = plain_loop(config, task)
    assert recorder.steps == [0, 4, 8, 12]
    for found, expected in zip(recorder.snapshots, weights, strict=True):
        assert list(found) == list(expected)
        for key, value in found.items():
            assert_alike(key, value, expected[key])
    torch.testing.assert_close(run.recent_losses, losses[-4:], rtol=1e-4, atol=1e-5)
    pairs, answers = torch.from_numpy(task.pairs_N2), torch.from_numpy(task.answers_NO)
    out = run.model(pairs)
    logits = (out.logits_NC if hasattr(out, "logits_NC") else out).view(*answers.shape, -1)
    test = run.split.test_T
    expected = sum(F.cross_entropy(logits[test, o], answers[test, o]) for o in range(answers.shape[1]))
    assert recorder.evaluations[-1].test_loss == pytest.approx(float(expected.detach()), rel=1e-5)


SCALED = """
import torch
from torch import nn


class Scaled(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.embed = nn.Embedding(task.modulus, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.head = nn.Linear(6, task.modulus)

    def forward(self, pairs):
        return self.scale * self.head(torch.tanh(self.embed(pairs).flatten(1)))
"""


def test_a_parameter_without_axes_is_trained_and_held(tmp_path: Path):
    (tmp_path / "scaled.py").write_text(SCALED)
    model = {"kind": f"{tmp_path / 'scaled.py'}:Scaled"}
    config, task = configured(model)
    recorder = InMemory()
    train(Trainer(config, task), recorder)
    for found, expected in zip(recorder.snapshots, plain_loop(config, task)[0], strict=True):
        for key, value in found.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=2e-6)
    held = [Intervention.of("scale:all,by=0,params=scale")]
    config, task = configured(model, interventions=held)
    (manifest,) = train_in_folders([(tmp_path / "held", config, task)])
    scales = [float(read_snapshot(one.path)["scale"]) for one in find_snapshots(tmp_path / "held")]
    assert scales == [1.5] * 4
    assert manifest.interventions[0]["acted"] == 12


@every_model
def test_a_stack_is_its_runs_one_by_one(network_model, tmp_path: Path, case):
    work = []
    for seed, name in ((1, "add"), (2, "mul")):
        config, task = configured(network_model(case), name, seed=seed, weight_decay=0.1 * seed)
        work.append((tmp_path / "together" / config.run_id, config, task))
    train_in_folders(work)
    for folder, config, task in work:
        train_in_folder(tmp_path / config.run_id, config, task)
        pairs = zip(find_snapshots(folder), find_snapshots(tmp_path / config.run_id), strict=True)
        for found, alone in pairs:
            expected = read_snapshot(alone.path)
            for key, value in read_snapshot(found.path).items():
                assert_alike(key, value, expected[key])


class Killed(BaseException):
    """Stands for a signal."""


def die_at(step):
    def report(progress):
        if progress.evaluation.step == step:
            raise Killed

    return report


@every_model
def test_a_killed_run_goes_on_bit_for_bit(network_model, tmp_path: Path, case):
    config, task = configured(network_model(case))
    with pytest.raises(Killed):
        train_in_folder(tmp_path / "killed", config, task, on_progress=die_at(8))
    train_in_folder(tmp_path / "killed", config, task)
    train_in_folder(tmp_path / "whole", config, task)
    left, right = (find_snapshots(tmp_path / name) for name in ("killed", "whole"))
    assert [found.step for found in left] == [found.step for found in right] == [0, 4, 8, 12]
    assert [found.path.read_bytes() for found in left] == [found.path.read_bytes() for found in right]


@pytest.mark.parametrize("case", ["transformer", "mlp", "module"])
def test_a_trunk_is_all_but_the_head(network_model, tmp_path: Path, case):
    first, task = configured(network_model(case), "add+mul")
    second, alone = configured(network_model(case), "sub+", start=first.hash, seed=7)
    train_in_folder(tmp_path / first.run_id, first, task)
    train_in_folder(tmp_path / second.run_id, second, alone)
    end = read_snapshot(find_snapshots(tmp_path / first.run_id)[-1].path)
    begun = read_snapshot(find_snapshots(tmp_path / second.run_id)[0].path)
    differing = {name for name, value in begun.items() if value.shape != end[name].shape}
    assert differing
    assert {name for name, value in begun.items() if not (name in differing or value.equal(end[name]))} == set()


def test_another_networks_trunk_is_refused(network_model, tmp_path: Path):
    first, task = configured(network_model("mlp"), "add+mul")
    second, alone = configured(network_model("module"), "sub+", start=first.hash)
    train_in_folder(tmp_path / first.run_id, first, task)
    with pytest.raises(InputError, match="start from a network of the same kind and size"):
        train_in_folder(tmp_path / second.run_id, second, alone)


def test_a_configuration_without_a_kind_is_a_transformers(network_model):
    config, _ = configured(network_model("transformer"))
    written = config.model_dump(mode="json")
    assert "kind" not in written["model"]
    assert isinstance(RunConfig.model_validate(written).model, TransformerConfig)
    for case in MODELS:
        config, _ = configured(network_model(case))
        again = RunConfig.model_validate_json(config.model_dump_json())
        assert (again, again.hash, again.run_id) == (config, config.hash, config.run_id)


def test_a_users_file_is_what_it_holds_wherever_it_lies(tmp_path: Path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "net.py").write_text(SOURCE)
    here, task = configured({"kind": f"{tmp_path / 'here' / 'net.py'}:sums"})
    (tmp_path / "there").mkdir()
    shutil.copy(tmp_path / "here" / "net.py", tmp_path / "there" / "mine.py")
    there, _ = configured({"kind": f"{tmp_path / 'there' / 'mine.py'}:sums"})
    assert (here.run_id, here.hash) == (there.run_id, there.hash)
    assert here.run_id.startswith("add-sums-mod5-")
    with pytest.raises(Killed):
        train_in_folder(tmp_path / "run", here, task, on_progress=die_at(4))
    (tmp_path / "here" / "net.py").write_text(SOURCE + "# changed\n")
    with pytest.raises(InputError, match=r"here/net.py has changed since the run was configured"):
        train_in_folder(tmp_path / "run", here, task)
    changed, _ = configured({"kind": f"{tmp_path / 'here' / 'net.py'}:sums"})
    with pytest.raises(InputError, match=r"another configuration \(different: what .*net.py holds\)"):
        train_in_folder(tmp_path / "run", changed, task)
    train_in_folder(tmp_path / "run", there, task)
    assert find_snapshots(tmp_path / "run")[-1].step == 12
