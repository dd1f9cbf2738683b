"""The factorial and the sequential experiment: how many steps a² + b² takes alone, beside and after other tasks."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import published_number
from spectraledge.report.paper.conditions import ARMS, arm_of, joint_runs
from spectraledge.report.paper.drawing import (
    GROUP_MARKS,
    TWO_COLUMNS,
    Mark,
    canvas,
    finish,
    handle,
    key,
    log_axis,
    scatter,
)
from spectraledge.report.paper.model import Drawing, Table
from spectraledge.report.paper.over_seeds import interval, over_seeds
from spectraledge.report.style import INK, ORANGE, SHAPES
from spectraledge.report.words import NONE, ratio, whole
from spectraledge.studies.results import PARTS, StudyResult

COMPOSITE = "square_sum"
"""The task whose structure is in question (Xu 2026, §6.5)."""

_ACCURACY = 0.95


def generalised_step(run: RunResult) -> float:
    """First step at which test accuracy on a² + b² reached 0.95; NaN if it never did."""
    parts = run.table(PARTS)
    if len(parts):
        there = parts[(parts["part"] == COMPOSITE) & (parts["test_accuracy"] >= _ACCURACY)]
        return float(there["step"].min()) if len(there) else np.nan
    return np.nan if run.manifest.grokked_step is None else float(run.manifest.grokked_step)


def _steps(study: StudyResult) -> pd.DataFrame:
    rows = [
        {
            "arm": arm,
            "seed": run.config.seed,
            "step": generalised_step(run),
            "last": run.manifest.step,
        }
        for run in joint_runs(study)
        if (arm := arm_of(run.config, study))
    ]
    return pd.DataFrame(rows)


def steps_table(study: StudyResult) -> Table | None:
    """Steps that a² + b² takes in every arm, beside those that it takes alone; None where no arm was run."""
    steps = _steps(study)
    if steps.empty:
        return None
    alone = steps[steps["arm"] == "alone"].set_index("seed")["step"]
    steps["over"] = steps["step"] / steps["seed"].map(alone)
    rows, numbers = [], []
    for arm, words in ARMS.items():
        part = steps[steps["arm"] == arm].sort_values("seed")
        if part.empty:
            continue
        mean = over_seeds(part, ["arm"], value="step", logarithmic=True)
        over = over_seeds(part, ["arm"], value="over", logarithmic=True)
        each = ", ".join(
            f"{row['seed']}: {'' if np.isfinite(row['step']) else 'not by '}"
            + whole(row["step"] if np.isfinite(row["step"]) else row["last"])
            for row in part.to_dict("records")
        )
        reached = int(part["step"].notna().sum())
        shown = [
            f"{form(row['value'])} ({interval(row['low'], row['high'], form)})"
            for found, form in ((mean, whole), (over, ratio))
            for row in found.to_dict("records")
        ]
        shown += [NONE] * (2 - len(shown))
        if arm == "alone" and reached:
            shown[1] = "1"
        published = published_number("§2", "steps until the tri-task groks", "") if arm == "add+mul" else NONE
        rows.append((words, f"{reached} of {len(part)}", each, *shown, published))
        numbers.append(part)
    return Table(
        "table-4-steps",
        "Steps until test accuracy on a² + b² reaches 0.95",
        (
            "arm",
            "generalised",
            "step by seed",
            "mean (95% interval over seeds)",
            "over alone, same seed",
            "published",
        ),
        tuple(rows),
        (False, True, False, True, True, True),
        "Geometric means over the seeds that reached it; a seed that did not is named, not counted in means, and makes "
        "them too small. “After” counts from its own start, without the steps of the run before it. Null: a² + b² "
        "alone on the same domain, ratio 1.",
        pd.concat(numbers, ignore_index=True),
    )


def steps_drawing(study: StudyResult) -> Drawing | None:
    """Draw the same, one point per run; None where no arm was run."""
    steps = _steps(study)
    if steps.empty:
        return None
    arms = [arm for arm in ARMS if (steps["arm"] == arm).any()]
    seeds = sorted(steps["seed"].unique(), key=list(dict.fromkeys(steps["seed"])).index)
    marks = [Mark(mark.colour, mark.shape) for mark in (*GROUP_MARKS, Mark(ORANGE, SHAPES[4]))]
    figure = canvas(TWO_COLUMNS, 0.36 * len(arms) + 1.2)
    ax = figure.subplots()
    few = len(seeds) <= len(marks)
    for number, seed in enumerate(seeds):
        mark = marks[number if few else 0]
        for row, arm in enumerate(arms):
            one = steps[(steps["arm"] == arm) & (steps["seed"] == seed)]
            offset = 0.5 * (number / max(len(seeds) - 1, 1) - 0.5)
            reached = one[one["step"].notna()]
            scatter(ax, reached["step"], row + offset + np.zeros(len(reached)), mark, size=5)
            never = one[one["step"].isna()]
            ax.plot(
                never["last"],
                row + offset + np.zeros(len(never)),
                ">",
                color=mark.colour,
                markersize=5,
                fillstyle="none",
            )
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_yticks(range(len(arms)), [ARMS[arm] for arm in arms])
    ax.tick_params(axis="y", length=0)
    finish(ax, "", across="training step at which test accuracy on a² + b² reached 0.95 (log)")
    log_axis(ax, [*steps["step"].fillna(steps["last"])])
    entries = [(f"seed {seed}", handle(marks[place])) for place, seed in enumerate(seeds)] if few else []
    never_handle = Line2D([], [], linestyle="none", marker=">", color=INK, markersize=5, fillstyle="none")
    key(figure, [*entries, ("not within its budget", never_handle)], columns=6)
    return Drawing(
        "steps-by-arm",
        "Steps until a² + b² generalises, by arm and seed",
        "One point per seed. Open triangles: not reached by the last step taken, where they stand.",
        "arms would not differ by more than seeds of one arm do.",
        figure,
    )
