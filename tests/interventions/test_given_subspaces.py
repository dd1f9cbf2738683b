"""Subspaces from files and recorded windows: what is read, and what is refused."""

import numpy as np
import pytest
import torch

from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.interventions.given_subspaces import given_frame
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.studies.retention import thin
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig, Trainer, train_in_folder
from spectraledge.trajectory import write_tensors

SIZES = {"width": 12, "heads": 2, "hidden": 16}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    task = named_task("add", modulus=7)
    folder = tmp_path_factory.mktemp("given") / "run"
    config = RunConfig.for_task(task, SIZES, batch_size=16, steps=80, every=5, stop_accuracy=2.0)
    train_in_folder(folder, config, task)
    return folder


def changed(*texts, **sizes):
    task = named_task("add", modulus=7)
    config = RunConfig.for_task(task, SIZES | sizes, interventions=[Intervention.of(text) for text in texts])
    return Trainer(config, task)


def projector(rows):
    return rows.double().T @ rows.double()


def in_order_of(layout, frame_of):
    """Rows of an intervention's frame in the order of a layout."""
    assert set(layout.shapes) == set(frame_of.layout.shapes)
    return layout.join_rows(frame_of.layout.split(frame_of._fixed.rows_KP))


@pytest.mark.parametrize(("center", "skip"), [("no", 0), ("yes", 0), ("no", 2)])
def test_a_recorded_window_gives_its_directions(recorded, center, skip):
    trainer = changed(f"remove:run:{recorded}@60:2,window=6,center={center},skip={skip}")
    series = RecordedRun.open(recorded).series
    vectors = np.stack([vector.numpy() for step, vector, _ in series.vectors() if 30 <= step <= 60])
    updates = np.diff(vectors, axis=0)
    updates = updates - updates.mean(0) if center == "yes" else updates
    rows = torch.from_numpy(np.linalg.svd(updates, full_matrices=False)[2][skip : skip + 2])
    found = in_order_of(series.layout, trainer.interventions._acting[0])
    torch.testing.assert_close(projector(found), projector(rows), rtol=0, atol=1e-6)


def test_a_file_gives_its_span(recorded, tmp_path):
    layout = RecordedRun.open(recorded).series.layout
    vectors = torch.randn(3, layout.size, generator=torch.Generator().manual_seed(0))
    # In another order, and one parameter alone.
    parts = dict(reversed(layout.split(vectors).items()))
    write_tensors(tmp_path / "all.safetensors", parts)
    name = next(iter(parts))
    write_tensors(tmp_path / "one.safetensors", {name: parts[name]})
    whole, one = (
        changed(f"remove:file:{tmp_path / file}").interventions._acting[0]
        for file in ("all.safetensors", "one.safetensors")
    )
    orthonormal = torch.linalg.qr(vectors.double().T)[0].T
    torch.testing.assert_close(projector(in_order_of(layout, whole)), projector(orthonormal), rtol=0, atol=1e-6)
    assert list(one.layout.shapes) == [name]
    assert one._fixed.rank == 3


def test_complex_vectors_are_pairs_of_reals():
    vectors = torch.randn(2, 3, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
    frame = given_frame({"w": vectors}, {"w": (3, 2)}, "these")
    pairs = torch.view_as_real(vectors).reshape(2, 6)
    orthonormal = torch.linalg.qr(pairs.T)[0].T
    torch.testing.assert_close(projector(frame.rows_KP), projector(orthonormal))


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ({"w": torch.ones(2, 3)}, r"missing: b; too many: none"),
        ({"w": torch.ones(2, 3), "b": torch.ones(2, 1), "c": torch.ones(2, 1)}, "missing: none; too many: c"),
        ({"w": torch.ones(2, 3), "b": torch.ones(3, 1)}, r"these: b has vectors of shape \(3, 1\)"),
        ({"w": torch.ones(2, 4), "b": torch.ones(2, 1)}, r"expected floats of shape \(2, 3\)"),
        ({"w": torch.ones(2, 3).int(), "b": torch.ones(2, 1)}, r"type torch.int32, expected floats"),
        ({"w": torch.zeros(2, 3), "b": torch.zeros(2, 1)}, "is zero"),
        ({"w": torch.ones(()), "b": torch.ones(())}, r"has vectors of shape \(\)"),
    ],
)
def test_vectors_of_other_parameters_are_refused(vectors, message):
    with pytest.raises(InputError, match=message):
        given_frame(vectors, {"w": (3,), "b": (1,)}, "these")


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("@61:2,window=4", "no snapshot at step 61 in .*: the nearest is at step 60"),
        ("@60:2,window=30", r"window must be in \[2, 12\] for 13 snapshots, got 30"),
        ("@5000:2,window=4", "the nearest is at step 80"),
    ],
)
def test_windows_that_are_not_there_are_refused(recorded, which, message):
    with pytest.raises(InputError, match=message):
        Intervention.of(f"remove:run:{recorded}{which}")


def test_a_network_of_another_size_is_refused(recorded):
    with pytest.raises(InputError, match="has these parameters in other shapes; take a run of the same network"):
        changed(f"remove:run:{recorded}@60:2,window=4", width=16)


def test_what_changed_since_is_refused(recorded, tmp_path):
    path = tmp_path / "v.safetensors"
    layout = RecordedRun.open(recorded).series.layout
    write_tensors(path, layout.split(torch.ones(1, layout.size)))
    text = f"remove:file:{path}"
    config = RunConfig.for_task(named_task("add", modulus=7), SIZES, interventions=[Intervention.of(text)])
    write_tensors(path, layout.split(2 * torch.ones(1, layout.size)))
    with pytest.raises(InputError, match=r"has changed since remove:file:.* was chosen"):
        Trainer(config, named_task("add", modulus=7))
    moved = path.rename(tmp_path / "w.safetensors")
    assert (
        RunConfig.for_task(
            named_task("add", modulus=7), SIZES, interventions=[Intervention.of(f"remove:file:{moved}")]
        ).hash
        != config.hash
    )


def test_where_a_file_lies_is_no_part_of_a_run(recorded, tmp_path):
    layout = RecordedRun.open(recorded).series.layout
    hashes = set()
    for name in ("v.safetensors", "w.safetensors"):
        write_tensors(tmp_path / name, layout.split(torch.ones(1, layout.size)))
        found = Intervention.of(f"remove:file:{tmp_path / name}")
        hashes.add(RunConfig.for_task(named_task("add", modulus=7), SIZES, interventions=[found]).hash)
    assert len(hashes) == 1


def test_a_thinned_run_has_holes(tmp_path):
    task = named_task("add", modulus=7)
    config = RunConfig.for_task(task, SIZES, batch_size=16, steps=80, every=5, stop_accuracy=2.0)
    train_in_folder(tmp_path, config, task)
    thin(tmp_path, window=4)
    with pytest.raises(InputError, match=r"snapshots of .* were thinned: its windows have holes"):
        Intervention.of(f"remove:run:{tmp_path}@40:2,window=4")
