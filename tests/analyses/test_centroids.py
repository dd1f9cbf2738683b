"""Centroids of inputs: against differences of gradients by a plain module, and what they have to be by their laws."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from spectraledge.analyses.centroids import (
    CENTROIDS,
    FORMS,
    SIZES,
    CentroidProbe,
    centroid_sentence,
    centroid_table,
)
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.models import architecture_of
from spectraledge.observed.gradient_batch import DRAWS
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.statistics import random_directions
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig, train_in_folder

SETTINGS = AnalysisConfig(window=5, nulls=4, edge=2)


@pytest.fixture(scope="module")
def table(run: Path) -> pd.DataFrame:
    return centroid_table(run, SETTINGS)["centroids"]


def probe_of(run: Path, step: int) -> CentroidProbe:
    recorded = RecordedRun.open(run)
    probe = CentroidProbe.of(Network.at(recorded, step), torch.arange(len(recorded.task)))
    assert probe is not None
    return probe


def naive_centroids(run: Path, step: int, form: str) -> torch.Tensor:
    """One input at a time: what the rows of the table that it reads have to do with its logits, (N, tokens, D)."""
    recorded = RecordedRun.open(run)
    module = architecture_of(RunConfig.of_run(run).model).module()
    path = next(one.path for one in recorded.series.snapshots if one.step == step)
    module.load_state_dict({name: value.double() for name, value in load_file(path).items()}, assign=True)
    rows = module.token_embedding.weight.requires_grad_()
    found = []
    for pair, label in zip(recorded.task.pairs_N2, recorded.task.labels_N, strict=True):
        logits = module(torch.from_numpy(pair)[None]).logits_NC[0]
        found.append(torch.autograd.grad(logits[label] if form == "answer" else logits.sum(), rows)[0])
    return torch.stack(found)


@pytest.mark.parametrize("form", FORMS)
def test_centroids_are_gradients_of_each_input_alone(run: Path, form: str) -> None:
    step = RecordedRun.open(run).steps[-1]
    found_N2D, expected_NMD = probe_of(run, step).centroids()[form], naive_centroids(run, step, form)
    pairs_N2 = RecordedRun.open(run).task.pairs_N2
    for place, (a, b) in enumerate(pairs_N2.tolist()):
        parts_MD = torch.zeros_like(expected_NMD[place])
        parts_MD[a] += found_N2D[place, 0]
        parts_MD[b] += found_N2D[place, 1]
        torch.testing.assert_close(parts_MD, expected_NMD[place], rtol=1e-10, atol=1e-12)


def test_a_difference_is_the_derivative(run: Path) -> None:
    step = RecordedRun.open(run).steps[-1]
    probe = probe_of(run, step)
    (vector_P,) = random_directions(1, probe.network.layout.size, torch.Generator().manual_seed(0))
    half, whole = (probe.moves(vector_P, size) for size in (SIZES[1], SIZES[0]))
    # The error of a central difference falls with the square of its size.
    finest = probe.moves(vector_P, SIZES[1] / 10)
    for form in FORMS:
        assert half[form] == pytest.approx(finest[form], rel=1e-3)
        assert abs(half[form] - finest[form]) < abs(whole[form] - finest[form]) / 20
        assert probe.moves(-vector_P, SIZES[0])[form] == pytest.approx(whole[form], rel=1e-9)


def test_ratios_are_over_isotropic_directions(table: pd.DataFrame) -> None:
    assert CENTROIDS.misfit(table.columns) == ""
    medians = table[table["kind"] == "random"].groupby(["form", "size"])["ratio"].median()
    np.testing.assert_allclose(medians, 1.0, rtol=1e-12)
    counts = table[(table["form"] == "answer") & (table["size"] == SIZES[0])].groupby(["kind", "window"]).size()
    expected = {("update", 5): 2, ("gradient", 5): 2, ("gradient", 1): 1, ("block", 5): 4, ("random", 5): 4}
    expected |= {("permuted", 5): 2 * DRAWS, ("permuted", 1): DRAWS}
    assert counts.to_dict() == expected


def test_the_last_gradient_is_that_of_the_batch(run: Path, table: pd.DataFrame) -> None:
    recorded = RecordedRun.open(run)
    step = int(table["step"].iloc[0])
    training = ~recorded.test_N
    assert training.sum() < 512, "the batch is then all of them, whatever was drawn"
    network = Network.at(recorded, step)
    probe = CentroidProbe.of(network, torch.arange(len(recorded.task)))
    assert probe is not None
    moved = probe.moves(torch.nn.functional.normalize(network.gradient(training), dim=0), SIZES[0])
    found = table.query("kind == 'gradient' and window == 1").query("size == @SIZES[0]").set_index("form")["moved"]
    for form in FORMS:
        assert found[form] == pytest.approx(moved[form], rel=1e-6)


def test_the_same_again(run: Path, table: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(centroid_table(run, SETTINGS)["centroids"], table)


def test_it_is_said(table: pd.DataFrame) -> None:
    words = centroid_sentence(table)
    own = table.query("form == 'answer' and kind == 'gradient' and window == 5").query("size == @SIZES[0]")
    assert f"the gradients' window move centroids {own['ratio'].mean():.3g} times as much" in words
    assert "permuted answers" in words


def test_a_network_that_its_weights_do_not_move_is_refused(tmp_path: Path) -> None:
    # Normalised, a stream of one number is zero.
    sizes = {"width": 1, "heads": 1, "hidden": 1, "depth": 1}
    config = RunConfig.for_task(task := named_task("add", modulus=5), sizes, steps=24, every=4)
    train_in_folder(tmp_path / "run", config, task)
    with pytest.raises(InputError, match="the gradients of the watched weights are all the same at the 5 snapshots"):
        centroid_table(tmp_path / "run", SETTINGS)
