"""On a GPU, where one is at hand: the same numbers as on the CPU, up to rounding."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from network_cases import MODELS
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.models import Transformer, TransformerConfig
from spectraledge.models.tangents import residual_tangents
from spectraledge.spectrum import BandedGram
from spectraledge.tasks import named_task, task_from_source
from spectraledge.training import InMemory, Member, RunConfig, Stack, Trainer, train, train_in_folder, train_together
from spectraledge.training.run_folder import RunFolder
from spectraledge.trajectory import find_snapshots, read_snapshot

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")

SMALL = {"batch_size": 32, "steps": 60, "every": 20, "stop_accuracy": 2.0}


def make(name="add", **settings):
    task = named_task(name, modulus=13)
    return RunConfig.for_task(task, {"width": 16, "heads": 2, "hidden": 32}, **(SMALL | settings)), task


def relative_error(found, expected):
    ours, theirs = (torch.cat([parts[name].cpu().flatten() for name in expected]) for parts in (found, expected))
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_runs_of_a_stack_are_those_of_the_cpu(engine):
    # Of different lengths: the stack shrinks on the way, and records its step anew.
    settings = [{"name": "add"}, {"name": "mul", "weight_decay": 0.0}, {"seed": 3, "steps": 20}, {"seed": 4}]
    recorders = [InMemory() for _ in settings]
    stack = Stack([Member(*make(engine=engine, **chosen)) for chosen in settings], device="cuda")
    assert train_together(stack, recorders) == {}
    for chosen, recorder in zip(settings, recorders, strict=True):
        alone = InMemory()
        train(Trainer(*make(**chosen)), alone)
        assert recorder.steps == alone.steps
        assert relative_error(recorder.snapshots[-1], alone.snapshots[-1]) < 1e-4
        for found, expected in zip(recorder.evaluations, alone.evaluations, strict=True):
            losses = [found.train_loss, found.test_loss, found.gradient_norm]
            np.testing.assert_allclose(losses, [expected.train_loss, expected.test_loss, expected.gradient_norm], 1e-4)


@pytest.mark.parametrize("case", MODELS)
def test_networks_of_every_kind(network_model, case):
    task, settings = named_task("add", modulus=13), SMALL | {"steps": 20, "every": 10}
    configs = [RunConfig.for_task(task, network_model(case), seed=seed, **settings) for seed in (1, 2)]
    recorders = [InMemory() for _ in configs]
    train_together(Stack([Member(config, task) for config in configs], device="cuda"), recorders)
    for config, recorder in zip(configs, recorders, strict=True):
        alone = InMemory()
        train(Trainer(config, task), alone)
        assert relative_error(recorder.snapshots[-1], alone.snapshots[-1]) < 1e-3


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_what_moved_the_weights_adds_up(engine):
    run = Trainer(*make(engine=engine), device="cuda")
    alone = Trainer(*make())
    for _ in range(3):
        run.advance(20)
        alone.advance(20)
        for kind, moved in alone.moves().items():
            assert relative_error(run.moves()[kind], moved) < 1e-3
    np.testing.assert_allclose(run.recent_losses, alone.recent_losses, rtol=1e-4)


def test_a_run_goes_on_on_the_other_device(tmp_path):
    config, task = make()
    with RunFolder(tmp_path / "moved", config, task) as recorder:
        run = Trainer(config, task, device="cuda")
        history = recorder.resume(run)
        for _ in range(2):
            run.advance(20)
            history.append(run.evaluate())
            recorder.record(run, history)
    train_in_folder(tmp_path / "moved", config, task)
    train_in_folder(tmp_path / "cpu", config, task)
    moved, alone = (find_snapshots(tmp_path / name) for name in ("moved", "cpu"))
    assert [found.step for found in moved] == [20, 40, 60]
    assert relative_error(read_snapshot(moved[-1].path), read_snapshot(alone[-1].path)) < 1e-4


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_responses(dtype, tolerance):
    config = TransformerConfig(tokens=11, width=8, heads=4, hidden=20, depth=2)
    parameters = {name: value.detach().to(dtype) for name, value in Transformer(config).named_parameters()}
    names = [name for name in parameters if ".attention." in name and name.endswith(".weight")]
    directions = {name: torch.randn(3, *parameters[name].shape, dtype=dtype) for name in names}
    tokens = torch.cartesian_prod(torch.arange(11), torch.arange(11))
    expected = residual_tangents(config, parameters, directions, tokens)
    there = [{name: value.cuda() for name, value in part.items()} for part in (parameters, directions)]
    found = residual_tangents(config, *there, tokens.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_windows(dtype):
    updates_TP = torch.randn(50, 70_000).to(dtype)
    grams = BandedGram(20), BandedGram(20)
    grams[0].extend(updates_TP)
    for part in torch.split(updates_TP.cuda(), [1, 30, 19]):
        grams[1].extend(part)
    torch.testing.assert_close(grams[1].windows().cpu(), grams[0].windows(), rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("place", [None, "cpu"])
def test_the_tracker(place):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    watched, kept = [model[0].weight, model[2].weight], []
    with SpectralEdgeTracker(model, optimizer, params="*weight", window=5, every=3, device=place) as tracker:
        kept.append(nn.utils.parameters_to_vector(watched).detach().cpu())
        for _ in range(12):
            for _ in range(3):
                optimizer.zero_grad()
                inputs = torch.randn(8, 5, device="cuda")
                (model(inputs) - inputs[:, :3].sin()).square().mean().backward()
                optimizer.step()
            kept.append(nn.utils.parameters_to_vector(watched).detach().cpu())
    updates_TP = torch.stack(kept).double().diff(dim=0)
    found = tracker.results().gram["product"].to_numpy().reshape(12, 6)
    np.testing.assert_allclose(found[:, 0], updates_TP.square().sum(1).numpy(), rtol=1e-4)
    np.testing.assert_allclose(found[1:, 1], (updates_TP[1:] * updates_TP[:-1]).sum(1).numpy(), rtol=1e-3, atol=1e-6)
    assert tracker.overhead.seconds > 0


OF_A_GROUP = ("cosets", "centroids", "step", "curvature")
OF_JOINT_HEADS = ("cousage", "reuse", "gradients")
SETTINGS = AnalysisConfig(window=4, nulls=3, surrogates=19, stride=4)


@pytest.fixture(scope="session")
def joint_run(tmp_path_factory):
    folder, task = tmp_path_factory.mktemp("gpu") / "joint", task_from_source("add+mul", modulus=11)
    config = RunConfig.for_task(task, {"width": 12, "heads": 2, "hidden": 16}, steps=60, every=5, batch_size=32)
    train_in_folder(folder, config, task, keep_states=range(0, 61, 5))
    return folder


def check_analysis(folder, name, settings, rtol, atol):
    expected = ANALYSES[name].measure(folder, settings)
    found = ANALYSES[name].measure(folder, settings.model_copy(update={"device": "cuda"}))
    for table, frame in expected.items():
        pd.testing.assert_frame_equal(found[table], frame, rtol=rtol, atol=atol, obj=table)


@pytest.mark.parametrize("name", [name for name in ANALYSES if name not in ("cosets", "autoencoder", *OF_JOINT_HEADS)])
def test_analyses_are_those_of_the_cpu(add_run, name):
    # Most passes are in single precision; shares of small numbers differ by more of themselves.
    check_analysis(add_run, name, SETTINGS, 2e-3, 1e-4)


@pytest.mark.parametrize("name", OF_A_GROUP)
def test_analyses_on_a_group(group_run, name):
    check_analysis(group_run, name, SETTINGS, 2e-3, 1e-4)


@pytest.mark.parametrize("name", OF_JOINT_HEADS)
def test_analyses_of_several_heads(joint_run, name):
    check_analysis(joint_run, name, SETTINGS, 2e-3, 1e-4)


def test_a_step_in_double_precision(add_run):
    there = SETTINGS.model_copy(update={"device": "cuda"})
    here, found = (ANALYSES["step"].measure(add_run, settings) for settings in (SETTINGS, there))
    for table, column in (("modes", "energy_share"), ("selection", "ratio"), ("contrasts", "energy")):
        values = [tables[table][column].to_numpy(np.float64) for tables in (found, here)]
        np.testing.assert_allclose(*values, rtol=1e-7, atol=1e-9)


def test_the_dictionary_is_trained_there(add_run):
    # Adam takes another path after rounding: sets of features are alike, not equal.
    found = ANALYSES["autoencoder"].measure(add_run, SETTINGS.model_copy(update={"device": "cuda"}))
    expected = ANALYSES["autoencoder"].measure(add_run, SETTINGS)
    explained = [float(tables["autoencoder_fit"]["explained"].iloc[0]) for tables in (found, expected)]
    assert abs(explained[0] - explained[1]) < 0.02
