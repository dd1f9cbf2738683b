"""Windows of gradients against plain training and autograd, and against what windows of updates have."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from spectraledge import RunConfig, named_task
from spectraledge.analyses.gradient_windows import SOURCES, adam_memory, gradient_sentence, gradient_windows
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import analyze_folder
from spectraledge.analyses.step import analyze_step
from spectraledge.errors import InputError
from spectraledge.models import architecture_of
from spectraledge.observed.gradient_batch import DRAWS
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import any_task
from spectraledge.training import train_in_folder

SETTINGS = AnalysisConfig(window=5, nulls=4, edge=2, step=40)
SIZES = {"width": 12, "heads": 2, "hidden": 16}


@pytest.fixture(scope="module")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Addition mod 7 that keeps its optimizer's state at every snapshot."""
    folder, task = tmp_path_factory.mktemp("kept") / "run", named_task("add", modulus=7)
    config = RunConfig.for_task(task, SIZES, steps=45, every=5, batch_size=16, seed=1, learning_rate=3e-3)
    train_in_folder(folder, config, task, keep_states=range(0, 46, 5))
    return folder


@pytest.fixture(scope="module")
def tables(kept_run: Path) -> dict[str, pd.DataFrame]:
    return gradient_windows(kept_run, SETTINGS)


def naive_gradient(folder: Path, step: int, labels_n: torch.Tensor) -> dict[str, torch.Tensor]:
    """Of the mean loss of all training pairs (fewer than a batch), by autograd."""
    run = RecordedRun.open(folder)
    module = architecture_of(run.config.model).module()
    path = next(one.path for one in run.series.snapshots if one.step == step)
    module.load_state_dict({name: value.double() for name, value in load_file(path).items()}, assign=True)
    logits = module(torch.from_numpy(run.task.pairs_N2[~run.test_N])).logits_NC
    torch.nn.functional.cross_entropy(logits, labels_n).backward()
    return {name: value.grad for name, value in module.named_parameters()}


def singular_values(rows_WP: np.ndarray) -> np.ndarray:
    return np.linalg.svd(rows_WP - rows_WP.mean(0), compute_uv=False)


def of_source(table: pd.DataFrame, source: str) -> pd.DataFrame:
    found = table[table["source"] == source]
    assert len(found)
    return found


def test_the_gradient_of_a_batch_is_that_of_the_snapshots(kept_run: Path, tables: dict[str, pd.DataFrame]) -> None:
    run = RecordedRun.open(kept_run)
    labels_n = torch.from_numpy(run.task.labels_N[~run.test_N])
    rows, scaled = [], []
    for step in (20, 25, 30, 35, 40):
        gradient_P = run.series.layout.join(naive_gradient(kept_run, step, labels_n))
        memory = adam_memory(run, step)
        assert memory is not None
        rows.append(gradient_P.numpy())
        scaled.append((gradient_P / (memory[1].sqrt() + 1e-8)).numpy())
    for source, rows_WP in (("gradient", rows), ("preconditioned", scaled)):
        found = of_source(tables["gradient_spectra"], source)["singular_value"]
        np.testing.assert_allclose(found[:4], singular_values(np.array(rows_WP))[:4], rtol=1e-6)
        assert found.iloc[4] == 0  # Centring takes one away.


def test_the_memory_is_that_of_pytorchs_adam(tmp_path: Path) -> None:
    task = named_task("add", modulus=5)
    config = RunConfig.for_task(task, SIZES, steps=3, every=1, seed=1, batch_size=0, clip_norm=0.0)
    train_in_folder(tmp_path / "run", config, task, keep_states=range(4))
    run = RecordedRun.open(tmp_path / "run")
    labels_n = torch.from_numpy(run.task.labels_N[~run.test_N])
    first = second = 0.0
    for step in range(3):  # All pairs are a batch, so that step's gradient is that of the snapshot before it.
        gradient_P = run.series.layout.join(naive_gradient(tmp_path / "run", step, labels_n))
        first = config.betas[0] * first + (1 - config.betas[0]) * gradient_P
        second = config.betas[1] * second + (1 - config.betas[1]) * gradient_P**2
    memory = adam_memory(run, 3)
    assert memory is not None
    for found_P, mean_P, beta in zip(memory, (first, second), config.betas, strict=True):
        torch.testing.assert_close(found_P, mean_P / (1 - beta**3), rtol=1e-3, atol=1e-9)
    assert adam_memory(run, 0) is None
    (tmp_path / "run" / "states" / "step_00000003.safetensors").unlink()
    assert adam_memory(run, 3) is None


def test_the_window_of_updates_is_read_as_elsewhere(kept_run: Path, tables: dict[str, pd.DataFrame]) -> None:
    patterns = RunConfig.of_run(kept_run).watched
    expected = analyze_folder(kept_run, patterns=patterns, window=5, center=True)
    columns = ["step", "k", "eigenvalue", "singular_value", "share"]
    of_step = expected.spectrum[expected.spectrum["step"] == 40][columns].reset_index(drop=True)
    found = of_source(tables["gradient_spectra"], "update")[columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, of_step, rtol=1e-6)
    edge = of_source(tables["gradient_edges"], "update").iloc[0]
    assert edge["with_updates"] == pytest.approx(1.0)
    assert edge["k_star"] == expected.edge.set_index("step")["k_star"][40]
    selection = analyze_step(kept_run, SETTINGS)["selection"]
    own = selection[(selection["basis"] == "sum") & (selection["subspace"] == "frequency")].iloc[0]
    row = of_source(tables["gradient_selection"], "update").iloc[0]
    assert (row["basis"], row["functions"]) == ("sum", "add")
    assert row["window_share"] == pytest.approx(own["window_share"], rel=1e-9)
    assert row["ratio"] == pytest.approx(row["window_share"] / row["random_share"])


def test_every_source_is_there(tables: dict[str, pd.DataFrame], run: Path) -> None:
    draws = {"permuted": DRAWS, "preconditioned permuted": DRAWS}
    counts = tables["gradient_edges"].groupby("source").size().to_dict()
    assert counts == {source: draws.get(source, 1) for source in SOURCES}
    selected = tables["gradient_selection"]
    assert len(selected) == len(tables["gradient_edges"])
    # The last update, with the mean that centring takes out, is in its own window's span only without it.
    assert selected["next_whole"].notna().all()
    words = gradient_sentence(selected)
    assert f"gradient {of_source(selected, 'gradient')['ratio'].iloc[0]:.3g}" in words
    without = gradient_windows(run, SETTINGS.model_copy(update={"step": None}))["gradient_edges"]
    assert set(without["source"]) == {"update", "optimizer", "decay", "summed", "gradient", "permuted"}


def test_the_whole_span_carries_the_last_update(kept_run: Path) -> None:
    plain = SETTINGS.model_copy(update={"center_modes": False, "step": 45})
    row = of_source(gradient_windows(kept_run, plain)["gradient_selection"], "update").iloc[0]
    assert row["last_whole"] == pytest.approx(1.0, rel=1e-4)
    assert np.isnan(row["next_whole"])


def test_a_joint_task_has_the_gradient_of_every_part(tmp_path: Path) -> None:
    task = any_task("add+mul", modulus=7)
    config = RunConfig.for_task(task, SIZES, steps=35, every=5, batch_size=16, stop_accuracy=2.0)
    train_in_folder(tmp_path / "run", config, task)
    found = gradient_windows(tmp_path / "run", AnalysisConfig(window=5, nulls=2, edge=2, center_modes=False))
    edges = found["gradient_edges"].query("source == 'gradient'").set_index("part")
    assert set(edges.index) == {"", "add", "mul"}
    total = 0.0
    for step in (15, 20, 25, 30, 35):
        network = architecture_of(config.model).module()
        network.load_state_dict(
            {k: v.double() for k, v in load_file(tmp_path / f"run/snapshots/step_{step:08d}.safetensors").items()},
            assign=True,
        )
        run = RecordedRun.open(tmp_path / "run")
        logits = network(torch.from_numpy(task.pairs_N2[~run.test_N])).logits_NC.unflatten(1, (2, 7))
        labels = torch.from_numpy(task.answers_NO[~run.test_N])
        torch.nn.functional.cross_entropy(logits.movedim(2, 1), labels, reduction="none").sum(1).mean().backward()
        watched = run.series.layout.join({k: v.grad for k, v in network.named_parameters()})
        total += float(watched.square().sum())
    assert edges["trace"][""] == pytest.approx(total, rel=1e-5)
    selected = found["gradient_selection"].query("source == 'gradient'")
    assert sorted(zip(selected["part"], selected["functions"], strict=True)) == [
        (part, functions) for part in ("", "add", "mul") for functions in ("add", "mul")
    ]
    assert set(selected["basis"]) == {"sum", "dlog_sum"}


def test_with_a_stride_it_is_followed(kept_run: Path) -> None:
    found = gradient_windows(kept_run, SETTINGS.model_copy(update={"step": None, "stride": 3}))["gradient_edges"]
    assert found["step"].unique().tolist() == [30, 45]
    with pytest.raises(InputError, match="window"):
        gradient_windows(kept_run, SETTINGS.model_copy(update={"window": 30, "stride": 1}))
