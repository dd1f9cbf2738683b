"""Figure 1: the edge's response as a picture over the inputs, and how much of it is one plane wave."""

import pandas as pd
from matplotlib.axes import Axes

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import published_number
from spectraledge.report.data import pictures
from spectraledge.report.paper.conditions import GROKKING_TASKS, joined, single_runs
from spectraledge.report.paper.drawing import SMALL, TEXT, TWO_COLUMNS, canvas
from spectraledge.report.paper.model import Drawing, Table
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.report.style import DIVERGING
from spectraledge.report.words import percent, step_word
from spectraledge.studies.results import StudyResult

_LIMIT = 2.0


def character_table(study: StudyResult) -> tuple[Table, ...]:
    """Share of the response in one plane wave over (a, b), edge beside random directions; none where not measured."""
    runs = [run for run in single_runs(study) if run.config.task in GROKKING_TASKS and run.config.weight_decay == 1.0]
    table = joined(runs, "characters")
    if table.empty:
        return ()
    random = table[table["kind"] == "random"].groupby("run")["character_share"].mean()
    edge = table[table["kind"] == "edge"]
    edge = edge.assign(value=edge["character_share"], null=edge["run"].map(random))
    parts = []
    for name, rows in (("v1", edge[edge["direction"] == 1]), ("v1 to v3, mean", edge)):
        parts.append(over_seeds(rows, ["task", "formula"]).assign(directions=name, unit="share"))
    numbers = pd.concat(parts, ignore_index=True)
    known = published_number("§6.3", "F", "first principal component of R_1, add")
    off = published_number("§6.5", "power off the diagonal", "a² + b²")
    published = {
        "add": f"F of the first component: {known}, ω 26",
        "square_sum": f"{off} of the power off the diagonal",
    }
    numbers["published"] = [
        published.get(str(row["task"]), "") if row["directions"] == "v1" else "" for row in numbers.to_dict("records")
    ]
    return (
        seeds_table(
            "figure-1",
            "How much of the response is one plane wave over (a, b)",
            numbers,
            Words({"formula": "task", "directions": "directions"}, "null: random directions"),
            note="The largest share of one 2-D character in the response on the residual direction along which its "
            "group means vary most. The published numbers are of other quantities on the same pictures.",
        ),
    )


def figure_one(study: StudyResult) -> tuple[Drawing, ...]:
    """Draw the response of v1 over all inputs, for the first run of each task that has pictures; none without them."""
    shown: dict[str, RunResult] = {}
    for run in single_runs(study):
        drawable = len(run.waves) and len(run.characters) and run.config.weight_decay == 1.0
        if drawable and run.config.task in GROKKING_TASKS:
            shown.setdefault(run.config.task, run)
    if not shown:
        return ()
    figure = canvas(TWO_COLUMNS, 4.35)
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, run in enumerate(shown.values()):
        picture = pictures(run)[0]
        for row, values in enumerate((picture.raw, picture.ordered)):
            ax: Axes = axes[row][column]
            image = ax.imshow(
                values, cmap=DIVERGING, vmin=-_LIMIT, vmax=_LIMIT, origin="lower", interpolation="nearest"
            )
            ax.set_xticks([])
            ax.set_yticks([])
            ordered = row == 1
            ax.set_xlabel("b, by phase" if ordered else "b", fontsize=SMALL)
            ax.set_ylabel("a, by phase" if ordered else "a", fontsize=SMALL)
            title = (
                f"ω = {picture.frequency}, {percent(picture.share)}" if ordered else f"{'abcd'[column]}  {run.formula}"
            )
            ax.set_title(title, fontsize=TEXT, loc="left")
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.35, aspect=40, extend="both")
    bar.set_label("projected response of v1, in units of its root mean square", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    runs = "; ".join(f"{run.formula}: seed {run.config.seed}, {step_word(run.modes_step)}" for run in shown.values())
    return (
        Drawing(
            "figure-1",
            "The response of v1 over all inputs, raw and in its basis (the paper’s Figure 1)",
            f"Each cell is an input pair; colour is the response of v1, projected on the residual direction along "
            f"which its group means vary most. Upper row: a and b in their own order. Lower row: both sorted by their "
            f"position on the strongest wave of the task’s basis; in its title the wave and the share of the picture’s "
            f"energy in one 2-D character. {runs}.",
            "the lower row would be as speckled as the upper one.",
            figure,
        ),
    )
