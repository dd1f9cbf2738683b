"""Table 2 and Figure 1: directions of every kind in the task's own basis, and the edge's response as a picture."""

from collections.abc import Hashable
from typing import Any

import pandas as pd
from matplotlib.ticker import MaxNLocator

from spectraledge.claims.published import MODES
from spectraledge.report.data import basis_label, white_noise_concentration
from spectraledge.report.paper.conditions import GROKKING_TASKS, joined, single_runs
from spectraledge.report.paper.drawing import (
    KIND_MARKS,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    percent_axis,
    strips,
)
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.report.paper.waves import character_table, figure_one
from spectraledge.report.words import decimal, modes_window
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import OPERATIONS

KINDS = {"bulk": "bulk, mean", "span": "mixtures in the window, mean", "random": "random directions, mean"}
"""Kinds of directions that stand beside the edge."""

METHODS = {"energy_share": ("jvp", "share"), "concentration": ("difference", "F")}
"""How each statistic is read: the sound one exactly over the whole domain, the published one as published."""

STATISTICS = {
    "energy_share": "energy share, whole domain",
    "concentration": "F of ‖R‖², test pairs (published)",
}
"""Statistics in words, the sound one first."""


def readings(study: StudyResult, tasks: tuple[str, ...]) -> pd.DataFrame:
    """Modes of runs with weight decay 1 on some tasks, one row per direction, basis and method."""
    runs = [run for run in single_runs(study) if run.config.task in tasks and run.config.weight_decay == 1.0]
    return joined(runs, "modes")


def with_null(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """Give every row, as `null`, the mean over random directions of the same seed, basis and method."""
    random = table[table["kind"] == "random"].groupby([*by, "seed"])[value].mean().rename("null")
    return table.join(random, on=[*by, "seed"]).assign(value=lambda rows: rows[value])


def direction_words(kind: str, direction: int) -> str:
    """A direction of the edge by its number, others by their kind."""
    return f"v{direction}" if kind == "edge" else KINDS[kind]


def kinds_table(table: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Numbers over seeds of edge directions one by one and of other kinds together.

    Args:
        table: Rows of modes in one basis each.
        statistic: A key of `STATISTICS`.

    Returns:
        Numbers with columns formula, basis, statistic, directions, unit, published.
    """
    method, unit = METHODS[statistic]
    rows = table[(table["method"] == method) & table["kind"].isin(["edge", *KINDS])]
    if rows.empty:
        return pd.DataFrame()
    rows = with_null(rows, ["task", "basis"], statistic)
    rows = rows[rows["kind"] != "random"]
    rows = rows.assign(
        directions=[direction_words(kind, number) for kind, number in zip(rows["kind"], rows["direction"], strict=True)]
    )
    order = {words: place for place, words in enumerate(["v1", "v2", "v3", *KINDS.values()])}
    rows = rows.sort_values("directions", key=lambda names: names.map(order), kind="stable")
    numbers = over_seeds(rows, ["task", "formula", "basis", "kind", "directions"])
    shown = statistic == "concentration"
    numbers["published"] = [_published(row) if shown else "" for row in numbers.to_dict("records")]
    numbers["unit"] = unit
    numbers["statistic"] = STATISTICS[statistic]
    numbers["basis"] = numbers["basis"].map(basis_label)
    return numbers


def basis_section(study: StudyResult) -> Section:
    """Table 2 with its figure, and Figure 1."""
    table = readings(study, GROKKING_TASKS)
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    if len(table):
        noise = white_noise_concentration(study.runs[0])
        own = table[table["basis"] == table["task"].map(lambda task: OPERATIONS[task].structure)]
        parts = [
            kinds_table(part, statistic) for _, part in own.groupby("task", sort=False) for statistic in STATISTICS
        ]
        numbers = pd.concat([part for part in parts if len(part)], ignore_index=True)
        numbers["what"] = numbers["formula"] + ", basis " + numbers["basis"]
        tables = (
            seeds_table(
                "table-2",
                "Directions in the task’s own basis, weight decay 1",
                numbers,
                Words(
                    {"what": "task", "statistic": "statistic", "directions": "directions"}, "null: random directions"
                ),
                note="Measured at the last step with test accuracy above 0.95, "
                f"{modes_window(study)}. Energy share: the between-group part of the vector response’s variance, "
                "corrected so that noise gives 0, exact derivative. F: as published, by a finite difference; white "
                f"noise gives {decimal(noise)} on average. Bulk and mixtures are averaged within a seed.",
            ),
        )
        tables += character_table(study)
        drawings = (_drawing(own, noise), *figure_one(study))
    return Section(
        key="table-2",
        title="Table 2 and Figure 1. Directions in the task’s basis",
        lead="Do the edge’s directions move simple functions in the task’s own basis, more than the bulk of the same "
        "window and than random directions of the same network do?",
        tables=tables,
        drawings=drawings,
        notes=(
            "Directions of nearly equal eigenvalue rotate into each other from seed to seed: a row of v1 is an average "
            "over whatever came first.",
        ),
        places=("Table 2", "Figure 1", "§3", "§6.1", "§6.2", "§2.4", "§2.5", "§6"),
    )


def _published(row: dict[Hashable, Any]) -> str:
    wanted = int(row["directions"].removeprefix("v")) if row["kind"] == "edge" else 0
    for mode in MODES:
        if (mode.task, mode.basis, mode.kind, mode.direction) == (row["task"], row["basis"], row["kind"], wanted):
            words = [f"{mode.concentration:.3g}"] if mode.concentration is not None else []
            words += [f"ω {mode.frequency}"] if mode.frequency is not None else []
            return ", ".join(words)
    return ""


def _drawing(own: pd.DataFrame, noise: float) -> Drawing:
    tasks = list(dict.fromkeys(own["task"]))
    lanes = ["v1", "v2", "v3", "bulk", "span", "random"]
    marks = [KIND_MARKS[lane if lane in KIND_MARKS else "edge"] for lane in lanes]
    figure = canvas(TWO_COLUMNS, 4.0)
    axes = figure.subplots(2, len(tasks), squeeze=False, sharey=True, sharex="row")
    for row, (statistic, (method, _)) in enumerate(METHODS.items()):
        for column, task in enumerate(tasks):
            ax = axes[row][column]
            part = own[(own["task"] == task) & (own["method"] == method) & own["kind"].isin(["edge", *KINDS])]
            part = part.assign(lane=_lanes(part), value=part[statistic])
            part = part.groupby(["lane", "seed"], as_index=False)["value"].mean()
            strips(ax, part, lanes, marks, null=noise if statistic == "concentration" else 0.0)
            formula = own.loc[own["task"] == task, "formula"].iloc[0]
            across = "energy share" if statistic == "energy_share" else "F (published)"
            finish(ax, f"{'abcdefgh'[row * len(tasks) + column]}  {formula}", across=across)
            if statistic == "energy_share":
                percent_axis(ax)
            else:
                ax.xaxis.set_major_locator(MaxNLocator(4))
    entries = [(words, handle(KIND_MARKS[kind])) for kind, words in _KEY.items()]
    key(figure, entries)
    return Drawing(
        "directions-in-own-basis",
        "Directions of every kind in the task’s own basis",
        "One point per seed; bulk, mixtures of the window and random directions averaged within it. Upper row: energy "
        "share of functions of the own variable; dotted: noise. Lower row: F of ‖R‖² as published; dotted: the mean of "
        "white noise.",
        "red points would lie among the hollow ones.",
        figure,
    )


_KEY = {"edge": "edge, one by one", "bulk": "bulk", "span": "mixtures in the window", "random": "random directions"}


def _lanes(rows: pd.DataFrame) -> list[str]:
    pairs = zip(rows["kind"], rows["direction"], strict=True)
    return [f"v{number}" if kind == "edge" else str(kind) for kind, number in pairs]
