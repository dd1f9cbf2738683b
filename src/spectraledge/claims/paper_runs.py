"""What claims about the paper read: runs of a condition, one effect per seed, means over kinds of directions."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.claims.verdicts import Measure

GROKKING = ("add", "sub", "mul", "square_sum")
"""Tasks that grok with weight decay (Xu 2026, §2)."""

OTHERS = ("quadratic", "cubic")
"""Tasks that do not (Xu 2026, §2)."""

OWN = "own"
"""Stands for the name of a run's own basis."""

Effect = Callable[[RunResult], tuple[float, float] | None]
"""A statistic and its null in one run; None where what it needs was not measured."""


def single_runs(runs: Runs, tasks: Iterable[str], weight_decay: float | None = None) -> list[RunResult]:
    """Return the runs of single tasks, with one weight decay or any, that started from weights at random."""
    wanted = set(tasks)
    return [
        run
        for run in runs
        if run.config.task in wanted and weight_decay in (None, run.config.weight_decay) and not run.config.start
    ]


def joint_runs(runs: Runs, task: str, start: str = "") -> dict[int, RunResult]:
    """Return the runs of a joint task by seed.

    Args:
        runs: The study's runs.
        task: Name of the joint task.
        start: Name of the task whose trunk they start from, "" for none.

    Returns:
        The runs.
    """
    return {run.config.seed: run for run in runs if run.config.task == task and run.after == start}


def of_task(task: str, effect: Effect) -> Measure:
    """Measure an effect in the runs of one task that grok."""
    return over_tasks((task,), effect)


def over_tasks(
    tasks: Sequence[str],
    effect: Effect,
    *,
    weight_decay: float = 1.0,
    grokked: bool = True,
    logarithms: bool = False,
) -> Measure:
    """Measure the mean of an effect over tasks in each seed that has it in all of them.

    Args:
        tasks: Names of single tasks.
        effect: The effect in one run.
        weight_decay: That of the runs.
        grokked: Whether runs count only if they reached a test accuracy of .95.
        logarithms: Whether statistic and null are averaged in logarithms.

    Returns:
        The measure.
    """

    def measure(runs: Runs) -> pd.DataFrame:
        runs = [run for run in single_runs(runs, tasks, weight_decay) if run.grokked or not grokked]
        rows = [(run.config.seed, *found) for run in runs if (found := effect(run)) is not None]
        table = pd.DataFrame(rows, columns=["seed", "value", "null"])
        whole = table[table.groupby("seed")["value"].transform("size") == len(tasks)].set_index("seed")
        if not logarithms:
            return whole.groupby("seed").mean().reset_index()
        # A statistic of 0 has no logarithm: its seed is left out, and counted as such.
        scored = whole.where(whole > 0).apply(np.log).groupby("seed").mean(skipna=False)
        return scored.apply(np.exp).reset_index()

    return measure


def paired(
    first: Mapping[int, RunResult], second: Mapping[int, RunResult], value: Callable[[RunResult], float]
) -> pd.DataFrame:
    """Pair a number of two runs of each seed, the second's as the null; NaN where it was not measured."""
    rows = [(seed, value(first[seed]), value(second[seed])) for seed in sorted(set(first) & set(second))]
    table = pd.DataFrame(rows, columns=["seed", "value", "null"], dtype=np.float64)
    return table.dropna()


def chosen(run: RunResult, name: str, **where: object) -> pd.DataFrame:
    """Return the rows of one of a run's tables in which columns have some values; `OWN` is the run's own basis.

    Args:
        run: The run.
        name: Name of the table.
        **where: Value of each column.

    Returns:
        The rows; none where the table was not measured.
    """
    table = run.table(name)
    for column, value in where.items():
        if table.empty:
            break
        table = table[table[column] == (run.structure if value == OWN else value)]
    return table


def mean_of(table: pd.DataFrame, column: str, **where: object) -> float:
    """Mean of a column over the rows in which other columns have some values; NaN without rows."""
    for name, value in where.items():
        if not table.empty:
            table = table[table[name] == value]
    return float(table[column].mean()) if len(table) else float("nan")


def kinds_compared(name: str, column: str, null: str, **where: object) -> Effect:
    """Compare the mean of a column over the edge's directions with that over another kind's.

    Args:
        name: Name of the table.
        column: What is averaged.
        null: The other kind.
        **where: Values of other columns, see `chosen`.

    Returns:
        The effect.
    """

    def effect(run: RunResult) -> tuple[float, float] | None:
        table = chosen(run, name, **where)
        if table.empty:
            return None
        return mean_of(table, column, kind="edge"), mean_of(table, column, kind=null)

    return effect
