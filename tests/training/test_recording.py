"""Recording by threads while training goes on: the same files, in order, whatever goes wrong and whenever."""

import errno
import os
import random
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save

from spectraledge.files import fingerprint, write_sealed
from spectraledge.spectrum import BandedGram
from spectraledge.training import InMemory, Member, RunFolder, Stack, run_folder, train_in_folders, train_together
from spectraledge.trajectory import (
    Manifest,
    find_snapshots,
    moves_path,
    read_snapshot,
    select_parameters,
    snapshot_path,
)
from spectraledge.trajectory.series import rounding


class Killed(BaseException):
    """Stands for a signal: nothing in the library may catch it."""


class AsLateAsMayBe(Executor):
    """Does what it was given when somebody waits for it."""

    def submit(self, work):
        future = Future()
        wait, future.result = future.result, lambda: (future.done() or future.set_result(work()), wait())[1]
        return future


class Naive(InMemory):
    """Everything in memory, and written at the end: each file from its definition, by the libraries' own writers."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.moves = folder, {}

    def record(self, run, evaluations):
        super().record(run, evaluations)
        self.watched = select_parameters(run.weights(), run.config.watched).matched
        if run.recent_losses:
            named = {f"{kind}/{name}": parts[name] for kind, parts in run.moves().items() for name in self.watched}
            self.moves[run.step] = {name: tensor.clone() for name, tensor in named.items()}

    def write(self):
        for step, weights in zip(self.steps, self.snapshots, strict=True):
            self.put(snapshot_path(self.folder, step), save(weights))
        for step, moves in self.moves.items():
            self.put(moves_path(self.folder, step), save(moves))
        metrics = pd.DataFrame([asdict(e) for e in self.evaluations]).drop(columns="parts")
        self.put(self.folder / "metrics.parquet", metrics.to_parquet(index=False))
        self.put(self.folder / "gram.parquet", self.gram().to_parquet(index=False))
        listed = {p.relative_to(self.folder).as_posix(): fingerprint(p) for p in self.folder.rglob("*.*")}
        write_sealed(self.folder / "files.json", {"files": dict(sorted(listed.items()))})

    def gram(self):
        gram, rows = BandedGram(20), []
        parts = [[weights[name] for name in sorted(self.watched)] for weights in self.snapshots]
        vectors = [torch.cat([tensor.double().flatten() for tensor in tensors]) for tensors in parts]
        noise = [rounding(tensors) for tensors in parts]
        for i, step in enumerate(self.steps[1:], 1):
            gram.append(vectors[i] - vectors[i - 1])
            band = {"step": step, "lag": np.arange(20), "product": gram.latest.numpy()}
            rows.append(pd.DataFrame({**band, "storage_noise": (noise[i] + noise[i - 1]) / 2}))
        return pd.concat(rows, ignore_index=True)

    def put(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture
def runs(tmp_path, small_config, small_task):
    """Make the runs of a stack, in folders of their own below a name."""

    def make(name, count=3, **settings):
        settings = {"steps": 80} | settings
        return [(tmp_path / name / str(i), small_config(seed=i, **settings), small_task) for i in range(count)]

    return make


def contents(run):
    folder = run[0]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.name not in ("run.json", ".lock")
    }


def assert_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert contents(ours) == contents(theirs)
        left, right = (Manifest.read(run[0]).model_copy(update={"wall_seconds": 0.0}) for run in (ours, theirs))
        assert left == right


def assert_goes_on(found, expected):
    """What is whole up to the last resume states is as it was, and the rest follows up to rounding.

    Bit for bit it follows alone (`test_resume.py`); products of a stack round as it is large.
    """
    for (folder, _, _), (other, _, _) in zip(found, expected, strict=True):
        reached = Manifest.read(folder).step if (folder / "resume.safetensors").exists() else -1
        for snapshot in find_snapshots(other):
            if snapshot.step <= reached:
                assert snapshot_path(folder, snapshot.step).read_bytes() == snapshot.path.read_bytes()
    train_in_folders(found)
    for ours, theirs in zip(found, expected, strict=True):
        assert contents(ours).keys() == contents(theirs).keys()
        assert Manifest.read(ours[0]).status == "done"
        last = (read_snapshot(find_snapshots(run[0])[-1].path) for run in (ours, theirs))
        torch.testing.assert_close(*last, rtol=0, atol=1e-3)


def record(runs, writers):
    """Train a stack of the runs with given threads, or with none."""
    with ExitStack() as opened:
        recorders = [opened.enter_context(RunFolder(*run, writers=writers)) for run in runs]
        train_together(Stack([Member(config, task) for _, config, task in runs]), recorders)


@pytest.mark.parametrize("count", [1, 3])
def test_folders_are_those_of_runs_that_are_written_one_by_one_from_memory(runs, count):
    ours, theirs = runs("ours", count), runs("theirs", count)
    train_in_folders(ours)
    naive = [Naive(folder) for folder, _, _ in theirs]
    train_together(Stack([Member(config, task) for _, config, task in theirs]), naive)
    for (folder, _, _), run, recorder in zip(theirs, ours, naive, strict=True):
        recorder.put(folder / "domain.parquet", (run[0] / "domain.parquet").read_bytes())
        recorder.write()
        assert contents(run) == contents((folder,))
        assert max(recorder.steps) == Manifest.read(run[0]).step == 80


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_written_is_the_run_as_it_was_however_late(runs, count):
    """Also that a run's next interval waits for its last one: else the first would never be written."""
    at_once, late = runs("at once", count), runs("late", count)
    record(at_once, None)
    record(late, AsLateAsMayBe())
    assert_same(late, at_once)


@pytest.mark.parametrize(("most", "share", "due"), [(32, 1 / 16, False), (1, 1 / 16, True), (1, 2, False)])
def test_files_of_a_run_come_in_order_and_one_at_a_time_whatever_thread_is_slow(runs, monkeypatch, most, share, due):
    rename, rng, writing, seen = Path.replace, random.Random(0), set(), {}

    def replace(path, target):
        folder = next(run[0] for run in made if target.is_relative_to(run[0]))
        assert folder not in writing
        writing.add(folder)
        time.sleep(rng.random() / 100)
        rename(path, target)
        seen.setdefault(folder, []).append(target.relative_to(folder).as_posix())
        threads.add(threading.current_thread())
        writing.remove(folder)

    made, threads = runs("run", steps=40), set()
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(run_folder, "_MOST_UNLISTED", most)
    monkeypatch.setattr(run_folder, "_SHARE_UNLISTED", share)
    train_in_folders(made)
    step = "step_{:08d}.safetensors".format
    expected = ["run.json", "domain.parquet", f"snapshots/{step(0)}", "metrics.parquet", "files.json"]
    expected += ["run.json", "resume.safetensors"]
    for taken in (20, 40):
        listed = ["gram.parquet", "metrics.parquet", "files.json", "run.json"]
        expected += [f"snapshots/{step(taken)}", f"moves/{step(taken)}", *listed * due, "resume.safetensors"]
    expected += listed
    assert seen == {folder: expected for folder, _, _ in made}
    assert len(threads) > 2


@pytest.mark.parametrize("fatal", [1, 8, 14, 20, 27, 33, 40, 48])
def test_a_stack_killed_at_any_write_goes_on(runs, monkeypatch, fatal):
    whole, killed = runs("whole", steps=40), runs("killed", steps=40)
    train_in_folders(whole)
    rename, remove, writes, lock = Path.replace, Path.unlink, [], threading.Lock()

    def replace(path, target):
        with lock:
            writes.append(target)
            if len(writes) >= fatal:
                raise Killed
            rename(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    # A killed process removes nothing.
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
    with pytest.raises(Killed, match=r"^$"):
        train_in_folders(killed)
    monkeypatch.setattr(Path, "replace", rename)
    monkeypatch.setattr(Path, "unlink", remove)
    assert_goes_on(killed, whole)


@pytest.mark.parametrize("step", [0, 40, 80])
def test_an_error_of_a_thread_is_raised_and_the_runs_go_on(runs, monkeypatch, step):
    whole, full = runs("whole"), runs("full")
    train_in_folders(whole)
    sync, refused = os.fsync, full[1][0] / "snapshots" / f".step_{step:08d}.safetensors.{os.getpid()}.partial"

    def fsync(handle):
        if Path(os.readlink(f"/proc/self/fd/{handle}")) == refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        train_in_folders(full)
    monkeypatch.undo()
    counts = [len(list((run[0] / "snapshots").glob("step_*"))) for run in full]
    assert counts[1] == step // 20
    # The others are at most one snapshot ahead of where it stopped.
    assert all(counts[1] < other <= counts[1] + 2 for other in (counts[0], counts[2]))
    assert [name for run in full for name in contents(run) if name.endswith(".partial")] == []
    assert_goes_on(full, whole)


def test_all_is_written_when_a_run_has_failed_or_is_left(runs):
    diverging = runs("diverging", 1, learning_rate=1e6)
    (manifest,) = train_in_folders(diverging)
    assert manifest.status == "failed"
    assert manifest.step == find_snapshots(diverging[0][0])[-1].step
    folder, config, task = runs("stopped", 1)[0]
    run = Member(config, task)
    stack = Stack([run])

    def left(writers):
        with RunFolder(folder, config, task, writers=writers) as recorder:
            recorder.record(run, [*recorder.resume(run), *stack.evaluate()])
            stack.advance(20)
            raise KeyboardInterrupt

    weights = {name: tensor.clone() for name, tensor in run.weights().items()}
    with ThreadPoolExecutor(1) as writers, pytest.raises(KeyboardInterrupt, match=r"^$"):
        left(writers)
    assert Manifest.read(folder).step == 0
    torch.testing.assert_close(read_snapshot(snapshot_path(folder, 0)), weights, rtol=0, atol=0)
