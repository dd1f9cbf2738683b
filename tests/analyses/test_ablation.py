"""Ablation after training: against explicit projectors and naive scores, on runs whose moves are planted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from recorded_runs import moving
from spectraledge import InputError
from spectraledge.analyses.ablation import ABLATED_FUNCTIONS, ABLATION, LEADING, _Network, ablation, ablation_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.models import architecture_of
from spectraledge.modes import grouping_basis
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import grouping
from spectraledge.training import RunConfig

SETTINGS = AnalysisConfig(window=5, nulls=4, edge=2)


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, pd.DataFrame]:
    return ablation(run, SETTINGS, dtype=torch.float64)


def stored(run: Path) -> tuple[RecordedRun, list[dict[str, torch.Tensor]]]:
    recorded = RecordedRun.open(run)
    snapshots = [snapshot for snapshot in recorded.series.snapshots if snapshot.step <= recorded.chosen_step()]
    return recorded, [{name: part.double() for name, part in load_file(s.path).items()} for s in snapshots]


def naive_logits(run: Path, parameters: dict[str, torch.Tensor]) -> np.ndarray:
    """By the module itself."""
    recorded = RecordedRun.open(run)
    module = architecture_of(RunConfig.of_run(run).model).module()
    module.load_state_dict(parameters, assign=True)
    with torch.no_grad():
        logits = module(torch.from_numpy(recorded.task.pairs_N2)).logits_NC.numpy()
    return logits.reshape(len(recorded.task), -1)


def naive_scores(run: Path, logits_NC: np.ndarray) -> dict[str, float]:
    recorded = RecordedRun.open(run)
    found: dict[str, float] = {}
    for half, kept in (("train", ~recorded.test_N), ("test", recorded.test_N)):
        losses, hits = [], []
        for logits, label in zip(logits_NC[kept], recorded.task.labels_N[kept], strict=True):
            losses.append(np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[label])
            hits.append(logits.argmax() == label)
        found |= {f"{half}_loss": np.mean(losses), f"{half}_accuracy": np.mean(hits)}
    centred = logits_NC - logits_NC.mean(axis=1, keepdims=True)
    group = grouping(recorded.task, recorded.task.structure).groups_N
    kept = group >= 0
    varying = centred[kept] - centred[kept].mean(axis=0)
    means = np.stack([varying[group[kept] == q].mean(axis=0) for q in group[kept]])
    found["own_share"] = np.square(means).sum() / np.square(varying).sum()
    found["own_energy"] = np.square(means).sum() / kept.sum()
    return found


def assert_scores(row: pd.Series, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name


def test_columns_and_rows_are_those_declared(tables: dict[str, pd.DataFrame]) -> None:
    moves, functions = tables["ablation"], tables["ablated_functions"]
    assert list(moves) == list(ABLATION.columns)
    assert list(functions) == list(ABLATED_FUNCTIONS.columns)
    assert len(moves) == 2 + 2 * (2 + 2 * 4)
    assert len(functions) == LEADING * 2 * (1 + 4)
    assert not moves.isna().any(axis=None)


def test_moves_that_are_taken_back_against_explicit_projectors(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    recorded, snapshots = stored(run)
    names = list(recorded.series.layout.shapes)
    flat = np.stack([np.concatenate([one[name].numpy().ravel() for name in names]) for one in snapshots])
    moved, updates = flat[-1] - flat[0], np.diff(flat, axis=0)[-5:]
    directions = np.linalg.svd(updates - updates.mean(axis=0), full_matrices=False)[2]
    table = tables["ablation"].set_index(["kind", "amount", "draw"])
    edge, bulk = (directions[a:b].T @ (directions[a:b] @ moved) for a, b in ((0, 2), (2, 4)))
    equal = bulk * np.linalg.norm(edge) / np.linalg.norm(bulk)
    taken = {("nothing", "own"): 0 * moved, ("everything", "own"): moved, ("bulk", "equal"): equal}
    taken |= {("edge", "own"): edge, ("edge", "equal"): edge, ("bulk", "own"): bulk}
    for (kind, amount), removed in taken.items():
        parts = recorded.series.layout.split(torch.from_numpy(flat[-1] - removed))
        row = table.loc[(kind, amount, 0)]
        assert_scores(row, naive_scores(run, naive_logits(run, {**snapshots[-1], **parts})))
        assert row["removed"] == pytest.approx(np.linalg.norm(removed))
        assert row["share"] == pytest.approx(np.square(np.linalg.norm(removed) / np.linalg.norm(moved)))


def test_what_is_taken_back_at_random_is_as_long_as_the_edges_part(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["ablation"]
    equal = table[table["amount"] == "equal"]["removed"]
    np.testing.assert_allclose(equal, float(equal.iloc[0]), rtol=1e-10)
    for kind in ("span", "random"):
        drawn = table[(table["kind"] == kind) & (table["amount"] == "own")]
        assert drawn["draw"].tolist() == [1, 2, 3, 4]
        assert drawn["removed"].nunique() == 4


def test_single_functions_leave_the_function_and_come_with_their_equals(
    run: Path, tables: dict[str, pd.DataFrame]
) -> None:
    recorded, snapshots = stored(run)
    logits = naive_logits(run, snapshots[-1])
    logits = logits - logits.mean(axis=1, keepdims=True)
    own = grouping_basis(grouping(recorded.task, recorded.task.structure))
    table = tables["ablated_functions"]
    energies = dict(zip(own.subspaces, own.energies(logits[None])[0], strict=True))
    leading = sorted((name for name in energies if name.startswith("frequency")), key=lambda name: -energies[name])
    assert list(table["subspace"].unique()) == leading[:LEADING]
    for name in leading[:LEADING]:
        rows = table[table["subspace"] == name].set_index(["what", "kind", "draw"])
        without = rows.loc[("function", "own", 0)]
        assert_scores(without, naive_scores(run, logits - own.projection(logits, name)))
        assert without["own_energy"] * own.size == pytest.approx(sum(energies[one] for one in leading if one != name))
        assert rows["energy"].nunique() == 1
        lengths = rows.loc["move"]["removed"]
        np.testing.assert_allclose(lengths, float(lengths.iloc[0]))
        assert rows.loc["function"]["removed"].isna().all()


def test_permuted_values_have_the_same_energy(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, scores = [], _Network.scores

    def watching(self: _Network, logits: np.ndarray) -> tuple[float, ...]:
        seen.append((self, logits))
        return scores(self, logits)

    monkeypatch.setattr(_Network, "scores", watching)
    found = ablation(run, SETTINGS, dtype=torch.float64)
    network, plain = seen[0]
    total = network.own.energies(plain[None])[0, 1:].sum()
    changed = [logits for _, logits in seen[len(found["ablation"]) :]]
    taken = []
    for (_, row), logits in zip(found["ablated_functions"].iterrows(), changed, strict=True):
        if row["what"] == "function":
            taken.append(plain - logits)
            assert np.square(taken[-1]).sum() / total == pytest.approx(row["energy"], rel=1e-9)
            assert not taken[-1][~network.own.covered_N].any()
    # The same vectors, at other pairs.
    for permuted in taken[1:5]:
        np.testing.assert_allclose(np.sort(permuted, axis=0), np.sort(taken[0], axis=0), atol=1e-12)
        assert np.abs(permuted - taken[0]).max() > 1e-3 * np.abs(taken[0]).max()


def test_moves_of_one_direction_are_the_edge(add_run: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = RecordedRun.open(add_run).series.layout.size
    planted, other = np.linalg.qr(rng.standard_normal((size, 2)))[0].T
    steps = np.outer(np.linspace(1, 2, 8), planted) + 1e-3 * np.outer(np.cos(np.arange(8)), other)
    folder = moving(add_run, tmp_path / "planted", 1e-2 * steps)
    settings = AnalysisConfig(window=8, nulls=3, edge=2, center_modes=False, step=8)
    table = ablation(folder, settings, dtype=torch.float64)["ablation"].set_index(["kind", "amount", "draw"])
    whole = np.linalg.norm(1e-2 * steps.sum(axis=0))
    assert table.loc[("edge", "own", 0), "removed"] == pytest.approx(whole, rel=1e-6)
    assert table.loc[("edge", "own", 0), "share"] == pytest.approx(1, abs=1e-6)
    for name in ("test_loss", "own_share"):
        assert table.loc[("edge", "own", 0), name] == pytest.approx(table.loc[("everything", "own", 0), name], rel=1e-5)


def test_the_sentence_says_what_the_table_holds(tables: dict[str, pd.DataFrame]) -> None:
    table = tables["ablation"]
    found = ablation_sentence(table)
    edge = table[(table["kind"] == "edge") & (table["amount"] == "own")].iloc[0]
    span = table[(table["kind"] == "span") & (table["amount"] == "equal")]["test_loss"]
    p = (1 + (span >= edge["test_loss"]).sum()) / 5
    assert f"to {edge['test_accuracy']:.3f}, test loss" in found
    assert f"random in the window's span makes a test loss of {span.mean():.3g}" in found
    assert f"p = {p:.2g} of 4 draws)" in found


def test_draws_follow_the_seed(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    again = ablation(run, SETTINGS, dtype=torch.float64)
    pd.testing.assert_frame_equal(again["ablation"], tables["ablation"])
    pd.testing.assert_frame_equal(again["ablated_functions"], tables["ablated_functions"])
    other = ablation(run, SETTINGS.model_copy(update={"seed": 1}), dtype=torch.float64)["ablation"]
    fixed = other["draw"] == 0
    pd.testing.assert_frame_equal(other[fixed], tables["ablation"][fixed])
    assert not other.equals(tables["ablation"])


def test_a_window_that_is_not_there_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match=r"window must be in \[2, 10\] for 11 snapshots, got 20"):
        ablation(run, AnalysisConfig(window=20))
    with pytest.raises(InputError, match="no snapshot at step 7"):
        ablation(run, AnalysisConfig(window=3, step=7))
