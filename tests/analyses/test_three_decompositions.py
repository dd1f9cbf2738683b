"""Three decompositions of a run against singular values computed one by one, and of planted paths."""

import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from spectraledge import InputError
from spectraledge.analyses.three_decompositions import decompositions
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.statistics import change_point
from spectraledge.streams import numpy_generator
from spectraledge.studies import AnalysisConfig
from spectraledge.trajectory import GramRecorder, read_snapshot

SETTINGS = AnalysisConfig(window=4)


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, pd.DataFrame]:
    return decompositions(run, SETTINGS)


def series_of(tables: dict[str, pd.DataFrame], quantity: str, *, window: int = 0, layer: int = 0) -> pd.DataFrame:
    table = tables["decompositions"]
    chosen = (table["quantity"] == quantity) & (table["window"] == window) & (table["layer"] == layer)
    return table[chosen].set_index("step")


def points_of(folder: Path) -> np.ndarray:
    return np.stack([vector.numpy() for _, vector, _ in RecordedRun.open(folder).series.vectors()])


@pytest.mark.parametrize("window", [4, 10])
def test_spectra_of_windows(run: Path, tables: dict[str, pd.DataFrame], window: int) -> None:
    updates = np.diff(points_of(run), axis=0)
    for last in range(window, len(updates) + 1):
        step, rows = 20 * last, updates[last - window : last]
        singular = np.linalg.svd(rows, compute_uv=False)
        lengths = np.sort(np.linalg.norm(rows, axis=1))[::-1]
        for column, values in (("value", singular), ("null", lengths)):
            expected = {f"sigma_{k + 1}": values[k] for k in range(3)}
            expected |= {"g23": values[1] ** 2 - values[2] ** 2, "trace": (values**2).sum()}
            scores = values[:-1] ** 2 / values[1:]
            expected["k_star"] = int(scores.argmax()) + 1
            for quantity, value in expected.items():
                found = series_of(tables, quantity, window=window)
                assert len(found) == len(updates) + 1 - window
                np.testing.assert_allclose(found.loc[step, column], value, rtol=1e-6)


def test_components_of_the_path(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    points = points_of(run)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    walk = np.vstack([np.zeros(len(lengths)), np.cumsum(np.diag(lengths), axis=0)])
    for count in range(3, len(points) + 1):
        courses, step = {}, 20 * (count - 1)
        for column, part in (("value", points[:count]), ("null", walk[:count])):
            left, singular, _ = np.linalg.svd(part - part.mean(axis=0), full_matrices=False)
            courses[column] = left[:, 0]
            for k in range(2):
                share = singular[k] ** 2 / (singular**2).sum()
                np.testing.assert_allclose(series_of(tables, f"pc{k + 1}_share").loc[step, column], share, rtol=1e-7)
        cosine = (courses["value"] @ courses["null"]) ** 2
        np.testing.assert_allclose(series_of(tables, "pc1_cosine").loc[step, "value"], cosine, atol=1e-8)


def test_singular_values_of_queries_and_keys(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    for step in range(0, 201, 20):
        tensors = load_file(run / "snapshots" / f"step_{step:08d}.safetensors")
        ratios = []
        for layer in (1, 2):
            stacked = tensors[f"layers.{layer - 1}.attention.qkv.weight"].double().numpy()
            for kind, matrix in (("query", stacked[:12]), ("key", stacked[12:24])):
                singular = np.linalg.svd(matrix, compute_uv=False)
                ratios.append(singular[0] / singular[1])
                found = series_of(tables, f"{kind}_ratio", layer=layer).loc[step]
                np.testing.assert_allclose(found["value"], ratios[-1], rtol=1e-9)
                share = series_of(tables, f"{kind}_share", layer=layer).loc[step, "value"]
                np.testing.assert_allclose(share, singular[0] ** 2 / np.square(matrix).sum(), rtol=1e-9)
        mean = math.prod(ratios) ** 0.25
        np.testing.assert_allclose(series_of(tables, "ratio").loc[step, "value"], mean, rtol=1e-9)


def test_the_null_of_a_matrix_is_noise_of_its_size(tables: dict[str, pd.DataFrame]) -> None:
    rng = np.random.default_rng(0)
    singular = np.linalg.svd(rng.standard_normal((4000, 12, 12)), compute_uv=False)
    ratio, share = singular[:, 0] / singular[:, 1], singular[:, 0] ** 2 / (singular**2).sum(axis=1)
    mean = np.exp(np.log(ratio).reshape(-1, 4).mean(axis=1))
    for quantity, layer, null in (("key_ratio", 1, ratio), ("query_share", 2, share), ("ratio", 0, mean)):
        found = series_of(tables, quantity, layer=layer).iloc[0]
        # 396 matrices, or 99 means of four: quantiles of the null at three standard errors of a probability.
        slack = 3 * np.sqrt(np.array([0.25, 0.0475]) / (99 if quantity == "ratio" else 396))
        for column, probability, width in (("null", 0.5, slack[0]), ("null_high", 0.95, slack[1])):
            low, high = np.quantile(null, [probability - width, min(probability + width, 1.0)])
            assert low <= found[column] <= high


def rerecorded(source: Path, folder: Path) -> Path:
    """Copy a run whose snapshots were moved, with the Gram of the moved ones."""
    shutil.copytree(source, folder)
    (folder / "gram.parquet").unlink()
    run = RecordedRun.open(folder)
    recorder = GramRecorder(folder, run.config.watched)
    for snapshot in run.series.snapshots:
        recorder.append(snapshot.step, read_snapshot(snapshot.path))
    recorder.write()
    return folder


def test_a_walk_is_like_its_null_and_a_line_is_not(wandering_run: Path, selecting_run: Path, tmp_path: Path) -> None:
    walk = decompositions(rerecorded(wandering_run, tmp_path / "walk"), SETTINGS)
    # Eight steps in some hundred dimensions are at right angles up to a tenth.
    for quantity in ("pc1_share", "pc2_share"):
        found = series_of(walk, quantity).iloc[-1]
        np.testing.assert_allclose(found["value"], found["null"], atol=0.05)
    assert series_of(walk, "pc1_cosine")["value"].iloc[-1] > 0.98
    line = decompositions(rerecorded(selecting_run, tmp_path / "line"), SETTINGS)
    # Across the line the updates are a thousandth as large in each of some hundred coordinates.
    last = series_of(line, "pc1_share").iloc[-1]
    assert last["value"] > 0.99 > 0.95 > last["null"]


def test_changes_are_those_of_each_series_and_of_its_null(tables: dict[str, pd.DataFrame]) -> None:
    changes = tables["decomposition_changes"].set_index(["quantity", "window", "layer"])
    expected = [
        ("g23", 4, 0, np.log, 4),
        ("sigma_1", 4, 0, np.log, 3),
        ("pc1_share", 0, 0, np.array, 4),
        ("ratio", 0, 0, np.log, 4),
        ("query_ratio", 0, 2, np.log, 4),
    ]
    for quantity, window, layer, scale, block in expected:
        series = series_of(tables, quantity, window=window, layer=layer)
        block = min(block, len(series) // 2)
        found = change_point(
            scale(series["value"].to_numpy()),
            block=block,
            generator=numpy_generator(SETTINGS.seed, "change", quantity, layer),
        )
        row = changes.loc[(quantity, window, layer)]
        assert row["step"] == series.index[found.position]
        np.testing.assert_allclose([row["share"], row["p"], row["change"]], [found.share, found.p, found.change])
        assert row["block"] == block
        if quantity in ("ratio", "query_ratio"):
            assert np.isnan(row["null_step"])
        else:
            of_null = change_point(scale(series["null"].to_numpy()), resamples=1, generator=numpy_generator(0))
            assert row["null_step"] == series.index[of_null.position]
    assert np.isnan(changes["lead"]).all()


def test_agreement_is_the_share_of_triples_as_close(tables: dict[str, pd.DataFrame]) -> None:
    agreement = tables["decomposition_agreement"].set_index("window")
    changes = tables["decomposition_changes"].query("layer == 0").set_index(["quantity", "window"])
    assert agreement.index.tolist() == [4, 10]
    row = agreement.loc[4]
    steps = [
        changes.loc[(quantity, window), "step"] for quantity, window in (("g23", 4), ("pc1_share", 0), ("ratio", 0))
    ]
    assert row[["updates", "displacement", "weights"]].tolist() == steps
    assert row["spread"] == max(steps) - min(steps)
    assert row["updates_null"] == changes.loc[("g23", 4), "null_step"]
    assert row["displacement_null"] == changes.loc[("pc1_share", 0), "null_step"]
    possible = [list(range(first + 40, 181, 20)) for first in (80, 40, 0)]
    spreads = [max(triple) - min(triple) for triple in itertools.product(*possible)]
    share = np.mean(np.array(spreads) <= row["spread"])
    np.testing.assert_allclose(row["p"], share, atol=4 * math.sqrt(0.25 / 9_999))
    np.testing.assert_allclose(row["null_spread"], np.median(spreads), atol=20)
    # One window of ten updates has no change.
    assert agreement.loc[10, ["updates", "spread", "null_spread", "p"]].isna().all()
    assert agreement["grokked_step"].isna().all()


def test_what_has_no_windows_is_refused(run: Path) -> None:
    with pytest.raises(InputError, match=r"window must be in \[2, 10\] for 11 snapshots, got 20"):
        decompositions(run, AnalysisConfig())
