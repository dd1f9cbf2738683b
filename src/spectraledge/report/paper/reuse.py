"""Table 4: does a² + b² use what addition and multiplication have, and is it learned sooner beside or after them?"""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from spectraledge.report.data import basis_label
from spectraledge.report.paper.conditions import ARMS, arm_label, arm_of, joined, joint_runs, single_runs
from spectraledge.report.paper.drawing import (
    GROUP_MARKS,
    KIND_MARKS,
    TWO_COLUMNS,
    Mark,
    canvas,
    finish,
    handle,
    key,
    log_axis,
    percent_axis,
    scatter,
    spread_rows,
)
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.over_seeds import Words, interval, over_seeds, seeds_table
from spectraledge.report.style import INK, ORANGE, SHAPES
from spectraledge.report.words import NONE, ratio, whole
from spectraledge.studies.published import published_number
from spectraledge.studies.results import RunResult, StudyResult
from spectraledge.tasks import OPERATIONS, part_names

COMPOSITE = "square_sum"

_ALONE = "a² + b² alone, own domain"
_RANDOM = "null: random directions"
_STATISTICS = (
    ("energy_share", "energy share", "share"),
    ("concentration", "F of ‖R‖² (published)", "F"),
)
_ACCURACY = 0.95


def reuse_section(study: StudyResult) -> Section:
    """Table 4, inclusion, and the arms of the factorial and the sequential experiment."""
    runs = _compared(study)
    labels = {run.run_id: _label(run, study) for run in runs}
    tables = [
        table
        for table in (
            _steps_table(study),
            _inclusion_table(runs, labels),
            _basis_table(runs, labels),
            _synergy_table(runs, labels),
        )
        if table
    ]
    drawings = [
        drawing for drawing in (_steps_drawing(study), _inclusion_drawing(runs, labels, study)) if drawing is not None
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


def generalised_step(run: RunResult) -> float:
    """First step at which test accuracy on a² + b² reached 0.95; NaN if it never did."""
    parts = run.table("parts")
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
            "whole": bool(len(run.table("parts")))
            or len(part_names(run.config.task)) == 1
            or bool(run.config.required),
        }
        for run in joint_runs(study)
        if (arm := arm_of(run.config, study))
    ]
    return pd.DataFrame(rows)


def _steps_table(study: StudyResult) -> Table | None:
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
        if arm == "alone":
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


def _steps_drawing(study: StudyResult) -> Drawing | None:
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
        others=rows["others"].map(lambda names: " and ".join(_formula(name) for name in names.split("+"))),
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
        note="Mean over v1 to v3 within a seed, whole joint domain, exact derivative. White noise has F near 0.09.",
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
