"""A joint run seen through one of its heads."""

import numpy as np
import pytest
import torch

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.step import analyze_step
from spectraledge.errors import InputError
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig, Trainer, train_in_folder


@pytest.fixture(scope="module")
def joint_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("joint") / "run"
    task = any_task("add+mul", modulus=13)
    config = RunConfig.for_task(
        task, {"width": 16, "heads": 2, "hidden": 32}, batch_size=32, steps=200, every=20, stop_accuracy=2.0
    )
    train_in_folder(folder, config, task)
    return folder


@pytest.fixture(scope="module")
def trainer(joint_run):
    """The same training without a folder."""
    trainer = Trainer(RunConfig.of_run(joint_run), any_task("add+mul", modulus=13))
    trainer.advance(200)
    return trainer


@pytest.mark.parametrize(("part", "head"), [("add", 0), ("mul", 1), (None, 1)])
def test_each_part_has_its_head_labels_and_structure(joint_run, trainer, part, head):
    run = RecordedRun.open(joint_run, part=part)
    expected = any_task("add+mul", modulus=13).parts[head]
    assert (run.task.name, run.task.structure, run.head) == (expected.name, expected.structure, head)
    np.testing.assert_array_equal(run.task.labels_N, expected.labels_N)
    network = Network.at(run, 200)
    with torch.no_grad():
        logits = trainer.model(torch.from_numpy(run.task.pairs_N2)).logits_NC[:, 13 * head : 13 * head + 13]
    torch.testing.assert_close(network.still["logits"], logits.double(), rtol=1e-4, atol=1e-4)
    accuracy = float((logits.argmax(-1).numpy() == expected.labels_N)[run.test_N].mean())
    assert run.metrics["test_accuracy"].iloc[-1] == pytest.approx(accuracy)
    assert list(run.metrics["step"]) == list(range(0, 201, 20))


def test_an_unknown_part_is_refused(joint_run):
    with pytest.raises(InputError, match=r"has no part 'sub': its parts are add, mul"):
        RecordedRun.open(joint_run, part="sub")


def test_heads_of_a_joint_run_cannot_be_watched(joint_run):
    run = RecordedRun.open(joint_run, ["*"])
    with pytest.raises(InputError, match=r"seen through one of its heads, and head.bias, head.weight hold all"):
        run.window(200, window=10, center=True)
    with pytest.raises(InputError, match="watch other parameters"):
        Network.at(run, 200)


def test_a_joint_run_is_analysed_like_any_other(joint_run):
    found = analyze_step(joint_run, AnalysisConfig(window=10, nulls=3))
    assert found["modes"]["step"].unique().tolist() == [200]
    assert set(found["modes"]["basis"]) >= {"dlog_sum", "sum"}
    assert len(found["selection"])
