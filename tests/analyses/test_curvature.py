"""The course of curvature, and the edge beside the directions along which the loss bends."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from spectraledge import RunConfig
from spectraledge.analyses.curvature import BATCHES, LEADING, curvature_sentence, measure_curvature
from spectraledge.analyses.lead_times import CURVATURES, AlarmRun, first_alarms, lead_times, read_alarm_runs
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.errors import InputError
from spectraledge.models import architecture_of
from spectraledge.observed.gradient_batch import GradientBatch
from spectraledge.observed.loss_curvature import LossCurvature, commutator
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.streams import numpy_generator
from spectraledge.tasks import any_task
from spectraledge.training import train_in_folder

SETTINGS = AnalysisConfig(window=5, nulls=200, edge=2, stride=5)


@pytest.fixture(scope="module")
def tables(run: Path) -> dict[str, pd.DataFrame]:
    return measure_curvature(run, SETTINGS)


def test_the_defect_is_the_median_over_pairs_of_batches(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    recorded, defects = RecordedRun.open(run), tables["commutator"]
    assert defects["step"].tolist() == recorded.steps
    step = recorded.steps[3]
    generator = numpy_generator(SETTINGS.seed, "commutator", step)
    network, train_n = Network.at(recorded, step), np.flatnonzero(~recorded.test_N)
    found = [commutator(network, *generator.choice(train_n, (2, 512))) for _ in range(BATCHES)]
    row = defects.set_index("step").loc[step]
    assert row["defect"] == np.median([one.defect for one in found])
    assert row["low"] <= row["defect"] <= row["high"]
    whole = [one.defect * one.gradient for one in found]
    assert min(whole) * 0.999 <= row["curvature"] <= max(whole) * 1.001


def test_overlaps_are_squared_cosines_beside_their_nulls(run: Path, tables: dict[str, pd.DataFrame]) -> None:
    recorded, leaders = RecordedRun.open(run), tables["curvature"]
    assert sorted(leaders["step"].unique()) == [0, 100, 200]
    assert leaders[leaders["step"] == 0]["overlap"].isna().all()
    assert leaders[leaders["step"] > 0]["overlap"].notna().all()
    step = 200
    window = recorded.window(step, window=5, center=True)
    batch = GradientBatch.draw(recorded, numpy_generator(SETTINGS.seed, "gradients"))
    top = LossCurvature(Network.at(recorded, step), batch.kept_N).leading("hessian", 1, np.random.default_rng(9))
    rows = leaders.query("step == 200 and vector == 'hessian' and number == 1").set_index("direction")
    assert rows["value"][0] == pytest.approx(top.values_K[0], rel=1e-4)
    squares_K = np.square(window.directions.vectors_KP.numpy() @ top.vectors_KP[0])
    for direction in (1, 2):
        assert rows["overlap"][direction] == pytest.approx(squares_K[direction - 1], rel=1e-3, abs=1e-9)
    assert rows["overlap"][0] == pytest.approx(rows["overlap"][1] + rows["overlap"][2])
    assert rows["span"][0] == pytest.approx(2 / len(squares_K) * squares_K.sum(), rel=1e-3)
    size = recorded.series.layout.size
    # Drawn in full, all null directions at once.
    drawn = np.linalg.qr(np.random.default_rng(0).standard_normal((300, size, 2)))[0].transpose(0, 2, 1)
    overlap_B = np.square(drawn @ top.vectors_KP[0]).sum(1)
    assert rows["random"][0] == pytest.approx(2 / size)
    assert np.mean(overlap_B > rows["random_high"][0]) == pytest.approx(0.05, abs=0.03)
    assert ((rows["span_low"] <= rows["span"]) & (rows["span"] <= rows["span_high"])).all()
    counts = leaders[leaders["step"] == step].groupby("vector")["number"].nunique().to_dict()
    assert counts == {"commutator": 1, "hessian": LEADING, "gauss-newton": LEADING}


def test_one_step_is_measured_alone_and_said(run: Path) -> None:
    found = measure_curvature(run, SETTINGS.model_copy(update={"step": 180}))
    assert found["commutator"]["step"].tolist() == [180]
    assert found["curvature"]["step"].unique().tolist() == [180]
    words = curvature_sentence(found["commutator"], found["curvature"])
    assert "At step 180 the edge of updates holds" in words
    with pytest.raises(InputError, match="no snapshot at step 181"):
        measure_curvature(run, SETTINGS.model_copy(update={"step": 181}))


def test_a_joint_run_has_the_curvature_of_all_its_parts_together(tmp_path: Path) -> None:
    task = any_task("add+mul", modulus=7)
    sizes = {"width": 8, "heads": 2, "hidden": 8}
    config = RunConfig.for_task(task, sizes, steps=35, every=5, batch_size=16, stop_accuracy=2.0)
    train_in_folder(tmp_path / "run", config, task)
    settings = SETTINGS.model_copy(update={"step": 35, "nulls": 2})
    found = measure_curvature(tmp_path / "run", settings)["curvature"]
    row = found.query("vector == 'hessian' and number == 1 and direction == 0").iloc[0]

    run = RecordedRun.open(tmp_path / "run")
    kept_N = GradientBatch.draw(run, numpy_generator(settings.seed, "gradients")).kept_N
    network = architecture_of(config.model).module()
    stored = load_file(tmp_path / "run/snapshots/step_00000035.safetensors")
    fixed = {name: value.double() for name, value in stored.items()}
    labels = torch.from_numpy(task.answers_NO[kept_N])

    def loss(weights_P: torch.Tensor) -> torch.Tensor:
        moved = {**fixed, **run.series.layout.split(weights_P)}
        with sdpa_kernel(SDPBackend.MATH):
            read = torch.func.functional_call(network, moved, (torch.from_numpy(task.pairs_N2[kept_N]),))
        logits = read.logits_NC.unflatten(1, (2, 7))
        return torch.nn.functional.cross_entropy(logits.movedim(2, 1), labels, reduction="none").sum(1).mean()

    weights_P = run.series.layout.join(fixed)
    values_P = np.linalg.eigvalsh(torch.func.hessian(loss)(weights_P).numpy())
    assert row["value"] == pytest.approx(values_P[-1], rel=1e-5)


def alarm_run(name: str, seed: int, grokked: int | None, values: list[float]) -> AlarmRun:
    steps = list(range(0, 100 * len(values), 100))
    return AlarmRun(name, "add", 1.0, seed, grokked, {("defect", 0): (steps, torch.tensor(values))})


def test_a_planted_rise_of_the_defect_leads_by_its_steps() -> None:
    calm, rising = [1.0, 1.1, 1.0, 1.2, 1.1, 1.0, 1.1, 1.2], [1.0, 1.1, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]
    runs = [alarm_run(f"g{seed}", seed, 700, rising) for seed in range(4)]
    runs += [alarm_run(f"c{seed}", seed, None, calm) for seed in range(4)]
    found = lead_times(first_alarms(runs)).set_index(["quantity", "change"])
    assert found.loc[("defect", "high"), "lead"] == 300
    assert found.loc[("defect", "high"), "false_alarms"] == 0


def test_curvature_is_a_detector_where_all_runs_have_it(run: Path, tmp_path: Path) -> None:
    folders = [shutil.copytree(run, tmp_path / name) for name in ("one", "other")]
    for folder in folders:
        assert not set(CURVATURES) & {name for one in read_alarm_runs(folders, windows=[5]) for name, _ in one.series}
        measure(folder, ANALYSES["curvature"], SETTINGS)
    for one in read_alarm_runs(folders, windows=[5]):
        assert set(CURVATURES) <= {name for name, _ in one.series}
        assert one.series["hessian", 0][0] == [0, 100, 200]
