"""Kills of training at random moments, and whether what they leave ends in the files of a run that was not killed.

`PYTHONPATH=src python tests/kills.py 200` kills so many times and prints counts; a test does a few.
"""

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from spectraledge import RunConfig, named_task
from spectraledge.training import train_in_folder
from spectraledge.trajectory import Manifest

CONFIG = RunConfig.for_task(
    named_task("add", modulus=11),
    {"width": 12, "heads": 2, "hidden": 16},
    **{"steps": 60, "every": 4, "batch_size": 32, "seed": 2, "stop_accuracy": 2.0},
)


def train(folder: Path) -> None:
    """Train the run in a folder."""
    train_in_folder(folder, CONFIG, named_task("add", modulus=11))


def files(folder: Path) -> dict[str, object]:
    """Read all files of a run, but for how long it took."""
    found: dict[str, object] = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("run.json", ".lock")
    }
    manifest = Manifest.read(folder) if Manifest.present(folder) else None
    return found | {"run.json": manifest and manifest.model_copy(update={"wall_seconds": 0.0})}


def killed(folder: Path, after: float) -> bool:
    """Train in another process, kill it after so many seconds, and tell whether it was still at work."""
    child = os.fork()
    if not child:
        train(folder)
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def attack(place: Path, kills: int, rng: random.Random) -> tuple[int, int, list[str]]:
    """Kill runs at random moments, several times each, until so many were killed.

    Args:
        place: An empty folder.
        kills: How many.
        rng: Draws the moments.

    Returns:
        Kills, runs, and names of files that differ in the end.
    """
    began = time.monotonic()
    train(place / "whole")
    takes, expected = time.monotonic() - began, files(place / "whole")
    done, runs, differ = 0, 0, list[str]()
    while done < kills:
        folder = place / str(runs)
        for _ in range(1 + rng.randrange(4)):
            done += killed(folder, rng.random() * takes / 2)
        train(folder)
        found = files(folder)
        differ += [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
        runs += 1
    return done, runs, differ


if __name__ == "__main__":
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print("kills, runs, files that differ:", *attack(Path(folder), int(sys.argv[1]), random.Random(0)))
