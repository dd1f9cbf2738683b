"""Runs by what they were meant to show: the conditions of single tasks, and the arms of joint ones."""

from collections.abc import Iterable

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims import paper_runs
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import formula_of, part_names
from spectraledge.tasks.task import JOIN
from spectraledge.training import RunConfig

GROKKING_TASKS = paper_runs.GROKKING
"""Tasks that grok with weight decay (Xu 2026, §2)."""

GROKKING = "grokking tasks, weight decay 1"
GROUPS = (
    GROKKING,
    "grokking tasks, weight decay 0",
    "other tasks, weight decay 1",
    "other tasks, weight decay 0",
)
"""The four groups of Table 1; a run belongs to one by design, whether it generalised or not."""

ARMS = {
    "alone": "a² + b² alone",
    "add": "a² + b² with a + b",
    "mul": "a² + b² with a·b",
    "add+mul": "a² + b² with a + b and a·b",
    "maximum": "a² + b² with max(a, b)",
    "permuted_add": "a² + b² with a + b, answers permuted",
    "after add+mul": "a² + b² after a + b and a·b",
    "after permuted_add+permuted_mul": "a² + b² after permuted answers",
}
"""Ways to learn a² + b² by key, in the order of figures."""

_COMPOSITE = "square_sum"


def single_runs(study: StudyResult) -> tuple[RunResult, ...]:
    """Runs of one task on its own domain."""
    return tuple(run for run in study.runs if JOIN not in run.config.task)


def joint_runs(study: StudyResult) -> tuple[RunResult, ...]:
    """Runs on the joint domain, of one part or several."""
    return tuple(run for run in study.runs if JOIN in run.config.task)


def group_of(run: RunResult) -> str:
    """The group of Table 1 that a single run belongs to."""
    which = "grokking" if run.config.task in GROKKING_TASKS else "other"
    return f"{which} tasks, weight decay {run.config.weight_decay:g}"


def arm_of(run: RunConfig, study: StudyResult) -> str:
    """The way in which a joint run learns a² + b², a key of `ARMS`; "" for a run that is none of them."""
    parts = part_names(run.task)
    if parts[-1] != _COMPOSITE:
        return ""
    if run.start:
        first = next((config.task for config in study.config.runs if config.hash == run.start), "?")
        key = f"after {first}"
    else:
        key = JOIN.join(parts[:-1]) or "alone"
    return key if key in ARMS else ""


def arm_label(run: RunConfig, study: StudyResult) -> str:
    """A joint run in words."""
    key = arm_of(run, study)
    return ARMS[key] if key else formula_of(run.task)


def joined(runs: Iterable[RunResult], name: str) -> pd.DataFrame:
    """One table of several runs, with run, task, formula, weight_decay and seed in front.

    Args:
        runs: The runs.
        name: The table.

    Returns:
        The rows of all runs that have some.
    """
    found = []
    for run in runs:
        table = run.table(name)
        if len(table):
            labels = {
                "run": run.run_id,
                "task": run.config.task,
                "formula": run.formula,
                "weight_decay": run.config.weight_decay,
                "seed": run.config.seed,
            }
            kept = table.drop(columns=[column for column in labels if column in table])
            found.append(pd.concat([pd.DataFrame(labels, index=kept.index), kept], axis=1))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()
