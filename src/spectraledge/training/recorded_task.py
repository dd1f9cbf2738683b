"""The task of a recorded run, from its folder alone."""

from pathlib import Path

import numpy as np

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.tasks import JointTask, Task, part_names
from spectraledge.tasks.task import JOIN
from spectraledge.training.config import RunConfig
from spectraledge.trajectory import Manifest, whole


def label_column(part: str, parts: int) -> str:
    """Name the column of `domain.parquet` with a part's answers: "label" where there is only one part."""
    return "label" if parts == 1 else f"label_{part}"


def recorded_task(folder: Path) -> Task | JointTask:
    """Read a run's task.

    Args:
        folder: The run folder.

    Returns:
        The task, with the structures that it was recorded with.

    Raises:
        InputError: if the folder is no run.
        DamageError: if its domain is not what was written.
    """
    config, structures = RunConfig.of_run(folder), Manifest.read(folder).structures
    domain = read_table(whole(folder / "domain.parquet"))
    pairs_N2 = domain[["a", "b"]].to_numpy(np.int64, copy=True)
    names = part_names(config.task)
    parts = tuple(
        Task(
            name,
            name,
            config.model.tokens,
            pairs_N2,
            domain[label_column(name, len(names))].to_numpy(np.int64, copy=True),
            structures.get(name, "output"),
        )
        for name in names
    )
    task = JointTask(parts) if JOIN in config.task else parts[0]
    if task.digest != config.task_digest:
        raise InputError(f"the domain in {folder} is of another task than its configuration: record the run again")
    return task
