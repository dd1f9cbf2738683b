"""Table 3: how much of the edge's response additive and multiplicative waves predict, in sample and held out."""

import pandas as pd

from spectraledge.claims.published import published_number
from spectraledge.report.paper.conditions import joined, single_runs
from spectraledge.report.paper.drawing import (
    KIND_MARKS,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    scatter,
    spread_rows,
)
from spectraledge.report.paper.model import Drawing, Section
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.report.style import INK
from spectraledge.studies.results import StudyResult

_TASKS = ("add", "mul", "square_sum")
_FEATURES = ("additive", "multiplicative", "both", "cross")
_HELD_OUT = {
    "rows": "rows and columns held out",
    "output": "answers held out",
    "none": "in sample (published)",
}


def composition_section(study: StudyResult) -> Section:
    """Table 3 with its figure."""
    section = Section(
        key="table-3",
        title="Table 3. Composition: which waves make up the response",
        lead="How much of the edge’s response do waves of a + b, waves of log a + log b, both, and their products "
        "predict on pairs that were not fitted, beyond as many random features?",
        places=("Table 3", "§6.6"),
    )
    runs = [run for run in single_runs(study) if run.config.task in _TASKS and run.config.weight_decay == 1.0]
    table = joined(runs, "probes")
    if table.empty:
        return section
    rows = _rows(table)
    numbers = over_seeds(rows, ["task", "formula", "held_out", "features"])
    order = {task: place for place, task in enumerate(_TASKS)}
    numbers = numbers.sort_values("task", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    numbers["published"] = [
        _published(str(row.task), str(row.features)) if row.held_out == "none" else "" for row in numbers.itertuples()
    ]
    numbers["unit"] = "R²"
    numbers["words"] = numbers["held_out"].map(_HELD_OUT)
    shown = seeds_table(
        "table-3",
        "R² of ridge regressions from waves to the response of v1 to v3",
        numbers,
        Words({"formula": "task", "words": "pairs", "features": "features"}, "null: random features"),
        note="Mean over v1 to v3 within a seed. Null: as many random features, on the same pairs. Held out: of the "
        "response’s leading read-out directions; R² below 0 predicts worse than the mean. In sample, many features "
        "fit noise.",
    )
    return Section(
        section.key,
        section.title,
        section.lead,
        tables=(shown,),
        drawings=(_drawing(rows),),
        notes=(
            "With answers held out, waves of a task’s own variable can look up nothing, so R² near 0 there is expected "
            "of addition and multiplication.",
        ),
        places=section.places,
    )


def _published(task: str, features: str) -> str:
    quantity = "R² of both and cross" if features == "cross" else f"R² of {features}"
    return published_number("Table 3", quantity, "a² + b²" if task == "square_sum" else task)


def _rows(table: pd.DataFrame) -> pd.DataFrame:
    """One row per direction of the edge, with random features as its null."""
    edge = table[table["kind"] == "edge"]
    keys = ["task", "formula", "seed", "held_out", "features", "direction"]
    wide = edge.pivot_table(index=keys, columns="random", values="r2").reset_index()
    wide = wide.rename(columns={False: "value", True: "null"})
    order = [(held, features) for held in _HELD_OUT for features in _FEATURES]
    places = {pair: place for place, pair in enumerate(order)}
    wide["place"] = [places[pair] for pair in zip(wide["held_out"], wide["features"], strict=True)]
    return wide.sort_values("place", kind="stable", ignore_index=True)


def _drawing(rows: pd.DataFrame) -> Drawing:
    tasks = [task for task in _TASKS if (rows["task"] == task).any()]
    figure = canvas(TWO_COLUMNS, 3.4)
    held = ("rows", "none")
    axes = figure.subplots(len(held), len(tasks), squeeze=False, sharey=True, sharex="row")
    for row, name in enumerate(held):
        for column, task in enumerate(tasks):
            ax = axes[row][column]
            part = rows[(rows["task"] == task) & (rows["held_out"] == name)]
            means = part.groupby(["features", "seed"], as_index=False)[["value", "null"]].mean()
            for place, features in enumerate(_FEATURES):
                one = means[means["features"] == features]
                offsets = spread_rows(len(one)) / 2
                scatter(ax, one["null"], place + 0.16 + offsets, KIND_MARKS["random"], size=3.8)
                scatter(ax, one["value"], place - 0.16 + offsets, KIND_MARKS["edge"], size=3.8)
            ax.axvline(0, color=INK, linewidth=0.8, linestyle=":")
            ax.set_ylim(len(_FEATURES) - 0.5, -0.5)
            ax.set_yticks(range(len(_FEATURES)), _FEATURES)
            ax.tick_params(axis="y", length=0)
            formula = part["formula"].iloc[0] if len(part) else task
            finish(
                ax,
                f"{'abcdef'[row * len(tasks) + column]}  {formula}",
                across="R², held-out rows and columns" if name == "rows" else "R² in sample (published)",
            )
    key(figure, [("waves", handle(KIND_MARKS["edge"])), ("as many random features", handle(KIND_MARKS["random"]))])
    return Drawing(
        "composition",
        "What waves predict of the edge’s response, held out and in sample",
        "One point per seed, mean over v1 to v3. Upper row: pairs whose row and column were not fitted. Lower row: in "
        "sample, as published.",
        "red points would lie on grey ones, and at or below 0 in the upper row.",
        figure,
    )
