"""A run killed at any moment goes on as if it had not been, bit for bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

import kills
from small_runs import assert_same_run
from spectraledge.errors import DamageError, InputError
from spectraledge.files import read_table, write_sealed, write_table
from spectraledge.tasks import any_task
from spectraledge.training import RunConfig, Trainer, run_folder, train_in_folder
from spectraledge.training.metrics_tables import read_metrics, read_parts
from spectraledge.training.saved_state import State, read_state, write_state
from spectraledge.trajectory import Inventory, Manifest, read_snapshot, snapshot_path
from spectraledge.trajectory.inventory import damages
from spectraledge.trajectory.unfinished import LATEST, PROGRESS, UNLISTED, unfinished_text

SCRIPT = """
import sys, time
from pathlib import Path
import torch
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig, train_in_folder
torch.set_num_threads(1)
config = RunConfig.model_validate_json(sys.argv[2])
train_in_folder(Path(sys.argv[1]), config, named_task("add", modulus=13), on_progress=lambda _: time.sleep(0.05))
"""


class Killed(BaseException):
    """Stands for a signal: nothing in the library may catch it."""


def wait_for_step(folder, step, process):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if Manifest.present(folder) and Manifest.read(folder).step >= step:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.005)
    pytest.fail(f"the run did not reach step {step} in a minute")


def test_a_run_killed_by_a_signal_goes_on(tmp_path, small_config, small_task):
    config = small_config()
    train_in_folder(tmp_path / "whole", config, small_task)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "killed"), config.model_dump_json()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            wait_for_step(tmp_path / "killed", 100, process)
            with pytest.raises(InputError, match="another process is writing"):
                train_in_folder(tmp_path / "killed", config, small_task)
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    interrupted = Manifest.read(tmp_path / "killed")
    assert (interrupted.status, interrupted.stopped) == ("running", "")
    assert 100 <= interrupted.step < 400
    train_in_folder(tmp_path / "killed", config, small_task)
    assert_same_run(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.parametrize("protocol", ["paper", "default"])
def test_a_run_stopped_after_every_interval_goes_on(tmp_path, small_config, small_task, protocol):
    config = small_config(protocol=protocol, steps=100, every=5)
    train_in_folder(tmp_path / "whole", config, small_task)
    seen = []

    def stop(progress):
        seen.append(progress.evaluation.step)
        raise KeyboardInterrupt

    for _ in range(config.steps // config.every):
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            train_in_folder(tmp_path / "parts", config, small_task, on_progress=stop)
        assert Manifest.read(tmp_path / "parts").step == seen[-1]
    assert seen == list(range(5, 101, 5))
    train_in_folder(tmp_path / "parts", config, small_task)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(("most", "due"), [(1, 2), (32, 0)])
def test_a_run_killed_at_any_write_goes_on(tmp_path, small_config, small_task, monkeypatch, moment, most, due):
    config = small_config(steps=4, every=2)
    train_in_folder(tmp_path / "whole", config, small_task)
    monkeypatch.setattr(run_folder, "_MOST_UNLISTED", most)
    rename, remove = Path.replace, Path.unlink
    # At the start the manifest and the domain; the snapshot and the state at each of three steps, moves at two of them;
    # metrics, list of files and manifest at the first, and with the Gram where they are due and at the end.
    last = 2 + 3 * 2 + 2 + 3 + 4 * due + 4
    whole = read_metrics(tmp_path / "whole")
    for fatal in range(1, last + 1):
        folder, writes = tmp_path / f"{moment}-{fatal}", []

        def replace(path, target, *, fatal=fatal, writes=writes):
            writes.append(target)
            if len(writes) == fatal and moment == "before":
                raise Killed
            rename(path, target)
            if len(writes) == fatal:
                raise Killed

        monkeypatch.setattr(Path, "replace", replace)
        # A killed process removes nothing.
        monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(Killed, match=r"^$"):
            train_in_folder(folder, config, small_task)
        monkeypatch.setattr(Path, "replace", rename)
        monkeypatch.setattr(Path, "unlink", remove)
        assert len(writes) == fatal
        if (folder / "resume.safetensors").exists():
            reached, metrics = Manifest.read(folder).step, read_metrics(folder)
            assert metrics["step"].iloc[-1] >= reached
            pd.testing.assert_frame_equal(metrics, whole[: len(metrics)], check_exact=True)
        train_in_folder(folder, config, small_task)
        assert_same_run(folder, tmp_path / "whole")


def test_the_time_of_all_sittings_is_added_up(tmp_path, small_config, small_task):
    config = small_config(steps=40)

    def stop(_):
        time.sleep(0.05)
        raise KeyboardInterrupt

    sittings = []
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            train_in_folder(tmp_path, config, small_task, on_progress=stop)
        sittings.append(Manifest.read(tmp_path).wall_seconds)
        assert sittings[-1] <= sum(sittings[:-1]) + time.monotonic() - began
    assert sittings[1] > sittings[0] > 0


def test_a_resumed_run_counts_what_it_had_for_the_stop_rule(tmp_path, small_config, small_task):
    config = small_config(stop_accuracy=0.0, stop_patience=4)

    def stop(progress):
        if progress.evaluation.step == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train_in_folder(tmp_path, config, small_task, on_progress=stop)
    manifest = train_in_folder(tmp_path, config, small_task)
    assert (manifest.stopped, manifest.step) == ("accuracy", 80)


def test_a_broken_resume_state_says_so(tmp_path, small_config, small_task):
    config = small_config(steps=40)

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train_in_folder(tmp_path, config, small_task, on_progress=stop)
    state = tmp_path / "resume.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(InputError, match=r"resume\.safetensors is truncated or is not a safetensors file"):
        train_in_folder(tmp_path, config, small_task)


def stopped(folder, config, task, step):
    def stop(progress):
        if progress.evaluation.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        train_in_folder(folder, config, task, on_progress=stop)


def test_what_was_written_since_the_list_of_files_is_checked(tmp_path, small_config, small_task):
    config = small_config(steps=80)
    train_in_folder(tmp_path / "whole", config, small_task)
    stopped(tmp_path / "run", config, small_task, 60)
    assert len(json.loads((tmp_path / "run" / "files.json").read_text())["files"]) == 3
    listed = [*(tmp_path / "run").glob("*.parquet"), *(tmp_path / "run").glob("*/step_*")]
    assert len(listed) == 2 + 4 + 3
    assert {tmp_path / "run" / name for name in Inventory.read(tmp_path / "run").files} == set(listed)
    for path in listed[2:]:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert [path.name in fault for fault in damages(tmp_path / "run")] == [True]
        with pytest.raises(DamageError, match=rf"{path.name} is not what was written"):
            read_snapshot(path)
        if path.parent.name == "snapshots":
            with pytest.raises(DamageError, match=rf"{path.name} is not what was written"):
                train_in_folder(tmp_path / "run", config, small_task)
        path.write_bytes(content)
    train_in_folder(tmp_path / "run", config, small_task)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("name", ["add", "add+mul"])
@pytest.mark.parametrize("most", [1, 4, 32])
def test_an_unfinished_run_is_read_up_to_its_last_snapshot(tmp_path, small_config, monkeypatch, name, most):
    task = any_task(name, modulus=13)
    config = RunConfig.for_task(task, {"width": 16, "heads": 2, "hidden": 32}, batch_size=32, steps=80, every=20)
    train_in_folder(tmp_path / "whole", config, task)
    monkeypatch.setattr(run_folder, "_MOST_UNLISTED", most)
    folder = tmp_path / "run"
    stopped(folder, config, task, 60)
    written = {1: 60, 4: 40, 32: 0}[most]
    assert json.loads((folder / "run.json").read_text())["step"] == written
    for read, file in ((read_metrics, "metrics"), (read_parts, "parts"))[: len(task.parts)]:
        assert read_table(folder / f"{file}.parquet")["step"].max() == written
        whole = read(tmp_path / "whole")
        pd.testing.assert_frame_equal(read(folder), whole[whole["step"] <= 60], check_exact=True)
    manifest = Manifest.read(folder)
    assert (manifest.status, manifest.step) == ("running", 60)
    assert manifest.test_accuracy == read_metrics(folder)["test_accuracy"].iloc[-1]
    train_in_folder(folder, config, task)
    assert_same_run(folder, tmp_path / "whole")


def test_a_table_that_a_killed_process_was_ahead_with_is_not_believed(tmp_path, small_config, small_task):
    config, folder = small_config(steps=80), tmp_path / "run"
    train_in_folder(tmp_path / "whole", config, small_task)
    whole = read_metrics(tmp_path / "whole")
    stopped(folder, config, small_task, 40)
    # Runs of a smaller stack round differently when they go on.
    ahead = whole[whole["step"] <= 60].copy()
    ahead.loc[ahead["step"] == 60, "train_loss"] = 0.5
    write_table(folder / "metrics.parquet", ahead)
    assert read_metrics(folder)["step"].iloc[-1] == 40
    stopped(folder, config, small_task, 60)
    pd.testing.assert_frame_equal(read_metrics(folder), whole[:4], check_exact=True)
    train_in_folder(folder, config, small_task)
    assert_same_run(folder, tmp_path / "whole")


def test_no_damage_to_what_a_state_says_is_silent(tmp_path, small_config, small_task):
    stopped(tmp_path, small_config(steps=80), small_task, 60)
    place, said = tmp_path / "resume.safetensors", unfinished_text(tmp_path)
    content, rng = place.read_bytes(), random.Random(0)
    length = 8 + int.from_bytes(content[:8], "little")
    seen = 0
    for at in rng.sample(range(length), 300):
        place.write_bytes(content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :])
        try:
            found = unfinished_text(tmp_path)
        except DamageError:
            seen += 1
            with pytest.raises(DamageError, match=r"resume\.safetensors is .*--repair"):
                Manifest.read(tmp_path)
        else:
            assert [found[name] for name in (LATEST, PROGRESS, UNLISTED)] == [
                said[name] for name in (LATEST, PROGRESS, UNLISTED)
            ]
    assert seen > 250


def test_a_state_has_its_weights_from_the_snapshot_and_those_of_earlier_versions_their_own(
    tmp_path, small_config, small_task
):
    config = small_config(steps=80)
    train_in_folder(tmp_path / "whole", config, small_task)
    stopped(tmp_path / "run", config, small_task, 40)
    earlier = Path(shutil.copytree(tmp_path / "run", tmp_path / "earlier"))
    place, run = earlier / "resume.safetensors", Trainer(config, small_task)
    state = read_state(place, lambda step: run.layout.join(read_snapshot(snapshot_path(earlier, step))))
    with safe_open(place, "pt") as file:
        assert set(file.keys()) == {"first", "second"}
    with pytest.raises(DamageError, match="is not what was written"):
        read_state(place, lambda _: run.layout.join(read_snapshot(snapshot_path(earlier, 20))))
    # Of the same shape: optimiser's memories that have changed places.
    swapped = {**state.tensors, "first": state.tensors["second"], "second": state.tensors["first"]}
    content = place.read_bytes()
    with safe_open(place, "pt") as file:
        save_file(swapped, place, file.metadata())
    with pytest.raises(DamageError, match="is not what was written"):
        read_state(place)
    place.write_bytes(content)
    # They wrote every file at every interval.
    write_table(earlier / "metrics.parquet", read_metrics(earlier))
    Inventory.read(earlier).write()
    write_sealed(earlier / "run.json", Manifest.read(earlier).model_dump(mode="json"))
    others = {name: text for name, text in state.text.items() if name not in (LATEST, PROGRESS, UNLISTED)}
    write_state(place, State(state.tensors, others))
    assert Manifest.read(earlier).step == read_metrics(earlier)["step"].iloc[-1] == 40
    for folder in (tmp_path / "run", earlier):
        train_in_folder(folder, config, small_task)
        assert_same_run(folder, tmp_path / "whole")


def test_runs_killed_at_random_moments_end_in_the_same_files(tmp_path):
    done, runs, differ = kills.attack(tmp_path, 10, random.Random(1))
    assert done >= 10
    assert runs >= 2
    assert differ == []
