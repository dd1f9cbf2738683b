"""The function as a picture at every snapshot, against its definition."""

from pathlib import Path

import numpy as np
import pytest

from spectraledge.analyses.forming import LastWave, own_functions
from spectraledge.analyses.score import score_run
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.modes import grouping_basis
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import grouping, named_task


@pytest.mark.parametrize("name", ["run", "add_run"])
def test_pictures_are_projections_on_what_varies_most_in_the_end(name: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(name)
    formed = score_run(folder, AnalysisConfig(window=4, nulls=2))["forming"]
    recorded = RecordedRun.open(folder)
    group = grouping(recorded.task, recorded.wave_basis)
    covered_N = group.groups_N >= 0

    def function(step: int) -> np.ndarray:
        values_ND = host(Network.at(recorded, step).readout("logits"))
        return values_ND - values_ND[covered_N].mean(0)

    end_ND = function(recorded.steps[-1])
    # Group means, each as often as its group has pairs: their leading axis in the space of answers.
    means_ND = np.stack([end_ND[group.groups_N == q].mean(0) for q in group.groups_N[covered_N]])
    axis_D = np.linalg.eigh(means_ND.T @ means_ND)[1][:, -1]
    size = np.sqrt(np.square(end_ND @ axis_D).mean())
    coordinates_n2 = group.coordinates_N2[covered_N]
    for step in recorded.steps[::3]:
        rows = formed[formed["step"] == step]
        expected_n = function(step)[covered_N] @ axis_D / size
        sign = np.sign(expected_n @ rows["value"])
        np.testing.assert_allclose(rows["value"], sign * expected_n, atol=2e-4)
    last = formed[formed["step"] == recorded.steps[-1]]
    assert len(last.drop_duplicates(["place_a", "place_b"])) == covered_N.sum()
    # One order of the coordinates for both inputs.
    order = dict(zip(coordinates_n2[:, 0], last["place_a"], strict=True))
    assert [order[b] for b in coordinates_n2[:, 1]] == last["place_b"].tolist()
    assert sorted(order.values()) == list(range(len(order)))


def test_a_planted_wave_becomes_one_broad_stripe() -> None:
    task = named_task("add", modulus=23)
    group = grouping(task, "sum")
    wave_N = np.cos(2 * np.pi * 5 * group.groups_N / 23)
    values_ND = np.outer(wave_N, [0.0, 3.0, 4.0])
    rows = LastWave.of(values_ND, group, group).picture(7, values_ND)
    assert set(rows["step"]) == {7}
    picture = np.zeros((23, 23))
    picture[rows["place_a"], rows["place_b"]] = rows["value"]
    place = np.arange(23)
    broad = np.sqrt(2) * np.cos(2 * np.pi * (place[:, None] + place) / 23)
    np.testing.assert_allclose(picture * np.sign(picture[0, 0]), broad, atol=1e-6)


@pytest.mark.parametrize("name", ["sum", "dlog_sum"])
def test_functions_divide_a_picture(name: str) -> None:
    group = grouping(named_task("add", modulus=11), name)
    table = own_functions(group)
    covered_N = group.groups_N >= 0
    functions_KE = table.pivot(index="column", columns="element", values="value").to_numpy()
    values_Kn = functions_KE[:, group.groups_N[covered_N]]
    np.testing.assert_allclose(values_Kn @ values_Kn.T, np.eye(len(values_Kn)), atol=1e-12)
    held = grouping_basis(group)
    response_N1 = np.random.default_rng(3).normal(size=(121, 1))
    (label,) = table.loc[table["column"] == 3, "subspace"].unique()
    chosen = values_Kn[table.drop_duplicates("column")["subspace"].to_numpy() == label]
    expected = chosen.T @ (chosen @ (response_N1[covered_N, 0] - response_N1[covered_N, 0].mean()))
    np.testing.assert_allclose(held.projection(response_N1, label)[covered_N, 0], expected, atol=1e-12)


def test_a_function_of_the_divisor_becomes_blocks_and_says_so() -> None:
    task = named_task("mul", modulus=12)
    group = grouping(task, "ring_product")
    divisors_N = np.gcd(task.labels_N, 12)
    view = LastWave.of(np.outer(divisors_N, [3.0, 4.0]), group, group)
    assert view.orders == ("greatest common divisors with 12 (100%), within them by phase",) * 2
    rows = view.picture(7, np.outer(divisors_N, [3.0, 4.0]))
    picture = np.full((11, 11), np.nan)
    picture[rows["place_a"], rows["place_b"]] = rows["value"]
    assert (np.abs(np.diff(picture, axis=0)) > 1e-6).any(axis=1).tolist() == [
        place in (3, 5, 7, 9) for place in range(10)
    ]
