"""The score of a run, what its functions grow by and what carries that, against loops over definitions."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from recorded_runs import unlisted
from spectraledge import InputError
from spectraledge.analyses.growth import Interval
from spectraledge.analyses.score import growth_run, score_run
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import carry_out, measure, read_tables
from spectraledge.models import architecture_of
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.studies import ANALYSES

SETTINGS = AnalysisConfig(window=4, nulls=30, stride=3, bases=("sum", "dlog_sum"))
STEPS = range(0, 201, 20)


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, pd.DataFrame]:
    return {**score_run(run, SETTINGS, dtype=torch.float64), **growth_run(run, SETTINGS, dtype=torch.float64)}


def logits(folder: Path, weights) -> np.ndarray:
    """Centred logits of all pairs, by the module itself."""
    recorded = RecordedRun.open(folder)
    read = architecture_of(recorded.config.model).read("logits")
    doubles = {name: value.double() for name, value in weights.items()}
    return read(doubles, torch.from_numpy(recorded.task.pairs_N2)).detach().numpy()


def weights_at(folder: Path, step: int):
    return {k: v.double() for k, v in load_file(folder / "snapshots" / f"step_{step:08d}.safetensors").items()}


def own_energy(folder: Path, function_ND: np.ndarray) -> float:
    """Energy of functions of the answer, of multiplication, by group means."""
    labels_N = RecordedRun.open(folder).task.labels_N
    means_ND = np.stack([function_ND[labels_N == q].mean(0) for q in range(7) if (labels_N == q).any()])
    counts = np.bincount(labels_N, minlength=7)
    return float((counts[counts > 0] * np.square(means_ND - function_ND.mean(0)).sum(1)).sum())


@pytest.mark.parametrize("half", ["all", "train", "test"])
def test_shares_are_those_of_group_means(run: Path, tables, half: str) -> None:
    recorded = RecordedRun.open(run)
    kept_N = {"all": recorded.test_N | True, "train": ~recorded.test_N, "test": recorded.test_N}[half]
    labels_N, q_N = recorded.task.labels_N[kept_N], recorded.task.pairs_N2.sum(1)[kept_N] % 7
    for step in (0, 100, 200):
        function_ND = logits(run, weights_at(run, step))[kept_N]
        centred = function_ND - function_ND.mean(0)
        for basis, groups_N in (("sum", q_N), ("dlog_sum", labels_N)):
            between = sum(
                (groups_N == q).sum() * np.square(centred[groups_N == q].mean(0)).sum() for q in np.unique(groups_N)
            )
            score = tables["score"].query("step == @step and readout == 'logits' and half == @half")
            rows = score[score["basis"] == basis]
            own = rows[rows["subspace"].str.startswith("frequency")]
            np.testing.assert_allclose(own["share"].sum(), between / np.square(centred).sum(), rtol=1e-9)
            np.testing.assert_allclose(rows["share"].sum(), 1)
            chance = (len(np.unique(groups_N)) - 1) / (kept_N.sum() - 1)
            np.testing.assert_allclose(own["chance"].sum(), chance)


def test_every_snapshot_has_a_score_of_both_read_outs(run: Path, tables) -> None:
    found = tables["score"].groupby(["readout", "half", "basis"])["step"].agg(lambda steps: sorted(set(steps)))
    assert all(steps == list(STEPS) for steps in found)
    assert {"logits", "residual"} == set(found.index.get_level_values("readout"))
    assert {"all", "train", "test"} == set(found.index.get_level_values("half"))


def test_growth_is_the_difference_of_energies(run: Path, tables) -> None:
    grown = tables["growth"].query("basis == 'dlog_sum' and part == 'whole'")
    assert sorted(set(grown["step"])) == [20, 80, 140, 200]
    for step, rows in grown.groupby("step"):
        before, after = (logits(run, weights_at(run, at)) for at in (step - 20, step))
        had = np.square(before - before.mean(0)).sum()
        own = rows[rows["subspace"].str.startswith("frequency")]["growth"].sum()
        np.testing.assert_allclose(own, (own_energy(run, after) - own_energy(run, before)) / had, rtol=1e-7)
        rest = np.square(after - after.mean(0)).sum() - own_energy(run, after) - had + own_energy(run, before)
        np.testing.assert_allclose(rows[rows["subspace"] == "rest"]["growth"], rest / had, rtol=1e-7)


def derivative(folder: Path, middle, along) -> float:
    """Derivative of the energy of own functions along some weights, by a central difference."""
    ends = [{name: middle[name] + sign * 1e-5 * along.get(name, 0) for name in middle} for sign in (1, -1)]
    return (own_energy(folder, logits(folder, ends[0])) - own_energy(folder, logits(folder, ends[1]))) / 2e-5


def parts_of(tables, step: int) -> pd.Series:
    own = tables["growth"].query("basis == 'dlog_sum' and step == @step")
    own = own[own["subspace"].str.startswith("frequency")]
    return own.groupby(["split", "part"])["growth"].sum()


def test_parts_are_derivatives_along_them(run: Path, tables) -> None:
    step = 200
    before, after = weights_at(run, step - 20), weights_at(run, step)
    middle = {name: (before[name] + after[name]) / 2 for name in before}
    update = {name: after[name] - before[name] for name in before}
    first = weights_at(run, step - 100)
    moved = load_file(run / "moves" / f"step_{step:08d}.safetensors")
    decay = {name[6:]: value.double() for name, value in moved.items() if name.startswith("decay/")}
    function_ND = logits(run, before)
    had = np.square(function_ND - function_ND.mean(0)).sum()

    def chosen(*parts):
        return {name: value for name, value in update.items() if any(part in name for part in parts)}

    expected = {
        ("change", "first order"): update,
        ("group", "embeddings"): chosen("embedding"),
        ("group", "attention 1"): chosen("layers.0.attention", "layers.0.norm1"),
        ("group", "feed-forward 2"): chosen("layers.1.up", "layers.1.down", "layers.1.norm2"),
        ("group", "head"): {name: value for name, value in update.items() if name.split(".")[0] in ("norm", "head")},
        ("window", "mean"): {name: (before[name] - first[name]) / 4 for name in before},
        ("moves", "decay"): decay,
        ("moves", "optimizer"): {name: update[name] - decay[name] for name in decay},
    }
    found = parts_of(tables, step)
    for place, along in expected.items():
        np.testing.assert_allclose(found[place], derivative(run, middle, along) / had, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("step", [20, 80, 140, 200])
def test_the_parts_of_every_split_sum_to_the_whole(tables, step: int) -> None:
    rows = tables["growth"].query("step == @step").set_index(["basis", "subspace"])
    change = rows[rows["split"] == "change"].pivot(columns="part", values="growth")
    np.testing.assert_allclose(change["first order"] + change["beyond"], change["whole"], atol=1e-12)
    splits = ["group", "moves"] + (["window"] if step > 80 else [])
    assert set(rows["split"]) == {"change", *splits}
    for split in splits:
        summed = rows[rows["split"] == split].groupby(level=[0, 1], sort=False)["growth"].sum()
        np.testing.assert_allclose(summed, change["first order"].loc[summed.index], atol=1e-9)
    of_parts = rows[rows["part"] != "beyond"].groupby(["basis", "part"])["share"].sum()
    np.testing.assert_allclose(of_parts, 1)


def test_half_way_the_first_order_misses_a_third_order_term_alone(run: Path, tmp_path: Path) -> None:
    # Of an interval that is cut to a half, the error falls eightfold; at the interval's beginning it would fourfold.
    errors = []
    for part in (1.0, 0.5):
        folder = tmp_path / str(part)
        shutil.copytree(run, folder)
        unlisted(folder)
        before, after = weights_at(run, 0), weights_at(run, 100)
        for path in (folder / "snapshots").iterdir():
            path.unlink()
        for step, weight in ((0, 0.0), (20, 0.4 * part)):
            between = {name: (1 - weight) * before[name] + weight * after[name] for name in before}
            save_file(between, folder / "snapshots" / f"step_{step:08d}.safetensors")
        found = growth_run(folder, SETTINGS, dtype=torch.float64)["growth"].query("part == 'beyond'")
        errors.append(np.abs(found["growth"]).sum())
    assert 5.5 < errors[0] / errors[1] < 12


def test_carriers_are_projections_of_the_update(run: Path, tables) -> None:
    carriers, step = tables["carriers"], 200
    recorded = RecordedRun.open(run)
    layout = recorded.series.layout
    before, after = weights_at(run, step - 20), weights_at(run, step)
    middle = {name: (before[name] + after[name]) / 2 for name in before}
    function_ND = logits(run, before)
    had = np.square(function_ND - function_ND.mean(0)).sum()
    updates = np.stack([u.update_P.numpy() for u in recorded.series.updates()])
    update_P = updates[-1]

    def along(vector_P) -> float:
        return derivative(run, middle, layout.split(torch.from_numpy(vector_P))) / had

    whole = along(update_P)
    assert carriers.query("step == @step and kind == 'all'")["growth"].item() == pytest.approx(whole, rel=1e-5)
    for window, rows_WP in (("before", updates[-5:-1]), ("own", updates[-4:])):
        centred = np.linalg.svd(rows_WP - rows_WP.mean(0), full_matrices=False)[2][:3]
        plain = np.linalg.svd(rows_WP, full_matrices=False)[2]
        mean = rows_WP.mean(0, keepdims=True) / np.linalg.norm(rows_WP.mean(0))
        for kind, vectors in (("edge", centred), ("uncentred", plain), ("mean", mean)):
            there = carriers[(carriers["window"] == window) & (carriers["kind"] == kind)]
            rows = there.query("step == @step").set_index("k")
            assert list(rows.index) == list(range(1, len(vectors) + 1))
            for k in rows.index:
                expected = along(vectors[:k].T @ (vectors[:k] @ update_P))
                np.testing.assert_allclose(rows["growth"][k], expected, rtol=1e-4, atol=1e-8)
                np.testing.assert_allclose(rows["share"][k], expected / whole, rtol=1e-4, atol=1e-6)
    # Its own window, with the mean left in, spans the update.
    assert carriers.query("step == @step and window == 'own' and kind == 'uncentred' and k == 4")[
        "share"
    ].item() == pytest.approx(1, abs=1e-6)


def test_random_directions_carry_what_chance_gives(run: Path, tables) -> None:
    carriers = tables["carriers"].query("step == 200 and window == 'own'").set_index(["kind", "k"])
    whole, span = carriers["share"]["edge"][3], carriers.loc["span"]
    np.testing.assert_allclose(span["share"][3], whole, atol=1e-9)
    assert (span["low"] <= span["share"]).all()
    assert (span["share"] <= span["high"]).all()
    random = carriers.loc["random"]
    assert (random["low"] < 3 / 1152).all()
    assert (random["share"].abs() < 0.05).all()
    assert list(random.index) == list(span.index) == [1, 2, 3]


def test_single_precision_agrees(run: Path, tables) -> None:
    quick = {**score_run(run, SETTINGS), **growth_run(run, SETTINGS)}
    np.testing.assert_allclose(quick["score"]["share"], tables["score"]["share"], atol=2e-5)
    np.testing.assert_allclose(quick["growth"]["growth"], tables["growth"]["growth"], atol=2e-4)


def test_short_runs_and_runs_without_moves_say_what_is_missing(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    unlisted(folder)
    shutil.rmtree(folder / "moves")
    found = measure(folder, ANALYSES["growth"], SETTINGS.model_copy(update={"window": 20}))
    assert found["carriers"]["kind"].tolist() == []
    assert set(found["growth"]["split"]) == {"change", "group"}
    stamp = carry_out(folder, ANALYSES["growth"], SETTINGS.model_copy(update={"window": 20}))
    assert any("no measured interval has a window of 20 updates" in reason for reason in stamp.left_out)
    assert not read_tables(folder, ANALYSES["growth"])["growth"].empty


def test_weights_that_rest_carry_nothing(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    unlisted(folder)
    resting = weights_at(run, 100)
    for step in STEPS:
        save_file(resting, folder / "snapshots" / f"step_{step:08d}.safetensors")
    found = growth_run(folder, SETTINGS, dtype=torch.float64)
    np.testing.assert_array_equal(found["growth"].query("split != 'moves'")["growth"], 0)
    assert found["carriers"].query("kind != 'gradient'")["growth"].eq(0).all()
    assert found["carriers"]["share"].isna().all()
    assert set(found["carriers"]["kind"]) == {"all", "gradient"}


def test_unknown_bases_are_refused(run: Path) -> None:
    with pytest.raises(InputError, match="unknown basis 'nothing'"):
        score_run(run, SETTINGS.model_copy(update={"bases": ("nothing",)}))
    with pytest.raises(InputError, match="unknown basis 'nothing'"):
        growth_run(run, SETTINGS.model_copy(update={"bases": ("nothing",)}))


def test_an_interval_is_read_from_the_snapshots_before_it(run: Path) -> None:
    recorded = RecordedRun.open(run)
    before, after = (Network.at(recorded, step) for step in (80, 100))
    found = Interval.of(recorded, 5, before, after, 4)
    assert len(found.updates_WP) == 5
    assert found.mean is not None
    assert Interval.of(recorded, 4, before, after, 4).mean is None
