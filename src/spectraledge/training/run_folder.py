"""A run's folder on disk: snapshots, metrics, manifest, and the state from which a killed run resumes."""

import fcntl
import functools
import json
import time
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from torch import Tensor

from spectraledge.errors import DamageError, InputError
from spectraledge.files import Fingerprint, write_table
from spectraledge.models import ModuleConfig
from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.loop import GROKKED
from spectraledge.training.member import Member, Moment, NonFiniteLossError
from spectraledge.training.metrics_tables import MetricsTables, latest_evaluations, read_evaluations
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.training.recorded_task import label_column
from spectraledge.training.saved_state import EVALUATIONS, State, read_state, state_path, write_latest, write_state
from spectraledge.trajectory import (
    GramRecorder,
    Manifest,
    environment,
    find_snapshots,
    moves_path,
    read_snapshot,
    select_parameters,
    snapshot_path,
    write_tensors,
)
from spectraledge.trajectory.inventory import FILE_NAME as FILES_LIST
from spectraledge.trajectory.inventory import PER_STEP, Inventory, damages
from spectraledge.trajectory.manifest import MENDING
from spectraledge.trajectory.recorded_gram import FILE_NAME as GRAM_FILE
from spectraledge.trajectory.unfinished import LATEST, PROGRESS, STATE_FILE, UNLISTED

_MOST_UNLISTED, _SHARE_UNLISTED = 32, 1 / 16
"""Files from which the list is written, or share of those that are listed: what it takes in all grows with the run."""


class RunFolder:
    """Records a run in a folder, and keeps it to itself while it is open (use it in a `with` statement).

    At each interval it writes, each atomically and in this order: the snapshot, what moved the watched weights since
    the last one (see `Flat`), the state where it is to be kept, and the resume state, whose weights are those of the
    snapshot. All else is written before that one at the first interval, after every sixteen others, or a sixteenth of
    all where that is more, and at the end: the Gram of the updates (`gram.parquet`), the metrics, the list of these
    files (`Inventory`), and the manifest. What is new since then, but for the Gram, the resume state says, for readers
    too (`unfinished.py`). Whatever moment a process is killed at, the last resume state and all before it are whole;
    what was written after it is written again, with the same content.

    With `writers` all this is done by one of their threads while training goes on; a run's next interval waits for its
    last one. A killed process then loses the snapshot that was being written, if any, and what was trained since. What
    goes wrong in a thread is raised where the run is recorded next, flushed, or left.

    Args:
        folder: The run folder; made if missing.
        config: The run's configuration.
        task: Its task, stored as `domain.parquet` so that a reader needs nothing else.
        repair: Whether a run of which something is damaged is recorded again from its start.
        keep_states: Recorded steps at which the state is kept, for forks.
        writers: Threads that write. Default: who records waits.

    Raises:
        InputError: if the folder belongs to another configuration, or holds files and no manifest; on entering, if
            another process is writing it.
    """

    def __init__(
        self,
        folder: Path,
        config: RunConfig,
        task: Task | JointTask,
        *,
        repair: bool = False,
        keep_states: Container[int] = (),
        writers: Executor | None = None,
    ) -> None:
        self.folder = folder
        self._config = config
        self._task = task
        self._gram = GramRecorder(folder, config.watched)
        self._tables = MetricsTables()
        self._inventory: Inventory | None = Inventory(folder, {})
        self._manifest: Manifest
        self._unlisted: dict[str, Fingerprint] = {}
        self._watched: tuple[str, ...] = ()
        self._began = time.monotonic()
        self._before = 0.0
        self._repair = repair
        self._keep_states = keep_states
        self._writers = writers
        self._written: Future[None] | None = None
        self._damaged = damages(folder) if repair else []
        if Manifest.present(folder):
            try:
                known = Manifest.read(folder)
            except DamageError:
                if not repair:
                    raise
                return
            if known.config_hash != config.hash:
                raise InputError(
                    f"{folder} holds a run with another configuration (different: {_changed(known.config, config)}): "
                    "choose another folder, or repeat the run's own settings"
                )
        elif (
            not self._damaged
            and folder.exists()
            and (not folder.is_dir() or any(path for path in folder.iterdir() if not path.name.startswith(".")))
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

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self.flush()
            elif self._written:
                # What is under way is ended, but no other error takes the place of the first.
                wait([self._written])
        finally:
            self._lock.close()

    def resume(self, run: Member) -> list[Evaluation]:
        """Bring the run to where the folder's record ends.

        Args:
            run: A fresh run of this folder's configuration.

        Returns:
            Its evaluations up to that step; none for a new folder.

        Raises:
            DamageError: if the record up to that step is not what was written.
        """
        state = self.folder / STATE_FILE
        try:
            if self._damaged:
                raise DamageError(self._damaged[0])
            if Manifest.present(self.folder):
                self._before = Manifest.read(self.folder).wall_seconds
            if state.is_file():
                return self._go_on(run, state)
        except DamageError:
            if not self._repair:
                raise
            self._gram = GramRecorder(self.folder, self._config.watched)
        for path in [
            state,
            self.folder / FILES_LIST,
            *(path for part in PER_STEP for path in (self.folder / part).glob("step_*")),
        ]:
            path.unlink(missing_ok=True)
        self._inventory, self._unlisted, self._tables = Inventory(self.folder, {}), {}, MetricsTables()
        self._manifest = self._first_manifest(run, [])
        self._manifest.write(self.folder)
        self._write_domain(run)
        return []

    def _go_on(self, run: Member, state: Path) -> list[Evaluation]:
        tensors, text = read_state(state, lambda step: run.layout.join(read_snapshot(snapshot_path(self.folder, step))))
        unlisted = json.loads(text.get(UNLISTED, "{}"))
        self._unlisted = {name: Fingerprint(*found) for name, found in unlisted.items()}
        step = int(text["step"])
        self._inventory = self._listed(step)
        latest = latest_evaluations(text)
        evaluations = read_evaluations(self.folder, self._task, latest[0].step - 1 if latest else step)
        self._tables = MetricsTables(evaluations)
        for evaluation in latest:
            self._tables.add(evaluation)
            evaluations.append(evaluation)
        if text.get(EVALUATIONS) not in (None, self._tables.digest):
            raise DamageError(f"the metrics in {self.folder} are not what was written; {MENDING}")
        self._gram.resume(step)
        run.restore(tensors, text)
        self._manifest = self._first_manifest(run, evaluations)
        return evaluations

    def record(self, run: Member, evaluations: list[Evaluation]) -> None:
        """Write the snapshot and what led to it, and what is known of the run by now."""
        self.flush()
        for evaluation in evaluations[len(self._tables) :]:
            self._tables.add(evaluation)
        progress = self._progress(run, evaluations)
        self._manifest = self._manifest.model_copy(update=progress)
        self._watched = self._watched or select_parameters(run.layout.shapes, self._config.watched).matched
        moment = run.moment(lasting=self._writers is not None)
        self._do(functools.partial(self._record, moment, progress))

    def _record(self, run: Moment, progress: dict[str, Any]) -> None:
        weights = run.weights()
        self._write(snapshot_path(self.folder, run.step), weights)
        if run.moved:
            self._write(moves_path(self.folder, run.step), run.moves(self._watched))
        self._gram.append(run.step, weights)
        if run.step in self._keep_states:
            path = state_path(self.folder, run.step)
            self._note(path, write_state(path, run.state))
        listed = len(self._inventory.files) if self._inventory else 0
        if not listed or len(self._unlisted) >= max(_MOST_UNLISTED, listed * _SHARE_UNLISTED):
            self._list()
        said = {
            UNLISTED: json.dumps(self._unlisted),
            EVALUATIONS: self._tables.digest,
            LATEST: self._tables.latest,
            PROGRESS: json.dumps(progress),
        }
        write_latest(self.folder / STATE_FILE, State(run.state.tensors, {**run.state.text, **said}))

    def _list(self) -> None:
        """Write what takes longer the longer a run is, the list of all files, and the manifest."""
        if found := self._gram.write():
            self._note(self.folder / GRAM_FILE, found)
        for path, found in self._tables.write(self.folder, parts=len(self._task.parts) > 1).items():
            self._note(path, found)
        if self._inventory:
            self._inventory.files.update(self._unlisted)
            self._inventory.write()
        self._unlisted = {}
        self._manifest.write(self.folder)

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Mark the run done and drop the resume state."""

        def work() -> None:
            self._manifest.status, self._manifest.stopped = "done", stopped
            self._list()
            (self.folder / STATE_FILE).unlink(missing_ok=True)

        self._do(work)

    def fail(self, error: NonFiniteLossError) -> None:
        """Mark the run failed; everything written stays."""
        self.flush()
        self._manifest.status, self._manifest.error = "failed", str(error)
        self._list()

    def flush(self) -> None:
        """Wait until all that was recorded is written, and raise what went wrong."""
        if self._written:
            self._written.result()

    def _do(self, work: Callable[[], None]) -> None:
        """Do what comes next in this folder, here or in a thread."""
        if not self._writers:
            work()
            return
        before = self._written

        def after() -> None:
            if before:
                before.result()
            work()

        self._written = self._writers.submit(after)

    def _write(self, path: Path, content: pd.DataFrame | Mapping[str, Tensor]) -> None:
        written = write_table(path, content) if isinstance(content, pd.DataFrame) else write_tensors(path, content)
        self._note(path, written)

    def _note(self, path: Path, found: Fingerprint) -> None:
        self._unlisted[path.relative_to(self.folder).as_posix()] = found

    def _listed(self, last: int) -> Inventory | None:
        """Read the inventory up to a step; what was written after it is written again."""
        found = Inventory.read(self.folder)
        later = [s.path for s in find_snapshots(self.folder) if s.step > last]
        return found and found.without(*(self.folder / part / path.name for part in PER_STEP for path in later))

    def _first_manifest(self, run: Member, evaluations: list[Evaluation]) -> Manifest:
        return Manifest(
            config=self._config.model_dump(mode="json"),
            config_hash=self._config.hash,
            seeds=PROTOCOLS[self._config.protocol].seeds(self._config.seed),
            environment=environment(run.device),
            structures={part.name: part.structure for part in self._task.parts},
            listed=self._inventory is not None,
            **self._progress(run, evaluations),
        )

    def _progress(self, run: Member, evaluations: list[Evaluation]) -> dict[str, Any]:
        return {
            "step": run.step,
            "grokked_step": next((e.step for e in evaluations if e.test_accuracy >= GROKKED), None),
            "test_accuracy": evaluations[-1].test_accuracy if evaluations else 0.0,
            "wall_seconds": self._before + time.monotonic() - self._began,
            "interventions": run.interventions.account(),
        }

    def _write_domain(self, run: Member) -> None:
        table = pd.DataFrame(self._task.pairs_N2, columns=["a", "b"])
        for part, labels_N in zip(self._task.parts, self._task.answers_NO.T, strict=True):
            table[label_column(part.name, len(self._task.parts))] = labels_N
        table["split"] = "test"
        table.loc[run.split.train_T, "split"] = "train"
        self._write(self.folder / "domain.parquet", table)


def _changed(known: Mapping[str, Any], config: RunConfig) -> str:
    """Name the settings that differ from known ones; of a network's, one by one."""
    own = config.model_dump(mode="json")
    changed = {name for name in {*known, *own} if known.get(name) != own.get(name)}
    before, now = known.get("model", {}), own["model"]
    if "model" in changed:
        changed -= {"model"}
        changed |= {f"model.{name}" for name in {*before, *now} if before.get(name) != now.get(name)}
    if isinstance(config.model, ModuleConfig) and "model.digest" in changed:
        changed = changed - {"model.digest"} | {f"what {config.model.path} holds"}
    return ", ".join(sorted(changed))
