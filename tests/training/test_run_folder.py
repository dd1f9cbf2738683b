"""A run's folder: what is in it, whose it is, and what happens when writing fails."""

import contextlib
import errno
import os
import resource
import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.streams import derived_seed
from spectraledge.training import InMemory, NonFiniteLossError, RunFolder, Stack, Trainer, train, train_in_folder
from spectraledge.trajectory import Manifest, find_snapshots, read_snapshot


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def snapshots(folder):
    return {snapshot.step: snapshot.path.read_bytes() for snapshot in find_snapshots(folder)}


@pytest.mark.parametrize("protocol", ["paper", "default"])
def test_recording_leaves_the_weights_as_they_are_in_memory(tmp_path, small_config, small_task, protocol):
    config = small_config(protocol=protocol, steps=100)
    memory = InMemory()
    train(Trainer(config, small_task), memory)
    manifest = train_in_folder(tmp_path / "run", config, small_task)
    found = find_snapshots(tmp_path / "run")
    assert [snapshot.step for snapshot in found] == memory.steps == [0, 20, 40, 60, 80, 100]
    for snapshot, expected in zip(found, memory.snapshots, strict=True):
        torch.testing.assert_close(read_snapshot(snapshot.path), expected, rtol=0, atol=0)
    expected = pd.DataFrame(memory.evaluations).drop(columns="parts")
    pd.testing.assert_frame_equal(read_table(tmp_path / "run" / "metrics.parquet"), expected, check_exact=True)
    assert (manifest.status, manifest.stopped, manifest.step) == ("done", memory.stopped, 100)


def test_a_finished_folder_holds_these_files_and_no_others(tmp_path, small_config, small_task):
    train_in_folder(tmp_path / "run", small_config(steps=40), small_task)
    assert visible(tmp_path / "run") == [
        "domain.parquet",
        "files.json",
        "gram.parquet",
        "metrics.parquet",
        "moves",
        "run.json",
        "snapshots",
    ]
    assert [name for name in contents(tmp_path / "run") if name.endswith(".partial")] == []


def test_the_domain_is_a_table_of_every_pair(tmp_path, small_config, small_task):
    config = small_config(steps=20)
    train_in_folder(tmp_path, config, small_task)
    table = read_table(tmp_path / "domain.parquet")
    np.testing.assert_array_equal(table[["a", "b"]], small_task.pairs_N2)
    np.testing.assert_array_equal(table["label"], small_task.labels_N)
    split = Trainer(config, small_task).split
    np.testing.assert_array_equal(np.flatnonzero(table["split"] == "train"), np.sort(split.train_T))
    np.testing.assert_array_equal(np.flatnonzero(table["split"] == "test"), np.sort(split.test_T))


def test_the_manifest_says_what_the_run_is_and_how_far_it_came(tmp_path, small_config, small_task):
    config = small_config(steps=40, seed=5)
    manifest = train_in_folder(tmp_path, config, small_task)
    assert manifest == Manifest.read(tmp_path)
    assert (manifest.config, manifest.config_hash) == (config.model_dump(mode="json"), config.hash)
    assert manifest.seeds == {name: derived_seed(5, name) for name in ("weights", "split", "batches")}
    assert (manifest.step, manifest.grokked_step, manifest.stopped) == (40, None, "budget")
    metrics = read_table(tmp_path / "metrics.parquet")
    np.testing.assert_array_equal(manifest.test_accuracy, metrics["test_accuracy"].iloc[-1])
    assert manifest.wall_seconds > 0


def test_the_first_step_above_95_percent_is_noted(tmp_path, small_config, small_task, monkeypatch):
    accuracies = iter([0.2, 0.94, 0.95, 0.5, 0.99, 0.99])
    evaluate = Stack.evaluate
    monkeypatch.setattr(
        Stack,
        "evaluate",
        lambda stack: [replace(found, test_accuracy=next(accuracies)) for found in evaluate(stack)],
    )
    manifest = train_in_folder(tmp_path, small_config(steps=100, stop_accuracy=0.98, stop_patience=2), small_task)
    assert (manifest.grokked_step, manifest.stopped, manifest.step) == (40, "accuracy", 100)


def test_a_finished_run_is_not_trained_again(tmp_path, small_config, small_task, monkeypatch):
    config = small_config(steps=40)
    first = train_in_folder(tmp_path, config, small_task)
    before = contents(tmp_path)
    monkeypatch.setattr(Trainer, "__init__", lambda *_, **__: pytest.fail("a finished run was set up again"))
    assert train_in_folder(tmp_path, config, small_task) == first
    assert contents(tmp_path) == before


def test_a_folder_belongs_to_one_configuration(tmp_path, small_config, small_task):
    train_in_folder(tmp_path, small_config(steps=20), small_task)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"another configuration \(different: betas, seed\)"):
        train_in_folder(tmp_path, small_config(steps=20, seed=3, betas=(0.9, 0.99)), small_task)
    assert contents(tmp_path) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path, small_config, small_task):
    (tmp_path / "thesis.tex").write_text("draft")
    with pytest.raises(InputError, match="exists and is no run folder of spectraledge: choose another folder"):
        train_in_folder(tmp_path, small_config(), small_task)
    assert visible(tmp_path) == ["thesis.tex"]


def test_a_file_is_no_run_folder(tmp_path, small_config, small_task):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match="exists and is no run folder"):
        train_in_folder(tmp_path / "run", small_config(), small_task)


def test_only_one_process_writes_a_folder(tmp_path, small_config, small_task):
    config = small_config(steps=20)
    with (
        RunFolder(tmp_path, config, small_task),
        pytest.raises(InputError, match=r"another process is writing .*: wait for it, or choose another folder"),
        RunFolder(tmp_path, config, small_task),
    ):
        pytest.fail("two recorders of one folder")
    assert train_in_folder(tmp_path, config, small_task).status == "done"


def test_a_finished_or_failed_folder_is_free_again(tmp_path, small_config, small_task):
    finished, failing = small_config(steps=20), small_config(learning_rate=1e6)
    train_in_folder(tmp_path / "done", finished, small_task)
    with pytest.raises(NonFiniteLossError, match="the loss became"):
        train_in_folder(tmp_path / "failed", failing, small_task)
    for name, config in (("done", finished), ("failed", failing)):
        with RunFolder(tmp_path / name, config, small_task) as folder:
            assert folder.folder == tmp_path / name


def test_a_diverged_run_keeps_its_files_and_says_so_again(tmp_path, small_config, small_task):
    config = small_config(learning_rate=1e6)
    with pytest.raises(NonFiniteLossError, match=r"the loss became (nan|inf) at step \d+") as first:
        train_in_folder(tmp_path, config, small_task)
    manifest = Manifest.read(tmp_path)
    assert (manifest.status, manifest.error, manifest.stopped) == ("failed", str(first.value), "")
    assert max(snapshots(tmp_path)) == manifest.step
    assert read_table(tmp_path / "metrics.parquet")["step"].iloc[-1] == manifest.step
    before = contents(tmp_path)
    with pytest.raises(NonFiniteLossError, match=r"the loss became (nan|inf) at step \d+") as second:
        train_in_folder(tmp_path, config, small_task)
    assert str(second.value) == str(first.value)
    assert contents(tmp_path) == before


@contextlib.contextmanager
def refused_by_size(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_files_and_a_run_that_goes_on(tmp_path, small_config, small_task, monkeypatch):
    config = small_config(steps=100)
    train_in_folder(tmp_path / "whole", config, small_task)
    sync, calls = os.fsync, []

    def full_after_twelve(handle):
        calls.append(handle)
        if len(calls) > 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", full_after_twelve)
    with pytest.raises(OSError, match="No space left"):
        train_in_folder(tmp_path / "full", config, small_task)
    monkeypatch.undo()
    assert [name for name in contents(tmp_path / "full") if name.endswith(".partial")] == []
    assert Manifest.read(tmp_path / "full").status == "running"
    read_table(tmp_path / "full" / "metrics.parquet")
    whole = snapshots(tmp_path / "whole")
    written = snapshots(tmp_path / "full")
    assert 0 < len(written) < len(whole)
    assert written == {step: whole[step] for step in written}
    train_in_folder(tmp_path / "full", config, small_task)
    assert snapshots(tmp_path / "full") == whole


def test_a_snapshot_that_the_system_refuses_leaves_nothing_half_written(tmp_path, small_config, small_task):
    config = small_config(steps=40)
    with refused_by_size(9_000), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        train_in_folder(tmp_path, config, small_task)
    assert [name for name in contents(tmp_path) if name.endswith((".partial", ".safetensors"))] == []
    assert Manifest.read(tmp_path).status == "running"
    assert train_in_folder(tmp_path, config, small_task).status == "done"


def test_what_a_killed_process_left_half_written_is_removed(tmp_path, small_config, small_task):
    config = small_config(steps=40)
    train_in_folder(tmp_path / "run", config, small_task)
    half = tmp_path / "run" / "snapshots" / ".step_00000040.safetensors.123.partial"
    half.write_bytes(b"half")
    train_in_folder(tmp_path / "run", config, small_task)
    assert not half.exists()
