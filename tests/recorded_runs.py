"""A small trained run, and folders made to look like runs whose weights move as a test wants."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from spectraledge import RunConfig, named_task
from spectraledge.devices import host
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import Task, task_from_source
from spectraledge.training import train_in_folder
from spectraledge.trajectory import Manifest

SIZES = {"width": 12, "heads": 2, "hidden": 16}


def train_small(folder: Path, name: str, modulus: int, **settings: object) -> Path:
    task = named_task(name, modulus=modulus)
    train_in_folder(folder, RunConfig.for_task(task, model=SIZES, **settings), task)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Multiplication mod 7, eleven snapshots."""
    return train_small(tmp_path_factory.mktemp("runs") / "mul", "mul", 7, steps=200, every=20, batch_size=32, seed=3)


@pytest.fixture(scope="session")
def add_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Addition mod 11, hardly trained."""
    return train_small(tmp_path_factory.mktemp("runs") / "add", "add", 11, steps=40, every=5, batch_size=32, seed=1)


@pytest.fixture(scope="session")
def group_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Products in S4, hardly trained."""
    folder, task = tmp_path_factory.mktemp("runs") / "S4", task_from_source("group:S4")
    assert isinstance(task, Task)
    model = {"kind": "mlp", "inputs": "embedded", "width": 6, "hidden": 8}
    train_in_folder(folder, RunConfig.for_task(task, model, steps=40, every=5, batch_size=32, seed=1), task)
    return folder


def unlisted(folder: Path) -> None:
    """Make a run one of an earlier version, which listed no files."""
    Manifest.read(folder).model_copy(update={"listed": False}).write(folder)
    (folder / "files.json").unlink()


def moving(source: Path, folder: Path, updates_TP: np.ndarray) -> Path:
    """Copy a run, and let its watched weights move from its last snapshot by the given updates and nothing else."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("snapshots", "moves"))
    unlisted(folder)
    (folder / "snapshots").mkdir()
    recorded = RecordedRun.open(source)
    layout = recorded.series.layout
    tensors = {name: value.double() for name, value in load_file(recorded.series.snapshots[-1].path).items()}
    theta_P = layout.join(tensors)
    for step, moved_P in enumerate(np.vstack([np.zeros(layout.size), np.cumsum(updates_TP, axis=0)])):
        moved = layout.split(theta_P + torch.from_numpy(moved_P))
        save_file(
            {**tensors, **{name: value.contiguous() for name, value in moved.items()}},
            folder / "snapshots" / f"step_{step:08d}.safetensors",
        )
    return folder


def selective_direction(folder: Path) -> np.ndarray:
    """Unit vector along which the response is as much a function of the task's own variable as it can be."""
    recorded = RecordedRun.open(folder)
    network = Network.at(recorded, recorded.steps[-1])
    size = recorded.series.layout.size
    jacobian_PND = host(network.responses(torch.eye(size, dtype=torch.float64)))
    groups_N = recorded.task.labels_N
    mean_ND = np.stack([jacobian_PND[:, groups_N == q].mean(axis=1) for q in range(recorded.task.modulus)])[groups_N]
    between_PX = (mean_ND.transpose(1, 0, 2) - jacobian_PND.mean(axis=1, keepdims=True)).reshape(size, -1)
    all_PX = (jacobian_PND - jacobian_PND.mean(axis=1, keepdims=True)).reshape(size, -1)
    # The largest generalised eigenvector, held back by a ridge so that it responds at all.
    total_PP = all_PX @ all_PX.T
    ridge = 1e-3 * np.trace(total_PP) / size
    root = np.linalg.inv(np.linalg.cholesky(total_PP + ridge * np.eye(size)))
    top = np.linalg.eigh(root @ (between_PX @ between_PX.T) @ root.T)[1][:, -1]
    direction = root.T @ top
    return direction / np.linalg.norm(direction)


@pytest.fixture(scope="session")
def selecting_run(add_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose updates lie along one direction that moves functions of a + b, and a little along others."""
    rng = np.random.default_rng(0)
    direction_P = selective_direction(add_run)
    updates_TP = 1e-3 * (rng.standard_normal((8, 1)) * direction_P + 1e-3 * rng.standard_normal((8, len(direction_P))))
    return moving(add_run, tmp_path_factory.mktemp("planted") / "selecting", updates_TP)


@pytest.fixture(scope="session")
def wandering_run(add_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose updates are isotropic noise."""
    rng = np.random.default_rng(2)
    size = RecordedRun.open(add_run).series.layout.size
    return moving(add_run, tmp_path_factory.mktemp("planted") / "wandering", 1e-4 * rng.standard_normal((8, size)))
