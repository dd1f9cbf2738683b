"""§2: which runs generalise, and after how many steps."""

import numpy as np
import pandas as pd

from spectraledge.claims.published import GROKKED_WITHIN
from spectraledge.report.paper.conditions import GROKKING_TASKS, single_runs
from spectraledge.report.paper.model import Section, Table
from spectraledge.report.paper.over_seeds import interval, over_seeds
from spectraledge.report.words import NONE, whole
from spectraledge.studies.results import StudyResult


def learning_section(study: StudyResult) -> Section:
    """§2: one row per task and weight decay."""
    tables = _tables(study)
    return Section(
        key="section-2",
        title="§2. Which runs generalise",
        lead="Single tasks; test accuracy of at least 0.95 at an evaluation counts. Runs that do not reach it stop at "
        "their budget: what they would do later is not known.",
        tables=tables,
        places=("§2",),
    )


def _tables(study: StudyResult) -> tuple[Table, ...]:
    runs = single_runs(study)
    if not runs:
        return ()
    table = pd.DataFrame(
        {
            "task": [run.config.task for run in runs],
            "formula": [run.formula for run in runs],
            "weight_decay": [run.config.weight_decay for run in runs],
            "seed": [run.config.seed for run in runs],
            "step": [np.nan if run.manifest.grokked_step is None else run.manifest.grokked_step for run in runs],
            "last_step": [run.manifest.step for run in runs],
            "test_accuracy": [run.manifest.test_accuracy for run in runs],
        }
    )
    table = table.sort_values("weight_decay", ascending=False, kind="stable", ignore_index=True)
    rows = []
    for (task, formula, decay), part in table.groupby(["task", "formula", "weight_decay"], sort=False):
        mean = over_seeds(part, ["task"], value="step", logarithmic=True).to_dict("records")
        shown = f"{whole(mean[0]['value'])} ({interval(mean[0]['low'], mean[0]['high'], whole)})" if mean else NONE
        published = f"3 of 3, within {GROKKED_WITHIN:,}" if task in GROKKING_TASKS and decay == 1 else "0 of 3"
        last = part["last_step"]
        steps = whole(last.min()) if last.min() == last.max() else f"{whole(last.min())} to {whole(last.max())}"
        rows.append(
            (
                str(formula),
                f"{decay:g}",
                f"{part['step'].notna().sum()} of {len(part)}",
                shown,
                steps,
                f"{part['test_accuracy'].min():.3f} to {part['test_accuracy'].max():.3f}",
                published,
            )
        )
    return (
        Table(
            "section-2",
            "Runs that generalise, by task and weight decay",
            (
                "task",
                "weight decay",
                "generalised",
                "step (mean, 95% interval over seeds)",
                "steps taken",
                "test accuracy at the end",
                "published",
            ),
            tuple(rows),
            (False, False, True, True, True, True, False),
            "Steps: geometric means over the seeds that generalised. Null: chance is a test accuracy of one over the "
            "number of classes. The paper’s controls trained up to 200,000 steps, and one of them had an event at "
            "step 41,700.",
            table,
        ),
    )
