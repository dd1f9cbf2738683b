"""Table 4: does a² + b² use what addition and multiplication have, and is it learned sooner beside or after them?"""

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import published_number
from spectraledge.report.data import basis_label, white_noise_concentration
from spectraledge.report.paper.arms import COMPOSITE, steps_drawing, steps_table
from spectraledge.report.paper.conditions import ARMS, arm_label, joined, joint_runs, single_runs
from spectraledge.report.paper.drawing import (
    KIND_MARKS,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    percent_axis,
    scatter,
    spread_rows,
)
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.report.words import decimal
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import OPERATIONS, part_names

_ALONE = "a² + b² alone, own domain"
_RANDOM = "null: random directions"
_STATISTICS = (
    ("energy_share", "energy share", "share"),
    ("concentration", "F of ‖R‖² (published)", "F"),
)


def reuse_section(study: StudyResult) -> Section:
    """Table 4, inclusion, and the arms of the factorial and the sequential experiment."""
    runs = _compared(study)
    labels = {run.run_id: _label(run, study) for run in runs}
    tables = [
        table
        for table in (
            steps_table(study),
            _inclusion_table(runs, labels),
            _basis_table(runs, labels),
            _synergy_table(runs, labels),
        )
        if table
    ]
    drawings = [
        drawing for drawing in (steps_drawing(study), _inclusion_drawing(runs, labels, study)) if drawing is not None
    ]
    return Section(
        key="table-4",
        title="Table 4. Reuse: a² + b² alone, beside and after other tasks",
        lead="Does a trunk that has a + b and a·b make a² + b² use them? Asked three ways: is it learned sooner, do "
        "its functions lie in theirs (inclusion I), and does its edge move functions of a + b (the published metric)?",
        tables=tuple(tables),
        drawings=tuple(drawings),
        notes=(
            "Arms share the domain, the split, the batches and the first weights of the trunk within a seed; “with” "
            "stops on a² + b² alone, “after” starts from the trunk of a finished run.",
        )
        if tables
        else (),
        places=("Table 4", "§6.7", "§8", "Conjecture 2"),
    )


def _compared(study: StudyResult) -> list[RunResult]:
    singles = [run for run in single_runs(study) if run.config.task == COMPOSITE and run.config.weight_decay == 1.0]
    return [*singles, *(run for run in joint_runs(study) if COMPOSITE in part_names(run.config.task))]


def _label(run: RunResult, study: StudyResult) -> str:
    return _ALONE if run.config.task == COMPOSITE else arm_label(run.config, study)


def _inclusion_table(runs: list[RunResult], labels: dict[str, str]) -> Table | None:
    rows = _inclusion(runs, labels)
    if rows.empty:
        return None
    numbers = over_seeds(rows, ["arm", "formula", "others"]).assign(unit="share", published="")
    chance = over_seeds(rows, ["arm", "formula", "others"], value="chance")["value"]
    numbers["chance"] = [f"{100 * value:.2g}%" for value in chance]
    return seeds_table(
        "table-4-inclusion",
        "Inclusion I: how much of one head’s functions lie in those of the other heads",
        numbers,
        Words(
            {"arm": "arm", "formula": "functions of", "others": "in those of", "chance": "chance of random functions"},
            _RANDOM,
            published=False,
        ),
        note="Functions that the edge moves at a head, as many as hold half of the energy. Null: the same for random "
        "directions of the same network. Chance: random functions of the same ranks.",
    )


def _inclusion(runs: list[RunResult], labels: dict[str, str]) -> pd.DataFrame:
    table = joined(runs, "inclusion")
    if table.empty:
        return table
    keys = ["run", "target"]
    random = table[table["kind"] == "random"].groupby(keys)["inclusion"].mean().rename("null")
    rows = table[table["kind"] == "edge"].join(random, on=keys)
    return rows.assign(
        arm=rows["run"].map(labels),
        formula=rows["target"].map(_formula),
        others=rows["others"].map(lambda names: " and ".join(_formula(name) for name in part_names(names))),
        value=rows["inclusion"],
    )


def _inclusion_drawing(runs: list[RunResult], labels: dict[str, str], study: StudyResult) -> Drawing | None:
    table = joined(runs, "inclusion")
    if table.empty:
        return None
    table = table[(table["target"] == COMPOSITE) & table["kind"].isin(["edge", "span", "random"])]
    if table.empty:
        return None
    table = table.assign(arm=table["run"].map(labels))
    means = table.groupby(["arm", "kind", "seed"], as_index=False)["inclusion"].mean()
    arms = [words for words in ARMS.values() if (means["arm"] == words).any()]
    kinds = {"edge": "edge", "span": "mixtures in the window", "random": "random directions"}
    figure = canvas(TWO_COLUMNS, 0.42 * len(arms) + 1.2)
    ax = figure.subplots()
    for row, arm in enumerate(arms):
        for place, kind in enumerate(kinds):
            one = means[(means["arm"] == arm) & (means["kind"] == kind)]
            rows = row + 0.25 * (place - 1) + spread_rows(len(one)) / 3
            scatter(ax, one["inclusion"], rows, KIND_MARKS[kind])
    ax.set_ylim(len(arms) - 0.5, -0.5)
    ax.set_yticks(range(len(arms)), arms)
    ax.tick_params(axis="y", length=0)
    finish(ax, "", across="inclusion I of the functions of a² + b² in those of the other heads")
    percent_axis(ax)
    key(figure, [(words, handle(KIND_MARKS[kind])) for kind, words in kinds.items()])
    return Drawing(
        "inclusion",
        "How much of what moves a² + b² lies in what moves the other heads",
        "One point per seed; draws of random directions averaged within it. 100%: all of it; random functions of the "
        "same ranks have under a hundredth.",
        "the edge would include as much as random directions of the same network.",
        figure,
    )


def _basis_table(runs: list[RunResult], labels: dict[str, str]) -> Table | None:
    table = joined(runs, "reuse")
    if table.empty:
        return None
    table = table[table["basis"].isin(["sum", "dlog_sum"]) & table["readout"].isin(["residual", COMPOSITE])]
    keys = ["run", "readout", "basis"]
    parts = []
    for statistic, words, unit in _STATISTICS:
        random = table[table["kind"] == "random"].groupby(keys)[statistic].mean().rename("null")
        edge = table[table["kind"] == "edge"].join(random, on=keys)
        edge = edge.assign(arm=edge["run"].map(labels), value=edge[statistic])
        numbers = over_seeds(edge, ["arm", "task", "readout", "basis"]).assign(statistic=words, unit=unit)
        published = (numbers["basis"] == "sum") & (numbers["readout"] == "residual") & (statistic == "concentration")
        numbers["published"] = numbers["task"].map(_published("F on a + b")).where(published, "").fillna("")
        parts.append(numbers)
    numbers = pd.concat(parts, ignore_index=True)
    order = {words: place for place, words in enumerate([_ALONE, *ARMS.values()])}
    numbers = numbers.sort_values("arm", key=lambda arms: arms.map(order), kind="stable", ignore_index=True)
    numbers["readout"] = numbers["readout"].map({"residual": "trunk", COMPOSITE: "head of a² + b²"})
    numbers["basis"] = numbers["basis"].map(basis_label)
    return seeds_table(
        "table-4",
        "Functions of a + b and of a·b in the edge of a² + b²",
        numbers,
        Words({"arm": "arm", "statistic": "statistic", "readout": "read at", "basis": "basis"}, _RANDOM),
        note="Mean over v1 to v3 within a seed, whole joint domain, exact derivative. White noise has an F of "
        f"{decimal(white_noise_concentration(runs[0]))} on average.",
    )


def _synergy_table(runs: list[RunResult], labels: dict[str, str]) -> Table | None:
    table = joined(runs, "reuse_probes")
    if table.empty:
        return None
    parts = []
    for name, words in (("interaction", "interaction"), ("synergy", "synergy (published)")):
        for held, pairs in (("rows", "rows and columns held out"), ("none", "in sample")):
            rows = table[(table["kind"] == "edge") & (table["direction"] == 1) & (table["held_out"] == held)]
            rows = rows.assign(arm=rows["run"].map(labels), value=rows[name], null=rows[f"random_{name}"])
            numbers = over_seeds(rows, ["arm", "task"]).assign(statistic=words, pairs=pairs, unit="R²")
            given = held == "none" and name == "synergy"
            numbers["published"] = numbers["task"].map(_published("synergy")).fillna("") if given else ""
            parts.append(numbers)
    numbers = pd.concat(parts, ignore_index=True)
    if numbers.empty:
        return None
    numbers["unit"] = "F"
    return seeds_table(
        "table-4-synergy",
        "Do waves of both kinds predict v1 better together?",
        numbers,
        Words({"statistic": "statistic", "pairs": "pairs", "arm": "arm"}, "null: random features"),
        note="R² of both less the larger of each alone (synergy, as published), and less their sum (interaction). A "
        "response that merely adds the two has synergy, but no interaction.",
    )


def _published(quantity: str) -> dict[str, str]:
    """Published values of Table 4 by task."""
    names = {COMPOSITE: "a² + b² alone", f"add+mul+{COMPOSITE}": "tri-task"}
    return {task: published_number("Table 4", quantity, of) for task, of in names.items()}


def _formula(part: str) -> str:
    return OPERATIONS[part].formula if part in OPERATIONS else part
