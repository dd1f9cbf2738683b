"""Reuse on runs small enough for loops: every number against its definition, and planted heads."""

import numpy as np
import pandas as pd
import pytest
import torch

from spectraledge.algebra import real_characters
from spectraledge.analyses.reuse import BASES, COMPARED, HELD, inclusion_table, reuse
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.modes import energy_share, field, inclusion, leading_functions, peak, selection_ratio_of_energies
from spectraledge.modes.decompositions import grouping_basis
from spectraledge.observed.labelled_directions import collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View
from spectraledge.statistics import in_sample_r2
from spectraledge.tasks import any_task, grouping, named_task, why_not
from spectraledge.training import RunConfig, train_in_folder

SETTINGS = AnalysisConfig(window=8, edge=2, nulls=4, seed=3)
SIZES = {"width": 16, "heads": 2, "hidden": 32}


def train(folder, name, modulus=13, **settings):
    task = any_task(name, modulus=modulus)
    train_in_folder(
        folder, RunConfig.for_task(task, SIZES, batch_size=32, every=20, stop_accuracy=2.0, **settings), task
    )
    return folder


@pytest.fixture(scope="module")
def tri(tmp_path_factory):
    return train(tmp_path_factory.mktemp("reuse") / "tri", "add+mul+square_sum", steps=240)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Addition on its own domain, which has zeros."""
    return train(tmp_path_factory.mktemp("reuse") / "alone", "add", steps=200)


@pytest.fixture(scope="module")
def tables(tri):
    return reuse(tri, SETTINGS)


@pytest.fixture(scope="module")
def responses(tri):
    """Responses by read-out in double precision, straight from the network of every head."""
    found = {}
    for part in ("add", "mul", "square_sum"):
        run = RecordedRun.open(tri, part=part)
        window = run.window(240, window=8, center=True)
        network = Network.at(run, 240)
        directions = collect_directions(run, window, network, View(edge=2, nulls=4, seed=3), kinds=COMPARED)
        found["residual"] = host(network.responses(directions.vectors_KP))
        found[part] = host(network.responses(directions.vectors_KP, "logits"))
    return found, directions, window


@pytest.fixture(scope="module")
def composite():
    return any_task("square_sum+", modulus=13).parts[0]


@pytest.mark.parametrize("readout", ["residual", "add", "mul", "square_sum"])
@pytest.mark.parametrize("name", ["output", "sum", "output_dlog", "dlog_sum", "gaussian_angle"])
def test_shares_and_peaks_are_those_of_the_responses(tables, responses, composite, readout, name):
    found, directions, _ = responses
    table = tables["reuse"]
    rows = table[(table["readout"] == readout) & (table["basis"] == name)]
    assert list(zip(rows["kind"], rows["direction"], strict=True)) == list(
        zip(directions.kinds, directions.numbers, strict=True)
    )
    group = grouping(composite, name)
    np.testing.assert_allclose(rows["energy_share"], energy_share(found[readout], group), rtol=1e-3, atol=1e-5)
    peaks = peak(field(found[readout]), group)
    np.testing.assert_allclose(rows["concentration"], peaks.concentration_K, rtol=1e-3)
    np.testing.assert_array_equal(rows["frequency"], peaks.frequency_K)


@pytest.mark.parametrize("readout", ["residual", "mul"])
@pytest.mark.parametrize("name", ["sum", "dlog_sum"])
def test_selection_is_that_of_the_whole_grouping(tables, responses, composite, readout, name):
    found, directions, window = responses
    basis = grouping_basis(grouping(composite, name))
    expected = selection_ratio_of_energies(
        basis.energies(found[readout][directions.places("edge", "bulk")]),
        window.directions.eigenvalues_K.numpy(),
        basis.energies(found[readout][directions.places("random")]),
        basis,
    )
    place = expected.subspaces.index("frequency")
    (row,) = tables["reuse_selection"].query("readout == @readout and basis == @name").to_dict("records")
    assert row["ratio"] == pytest.approx(expected.ratio[place], rel=1e-3)
    assert (row["low"], row["high"]) == pytest.approx((expected.low[place], expected.high[place]), rel=1e-3)
    assert row["dimension"] == 12 - (name == "dlog_sum")


def test_published_synergy_is_of_the_residual_in_sample(tables, responses, composite):
    found, directions, _ = responses
    table = tables["reuse_probes"].set_index(["kind", "direction", "held_out"])
    probed = {("edge", 1), ("edge", 2), *(("random", k) for k in (1, 2, 3))}
    assert set(table.index) == {(*which, held) for which in probed for held in ("none", "rows")}
    waves = {}
    for name in ("sum", "dlog_sum"):
        group = grouping(composite, name)
        waves[name] = real_characters(group.order)[group.groups_N][:, 1:] * np.sqrt(group.order)
    for place in directions.places("edge"):
        response = found["residual"][place][None]
        add, mul = (float(in_sample_r2(features, response)[0]) for features in waves.values())
        both = float(in_sample_r2(np.hstack(list(waves.values())), response)[0])
        row = table.loc[("edge", directions.numbers[place], "none")]
        assert row["synergy"] == pytest.approx(both - max(add, mul), abs=1e-5)
        assert row["interaction"] == pytest.approx(both - add - mul, abs=1e-5)
    for prefix in ("", "random_"):
        better = np.maximum(table[f"{prefix}additive"], table[f"{prefix}multiplicative"])
        np.testing.assert_allclose(table[f"{prefix}synergy"], table[f"{prefix}both"] - better, atol=1e-12)


def test_inclusion_is_that_of_the_heads_leading_functions(tables, responses):
    found, directions, _ = responses
    table = tables["inclusion"].set_index(["target", "kind", "draw"])
    edge = table.loc[("square_sum", "edge", 1)]
    assert edge["others"] == "add+mul"
    for kind, draw, places in (("edge", 1, [0, 1]), ("random", 2, directions.places("random")[2:])):
        spans = {}
        for part in ("add", "mul", "square_sum"):
            columns = found[part][directions.places("edge")].transpose(1, 0, 2).reshape(144, -1)
            values = np.linalg.svd(columns - columns.mean(axis=0), compute_uv=False) ** 2
            rank = int(np.argmax(np.cumsum(values) / values.sum() >= HELD)) + 1
            spans[part] = leading_functions(found[part][places], rank)
        row = table.loc[("square_sum", kind, draw)]
        assert row["target_rank"] == edge["target_rank"] == spans["square_sum"].shape[1]
        assert row["inclusion"] == pytest.approx(inclusion(spans["square_sum"], spans["add"], spans["mul"]), rel=1e-3)
        assert row["chance"] == pytest.approx(row["others_rank"] / 143)
    draws = {("edge", 1), *((kind, draw) for kind in ("bulk", "span", "random") for draw in (1, 2))}
    assert set(table.loc["add"].index) == draws


def test_planted_spans_are_included_as_they_overlap():
    axes = np.eye(20)
    spans = {
        "edge": [{"add": axes[:, :2], "mul": axes[:, 1:3], "square_sum": axes[:, [2, 9]]}],
        "random": [{"add": axes[:, :1], "mul": axes[:, :1], "square_sum": axes[:, :1]}],
    }
    table = inclusion_table(spans).set_index(["target", "kind"])
    assert list(table["inclusion"]) == pytest.approx([0.5, 1.0, 0.5, 1.0, 1.0, 1.0])
    assert list(table.loc[("square_sum", "edge"), ["target_rank", "others_rank"]]) == [2, 3]
    assert table.loc[("square_sum", "edge"), "chance"] == pytest.approx(3 / 19)
    assert not len(inclusion_table({"edge": [{"add": axes[:, :2]}]}))


def test_stored_subspaces_give_the_same_inclusion(tables):
    stored = tables["functions"]
    spans = {
        part: stored[[name for name in stored if name.rpartition(" ")[0] == part]].to_numpy(np.float64)
        for part in ("add", "mul", "square_sum")
    }
    edge = tables["inclusion"].query("kind == 'edge'").set_index(["target", "others"])
    assert len(edge) == 3
    for (target, others), row in edge.iterrows():
        parts = [spans[name] for name in others.split("+")]
        assert inclusion(spans[target], *parts) == pytest.approx(row["inclusion"], abs=1e-3)
        assert np.linalg.matrix_rank(np.hstack(parts)) == row["others_rank"]


def test_a_task_alone_is_read_on_the_domain_of_joint_tasks(alone, composite):
    tables = reuse(alone, SETTINGS)
    run = RecordedRun.open(alone)
    assert run.task.pairs_N2.min() == 0
    window = run.window(200, window=8, center=True)
    network = Network.at(run, 200)
    inside = torch.from_numpy(run.task.pairs_N2.min(axis=1) > 0).numpy()
    share = energy_share(
        host(network.responses(window.directions.vectors_KP[:2]))[:, inside], grouping(composite, "sum")
    )
    found = tables["reuse"].query("readout == 'residual' and kind == 'edge' and basis == 'sum'")["energy_share"]
    np.testing.assert_allclose(found, share, rtol=1e-3, atol=1e-5)
    assert set(tables["reuse"]["readout"]) == {"residual", "add"}
    assert not len(tables["inclusion"])
    np.testing.assert_array_equal(tables["functions"][["a", "b"]], composite.pairs_N2)


def test_the_same_run_gives_the_same_tables(tables, tri):
    for name, table in reuse(tri, SETTINGS).items():
        pd.testing.assert_frame_equal(table, tables[name])


@pytest.mark.parametrize(
    ("modulus", "absent"), [(13, set()), (11, {"gaussian_angle"}), (12, {"gaussian_angle", "output_dlog", "dlog_sum"})]
)
def test_bases_are_those_that_the_modulus_has(modulus, absent):
    task = named_task("square_sum", modulus=modulus)
    found = [name for name in BASES if not why_not(task, name)]
    assert found == [name for name in BASES if name not in absent]
    for name in found:
        assert grouping(task, name).order in (modulus, modulus - 1)


def test_the_gaussian_norm_is_the_logarithm_of_the_output(composite):
    np.testing.assert_array_equal(
        grouping(composite, "gaussian_norm").groups_N, grouping(composite, "output_dlog").groups_N
    )


@pytest.mark.parametrize(("steps", "updates", "bulk"), [(60, 3, 0), (80, 4, 1)])
def test_a_short_run_is_measured_over_all_its_updates(tmp_path, steps, updates, bulk):
    tables = reuse(train(tmp_path / "short", "add+", steps=steps), SETTINGS)
    assert set(tables["reuse"]["window"]) == {updates}
    found = tables["reuse"].query("readout == 'residual' and basis == 'sum'")["kind"].value_counts()
    assert (found["edge"], found.get("bulk", 0), found["random"]) == (2, bulk, 4)


def test_a_run_without_two_updates_is_refused(tmp_path):
    with pytest.raises(InputError, match="the shortest window, of 2 updates, needs 3 snapshots, got 2: record more"):
        reuse(train(tmp_path / "short", "add+", steps=20), SETTINGS)
