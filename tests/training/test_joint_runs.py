"""Runs of several tasks on one trunk, and runs that go on from another run's trunk."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.models import TransformerConfig, architecture_of
from spectraledge.models.gradients import loss_and_gradient
from spectraledge.models.pairs import rows_of
from spectraledge.tasks import any_task
from spectraledge.training import PROTOCOLS, RunConfig, Trainer, train_in_folder
from spectraledge.training.loop import InMemory, train
from spectraledge.trajectory import Manifest, read_snapshot, snapshot_path

SIZES = {"width": 16, "heads": 2, "hidden": 32}


def config_of(name, **settings):
    small = {"batch_size": 32, "steps": 60, "every": 20, "stop_accuracy": 2.0}
    return RunConfig.for_task(any_task(name, modulus=13), SIZES, **small | settings)


def heads_joined(named, answers):
    """The published network's parameters by our names, its heads as one matrix."""
    joined = {name: value for name, value in named.items() if not name.startswith("heads.")}
    if answers > 1:
        for part in ("weight", "bias"):
            joined[f"head.{part}"] = torch.cat([named[f"heads.{i}.{part}"] for i in range(answers)])
    return joined


@pytest.mark.parametrize("answers", [1, 2, 3])
def test_the_gradient_is_that_of_the_summed_losses(published_network, answers):
    config = TransformerConfig(tokens=7, width=12, heads=2, hidden=16, answers=answers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = published_network(config).double()
        pairs, labels = torch.randint(7, (23, 2)), torch.randint(7, (23, answers))
    logits = network(pairs)[0]
    loss = sum(F.cross_entropy(logits[:, 7 * i : 7 * i + 7], labels[:, i]) for i in range(answers))
    loss.backward()
    named = network.named_as_ours()
    parameters = heads_joined({name: p.detach() for name, p in named.items()}, answers)
    expected = heads_joined({name: p.grad for name, p in named.items()}, answers)
    stacked = {name: value.unsqueeze(0) for name, value in parameters.items()}
    found, gradients = loss_and_gradient(config, stacked, rows_of(config, pairs[None]), labels[None])
    torch.testing.assert_close(found[0], loss.detach())
    assert sorted(gradients) == sorted(expected)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient[0], expected[name], rtol=1e-12, atol=1e-12)


def test_heads_are_drawn_one_after_another_as_the_author_does(published_network):
    config = TransformerConfig(tokens=11, width=16, heads=2, hidden=32, answers=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(42)
        expected = heads_joined(published_network(config).named_as_ours(), 3)
    found = PROTOCOLS["paper"].weights(architecture_of(config), 42)
    assert sorted(found) == sorted(expected)
    for name, parameter in found.items():
        torch.testing.assert_close(parameter, expected[name], rtol=0, atol=0)


def test_parts_are_evaluated_one_by_one():
    task = any_task("add+mul", modulus=13)
    trainer = Trainer(config_of("add+mul"), task)
    trainer.advance(20)
    found = trainer.evaluate()
    logits = trainer.model(torch.from_numpy(task.pairs_N2)).logits_NC.detach().view(len(task), 2, 13)
    test = trainer.split.test_T
    for i, part in enumerate(found.parts):
        assert part.part == ("add", "mul")[i]
        labels = torch.from_numpy(task.answers_NO[:, i])
        right = (logits[:, i].argmax(-1) == labels).numpy()
        assert part.test_accuracy == pytest.approx(right[test].mean())
        assert part.test_loss == pytest.approx(float(F.cross_entropy(logits[test, i], labels[test])), rel=1e-5)
    assert found.test_loss == pytest.approx(sum(part.test_loss for part in found.parts))
    assert found.test_accuracy == min(part.test_accuracy for part in found.parts)


def test_only_required_parts_count_for_stopping():
    task = any_task("add+permuted_mul", modulus=13)
    of = {}
    for required in ((), ("add",)):
        trainer = Trainer(config_of("add+permuted_mul", required=required), task)
        trainer.advance(20)
        of[required] = trainer.evaluate()
    by_part = {part.part: part.test_accuracy for part in of[()].parts}
    assert by_part["add"] != by_part["permuted_mul"]
    assert of[()].test_accuracy == min(by_part.values())
    assert of["add",].test_accuracy == by_part["add"]


def test_a_recorded_joint_run_goes_on_where_it_was_killed(tmp_path):
    config, task = config_of("add+mul"), any_task("add+mul", modulus=13)
    whole = InMemory()
    train(Trainer(config, task), whole)

    def kill(progress):
        if progress.evaluation.step == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_folder(tmp_path / "run", config, task, on_progress=kill)
    train_in_folder(tmp_path / "run", config, task)
    found = read_snapshot(snapshot_path(tmp_path / "run", 60))
    torch.testing.assert_close(found, whole.snapshots[-1], rtol=0, atol=0)
    parts = read_table(tmp_path / "run" / "parts.parquet")
    expected = [(e.step, part.part, part.test_loss) for e in whole.evaluations for part in e.parts]
    assert list(parts[["step", "part", "test_loss"]].itertuples(index=False, name=None)) == expected
    domain = read_table(tmp_path / "run" / "domain.parquet")
    np.testing.assert_array_equal(domain[["label_add", "label_mul"]], task.answers_NO)


def test_a_run_starts_from_the_trunk_of_another(tmp_path):
    first, first_task = config_of("add+mul"), any_task("add+mul", modulus=13)
    second = config_of("square_sum+", start=first.hash, seed=7)
    task = any_task("square_sum+", modulus=13)
    with pytest.raises(InputError, match="which is not there or not finished"):
        train_in_folder(tmp_path / second.run_id, second, task)
    assert not (tmp_path / second.run_id).exists()
    train_in_folder(tmp_path / first.run_id, first, first_task)
    train_in_folder(tmp_path / second.run_id, second, task)
    end = read_snapshot(snapshot_path(tmp_path / first.run_id, Manifest.read(tmp_path / first.run_id).step))
    begun = read_snapshot(snapshot_path(tmp_path / second.run_id, 0))
    drawn = PROTOCOLS["default"].weights(architecture_of(second.model), 7)
    for name, value in begun.items():
        expected = drawn[name] if name.startswith("head.") else end[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0)
    assert second.hash != config_of("square_sum+", seed=7).hash


def test_a_start_without_its_trunk_is_refused():
    config = config_of("square_sum+", start="0" * 64)
    with pytest.raises(InputError, match="needs its trunk"):
        Trainer(config, any_task("square_sum+", modulus=13))
