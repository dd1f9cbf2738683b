"""The evaluations of a run as tables of its folder: `metrics.parquet`, and `parts.parquet` for a joint task.

While a run goes on they are written now and then; its resume state has the evaluations since.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from spectraledge.files import Fingerprint, canonical, read_table, write_columns, write_table
from spectraledge.tasks import JointTask, Task
from spectraledge.training.evaluation import Evaluation, PartEvaluation
from spectraledge.trajectory import whole
from spectraledge.trajectory.unfinished import LATEST, unfinished_text

METRICS_FILE = "metrics.parquet"
"""Evaluations: the fields of `Evaluation`."""

PARTS_FILE = "parts.parquet"
"""Evaluations of a joint task's parts: step and the fields of `PartEvaluation`."""

_SCORES = ("train_loss", "test_loss", "train_accuracy", "test_accuracy")


class MetricsTables:
    """Evaluations column by column, so that one more costs the same after a thousand others.

    Args:
        evaluations: Those that are written.
    """

    def __init__(self, evaluations: Iterable[Evaluation] = ()) -> None:
        self._columns: dict[str, list[Any]] = {field.name: [] for field in fields(Evaluation) if field.name != "parts"}
        self._parts: dict[str, list[Any]] = {"step": [], **{field.name: [] for field in fields(PartEvaluation)}}
        self._digest = hashlib.sha256(b"[")
        self._latest: list[bytes] = []
        for evaluation in evaluations:
            self.add(evaluation)
        self._latest.clear()

    def __len__(self) -> int:
        """Return the number of evaluations."""
        return len(self._columns["step"])

    def add(self, evaluation: Evaluation) -> None:
        """Add one."""
        row = {**vars(evaluation), "parts": [vars(part) for part in evaluation.parts]}
        text = canonical(row)
        self._digest.update((b"," if len(self) else b"") + text)
        self._latest.append(text)
        for part in row.pop("parts"):
            for name, value in (("step", evaluation.step), *part.items()):
                self._parts[name].append(value)
        for name, value in row.items():
            self._columns[name].append(value)

    def frame(self, name: str) -> pd.DataFrame:
        """Return the table of a file."""
        return pd.DataFrame(self._columns if name == METRICS_FILE else self._parts)

    def write(self, folder: Path, *, parts: bool) -> dict[Path, Fingerprint]:
        """Write `metrics.parquet`, and `parts.parquet` where that is asked for, and return their fingerprints."""
        path = folder / METRICS_FILE
        written = {path: write_columns(path, self._columns)}
        if parts:
            path = folder / PARTS_FILE
            written[path] = write_table(path, self.frame(PARTS_FILE))
        self._latest.clear()
        return written

    @property
    def latest(self) -> str:
        """Those that are not written, as JSON: a list for `latest_evaluations`."""
        return f"[{b','.join(self._latest).decode()}]"

    @property
    def digest(self) -> str:
        """`digest` of the list of all of them, as JSON."""
        whole = self._digest.copy()
        whole.update(b"]")
        return whole.hexdigest()


def read_metrics(folder: Path) -> pd.DataFrame:
    """Read a run folder's `metrics.parquet`, and what an unfinished run has measured since it was written.

    Args:
        folder: The run folder.

    Returns:
        The table; columns as in `METRICS_FILE`.

    Raises:
        DamageError: if it is missing or not what was written.
    """
    return _read(folder, METRICS_FILE)


def read_parts(folder: Path) -> pd.DataFrame:
    """Read `parts.parquet` of a joint run; see `read_metrics`."""
    return _read(folder, PARTS_FILE)


def _read(folder: Path, name: str) -> pd.DataFrame:
    # In this order: what a run that goes on has measured meanwhile is then in one of them.
    latest = latest_evaluations(unfinished_text(folder))
    table = read_table(whole(folder / name))
    if not latest:
        return table
    # A table may be ahead of the state before which it was written, where a process was killed between them.
    before = table[table["step"] < latest[0].step]
    return pd.concat([before, MetricsTables(latest).frame(name)], ignore_index=True)


def latest_evaluations(text: Mapping[str, str]) -> list[Evaluation]:
    """Return the evaluations in the text of a resume state, in order: those that its tables may lack."""
    rows = json.loads(text.get(LATEST, "[]"))
    return [Evaluation(**{**row, "parts": tuple(PartEvaluation(**part) for part in row["parts"])}) for row in rows]


def read_evaluations(folder: Path, task: Task | JointTask, last: int) -> list[Evaluation]:
    """Read the evaluations in a run folder's tables.

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
