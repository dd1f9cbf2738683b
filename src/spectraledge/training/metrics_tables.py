"""The evaluations of a run as tables of its folder: `metrics.parquet`, and `parts.parquet` for a joint task."""

import hashlib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from spectraledge.files import Fingerprint, canonical, read_table, write_columns, write_table
from spectraledge.tasks import JointTask, Task
from spectraledge.training.evaluation import Evaluation, PartEvaluation

METRICS_FILE = "metrics.parquet"
"""Evaluations: the fields of `Evaluation`."""

PARTS_FILE = "parts.parquet"
"""Evaluations of a joint task's parts: step and the fields of `PartEvaluation`."""

_SCORES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


class MetricsTables:
    """Evaluations column by column, so that one more costs the same after a thousand others.

    Args:
        evaluations: Those that there are.
    """

    def __init__(self, evaluations: Iterable[Evaluation] = ()) -> None:
        self._columns: dict[str, list[Any]] = {field.name: [] for field in fields(Evaluation) if field.name != "parts"}
        self._parts: dict[str, list[Any]] = {"step": [], **{field.name: [] for field in fields(PartEvaluation)}}
        self._digest = hashlib.sha256(b"[")
        for evaluation in evaluations:
            self.add(evaluation)

    def __len__(self) -> int:
        """Return the number of evaluations."""
        return len(self._columns["step"])

    def add(self, evaluation: Evaluation) -> None:
        """Add one."""
        row = {**vars(evaluation), "parts": [vars(part) for part in evaluation.parts]}
        self._digest.update((b"," if len(self) else b"") + canonical(row))
        for part in row.pop("parts"):
            for name, value in (("step", evaluation.step), *part.items()):
                self._parts[name].append(value)
        for name, value in row.items():
            self._columns[name].append(value)

    def write(self, folder: Path, *, parts: bool) -> dict[Path, Fingerprint]:
        """Write `metrics.parquet`, and `parts.parquet` where that is asked for, and return their fingerprints."""
        path = folder / METRICS_FILE
        written = {path: write_columns(path, self._columns)}
        if parts:
            path = folder / PARTS_FILE
            written[path] = write_table(path, pd.DataFrame(self._parts))
        return written

    @property
    def digest(self) -> str:
        """`digest` of the list of all of them, as JSON."""
        whole = self._digest.copy()
        whole.update(b"]")
        return whole.hexdigest()


def read_evaluations(folder: Path, task: Task | JointTask, last: int) -> list[Evaluation]:
    """Read a run folder's evaluations.

    Args:
        folder: The run folder.
        task: Its task.
        last: Step of the last one to read.

    Returns:
        The evaluations in order.

    Raises:
        DamageError: if a table is missing or cannot be read.
    """
    metrics = read_table(folder / METRICS_FILE)
    if len(task.parts) > 1:
        parts = read_table(folder / PARTS_FILE)
    else:
        parts = metrics[["step", *_SCORES]].assign(part=task.parts[0].name)
    of_step: dict[int, list[PartEvaluation]] = {}
    for row in parts[parts["step"] <= last].to_dict("records"):
        scores = PartEvaluation(row["part"], *(row[name] for name in _SCORES))
        of_step.setdefault(row["step"], []).append(scores)
    rows = metrics[metrics["step"] <= last].to_dict("records")
    return [
        Evaluation(**{str(name): value for name, value in row.items()}, parts=tuple(of_step[row["step"]]))
        for row in rows
    ]
