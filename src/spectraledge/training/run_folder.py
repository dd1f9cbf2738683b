"""A run's folder on disk: snapshots, metrics, manifest, and the state from which a killed run resumes."""

import fcntl
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal, Self

import pandas as pd

from spectraledge.errors import InputError
from spectraledge.files import read_table, write_table
from spectraledge.tasks import Task
from spectraledge.training.config import RunConfig
from spectraledge.training.loop import GROKKED, Progress, train
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.training.trainer import Evaluation, NonFiniteLossError, Trainer
from spectraledge.trajectory import Manifest, environment, snapshot_path, write_tensors
from spectraledge.trajectory.snapshots import open_snapshot

_STATE = "resume.safetensors"


class RunFolder:
    """Records a run in a folder, and keeps it to itself while it is open (use it in a `with` statement).

    At each interval it writes, each atomically and in this order: the snapshot, the metrics, the manifest, and the
    resume state. Whatever moment a process is killed at, the last resume state and all before it are whole; what was
    written after it is written again, with the same content.

    Args:
        folder: The run folder; made if missing.
        config: The run's configuration.
        task: Its task, stored as `domain.parquet` so that a reader needs nothing else.

    Raises:
        InputError: if the folder belongs to another configuration, or holds files and no manifest; on entering, if
            another process is writing it.
    """

    def __init__(self, folder: Path, config: RunConfig, task: Task) -> None:
        self.folder = folder
        self._config = config
        self._task = task
        self._began = time.monotonic()
        self._before = 0.0
        if Manifest.present(folder):
            known = Manifest.read(folder)
            if known.config_hash != config.hash:
                changed = sorted(k for k, v in config.model_dump(mode="json").items() if known.config.get(k) != v)
                raise InputError(
                    f"{folder} holds a run with another configuration (different: {', '.join(changed)}): "
                    "choose another folder, or repeat the run's own settings"
                )
        elif folder.exists() and (
            not folder.is_dir() or any(path for path in folder.iterdir() if not path.name.startswith("."))
        ):
            raise InputError(f"{folder} exists and is no run folder of spectraledge: choose another folder")

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise InputError(
                f"another process is writing {self.folder}: wait for it, or choose another folder"
            ) from error
        for left_behind in self.folder.rglob(".*.partial"):
            left_behind.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def resume(self, trainer: Trainer) -> list[Evaluation]:
        """Bring the trainer to where the folder's record ends.

        Args:
            trainer: A fresh trainer of this folder's configuration.

        Returns:
            Its evaluations up to that step; none for a new folder.
        """
        state = self.folder / _STATE
        if Manifest.present(self.folder):
            self._before = Manifest.read(self.folder).wall_seconds
        if not state.is_file():
            self._manifest(trainer, []).write(self.folder)
            self._write_domain(trainer)
            return []
        with open_snapshot(state) as file:
            trainer.restore({name: file.get_tensor(name) for name in file.keys()}, file.metadata())  # noqa: SIM118
        metrics = read_table(self.folder / "metrics.parquet")
        rows = metrics[metrics["step"] <= trainer.step].to_dict("records")
        return [Evaluation(**{str(name): value for name, value in row.items()}) for row in rows]

    def record(self, trainer: Trainer, evaluations: list[Evaluation]) -> None:
        """Write the snapshot, the metrics so far, the manifest and the resume state."""
        write_tensors(snapshot_path(self.folder, trainer.step), trainer.weights())
        write_table(self.folder / "metrics.parquet", pd.DataFrame([asdict(e) for e in evaluations]))
        self._manifest(trainer, evaluations).write(self.folder)
        write_tensors(self.folder / _STATE, *trainer.state())

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Mark the run done and drop the resume state."""
        manifest = Manifest.read(self.folder)
        manifest.status, manifest.stopped = "done", stopped
        manifest.write(self.folder)
        (self.folder / _STATE).unlink(missing_ok=True)

    def fail(self, error: NonFiniteLossError) -> None:
        """Mark the run failed; everything written stays."""
        manifest = Manifest.read(self.folder)
        manifest.status, manifest.error = "failed", str(error)
        manifest.write(self.folder)

    def _manifest(self, trainer: Trainer, evaluations: list[Evaluation]) -> Manifest:
        return Manifest(
            config=self._config.model_dump(mode="json"),
            config_hash=self._config.hash,
            step=trainer.step,
            grokked_step=next((e.step for e in evaluations if e.test_accuracy >= GROKKED), None),
            test_accuracy=evaluations[-1].test_accuracy if evaluations else 0.0,
            wall_seconds=self._before + time.monotonic() - self._began,
            seeds=PROTOCOLS[self._config.protocol].seeds(self._config.seed),
            environment=environment(trainer.device),
        )

    def _write_domain(self, trainer: Trainer) -> None:
        table = pd.DataFrame(self._task.pairs_N2, columns=["a", "b"])
        table["label"] = self._task.labels_N
        table["split"] = "test"
        table.loc[trainer.split.train_T, "split"] = "train"
        write_table(self.folder / "domain.parquet", table)


def train_in_folder(
    folder: Path,
    config: RunConfig,
    task: Task,
    *,
    device: str = "cpu",
    on_progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Train a run in its folder; go on where it was killed, and do nothing if it is complete.

    Args:
        folder: The run folder.
        config: The run's configuration.
        task: Its task.
        device: Where to train.
        on_progress: Called after every recorded step.

    Returns:
        The manifest of the finished run.

    Raises:
        InputError: if the folder holds something else (see `RunFolder`).
        NonFiniteLossError: if the loss is no longer finite, now or when the run was tried before.
    """
    recorder = RunFolder(folder, config, task)
    # Made before the folder is: what it refuses leaves nothing behind.
    trainer = None if _is_done(folder) else Trainer(config, task, device=device)
    with recorder:
        # Asked again now that nobody else writes here.
        if trainer is None or _is_done(folder):
            # Left where a process was killed between the last manifest and the end.
            (folder / _STATE).unlink(missing_ok=True)
        else:
            train(trainer, recorder, on_progress=on_progress)
        return Manifest.read(folder)


def _is_done(folder: Path) -> bool:
    """Tell whether a run is complete; raise its error if it failed."""
    known = Manifest.read(folder) if Manifest.present(folder) else None
    if known and known.status == "failed":
        raise NonFiniteLossError(known.error)
    return known is not None and known.status == "done"
