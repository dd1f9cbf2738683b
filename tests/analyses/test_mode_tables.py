"""Modes of a recorded run, against a second way of computing all of it in NumPy from the definitions."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from spectraledge import InputError, RunConfig, named_task
from spectraledge.analyses.frequency_tables import frequency_table
from spectraledge.analyses.mode_tables import character_table, mode_table, wave_table
from spectraledge.analyses.score import score_run
from spectraledge.analyses.selection_tables import key_table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.models import Transformer
from spectraledge.observed.observation import observe_run
from spectraledge.observed.view import View

MODULUS, WINDOW = 7, 6


def measured(folder: Path, **settings: object) -> pd.DataFrame:
    return mode_table(observe_run(folder, View(**settings)), AnalysisConfig())


def watched_vector(tensors: dict[str, torch.Tensor]) -> np.ndarray:
    names = sorted(name for name in tensors if ".attention." in name and name.endswith(".weight"))
    return np.concatenate([tensors[name].double().numpy().ravel() for name in names])


def residual_after_move(model: Transformer, tensors: dict[str, torch.Tensor], move: np.ndarray) -> np.ndarray:
    """Residual stream with the watched weights moved, for the whole domain."""
    moved, offset = {}, 0
    for name in sorted(tensors):
        value = tensors[name].double().clone()
        if ".attention." in name and name.endswith(".weight"):
            value += torch.from_numpy(move[offset : offset + value.numel()].reshape(value.shape))
            offset += value.numel()
        moved[name] = value
    model.load_state_dict(moved)
    with torch.no_grad():
        return model(torch.from_numpy(named_task("mul", modulus=MODULUS).pairs_N2)).residual_ND.numpy()


def naive_share(response: np.ndarray, groups: list[int]) -> float:
    total = sum(float(np.sum((row - response.mean(axis=0)) ** 2)) for row in response)
    between = 0.0
    for group in set(groups):
        members = response[[g == group for g in groups]]
        between += len(members) * float(np.sum((members.mean(axis=0) - response.mean(axis=0)) ** 2))
    chance = (len(set(groups)) - 1) / (len(groups) - 1)
    return (between / total - chance) / (1 - chance)


def naive_peak(response: np.ndarray, groups: list[int], order: int) -> tuple[int, float]:
    field = [float(np.sum(row**2)) for row in response]
    means = {g: np.mean([f for f, h in zip(field, groups, strict=True) if h == g]) for g in set(groups)}
    mean = np.mean(list(means.values()))
    power = [
        abs(sum((m - mean) * np.exp(-2j * np.pi * w * q / order) for q, m in means.items())) ** 2
        for w in range(1, order // 2 + 1)
    ]
    return int(np.argmax(power)) + 1, float(max(power) / sum(power))


def test_modes_equal_a_second_computation(run: Path) -> None:
    result = measured(run, step=200, window=WINDOW, nulls=3)
    steps = range(200 - 20 * WINDOW, 201, 20)
    snapshots = [load_file(run / "snapshots" / f"step_{step:08d}.safetensors") for step in steps]
    updates = np.diff([watched_vector(tensors) for tensors in snapshots], axis=0)
    _, _, directions = np.linalg.svd(updates - updates.mean(axis=0), full_matrices=False)
    last = snapshots[-1]
    model = Transformer(
        RunConfig.for_task(named_task("mul", modulus=MODULUS), model={"width": 12, "heads": 2, "hidden": 16}).model
    ).double()
    logarithm = {pow(3, k, MODULUS): k for k in range(MODULUS - 1)}
    pairs = [(a, b) for a in range(1, MODULUS) for b in range(1, MODULUS)]
    groupings = {
        "sum": ([(a + b) % MODULUS for a, b in pairs], MODULUS),
        "difference": ([(a - b) % MODULUS for a, b in pairs], MODULUS),
        "product": ([a * b % MODULUS for a, b in pairs], MODULUS),
        "dlog_sum": ([(logarithm[a] + logarithm[b]) % (MODULUS - 1) for a, b in pairs], MODULUS - 1),
    }
    test = (pd.read_parquet(run / "domain.parquet")["split"] == "test").to_numpy()
    size = 0.005 * np.linalg.norm(watched_vector(last))
    still = residual_after_move(model, last, np.zeros(directions.shape[1]))
    for k in range(3):
        tiny = 1e-5
        derivative = (
            residual_after_move(model, last, tiny * directions[k])
            - residual_after_move(model, last, -tiny * directions[k])
        ) / (2 * tiny)
        for basis, (groups, order) in groupings.items():
            edge = result[(result["kind"] == "edge") & (result["direction"] == k + 1)]
            rows = edge[edge["basis"] == basis].set_index("method")
            np.testing.assert_allclose(rows.loc["jvp", "energy_share"], naive_share(derivative, groups), atol=1e-7)
            frequency, concentration = naive_peak(derivative, groups, order)
            assert rows.loc["jvp", "frequency"] == frequency
            np.testing.assert_allclose(rows.loc["jvp", "concentration"], concentration, atol=1e-7)
            half = [g for g, kept in zip(groups, test, strict=True) if kept]
            # The sign of a direction is free, and a one-sided difference depends on it.
            candidates = [
                residual_after_move(model, last, s * size * directions[k])[test] - still[test] for s in (1, -1)
            ]
            shares = [naive_share(moved, half) for moved in candidates]
            assert min(abs(rows.loc["difference", "energy_share"] - share) for share in shares) < 1e-7


def test_all_kinds_side_by_side(run: Path) -> None:
    result = measured(run, window=WINDOW, nulls=4)
    exact = result[(result["method"] == "jvp") & (result["basis"] == "output")]
    counts = exact.groupby("kind")["direction"].count().to_dict()
    # Centring takes one of the window's directions away.
    nulls = {"span": 4, "random": 4, "block": 4, "run_span": 4, "shuffled": 4}
    assert counts == {"edge": 3, "bulk": WINDOW - 1 - 3, "weights": 1, "gradient": 1, **nulls}
    published = result[result["method"] == "difference"]
    assert set(published["kind"]) == {"edge", "bulk", "span", "random"}
    assert exact["excluded"].unique().tolist() == [0]


def test_nulls_are_seeded(run: Path) -> None:
    first, again, other = (measured(run, window=WINDOW, nulls=2, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    null = first["kind"].isin(["span", "random", "block", "run_span", "shuffled"])
    assert not np.allclose(first.loc[null, "energy_share"], other.loc[null, "energy_share"])
    pd.testing.assert_frame_equal(first[~null], other[~null])


@pytest.mark.parametrize("readout", ["normed", "logits"])
def test_later_read_outs(run: Path, readout: str) -> None:
    early, late = (measured(run, window=WINDOW, nulls=2, readout=name) for name in ("residual", readout))
    assert set(late["readout"]) == {readout}
    # The published method is of the residual.
    assert set(late["method"]) == {"jvp"}
    exact = early[early["method"] == "jvp"]
    assert len(exact) == len(late)
    assert not np.allclose(exact["energy_share"], late["energy_share"], atol=1e-3)


def test_bad_input(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown basis 'fourier': known bases are sum, difference"):
        measured(run, window=WINDOW, bases=("fourier",))
    with pytest.raises(InputError, match=r"no snapshot at step 130 .* nearest is at step 120"):
        measured(run, step=130, window=WINDOW)
    with pytest.raises(InputError, match=r"window must be in \[2, 10\] for 11 snapshots, got 20"):
        measured(run)
    with pytest.raises(InputError, match="unknown read-out 'loss': known are residual, normed, logits"):
        measured(run, window=WINDOW, readout="loss")
    with pytest.raises(InputError, match="no run folder of spectraledge"):
        measured(tmp_path)


def test_tables_name_the_representations_of_a_group(group_run: Path) -> None:
    seen, settings = observe_run(group_run, View(window=4, nulls=3)), AnalysisConfig()
    names = ["sign", "dimension 2", "standard", "standard × sign"]
    modes = mode_table(seen, settings).query("basis == 'group:S4'")
    assert modes["subspace"].tolist() == [names[frequency - 1] for frequency in modes["frequency"]]
    assert key_table(seen, settings)["subspace"].unique().tolist() == names
    score = score_run(group_run, AnalysisConfig(bases=("group:S4",)))["score"]
    assert score.query("basis == 'group:S4'")["subspace"].unique().tolist() == [*names, "rest"]


def test_pictures_of_a_group_say_how_its_elements_are_ordered(group_run: Path) -> None:
    seen = observe_run(group_run, View(window=4, nulls=3))
    characters = character_table(seen, AnalysisConfig())
    pictured = (characters["kind"] == "edge") & (characters["direction"] <= 2)
    for axis in ("order_a", "order_b"):
        assert characters.loc[pictured, axis].str.endswith("by phase").all()
        assert (characters.loc[~pictured, axis] == "").all()
    assert set(characters["subspace"]) <= {"sign", "dimension 2", "standard", "standard × sign"}
    waves = wave_table(seen, AnalysisConfig())
    for _, rows in waves.groupby("direction"):
        assert len(rows.drop_duplicates(["phase_a", "phase_b"])) == 24**2
    frequencies = frequency_table(seen, AnalysisConfig())
    assert frequencies["subspace"].tolist() == ["sign", "dimension 2", "standard", "standard × sign"]
    # The token embedding, as functions of the element, by group means of a permutation of letters.
    table_VD = seen.network.architecture.token_table(seen.network.parameters).double()
    signs = torch.tensor([round(float(np.linalg.det(np.eye(4)[list(p)]))) for p in itertools.permutations(range(4))])
    centred = table_VD - table_VD.mean(0)
    along = (signs.double() @ centred).square().sum() / 24 / centred.square().sum()
    assert frequencies["embedding"].iloc[0] == pytest.approx(float(along))
