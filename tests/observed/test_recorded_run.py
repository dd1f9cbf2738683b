"""Recorded runs as they are opened: which task they are of, and which windows they have."""

from pathlib import Path

import numpy as np
import pytest

from spectraledge import InputError, RunConfig, named_task
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.training import train_in_folder


@pytest.fixture(scope="module")
def of_two_residues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 snapshots on the smallest task that there is."""
    task = named_task("add", modulus=2)
    folder = tmp_path_factory.mktemp("observed") / "two"
    sizes = {"width": 4, "heads": 1, "hidden": 4}
    train_in_folder(folder, RunConfig.for_task(task, sizes, steps=10, every=2, stop_accuracy=2.0), task)
    return folder


def test_a_run_on_two_residues_is_opened(of_two_residues: Path) -> None:
    task = RecordedRun.open(of_two_residues).task
    assert (task.name, task.structure, task.formula) == ("add", "sum", "a + b")
    np.testing.assert_array_equal(task.labels_N, task.pairs_N2.sum(1) % 2)


def test_a_window_before_there_are_enough_snapshots_says_where_one_is(of_two_residues: Path) -> None:
    run = RecordedRun.open(of_two_residues)
    assert run.window(6, window=3, center=False).rows_WP.shape[0] == 3
    with pytest.raises(InputError, match=r"has 3 snapshots up to step 4, .* of 3 updates needs 4: ask for step 6 or a"):
        run.window(4, window=3, center=False)
    with pytest.raises(InputError, match=r"window must be in \[2, 5\] for 6 snapshots, got 6"):
        run.window(10, window=6, center=False)
