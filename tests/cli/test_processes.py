"""What a command does when it is told to stop, loses its reader or its parent."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_support import TINY

from spectraledge.trajectory import Manifest

_COMMAND = [sys.executable, "-c", "from spectraledge.cli import main; main()"]


def begin(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*_COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not path.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"no {path} in 90 seconds"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_to_stop_it_says_what_is_kept(tmp_path: Path, number: signal.Signals, code: int) -> None:
    endless = ["--steps", 1_000_000, "--every", 5]
    with begin("train", "add", *TINY, *endless, "--out", tmp_path / "run") as process:
        wait_for(tmp_path / "run" / "snapshots" / "step_00000010.safetensors", process)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == code
    assert said.splitlines()[-1].startswith("error: stopped; what is written is whole, and the same command goes on")
    assert "Traceback" not in said
    assert Manifest.read(tmp_path / "run").status == "running"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    with begin("train", "--help") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
        process.wait(60)
    assert (process.returncode, said) == (141, "")


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    recipe = tmp_path / "endless.py"
    recipe.write_text(
        "from spectraledge import RunConfig, named_task\n"
        "from spectraledge.studies import StudyConfig\n"
        "def recipe(seeds, budget):\n"
        "    sizes = {'width': 12, 'heads': 2, 'hidden': 16}\n"
        "    made = [RunConfig.for_task(named_task('add', modulus=7), sizes, seed=seed, steps=1_000_000, every=5,\n"
        "            batch_size=16, stop_accuracy=2.0) for seed in (1, 2)]\n"
        "    return StudyConfig(name='endless', runs=tuple(made))\n"
    )
    study = tmp_path / "study"
    with begin("study", "run", f"{recipe}:recipe", "--out", study, "--jobs", 2) as process:
        deadline = time.monotonic() + 120
        while len(started := list(study.glob("runs/*/snapshots/step_00000010.safetensors"))) < 2:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, started
            time.sleep(0.1)
        process.kill()
    time.sleep(4)
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    time.sleep(2)
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before
    for place in (study / "runs").iterdir():
        assert Manifest.read(place).status == "running"
