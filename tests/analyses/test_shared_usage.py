"""Co-usage on recorded runs, against per-example gradients by autograd, and through several heads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.shared_usage import analyze_cousage, cousage_tables
from spectraledge.errors import InputError
from spectraledge.models import Transformer
from spectraledge.observed.labelled_directions import LabelledDirections, collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig, train_in_folder

WINDOW, NULLS = 6, 8


def parts_of(folder: Path, part: str | None = None) -> tuple[Window, LabelledDirections, Network]:
    run = RecordedRun.open(folder, part=part)
    at = run.chosen_step()
    window = run.window(at, window=WINDOW, center=True)
    network = Network.at(run, at)
    kinds = ("edge", "bulk", "random")
    return window, collect_directions(run, window, network, View(edge=3, nulls=NULLS), kinds=kinds), network


def gradients(network: Network, vectors_KP: torch.Tensor) -> np.ndarray:
    """Inner products of every example's own gradient with the directions, one backward pass per example."""
    model = Transformer(network.architecture.config).double()
    model.load_state_dict(network.parameters)
    watched = [dict(model.named_parameters())[name] for name in network.layout.shapes]
    found = []
    for tokens, label in zip(network.inputs_N2, network.labels_N, strict=True):
        loss = F.cross_entropy(model(tokens[None]).logits_NC, label[None])
        flat = torch.cat([gradient.reshape(-1) for gradient in torch.autograd.grad(loss, watched)])
        found.append((vectors_KP @ flat).numpy())
    return np.array(found).T


@pytest.fixture(scope="module")
def joint_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("joint") / "run"
    task = any_task("add+mul+sub", modulus=7)
    sizes = {"width": 12, "heads": 2, "hidden": 16}
    config = RunConfig.for_task(task, sizes, batch_size=32, steps=120, every=10, stop_accuracy=2.0)
    train_in_folder(folder, config, task)
    return folder


def test_usage_equals_gradients_of_every_example(run: Path) -> None:
    window, directions, network = parts_of(run)
    usage_KN = gradients(network, directions.vectors_KP)
    tables = cousage_tables(window, directions, {"mul": network})
    table = tables["usage"]
    assert list(zip(table["kind"], table["direction"], strict=True)) == list(
        zip(directions.kinds, directions.numbers, strict=True)
    )
    np.testing.assert_allclose(table["slope"], usage_KN.mean(axis=1), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(table["energy"], (usage_KN**2).mean(axis=1), rtol=1e-8)
    count = len(directions.places("edge", "bulk"))
    for group, rows in (("window", usage_KN[:count]), ("random", usage_KN[count:])):
        correlations = np.corrcoef(rows)
        own = tables["usage_correlations"].query("group == @group")
        assert len(own) == len(rows) * (len(rows) - 1) / 2
        found = correlations[own["first"].to_numpy() - 1, own["second"].to_numpy() - 1]
        np.testing.assert_allclose(own["correlation"], found, atol=1e-8)
        near = [
            1 - np.mean([abs(correlations[k, j]) for j in range(len(rows)) if j != k and abs(j - k) <= 2])
            for k in range(len(rows))
        ]
        kinds = ["edge", "bulk"] if group == "window" else ["random"]
        np.testing.assert_allclose(table.loc[table["kind"].isin(kinds), "dominance"], near, atol=1e-8)
    of_window = table[table["kind"] != "random"]
    np.testing.assert_allclose(of_window["eigenvalue"], window.directions.eigenvalues_K)
    np.testing.assert_allclose(of_window["effective_weight"], of_window["eigenvalue"] * of_window["dominance"])
    assert of_window["p"].between(2 / (NULLS + 1), 1).all()
    assert table.loc[table["kind"] == "random", ["eigenvalue", "effective_weight", "p"]].isna().all(axis=None)


def test_one_head_shares_all_it_has(run: Path) -> None:
    shared = analyze_cousage(run, AnalysisConfig(window=WINDOW, nulls=NULLS))["sharedness"]
    np.testing.assert_allclose(shared["sharedness"], 1)
    np.testing.assert_array_equal(shared["floor"], 1)
    np.testing.assert_array_equal(shared["heads"], 1)


def test_equal_heads_share_all_and_a_silent_one_nothing(run: Path) -> None:
    window, directions, network = parts_of(run)
    tables = cousage_tables(window, directions, {"one": network, "other": network})
    np.testing.assert_allclose(tables["sharedness"]["sharedness"], 1)
    # A head that is certain of answers that are right has no loss to move along anything.
    silent = {
        "head.weight": torch.zeros_like(network.parameters["head.weight"]),
        "head.bias": torch.nn.functional.one_hot(torch.tensor(2), 7).double() * 40,
    }
    certain = replace(
        network, parameters={**network.parameters, **silent}, labels_N=torch.full_like(network.labels_N, 2)
    )
    # Its responses must vary a little, or they correlate with nothing.
    certain.parameters["head.weight"][:, 0] += torch.arange(7) * 1e-3
    alone = cousage_tables(window, directions, {"one": network, "certain": certain})["sharedness"]
    np.testing.assert_allclose(alone["sharedness"], 0.5, atol=1e-6)
    np.testing.assert_array_equal(alone["floor"], 0.5)


def test_other_answers_are_another_head(run: Path) -> None:
    window, directions, network = parts_of(run)
    dealt = replace(network, labels_N=network.labels_N[torch.randperm(36, generator=torch.Generator().manual_seed(0))])
    tables = cousage_tables(window, directions, {"right": network, "dealt": dealt})
    energy = [np.square(gradients(head, directions.vectors_KP)).mean(axis=1) for head in (network, dealt)]
    expected = (energy[0] + energy[1]) ** 2 / (2 * (energy[0] ** 2 + energy[1] ** 2))
    np.testing.assert_allclose(tables["sharedness"]["sharedness"], expected, rtol=1e-8)
    found = tables["usage"].groupby("head", sort=False)["energy"].apply(list)
    np.testing.assert_allclose(np.array(found.to_list()), energy, rtol=1e-8)


def test_a_joint_run_is_seen_through_all_its_heads(joint_run: Path) -> None:
    tables = analyze_cousage(joint_run, AnalysisConfig(window=WINDOW, nulls=NULLS))
    window, directions, _ = parts_of(joint_run)
    energy = []
    for part in ("add", "mul", "sub"):
        usage_KN = gradients(parts_of(joint_run, part)[2], directions.vectors_KP)
        energy.append(np.square(usage_KN).mean(axis=1))
        own = tables["usage"].query("head == @part")
        np.testing.assert_allclose(own["energy"], energy[-1], rtol=1e-3)
    total = np.sum(energy, axis=0) ** 2 / (3 * np.sum(np.square(energy), axis=0))
    np.testing.assert_allclose(tables["sharedness"]["sharedness"], total, rtol=1e-3)
    np.testing.assert_allclose(tables["sharedness"]["floor"], 1 / 3)
    assert (tables["sharedness"]["step"] == window.step).all()


def test_heads_of_different_trunks_are_refused(run: Path) -> None:
    window, directions, network = parts_of(run)
    moved = {**network.parameters, "norm.weight": network.parameters["norm.weight"] + 1}
    with pytest.raises(InputError, match="heads that are compared must share their trunk and inputs"):
        cousage_tables(window, directions, {"one": network, "other": replace(network, parameters=moved)})
