"""Which snapshots of a finished run stay on disk."""

from collections.abc import Sequence
from pathlib import Path

from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.trajectory import Inventory, Manifest, moves_path, snapshot_path

EVERY = 10
"""Of the other snapshots one in ten stays (our choice: the whole course remains, at a tenth of the space)."""


def kept_steps(steps: Sequence[int], *, window: int, ends: Sequence[int]) -> set[int]:
    """Snapshots that stay, of ascending steps: every tenth, and window + 1 up to each end and to the last."""
    kept = set(steps[::EVERY])
    for end in {*ends, steps[-1]}:
        place = steps.index(end) + 1
        kept.update(steps[max(place - window - 1, 0) : place])
    return kept


def thin(folder: Path, *, window: int) -> tuple[int, ...]:
    """Remove snapshots of a finished run; `run.json` names their steps before the first is gone.

    The windows up to the last step, to the step at which modes are read and to the first with a test accuracy of at
    least 0.95 stay whole; so do the Gram of all updates, the metrics and every table. What moved the weights goes with
    the update that it explains. A thinned run is never trained again, and nothing is removed from it a second time.

    Returns:
        The steps whose snapshots are gone.
    """
    manifest = Manifest.read(folder)
    if not manifest.thinned:
        run = RecordedRun.open(folder)
        ends = [run.chosen_step(), manifest.grokked_step]
        kept = kept_steps(run.steps, window=window, ends=[end for end in ends if end is not None])
        manifest.thinned = [step for step in run.steps if step not in kept]
        manifest.write(folder)
    every = int(manifest.config["every"])
    gone = [
        path
        for step in sorted(manifest.thinned)
        for path in (snapshot_path(folder, step), moves_path(folder, step), moves_path(folder, step + every))
    ]
    # What is listed is there, whatever moment a process is killed at.
    if inventory := Inventory.read(folder):
        inventory.without(*gone).write()
    for path in gone:
        path.unlink(missing_ok=True)
    return tuple(manifest.thinned)
