"""Representation-level tools on a recorded run: their tables against the definitions, taken a second way."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from spectraledge.analyses import dictionary
from spectraledge.analyses.dictionary import analyze_autoencoder
from spectraledge.analyses.representation import analyze_representation
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.controls import jaccard, moved_features, train_autoencoder
from spectraledge.devices import host
from spectraledge.observed.labelled_directions import collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.observed.view import View
from spectraledge.statistics import empirical_p
from spectraledge.streams import torch_generator

SETTINGS = AnalysisConfig(window=6, nulls=8)
KINDS = ("edge", "bulk", "span", "random")


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, pd.DataFrame]:
    return analyze_representation(run, SETTINGS)


@pytest.fixture(scope="module")
def seen(run: Path) -> tuple[RecordedRun, Network, torch.Tensor, list[tuple[str, int]]]:
    recorded = RecordedRun.open(run)
    at = recorded.chosen_step()
    window = recorded.window(at, window=6, center=True)
    network = Network.at(recorded, at)
    found = collect_directions(recorded, window, network, View(edge=3, nulls=8), kinds=KINDS)
    return recorded, network, found.vectors_KP, list(zip(found.kinds, found.numbers, strict=True))


def test_every_direction_has_its_rows(tables, seen) -> None:
    recorded, _, _, labels = seen
    for name, rows in (("block_shares", 2 * 2 * 4), ("purity", 3), ("ranks", 2)):
        table = tables[name]
        assert (table["step"] == recorded.chosen_step()).all()
        counts = table.groupby(["kind", "direction"]).size()
        assert {label: int(counts[label]) for label in labels} == dict.fromkeys(labels, rows)
        assert len(table) == rows * len(labels)


def test_purity_is_the_largest_share_and_names_its_block(tables) -> None:
    shares = tables["block_shares"]
    grains = {"head": ["layer", "head"], "head_matrix": ["layer", "head", "matrix"], "matrix": ["matrix"]}
    for row in tables["purity"].itertuples():
        own = shares[(shares["kind"] == row.kind) & (shares["direction"] == row.direction)]
        blocks = own.groupby(grains[row.grain])["share"].sum()
        assert row.blocks == len(blocks)
        assert row.purity == pytest.approx(blocks.max())
        place = tuple(getattr(row, name) for name in grains[row.grain])
        assert blocks[place if len(place) > 1 else place[0]] == pytest.approx(blocks.max())
        assert 1 / row.blocks < row.null_mean < row.null_high
    assert shares.groupby(["kind", "direction"])["share"].sum().to_numpy() == pytest.approx(1)


def test_random_directions_are_as_pure_as_the_null_says(tables) -> None:
    purity = tables["purity"]
    assert purity.loc[purity["kind"] == "random", "p"].min() > 0.01
    np.testing.assert_array_equal(purity["p"] <= 0.05, purity["purity"] >= purity["null_high"])
    assert (purity["p"] <= 0.05).any()


def test_ranks_equal_a_second_computation(tables, seen) -> None:
    recorded, network, vectors_KP, labels = seen
    groups_N = recorded.task.labels_N
    logarithm = {pow(3, k, 7): k for k in range(6)}
    ranks = tables["ranks"].set_index(["kind", "direction", "centered"])
    for (kind, number), response_ND in zip(labels, host(network.responses(vectors_KP)), strict=True):
        for centered in (False, True):
            rows_ND = response_ND - response_ND.mean(axis=0) if centered else response_ND
            _, values, right = np.linalg.svd(rows_ND, full_matrices=False)
            share = values**2 / sum(values**2)
            row = ranks.loc[(kind, number, centered)]
            assert row["effective_rank"] == pytest.approx(np.exp(-sum(share * np.log(share))), rel=1e-4)
            projection_N = rows_ND @ right[0]
            means = {logarithm[q]: projection_N[groups_N == q].mean() for q in range(1, 7)}
            power = np.abs(np.fft.rfft([means[q] for q in range(6)]))[1:] ** 2
            assert row["peakedness"] == pytest.approx(power.max() / power.mean(), rel=1e-3)
            assert row["frequency"] == power.argmax() + 1
            assert row["basis"] == "dlog_sum"


def test_ranks_are_ranked_among_random_directions(tables) -> None:
    ranks = tables["ranks"]
    assert ranks.loc[ranks["kind"] == "random", ["p_rank", "p_peakedness"]].isna().all(axis=None)
    for column, p in (("effective_rank", "p_rank"), ("peakedness", "p_peakedness")):
        for row in ranks[ranks["kind"] != "random"].to_dict("records"):
            alike = (ranks["kind"] == "random") & (ranks["centered"] == row["centered"])
            null_B = ranks.loc[alike, column].to_numpy()
            tails = empirical_p(row[column], null_B), empirical_p(-row[column], -null_B)
            assert row[p] == pytest.approx(min(1, 2 * min(tails)))


def test_overlaps_equal_a_second_computation(run: Path, seen, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DICTIONARY", 30), ("ACTIVE", 4), ("EPOCHS", 5)):
        monkeypatch.setattr(dictionary, name, value)
    found = analyze_autoencoder(run, SETTINGS)
    recorded, _, vectors_KP, labels = seen
    network = Network.at(recorded, recorded.chosen_step(), dtype=torch.float32)
    kept = [row for row, (kind, _) in enumerate(labels) if kind != "span"]
    rows = []
    for vector in vectors_KP[kept]:  # Gram and Schmidt.
        for row in rows:
            vector = vector - (vector @ row) * row
        rows.append(vector / vector.norm())
    residual_ND = network.still["residual"]
    trained = train_autoencoder(
        residual_ND, features=30, active=4, epochs=5, generator=torch_generator(42, "autoencoder")
    )
    size = 0.005 * float(network.weights_P.norm())
    shift_KND = size * network.responses(torch.stack(rows))
    index_KK = jaccard(moved_features(trained, residual_ND, shift_KND))
    names = [labels[row] for row in kept]
    table = found["autoencoder"].set_index(["kind", "first", "second"]).sort_index()
    for i, j in combinations(range(len(names)), 2):
        if names[i][0] == names[j][0]:
            assert table.loc[(names[i][0], names[i][1], names[j][1]), "jaccard"] == pytest.approx(index_KK[i, j])
    random = shift_KND[-8:]
    for k in range(8):
        mixed = torch.stack([random[k], (random[k] + random[(k + 1) % 8]) / 2**0.5])
        expected = jaccard(moved_features(trained, residual_ND, mixed))[0, 1]
        assert table.loc[("tilted", k + 1, (k + 1) % 8 + 1), "jaccard"] == pytest.approx(expected)
    null = table.loc["random", "jaccard"]
    assert len(null) == 8 * 7 / 2
    assert table.loc[["random", "tilted"], ["p", "p_tilted"]].isna().all(axis=None)
    assert table.loc["edge", "p"].between(4 / (10 * 9), 1).all()
    fit = found["autoencoder_fit"].iloc[0]
    assert (fit["features"], fit["active"], fit["epochs"]) == (30, 4, 5)
    assert fit["explained"] == pytest.approx(trained.explained(residual_ND))
    assert fit["alive"] == (trained.encode(residual_ND) > 0).any(0).sum()
