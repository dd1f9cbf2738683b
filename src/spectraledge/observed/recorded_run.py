"""A recorded run, read from its folder: configuration, task, split, snapshots and the window of updates at a step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.arrays import Bools
from spectraledge.devices import CPU, usable_device
from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.models import architecture_of
from spectraledge.spectrum import Directions, window_directions
from spectraledge.spectrum.windows import check_window
from spectraledge.tasks import GROUPINGS, OPERATIONS, Task, grouping_rule, joint_task, named_task, part_names
from spectraledge.training import RunConfig
from spectraledge.training.loop import GROKKED
from spectraledge.training.metrics_tables import read_metrics, read_parts
from spectraledge.training.recorded_task import label_column
from spectraledge.trajectory import Manifest, Series, whole


@dataclass(frozen=True)
class Window:
    """The last updates of a run up to a step.

    Attributes:
        series: The window's snapshots; the last one is at the step.
        updates_WP: The updates, oldest first, float64.
        center: Whether directions are of the updates without their mean.
        directions: Its directions and their eigenvalues.
    """

    series: Series
    updates_WP: Tensor
    center: bool
    directions: Directions

    @property
    def step(self) -> int:
        """The step at which it ends."""
        return self.series.snapshots[-1].step

    @property
    def rows_WP(self) -> Tensor:
        """The matrix whose right singular vectors the directions are: updates, without their mean if `center`."""
        return self.updates_WP - self.updates_WP.mean(0) if self.center else self.updates_WP


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run as its folder describes it.

    Attributes:
        folder: The run folder.
        config: How it was trained.
        task: Its task, with the structure that it was recorded with, or else that of a known operation with the same
            table; of a joint one, one part.
        head: Place of that part among the network's heads.
        test_N: Which pairs of the domain are for testing.
        series: Its snapshots, and the parameters that are watched.
        device: Where its networks compute.
    """

    folder: Path
    config: RunConfig
    task: Task
    head: int
    test_N: Bools
    series: Series
    device: torch.device = CPU

    @classmethod
    def open(
        cls, folder: Path, patterns: Sequence[str] | None = None, *, part: str | None = None, device: str = "cpu"
    ) -> "RecordedRun":
        """Read a run folder; of the snapshots only headers are read. A joint run is seen through one of its heads.

        Args:
            folder: A run folder that this package wrote.
            patterns: Watched parameters. Default: those the run was configured with.
            part: Which part of a joint task. Default: the last.
            device: Where its networks compute: "cpu", "cuda" or "cuda:N".

        Returns:
            The run.

        Raises:
            InputError: if the folder is no run, a pattern matches nothing, the task has no such part, or its own basis
                is unknown here, or the device cannot be used.
        """
        place = usable_device(device)
        config = RunConfig.of_run(folder)
        domain = read_table(whole(folder / "domain.parquet"))
        pairs = domain[["a", "b"]].to_numpy(np.int64, copy=True)
        names = part_names(config.task)
        name = names[-1] if part is None else part
        if name not in names:
            raise InputError(f"task {config.task!r} has no part {name!r}: its parts are {', '.join(names)}")
        labels = domain[label_column(name, len(names))].to_numpy(np.int64, copy=True)
        task = Task(name, name, config.model.tokens, pairs, labels)
        if name in OPERATIONS:
            known = named_task(name, modulus=config.model.tokens)
            # Of two residues no pairs are left that a joint task could have.
            without_zeros = joint_task([known]).parts if len(task) == (known.modulus - 1) ** 2 else ()
            for candidate in (known, *without_zeros):
                task = candidate if candidate.digest == task.digest else task
        if name in (structures := Manifest.read(folder).structures):
            rule = grouping_rule(structures[name])
            task = replace(task, structure=rule.name)
            if rule.name not in GROUPINGS:
                task = replace(task, formula=rule.formula)
        is_test = np.array(domain["split"] == "test")
        series = Series.open(folder, patterns or config.watched)
        return cls(folder, config, task, names.index(name), is_test, series, place)

    @classmethod
    def parts(
        cls, folder: Path, patterns: Sequence[str] | None = None, *, device: str = "cpu"
    ) -> tuple["RecordedRun", ...]:
        """Read a run folder through each part of its task, in order; see `open`. Of a single task that is one."""
        names = part_names(RunConfig.of_run(folder).task)
        return tuple(cls.open(folder, patterns, part=name, device=device) for name in names)

    @property
    def metrics(self) -> pd.DataFrame:
        """Its evaluations, one row per recorded step; of a joint run, accuracies and losses are those of the part."""
        metrics = read_metrics(self.folder)
        if self.config.model.answers == 1:
            return metrics
        parts = read_parts(self.folder)
        own = parts[parts["part"] == self.task.name].drop(columns="part")
        return metrics.drop(columns=[name for name in own.columns if name != "step"]).merge(own, on="step")

    @property
    def steps(self) -> list[int]:
        """Steps of its snapshots."""
        return [snapshot.step for snapshot in self.series.snapshots]

    @property
    def wave_basis(self) -> str:
        """Name of the grouping in which its waves are drawn."""
        return grouping_rule(self.task.structure).picture

    @property
    def pair_basis(self) -> str:
        """Name of the grouping in whose coordinates functions of the pairs are split."""
        return grouping_rule(self.task.structure).grid

    def chosen_step(self, step: int | None = None) -> int:
        """Choose a snapshot: the step asked for, or the last with test accuracy above 0.95, else the last."""
        if step is not None:
            if step not in self.steps:
                nearest = min(self.steps, key=lambda known: abs(known - step))
                raise InputError(f"no snapshot at step {step} in {self.folder}: the nearest is at step {nearest}")
            return step
        metrics = self.metrics
        good = metrics.loc[(metrics["test_accuracy"] > GROKKED) & metrics["step"].isin(self.steps), "step"]
        return int(good.max()) if len(good) else max(self.steps)

    def check_heads(self) -> None:
        """Refuse watched heads of a joint run, which is seen through one of them."""
        model = self.config.model
        if heads := sorted(architecture_of(model).head & set(self.series.layout.shapes)) if model.answers > 1 else []:
            raise InputError(
                f"a joint run is seen through one of its heads, and {', '.join(heads)} hold all: watch other parameters"
            )

    def window(self, step: int, *, window: int, center: bool) -> Window:
        """Return the window of updates that ends at a step; directions are taken without its mean if `center`.

        Raises:
            InputError: if there are too few snapshots before the step, some of them were thinned, the weights did not
                move, or the heads of a joint task are watched.
        """
        self.check_heads()
        thinned = Manifest.read(self.folder).thinned
        recorded = sorted([*self.steps, *thinned])
        spanned = [known for known in recorded if known <= step][-window - 1 :]
        if gone := set(spanned) & set(thinned):
            raise InputError(
                f"{len(gone)} snapshots between steps {spanned[0]} and {step} of {self.folder} were thinned, so that "
                f"no window of {window} updates up to step {step} is there: ask for the last step, or train the run "
                "again"
            )
        series = self.series.until(step)
        if 2 <= window < len(self.steps) and len(series.snapshots) <= window:
            raise InputError(
                f"{self.folder} has {len(series.snapshots)} snapshots up to step {step}, and a window of {window} "
                f"updates needs {window + 1}: ask for step {self.steps[window]} or a later one, or for a smaller window"
            )
        check_window(window, len(series.snapshots))
        series = series.last(window + 1)
        updates = list(series.updates())
        updates_WP = torch.stack([update.update_P for update in updates])
        noise = sum(update.storage_noise for update in updates)
        directions = window_directions(updates_WP, center=center, storage_noise=noise)
        if not len(directions.eigenvalues_K):
            raise InputError(
                f"the weights do not move in the {window} updates up to step {step}: there is no edge to measure"
            )
        return Window(series, updates_WP, center, directions)
