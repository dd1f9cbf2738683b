"""Table 5: what the edge of each task is, in a few numbers."""

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.published import VALUES, published_number
from spectraledge.report.data import basis_label
from spectraledge.report.paper.bases import METHODS
from spectraledge.report.paper.conditions import GROKKING_TASKS, joined, single_runs
from spectraledge.report.paper.model import Section
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.studies.results import StudyResult

_EDGE = 3
_LARGEST = {
    "energy_share": "largest energy share of v1 to v3",
    "concentration": "largest F of v1 to v3 (published)",
}


def overview_section(study: StudyResult) -> Section:
    """Table 5: one block of rows per task."""
    section = Section(
        key="table-5",
        title="Table 5. The edge of each task",
        lead="One line per statistic: the selection ratio of the task’s own functions, the best of three edge "
        "directions beside the best of three random ones, and what waves and their products predict of a² + b².",
        places=("Table 5",),
    )
    runs = [run for run in single_runs(study) if run.config.weight_decay == 1.0 and run.config.task in GROKKING_TASKS]
    parts = [part for make in (_selection, _largest, _predicted) if len(part := make(runs))]
    if not parts:
        return section
    numbers = pd.concat(parts, ignore_index=True)
    order = {task: place for place, task in enumerate(GROKKING_TASKS)}
    numbers = numbers.sort_values("task", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    numbers["what"] = [_described(str(row.task), str(row.formula)) for row in numbers.itertuples()]
    table = seeds_table(
        "table-5",
        "The edge of each task, weight decay 1",
        numbers,
        Words({"what": "task", "statistic": "statistic", "basis": "basis"}, "null"),
        note="Null: of S no selection, 1; of the largest of three edge directions the largest of three random ones; of "
        "R² as many random features.",
    )
    return Section(section.key, section.title, section.lead, tables=(table,), places=section.places)


def _described(task: str, formula: str) -> str:
    """A task with what is published of its structure."""
    names = ("a² + b²" if task == "square_sum" else task) + ", "
    found = [
        value.of.removeprefix(names) for value in VALUES if value.section == "Table 5" and value.of.startswith(names)
    ]
    return f"{formula} (published: {found[0]})" if found else formula


def _selection(runs: list[RunResult]) -> pd.DataFrame:
    table = joined(runs, "selection")
    if table.empty:
        return table
    own = {run.config.task: run.structure for run in runs}
    rows = table[(table["basis"] == table["task"].map(own)) & (table["subspace"] == WHOLE)]
    rows = rows.assign(value=rows["ratio"], null=1.0)
    numbers = over_seeds(rows, ["task", "formula", "basis"], logarithmic=True)
    numbers["basis"] = numbers["basis"].map(basis_label)
    return numbers.assign(statistic="selection ratio S", unit="ratio", published="")


def _largest(runs: list[RunResult]) -> pd.DataFrame:
    table = joined(runs, "modes")
    if table.empty:
        return table
    own = {run.config.task: run.structure for run in runs}
    table = table[table["basis"] == table["task"].map(own)]
    keys = ["task", "formula", "basis", "seed"]
    parts = []
    for statistic, words in _LARGEST.items():
        method, unit = METHODS[statistic]
        rows = table[(table["method"] == method) & (table["direction"] <= _EDGE * 6)]
        edge = rows[rows["kind"] == "edge"].groupby(keys, sort=False)[statistic].max().rename("value")
        random = rows[rows["kind"] == "random"]
        triples = random.assign(triple=(random["direction"] - 1) // _EDGE).groupby([*keys, "triple"])[statistic].max()
        null = triples.groupby(keys).mean().rename("null")
        numbers = over_seeds(edge.to_frame().join(null).reset_index(), keys[:-1])
        shown = statistic == "concentration"
        numbers["published"] = [
            published_number("Table 5", "largest F", str(task)) if shown else "" for task in numbers["task"]
        ]
        numbers["basis"] = numbers["basis"].map(basis_label)
        parts.append(numbers.assign(statistic=words, unit=unit))
    return pd.concat(parts, ignore_index=True)


def _predicted(runs: list[RunResult]) -> pd.DataFrame:
    table = joined([run for run in runs if run.config.task == "square_sum"], "probes")
    if table.empty:
        return table
    rows = table[(table["kind"] == "edge") & (table["features"] == "cross")]
    parts = []
    for held, words in (("rows", "R² of waves and products, held out"), ("none", "R² in sample (published)")):
        wide = rows[rows["held_out"] == held].pivot_table(
            index=["task", "formula", "seed"], columns="random", values="r2"
        )
        wide = wide.rename(columns={False: "value", True: "null"}).reset_index()
        numbers = over_seeds(wide, ["task", "formula"])
        published = published_number("Table 5", "R²", "a² + b²") if held == "none" else ""
        parts.append(numbers.assign(statistic=words, unit="R²", published=published, basis="a + b, log a + log b"))
    return pd.concat(parts, ignore_index=True)
