"""Branches of one network, against its whole Jacobian and group means taken by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.analysis import Table
from spectraledge.analyses.branches import BRANCHES, branch_groupings, branch_sentence, branch_table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.interventions import Intervention
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.statistics import random_directions
from spectraledge.streams import torch_generator
from spectraledge.tasks import grouping
from spectraledge.training import train_in_folder
from spectraledge.training.forks import branch_runs

SETTINGS = AnalysisConfig(nulls=6)
SIZES = {"width": 8, "heads": 2, "hidden": 8}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    task = named_task("add", modulus=7)
    folder = tmp_path_factory.mktemp("branches") / "run"
    config = RunConfig.for_task(task, SIZES, batch_size=16, steps=120, every=20, learning_rate=0.01, stop_accuracy=2.0)
    train_in_folder(folder, config, task, keep_states=[60])
    return folder


@pytest.fixture(scope="module")
def branches(parent: Path) -> dict[str, Path]:
    runs = branch_runs(parent, step=60, steps=40, answers=["permuted", "sub"], batch_seed=[1])
    folders = {}
    for name, (config, task) in runs.items():
        folders[name] = parent.with_name(name.replace(" ", "-"))
        train_in_folder(folders[name], config, task, parents=[parent])
    return folders


@pytest.fixture(scope="module")
def table(parent: Path, branches: dict[str, Path]) -> pd.DataFrame:
    return branch_table(branches, branch_groupings(RecordedRun.open(parent), branches), SETTINGS)


def naive_share(response_ND: np.ndarray, groups_N: np.ndarray) -> tuple[float, float]:
    """Energy of group means, and all energy, both without the mean over the covered pairs."""
    kept = groups_N >= 0
    varying = response_ND[kept] - response_ND[kept].mean(axis=0)
    means = np.stack([varying[groups_N[kept] == q].mean(axis=0) for q in groups_N[kept]])
    return float(np.square(means).sum()), float(np.square(varying).sum())


def test_rows_and_columns_are_those_declared(branches: dict[str, Path], table: pd.DataFrame) -> None:
    assert isinstance(BRANCHES, Table)
    assert list(table) == list(BRANCHES.columns)
    names = ["unchanged", "answers permuted", "answers sub", "batch order 1"]
    assert list(table["branch"].unique()) == list(branches) == names
    assert sorted(table["step"].unique()) == [80, 100]
    assert (table["since"] == table["step"] - 60).all()
    assert {"sum", "difference", "output"} <= set(table["basis"])
    assert "output of add-permuted" in set(table["basis"])
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize("readout", ["logits", "residual"])
def test_shares_are_those_of_the_one_jacobian(
    parent: Path, branches: dict[str, Path], table: pd.DataFrame, readout: str
) -> None:
    recorded = RecordedRun.open(parent)
    network = Network.at(recorded, 60)
    size = recorded.series.layout.size
    jacobian_PND = host(network.responses(torch.eye(size, dtype=torch.float64), readout))
    vectors = random_directions(6, size, torch_generator(42, "branches")).numpy()
    for basis in ("sum", "difference"):
        groups_N = grouping(recorded.task, basis).groups_N
        null = [naive_share(np.tensordot(vector, jacobian_PND, 1), groups_N) for vector in vectors]
        pooled = sum(held for held, _ in null) / sum(total for _, total in null)
        singles = np.array([held / total for held, total in null])
        for name, folder in branches.items():
            run = RecordedRun.open(folder)
            moved = (Network.at(run, 100).weights_P - network.weights_P).numpy()
            held, total = naive_share(np.tensordot(moved, jacobian_PND, 1), groups_N)
            row = table.query("step == 100 and readout == @readout and basis == @basis")
            row = row[row["branch"] == name].iloc[0]
            assert row["share"] == pytest.approx(held / total, rel=1e-3)
            assert row["random_share"] == pytest.approx(pooled, rel=1e-4)
            assert row["ratio"] == pytest.approx(held / total / pooled, rel=1e-3)
            assert row["low"] == pytest.approx(np.quantile(singles, 0.05) / pooled, rel=1e-4)
            assert row["high"] == pytest.approx(np.quantile(singles, 0.95) / pooled, rel=1e-4)
            assert row["p"] == (1 + (singles >= held / total).sum()) / 7
            assert row["moved"] == pytest.approx(np.linalg.norm(moved), rel=1e-5)
            assert row["test_accuracy"] == run.metrics.set_index("step")["test_accuracy"][100]


def test_growth_is_what_the_function_gained(parent: Path, branches: dict[str, Path], table: pd.DataFrame) -> None:
    groups_N = grouping(RecordedRun.open(parent).task, "sum").groups_N
    for name, folder in branches.items():
        run = RecordedRun.open(folder)
        before, after = (host(Network.at(run, step).readout("logits")) for step in (60, 100))
        (had_own, had), (has_own, _) = naive_share(before, groups_N), naive_share(after, groups_N)
        row = table.query("step == 100 and readout == 'logits' and basis == 'sum'").set_index("branch").loc[name]
        assert row["growth"] == pytest.approx((has_own - had_own) / had, rel=1e-3)


def test_directions_at_random_do_not_depend_on_the_branches(
    parent: Path, branches: dict[str, Path], table: pd.DataFrame
) -> None:
    alone = branch_table(
        {"answers sub": branches["answers sub"]}, branch_groupings(RecordedRun.open(parent), branches), SETTINGS
    )
    expected = table[table["branch"] == "answers sub"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, expected)
    assert (table.groupby(["readout", "basis"])["random_share"].nunique() == 1).all()


def test_the_sentence_compares_them(table: pd.DataFrame) -> None:
    found = branch_sentence(table, "sum")
    rows = table.query("step == 100 and readout == 'logits' and basis == 'sum'").set_index("branch")
    assert found.startswith("Over 40 steps from one network at step 60, functions of a + b hold so many times")
    for name, row in rows.iterrows():
        assert f"{name} {row['ratio']:.2f} (growth {row['growth']:+.3f})" in found


def test_a_branch_that_stands_still_has_no_share(parent: Path, tmp_path: Path) -> None:
    """All updates of the watched weights are taken back, so that the net move is zero."""
    still = Intervention.of("scale:all,by=0")
    folders = {}
    for name, (config, task) in branch_runs(parent, step=60, steps=20, interventions=[still]).items():
        folders[name] = tmp_path / name.replace(":", "-")
        train_in_folder(folders[name], config, task, parents=[parent])
    table = branch_table(folders, {"sum": grouping(RecordedRun.open(parent).task, "sum")}, SETTINGS)
    rows = table[table["readout"] == "logits"].set_index("branch")
    row = rows.loc["scale:all,by=0.0"]
    assert row[["share", "ratio", "p"]].isna().all()
    assert row["moved"] == 0
    assert row[["random_share", "low", "high", "growth"]].notna().all()
    assert rows.loc["unchanged", ["share", "ratio", "p"]].notna().all()
    assert "scale:all,by=0.0 does not move them (growth " in branch_sentence(table, "sum")


def test_a_network_that_nothing_moves_is_refused(tmp_path: Path) -> None:
    """Weight decay has set all weights to zero, and a square of zero has no slope."""
    task = named_task("add", modulus=5)
    sizes = {"kind": "mlp", "hidden": 3, "activation": "square", "bias": False}
    settings = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0, "weight_decay": 1.0, "loss": "mse"}
    config = RunConfig.for_task(task, sizes, steps=20, every=10, stop_accuracy=2.0, **settings)
    train_in_folder(tmp_path / "run", config, task)
    own = {"sum": grouping(task, "sum")}
    folders = {name: tmp_path / name for name in ("unchanged",)}
    ((config, task),) = branch_runs(tmp_path / "run", step=10, steps=10).values()
    train_in_folder(folders["unchanged"], config, task, parents=[tmp_path / "run"])
    with pytest.raises(InputError, match="does not move the logits of the network at step 10 in basis 'sum'"):
        branch_table(folders, own, SETTINGS)


def test_branches_of_two_networks_are_refused(parent: Path, branches: dict[str, Path]) -> None:
    groupings = branch_groupings(RecordedRun.open(parent), {})
    with pytest.raises(InputError, match="branches 'one' and 'other' do not begin at one network"):
        branch_table({"one": branches["unchanged"], "other": parent}, groupings, SETTINGS)
    with pytest.raises(InputError, match="expected at least one branch"):
        branch_table({}, groupings, SETTINGS)


def test_functions_that_hold_nothing_have_no_ratio(parent: Path, branches: dict[str, Path]) -> None:
    everywhere = grouping(RecordedRun.open(parent).task, "sum")
    one = replace(everywhere, name="sum", groups_N=np.zeros_like(everywhere.groups_N))
    table = branch_table({"unchanged": branches["unchanged"]}, {"sum": one}, SETTINGS)
    assert table[["ratio", "low", "high"]].isna().all(axis=None)
    assert (table["random_share"] == 0).all()
    assert "unchanged does not move them" in branch_sentence(table, "sum")
