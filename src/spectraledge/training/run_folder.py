"""A run's folder on disk: snapshots, metrics, manifest, and the state from which a killed run resumes."""

import fcntl
import functools
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd
from torch import Tensor

from spectraledge.errors import DamageError, InputError
from spectraledge.files import Fingerprint, write_table
from spectraledge.models import ModuleConfig, architecture_of
from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import RunConfig
from spectraledge.training.evaluation import Evaluation
from spectraledge.training.forks import origin
from spectraledge.training.loop import GROKKED, Progress, train_together
from spectraledge.training.metrics_tables import MetricsTables, read_evaluations
from spectraledge.training.protocols import PROTOCOLS
from spectraledge.training.recorded_task import label_column
from spectraledge.training.saved_state import EVALUATIONS, State, read_state, state_path, write_state
from spectraledge.training.stack import Member, Moment, NonFiniteLossError, Stack
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
from spectraledge.trajectory.inventory import PER_STEP, Inventory, check_series, damages
from spectraledge.trajectory.manifest import MENDING
from spectraledge.trajectory.recorded_gram import FILE_NAME as GRAM_FILE

WRITERS = 16
"""Runs that are written at once: most of the time of each is waiting for the disk."""

_STATE = "resume.safetensors"


class RunFolder:
    """Records a run in a folder, and keeps it to itself while it is open (use it in a `with` statement).

    At each interval it writes, each atomically and in this order: the snapshot, what moved the watched weights since
    the last one (see `Flat`), the Gram of the updates (`gram.parquet`), the metrics, the state where it is to be kept,
    the list of all these (`Inventory`), the manifest, and the resume state. Whatever moment a process is killed at, the
    last resume state and all before it are whole; what was written after it is written again, with the same content.

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
        state = self.folder / _STATE
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
        self._inventory, self._tables = Inventory(self.folder, {}), MetricsTables()
        self._manifest(run, []).write(self.folder)
        self._write_domain(run)
        return []

    def _go_on(self, run: Member, state: Path) -> list[Evaluation]:
        tensors, text = read_state(state)
        seen = text.pop(EVALUATIONS, None)
        step = int(text["step"])
        self._inventory = self._listed(step)
        evaluations = read_evaluations(self.folder, self._task, step)
        self._tables = MetricsTables(evaluations)
        if seen not in (None, self._tables.digest):
            raise DamageError(f"the metrics in {self.folder} are not what was written; {MENDING}")
        self._gram.resume(step)
        run.restore(tensors, text)
        return evaluations

    def record(self, run: Member, evaluations: list[Evaluation]) -> None:
        """Write the snapshot and what led to it, the metrics so far, the manifest and the resume state."""
        self.flush()
        for evaluation in evaluations[len(self._tables) :]:
            self._tables.add(evaluation)
        self._do(functools.partial(self._record, run.moment(), self._manifest(run, evaluations)))

    def _record(self, run: Moment, manifest: Manifest) -> None:
        self._write(snapshot_path(self.folder, run.step), run.weights)
        if run.moves:
            watched = select_parameters(run.weights, self._config.watched).matched
            moved = {f"{kind}/{name}": parts[name] for kind, parts in run.moves.items() for name in watched}
            self._write(moves_path(self.folder, run.step), moved)
        self._note(self.folder / GRAM_FILE, self._gram.append(run.step, run.weights))
        for path, found in self._tables.write(self.folder, parts=len(self._task.parts) > 1).items():
            self._note(path, found)
        tensors, text = run.state
        if run.step in self._keep_states:
            path = state_path(self.folder, run.step)
            self._note(path, write_state(path, State(tensors, text)))
        if self._inventory:
            self._inventory.write()
        manifest.write(self.folder)
        write_state(self.folder / _STATE, State(tensors, {**text, EVALUATIONS: self._tables.digest}))

    def finish(self, stopped: Literal["accuracy", "budget"]) -> None:
        """Mark the run done and drop the resume state."""

        def work() -> None:
            manifest = Manifest.read(self.folder)
            manifest.status, manifest.stopped = "done", stopped
            manifest.write(self.folder)
            (self.folder / _STATE).unlink(missing_ok=True)

        self._do(work)

    def fail(self, error: NonFiniteLossError) -> None:
        """Mark the run failed; everything written stays."""
        self.flush()
        manifest = Manifest.read(self.folder)
        manifest.status, manifest.error = "failed", str(error)
        manifest.write(self.folder)

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

    def _note(self, path: Path, found: Fingerprint | None) -> None:
        if self._inventory and found:
            self._inventory.note(path, found)

    def _listed(self, last: int) -> Inventory | None:
        """Read the inventory up to a step; what was written after it is written again."""
        found = Inventory.read(self.folder)
        later = [s.path for s in find_snapshots(self.folder) if s.step > last]
        return found and found.without(*(self.folder / part / path.name for part in PER_STEP for path in later))

    def _manifest(self, run: Member, evaluations: list[Evaluation]) -> Manifest:
        return Manifest(
            config=self._config.model_dump(mode="json"),
            config_hash=self._config.hash,
            step=run.step,
            grokked_step=next((e.step for e in evaluations if e.test_accuracy >= GROKKED), None),
            test_accuracy=evaluations[-1].test_accuracy if evaluations else 0.0,
            wall_seconds=self._before + time.monotonic() - self._began,
            seeds=PROTOCOLS[self._config.protocol].seeds(self._config.seed),
            environment=environment(run.device),
            structures={part.name: part.structure for part in self._task.parts},
            listed=self._inventory is not None,
            interventions=run.interventions.account(),
        )

    def _write_domain(self, run: Member) -> None:
        table = pd.DataFrame(self._task.pairs_N2, columns=["a", "b"])
        for part, labels_N in zip(self._task.parts, self._task.answers_NO.T, strict=True):
            table[label_column(part.name, len(self._task.parts))] = labels_N
        table["split"] = "test"
        table.loc[run.split.train_T, "split"] = "train"
        self._write(self.folder / "domain.parquet", table)


def train_in_folder(
    folder: Path,
    config: RunConfig,
    task: Task | JointTask,
    *,
    device: str = "cpu",
    repair: bool = False,
    keep_states: Container[int] = (),
    parents: Sequence[Path] = (),
    on_progress: Callable[[Progress], None] | None = None,
) -> Manifest:
    """Train a run in its folder; go on where it was killed, and do nothing if it is complete.

    Args:
        folder: The run folder.
        config: The run's configuration.
        task: Its task.
        device: Where to train.
        repair: See `train_in_folders`, and so the next two.
        keep_states: For forks.
        parents: Of forks.
        on_progress: Called after every recorded step.

    Returns:
        The manifest of the finished run.

    Raises:
        InputError: if the folder holds something else (see `RunFolder`).
        NonFiniteLossError: if the loss is no longer finite, now or when the run was tried before.
    """
    report = None if on_progress is None else lambda _, progress: on_progress(progress)
    manifest = train_in_folders(
        [(folder, config, task)],
        device=device,
        repair=repair,
        keep_states=keep_states,
        parents=parents,
        on_progress=report,
    )[0]
    if manifest.status == "failed":
        raise NonFiniteLossError(manifest.error)
    return manifest


def train_in_folders(
    runs: Sequence[tuple[Path, RunConfig, Task | JointTask]],
    *,
    device: str = "cpu",
    repair: bool = False,
    keep_states: Container[int] = (),
    parents: Sequence[Path] = (),
    on_progress: Callable[[int, Progress], None] | None = None,
) -> list[Manifest]:
    """Train runs of equal shapes as one stack, each in its folder; those that are complete or failed stay as they are.

    Args:
        runs: Folder, configuration and task of each; see `Stack` for what they must share.
        device: Where to train.
        repair: Whether a run of which a file is not what was written is made again: its Gram from the snapshots, and
            for any other file by training it again from the start. All files are read for that.
        keep_states: Recorded steps at which states are kept, which forks need; a run that is complete keeps no more.
        parents: Folders of runs that others start from or fork, where they do not lie beside.
        on_progress: Called with a run's index and progress after each of its recorded steps.

    Returns:
        The manifests, those of failed runs included.

    Raises:
        InputError: if a folder holds something else (see `RunFolder`), or the runs make no stack.
        DamageError: if files of a run are not what was written and it is not to be repaired: where it is complete,
            files that are gone or have other sizes; where it goes on, anything that it goes on from.

    Cost: files of several runs are written by threads, from at most two copies of the stack, 6·S·P numbers each, in the
    host's memory.
    """
    for folder, config, _ in runs if repair else ():
        _repair_gram(folder, config)
    # A run alone waits a moment rather than lose more than an interval.
    writers = ThreadPoolExecutor(WRITERS, "recording") if len(runs) > 1 else None
    recorders = [RunFolder(*run, repair=repair, keep_states=keep_states, writers=writers) for run in runs]
    # Made before any folder is: what they refuse leaves nothing behind.
    places = [i for i, (folder, _, _) in enumerate(runs) if not _is_over(folder, repair)]
    members = [_member(*runs[i], parents) for i in places]
    stack = Stack(members, device=device) if members else None
    with writers or nullcontext(), ExitStack() as open_folders:
        for recorder in recorders:
            open_folders.enter_context(recorder)
        # Asked again now that nobody else writes here.
        still = [i for i in places if not _is_over(runs[i][0], repair)]
        if stack and still:
            if len(still) < len(places):
                stack.keep([places.index(i) for i in still])
            report = None if on_progress is None else lambda k, progress: on_progress(still[k], progress)
            train_together(stack, [recorders[i] for i in still], on_progress=report)
            for recorder in recorders:
                recorder.flush()
        manifests = [Manifest.read(folder) for folder, _, _ in runs]
        for manifest, (folder, _, _) in zip(manifests, runs, strict=True):
            if manifest.status == "done":
                # Left where a process was killed between the last manifest and the end.
                (folder / _STATE).unlink(missing_ok=True)
        return manifests


def _member(folder: Path, config: RunConfig, task: Task | JointTask, parents: Sequence[Path]) -> Member:
    """Make a run, which begins where it says: at weights drawn, at another one's trunk, or where it forks."""
    if config.fork:
        return Member(config, task, origin=origin(_parent(folder, config, parents), config))
    if not config.start:
        return Member(config, task)
    found = _parent(folder, config, parents)
    known = Manifest.read(found)
    weights = read_snapshot(snapshot_path(found, known.step))
    head = architecture_of(config.model).head
    return Member(config, task, {name: weight for name, weight in weights.items() if name not in head})


def _parent(folder: Path, config: RunConfig, parents: Sequence[Path]) -> Path:
    """Find the run that another one starts from or forks: given, or in a folder beside named by its run id."""
    for found in (*parents, *folder.parent.glob(f"*-{config.parent[:8]}")):
        known = Manifest.read(found)
        # A trunk is that of the end; what a fork needs is there or not.
        if known.config_hash == config.parent and (config.fork or known.status == "done"):
            return found
    raise InputError(
        f"{config.run_id} starts from the run with hash {config.parent[:8]}…, which is not there or not finished in "
        f"{folder.parent}: train that one first, in a folder beside named by its run id"
    )


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


def _is_over(folder: Path, repair: bool) -> bool:
    if (repair and damages(folder)) or not Manifest.present(folder) or Manifest.read(folder).status == "running":
        return False
    check_series(folder)
    return True


def _repair_gram(folder: Path, config: RunConfig) -> None:
    """Form the Gram again where nothing else is damaged."""
    if [fault.startswith(f"{folder / GRAM_FILE} ") for fault in damages(folder)] == [True]:
        recorder = GramRecorder(folder, config.watched)
        recorder.resume(Manifest.read(folder).step)
        recorder.write()
