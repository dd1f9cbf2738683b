"""Runs trained in their folders: alone or as one stack, from where they were killed, in a run that another began."""

from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.models import architecture_of
from spectraledge.tasks import JointTask, Task
from spectraledge.training.config import RunConfig
from spectraledge.training.forks import origin
from spectraledge.training.loop import Progress, train_together
from spectraledge.training.member import Member, NonFiniteLossError
from spectraledge.training.run_folder import RunFolder
from spectraledge.training.stack import Stack
from spectraledge.trajectory import GramRecorder, Manifest, read_snapshot, snapshot_path
from spectraledge.trajectory.inventory import check_series, damages
from spectraledge.trajectory.recorded_gram import FILE_NAME as GRAM_FILE
from spectraledge.trajectory.unfinished import STATE_FILE

WRITERS = 16
"""Runs that are written at once: most of the time of each is waiting for the disk."""


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
                (folder / STATE_FILE).unlink(missing_ok=True)
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
