"""What is measured at one step: planted selection is found, wandering is not, and tables equal their definitions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_mode_tables import naive_share

from spectraledge import InputError, RunConfig
from spectraledge.analyses.contrast_table import HEAD_NULLS, contrast_table
from spectraledge.analyses.frequency_tables import agreement_table, frequency_table
from spectraledge.analyses.probe_table import _features, probe_responses, probe_table
from spectraledge.analyses.selection_tables import key_table, selection_table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.step import analyze_step
from spectraledge.devices import host
from spectraledge.modes import grouping_basis, key_frequencies
from spectraledge.observed.observation import Observation, observe_run
from spectraledge.observed.view import View
from spectraledge.streams import numpy_generator
from spectraledge.tasks import grouping, named_task, task_from_table
from spectraledge.training import train_in_folder

WINDOW, NULLS = 6, 8
SETTINGS = AnalysisConfig()


@pytest.fixture(scope="module")
def selecting(selecting_run: Path) -> Observation:
    return observe_run(selecting_run, View(window=WINDOW, nulls=NULLS))


@pytest.fixture(scope="module")
def wandering(wandering_run: Path) -> Observation:
    return observe_run(wandering_run, View(window=WINDOW, nulls=30))


def whole(table: pd.DataFrame, basis: str, subspace: str = "frequency") -> pd.Series:
    return table[(table["basis"] == basis) & (table["subspace"] == subspace)].iloc[0]


def test_a_planted_selection_is_found(selecting: Observation) -> None:
    table = selection_table(selecting, AnalysisConfig(seed=1))
    own, other = whole(table, "sum"), whole(table, "difference")
    assert own["low"] > 3
    assert own["p"] < 1e-3
    assert own["window_share"] > 0.5 > own["chance"]
    assert other["ratio"] < own["ratio"] / 2
    # The sum of the pairs' own grid is the same space.
    np.testing.assert_allclose(whole(table, "pairs of sum", "sum")["ratio"], own["ratio"], rtol=1e-8)


def test_wandering_selects_nothing(wandering: Observation) -> None:
    own = whole(selection_table(wandering, AnalysisConfig(seed=1)), "sum")
    assert own["p"] > 0.05
    assert own["p_exact"] > 0.05
    assert abs(own["ratio"] - 1) < 0.2


def test_selection_ratios_equal_a_second_computation(selecting: Observation) -> None:
    seen, table = selecting, selection_table(selecting, AnalysisConfig(seed=1))
    groups = list(seen.run.task.labels_N)
    pairs, count = len(groups), seen.run.task.modulus
    chance = (count - 1) / (pairs - 1)

    def energies(vectors):
        responses = host(seen.network.responses(vectors))
        total = np.array([np.square(r - r.mean(axis=0)).sum() for r in responses])
        share = np.array([naive_share(r, groups) for r in responses]) * (1 - chance) + chance
        return share * total, total

    own, total = energies(seen.window.directions.vectors_KP)
    eigenvalues = seen.window.directions.eigenvalues_K.numpy()
    random_own, random_total = energies(seen.directions.vectors_KP[seen.directions.places("random")])
    row = whole(table, "sum")
    np.testing.assert_allclose(row["window_share"], eigenvalues @ own / (eigenvalues @ total), rtol=1e-8)
    np.testing.assert_allclose(row["random_share"], random_own.sum() / random_total.sum(), rtol=1e-8)
    np.testing.assert_allclose(row["ratio"], row["window_share"] / row["random_share"], rtol=1e-12)
    np.testing.assert_allclose(row["chance"], chance)
    for kind in ("block", "run_span", "weights", "gradient", "shuffled"):
        along, whole_energy = energies(seen.directions.vectors_KP[seen.directions.places(kind)])
        np.testing.assert_allclose(row[f"{kind}_share"], along.sum() / whole_energy.sum(), rtol=1e-8)
    np.testing.assert_allclose(row["edge_share"], eigenvalues[:3] @ own[:3] / (eigenvalues[:3] @ total[:3]), rtol=1e-8)


def test_which_rows_selection_has(selecting: Observation) -> None:
    table = selection_table(selecting, AnalysisConfig(seed=1))
    assert set(table["basis"]) == {
        *("sum", "difference", "product", "dlog_sum", "output"),
        *("pairs of sum", "sum then dlog_sum"),
    }
    single = table[~table["part"]]
    assert set(single["basis"]) == {"sum", "pairs of sum", "sum then dlog_sum"}
    assert list(single.loc[single["basis"] == "sum", "subspace"]) == [f"frequency {w}" for w in range(1, 6)]
    parts = set(table.loc[table["part"] & (table["basis"] == "pairs of sum"), "subspace"])
    assert parts == {"a", "b", "sum", "difference", "rest"}
    assert not table[["step", "basis", "subspace"]].duplicated().any()


def test_the_own_grouping_is_measured_whatever_was_asked_for(selecting_run: Path) -> None:
    seen = observe_run(selecting_run, View(window=WINDOW, nulls=2, bases=("product",)))
    assert {"sum", "product"} <= set(selection_table(seen, AnalysisConfig(seed=1))["basis"])
    assert seen.groupings.keys() == {"product"}


def test_one_random_direction_is_too_few(selecting_run: Path) -> None:
    with pytest.raises(InputError, match="expected at least 2 random directions"):
        selection_table(observe_run(selecting_run, View(window=WINDOW, nulls=1)), AnalysisConfig(seed=1))


def test_key_frequencies_of_edge_and_random(selecting: Observation) -> None:
    table = key_table(selecting, AnalysisConfig(seed=4))
    assert len(table) == (3 + 3) * 5
    np.testing.assert_array_equal(table["key"], table["p"] <= 0.05)
    basis = grouping_basis(grouping(selecting.run.task, "sum"))
    edge = host(selecting.network.responses(selecting.directions.vectors_KP[:3]))
    found = key_frequencies(edge, basis, generator=numpy_generator(4, "keys", "edge"))
    for k, names in enumerate(found.found):
        rows = table[(table["kind"] == "edge") & (table["direction"] == k + 1)]
        assert {f"frequency {w}" for w in rows.loc[rows["key"], "frequency"]} == set(names)
    assert table[table["kind"].eq("edge") & table["direction"].eq(1)]["key"].any()


def test_contrasts_equal_shares_computed_one_by_one(selecting: Observation) -> None:
    table = contrast_table(selecting, SETTINGS)
    groups = np.array(selecting.run.task.labels_N)
    network = selecting.network
    places = selecting.directions.places("edge")
    for number, row in enumerate(places, start=1):
        vector = selecting.directions.vectors_KP[row : row + 1]
        ours = table[(table["kind"] == "edge") & (table["direction"] == number)]
        for readout in ("residual", "normed", "logits"):
            found = ours[(ours["readout"] == readout) & (ours["inputs"] == "all")].iloc[0]
            response = host(network.responses(vector, readout))[0]
            np.testing.assert_allclose(found["energy_share"], naive_share(response, list(groups)), atol=1e-8)
            np.testing.assert_allclose(found["energy"], np.square(response).sum() / len(response), rtol=1e-8)
        response = host(network.responses(vector))[0]
        for inputs, kept in (("test", selecting.run.test_N), ("train", ~selecting.run.test_N)):
            found = ours[(ours["readout"] == "residual") & (ours["inputs"] == inputs)].iloc[0]
            np.testing.assert_allclose(
                found["energy_share"], naive_share(response[kept], list(groups[kept])), atol=1e-8
            )
        heads = host(network.head_responses(vector))[:, :, 0]
        for layer in range(2):
            for head in range(2):
                found = ours[(ours["layer"] == layer) & (ours["head"] == head)].iloc[0]
                expected = naive_share(heads[layer, head], list(groups))
                np.testing.assert_allclose(found["energy_share"], expected, atol=1e-8)
    by_head = table[table["readout"] == "head"]
    assert by_head.groupby("kind")["direction"].nunique().to_dict() == {"edge": 3, "random": HEAD_NULLS}


def test_frequencies_equal_a_slow_transform(run: Path) -> None:
    seen = observe_run(run, View(window=WINDOW, nulls=2))
    table = frequency_table(seen, SETTINGS)
    logarithm = {pow(3, k, 7): k for k in range(6)}
    embedding = seen.network.parameters["token_embedding.weight"].numpy()
    logits = (seen.network.still["logits"] - seen.network.still["logits"].mean(1, keepdim=True)).numpy()
    pairs = seen.run.task.pairs_N2
    places = np.array([(logarithm[a] + logarithm[b]) % 6 for a, b in pairs])
    power = {"embedding": [], "logits": []}
    for w in (1, 2, 3):
        wave = {token: np.exp(-2j * np.pi * w * k / 6) for token, k in logarithm.items()}
        # A frequency and its conjugate are one, but for the Nyquist frequency, which is its own.
        twice = 1 if w == 3 else 2
        power["embedding"].append(twice * np.sum(np.abs(sum(wave[t] * embedding[t] for t in wave)) ** 2))
        power["logits"].append(twice * np.sum(np.abs(np.exp(-2j * np.pi * w * places / 6) @ logits) ** 2))
    assert table["frequency"].tolist() == [1, 2, 3]
    for side, values in power.items():
        np.testing.assert_allclose(table[side], np.array(values) / np.sum(values), rtol=1e-8)
    np.testing.assert_allclose(table[["neurons", "edge", "window", "random"]].sum(), 1.0)


def test_agreement_is_of_ranks() -> None:
    size = np.arange(1.0, 11.0)
    frequencies = pd.DataFrame({"step": 5, "readout": "residual", "basis": "sum", "frequency": np.arange(1, 11)})
    frequencies = frequencies.assign(embedding=size, neurons=-size, logits=1.0, edge=size**3, window=size, random=size)
    table = agreement_table(frequencies, seed=0).set_index(["weights", "moving"])
    assert table.loc[("embedding", "edge"), "rho"] == 1.0
    assert table.loc[("neurons", "edge"), "rho"] == -1.0
    assert table.loc[("embedding", "edge"), "p"] < 1e-3
    assert "logits" not in table.index.get_level_values("weights")


def test_features_span_the_waves_they_name() -> None:
    task = named_task("add", modulus=11)
    _, features = _features(task)
    logarithm = {pow(2, k, 11): k for k in range(10)}
    pairs = [(a, b) for a, b in task.pairs_N2 if a and b]
    angle = 2 * np.pi * np.arange(1, 6)
    additive = [np.r_[np.cos(angle * (a + b) / 11), np.sin(angle * (a + b) / 11)] for a, b in pairs]
    logs = [(logarithm[a] + logarithm[b]) / 10 for a, b in pairs]
    multiplicative = [np.r_[np.cos(angle * q), np.sin(angle * q)] for q in logs]
    crossed = [np.outer(x, y).ravel() for x, y in zip(additive, multiplicative, strict=True)]
    naive = {
        "additive": additive,
        "multiplicative": multiplicative,
        "cross": np.hstack([additive, multiplicative, crossed]),
    }
    for name, columns in naive.items():
        ours, theirs = features[name], np.array(columns)
        rank = np.linalg.matrix_rank(theirs)
        assert np.linalg.matrix_rank(np.hstack([ours, theirs])) == np.linalg.matrix_rank(ours) == rank
    np.testing.assert_array_equal(features["both"], np.hstack([features["additive"], features["multiplicative"]]))


def test_probes_find_the_planted_waves(selecting: Observation) -> None:
    table = probe_table(selecting, AnalysisConfig(seed=2)).set_index(
        ["kind", "direction", "features", "random", "held_out"]
    )["r2"]
    first = table.sort_index().loc["edge", 1]
    assert first.loc["additive", False, "rows"] > 0.5
    for held_out in ("output", "rows"):
        assert first.loc["additive", True, held_out] < 0.1
        # No wave of sums that were not seen can be looked up.
    assert first.loc["additive", False, "output"] < 0.1
    assert first.loc["multiplicative", False, "rows"] < 0.2
    assert first.loc["additive", False, "none"] > first.loc["additive", True, "none"]
    assert set(table.index.get_level_values("features")) == {"additive", "multiplicative", "both", "cross"}


def test_a_step_has_every_table(run: Path) -> None:
    found = analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3))
    assert found["modes"]["step"].unique().tolist() == [200]
    for name, table in found.items():
        assert len(table), name
    again = analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3))
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, again[name])


def test_single_precision_gives_the_same_tables_to_its_rounding(run: Path) -> None:
    double = analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3))
    single = analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3, precision="single"))
    for name, column in (("modes", "energy_share"), ("selection", "ratio"), ("contrasts", "energy_share")):
        kept = double[name]["method"] == "jvp" if name == "modes" else slice(None)
        expected = double[name].loc[kept, column]
        assert np.nanmax(expected) - np.nanmin(expected) > 0.01
        np.testing.assert_allclose(single[name].loc[kept, column], expected, rtol=1e-3, atol=1e-4)


def test_tables_can_be_left_out(run: Path) -> None:
    left, whole_tables = ("contrasts", "agreement", "probes"), analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3))
    found = analyze_step(run, AnalysisConfig(window=WINDOW, nulls=3, leave_out=left))
    assert [name for name, table in found.items() if not len(table)] == list(left)
    for name in found.keys() - set(left):
        pd.testing.assert_frame_equal(found[name], whole_tables[name])
    with pytest.raises(InputError, match="unknown tables pictures: known are modes, waves"):
        analyze_step(run, AnalysisConfig(leave_out=("pictures",)))


@pytest.mark.parametrize(
    "table",
    [[[0, 1, 2], [1, 2, 0], [2, 0, 1]], [[0, 1, 2, 0, 1]], [[3] * 5] * 5],
    ids=["three elements", "one row", "one answer"],
)
def test_bases_in_which_few_test_pairs_tell_nothing_have_no_rows_of_them(tmp_path: Path, table: object) -> None:
    task = task_from_table(table)
    model = {"kind": "mlp", "inputs": "embedded", "width": 4, "hidden": 4}
    train_in_folder(tmp_path, RunConfig.for_task(task, model, steps=5, every=1, batch_size=4, seed=1), task)
    found = analyze_step(tmp_path, AnalysisConfig(window=4, nulls=4))
    modes, is_test = found["modes"], (pd.read_parquet(tmp_path / "domain.parquet")["split"] == "test").to_numpy()
    tested = set()
    for name in modes["basis"].unique():
        groups = [q for q in grouping(task, name).groups_N[is_test].tolist() if q >= 0]
        tested |= {name} if len(set(groups)) < len(groups) else set()
    assert set(modes.loc[modes["method"] == "difference", "basis"]) == tested
    assert set(modes.loc[modes["method"] == "jvp", "basis"]) == set(modes["basis"])
    assert np.isfinite(modes["energy_share"]).all()
    assert ("test" in set(found["contrasts"]["inputs"])) == (task.structure in tested)
    assert len(set(np.ravel(table))) > 1 or (found["keys"]["p"] == 1).all()


def test_a_small_table_with_holes_has_no_probes() -> None:
    half = np.where(np.tri(7, dtype=bool).T, np.add.outer(np.arange(7), np.arange(7)) % 7, -1)
    response_KND = np.random.default_rng(0).normal(size=(2, 28, 3))
    for seed in range(5):
        assert probe_responses(task_from_table(half), response_KND, seed=seed).empty
