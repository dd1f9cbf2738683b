"""§6.3 to §6.5: multiplication in discrete logarithms, subtraction without an edge, and a² + b² in any basis."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from spectraledge.claims.published import MODES, published_number
from spectraledge.report.data import basis_label, white_noise_concentration
from spectraledge.report.paper.bases import KINDS, METHODS, STATISTICS, kinds_table, readings
from spectraledge.report.paper.conditions import joined, single_runs
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
from spectraledge.report.paper.model import Drawing, Section
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.report.style import INK
from spectraledge.studies.results import StudyResult

RANDOM_NULL = "null: random directions"

_GAINS = (
    ("mul", "dlog_sum", "product", "a·b: discrete logarithms over raw products"),
    ("add", "dlog_sum", "sum", "control, a + b: discrete logarithms over sums"),
)
_EDGES: tuple[tuple[str, Callable[[pd.DataFrame], pd.Series]], ...] = (
    ("v1", lambda rows: rows["direction"] == 1),
    ("v1 to v3, mean", lambda rows: rows["direction"] <= 3),
)
_GAIN, _LOSS = "F under dlog over F raw", "F under dlog over F in its own basis"
_PUBLISHED_GAINS = {
    ("mul", "v1"): published_number("§6.3", _GAIN, "mul, v1"),
    ("mul", "v1 to v3, mean"): published_number("§6.3", _GAIN, "mul, mean"),
    ("add", "v1"): published_number("§6.3", _LOSS, "add"),
}


def multiplication_section(study: StudyResult) -> Section:
    """§6.3: F and the energy share of multiplication in both bases, with random directions and addition as controls."""
    table = readings(study, ("mul", "add"))
    section = Section(
        key="section-6-3",
        title="§6.3. Multiplication in discrete logarithms",
        lead="Multiplication is addition of discrete logarithms. How much more concentrated is the edge under them "
        "than under raw products; do random directions gain as much; and does addition lose?",
        places=("§6.3",),
    )
    if table.empty:
        return section
    gains = [part for statistic in STATISTICS if len(part := _gains(table, statistic))]
    tables = []
    if gains:
        tables.append(
            seeds_table(
                "section-6-3-gains",
                "How much a basis gains over another",
                pd.concat(gains, ignore_index=True),
                Words({"what": "bases", "statistic": "statistic", "directions": "directions"}, RANDOM_NULL),
                note="Ratios of the statistic in the first basis to that in the second, direction by direction; "
                "geometric means. 1 is no gain. Ratios of energy shares are left out where a share is not above "
                "noise. The group of products that no pair has is masked, not filled with 0.",
            )
        )
    if levels := _levels(table[table["task"] == "mul"]):
        numbers = pd.concat(levels, ignore_index=True)
        numbers["what"] = "basis " + numbers["basis"]
        tables.append(
            seeds_table(
                "section-6-3",
                "Multiplication in both bases",
                numbers,
                Words({"what": "basis", "statistic": "statistic", "directions": "directions"}, RANDOM_NULL),
                note="As in Table 2. Raw products and discrete logarithms make the same groups in another order, which "
                "the energy share does not depend on: what multiplication gains by logarithms, only F can tell.",
            )
        )
    drawing = _gains_drawing(table, white_noise_concentration(study.runs[0]))
    return Section(
        section.key,
        section.title,
        section.lead,
        tables=tuple(tables),
        drawings=(drawing,) if drawing else (),
        places=section.places,
    )


def _levels(multiplied: pd.DataFrame) -> list[pd.DataFrame]:
    parts = [
        kinds_table(multiplied[multiplied["basis"] == basis], statistic)
        for basis in ("dlog_sum", "product")
        for statistic in STATISTICS
        if basis == "dlog_sum" or statistic == "concentration"
    ]
    return [part for part in parts if len(part)]


def _gains(table: pd.DataFrame, statistic: str) -> pd.DataFrame:
    method, _ = METHODS[statistic]
    rows = table[(table["method"] == method) & table["kind"].isin(["edge", "random"])]
    keys = ["task", "seed", "kind", "direction"]
    parts = []
    for task, first, second, words in _GAINS:
        if task == "mul" and statistic == "energy_share":
            continue  # The same groups: the ratio is 1 whatever was learned.
        wide = rows[rows["task"] == task].pivot_table(index=keys, columns="basis", values=statistic).reset_index()
        if not {first, second} <= set(wide.columns):
            continue
        over = wide[second].where(wide[second] > 0)
        wide["value"] = wide[first].where(wide[first] > 0) / over
        logs = np.log(wide["value"])
        random = logs[wide["kind"] == "random"].groupby(wide["seed"]).mean()
        wide["null"] = np.exp(wide["seed"].map(random))
        edge = wide[wide["kind"] == "edge"]
        for name, chosen in _EDGES:
            numbers = over_seeds(edge[chosen(edge)], ["task"], logarithmic=True)
            numbers["what"], numbers["directions"], numbers["unit"] = words, name, "ratio"
            numbers["statistic"] = STATISTICS[statistic]
            numbers["published"] = _PUBLISHED_GAINS.get((task, name), "") if statistic == "concentration" else ""
            parts.append(numbers)
    kept = [part for part in parts if len(part)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def subtraction_section(study: StudyResult) -> Section:
    """§6.4: subtraction in differences, where the published statistic does not tell edge from bulk."""
    table = readings(study, ("sub",))
    section = Section(
        key="section-6-4",
        title="§6.4. Subtraction: is there an edge at all?",
        lead="The published F does not tell edge from bulk for a − b, an honest negative. Does the energy of the "
        "vector response?",
        places=("§6.4",),
    )
    if table.empty:
        return section
    own = table[table["basis"] == "difference"]
    parts = [_contrast(own, statistic) for statistic in STATISTICS]
    numbers = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table_words = Words({"statistic": "statistic", "directions": "directions"}, "null: bulk of the same window")
    found = seeds_table(
        "section-6-4",
        "Subtraction in differences, edge against bulk",
        numbers,
        table_words,
        note="Means within a seed first. Single directions stand in Table 2.",
    )
    return Section(section.key, section.title, section.lead, tables=(found,), places=section.places)


def _contrast(own: pd.DataFrame, statistic: str) -> pd.DataFrame:
    method, unit = METHODS[statistic]
    rows = own[own["method"] == method]
    bulk = rows[rows["kind"] == "bulk"].groupby("seed")[statistic].mean()
    published = [mode for mode in MODES if mode.section == "§6.4" and not mode.direction]
    words = ", ".join(f"{mode.kind} {mode.concentration}" for mode in published)
    parts = []
    for kind, name in (("edge", "v1 to v3, mean"), ("random", KINDS["random"])):
        part = rows[rows["kind"] == kind].assign(value=lambda found: found[statistic])
        part = part.assign(null=part["seed"].map(bulk))
        numbers = over_seeds(part, ["task"]).assign(directions=name, statistic=STATISTICS[statistic], unit=unit)
        numbers["published"] = words if statistic == "concentration" and kind == "edge" else ""
        parts.append(numbers)
    return pd.concat([part for part in parts if len(part)], ignore_index=True) if len(rows) else pd.DataFrame()


def squares_section(study: StudyResult) -> Section:
    """§6.5: a² + b² in five bases, edge beside bulk and random directions."""
    runs = [run for run in single_runs(study) if run.config.task == "square_sum" and run.config.weight_decay == 1.0]
    table = joined(runs, "reuse")
    section = Section(
        key="section-6-5",
        title="§6.5. a² + b²: is there a basis in which the edge is simple?",
        lead="Outputs, sums, discrete logarithms, and the two Gaussian coordinates of a² + b² = (a + ib)(a − ib).",
        places=("§6.5",),
    )
    if table.empty:
        return section
    table = table[table["readout"] == "residual"]
    numbers = pd.concat([_in_bases(table, runs_statistic) for runs_statistic in _IN_BASES], ignore_index=True)
    selection = joined(runs, "reuse_selection")
    if len(selection):
        selection = selection[selection["readout"] == "residual"].assign(
            value=lambda rows: rows["ratio"], null=1.0, directions="whole window"
        )
        found = over_seeds(selection, ["basis", "directions"], logarithmic=True)
        found["statistic"], found["unit"], found["published"] = "selection ratio S", "ratio", ""
        numbers = pd.concat([numbers, found], ignore_index=True)
    numbers["basis"] = numbers["basis"].map(basis_label)
    tables = (
        seeds_table(
            "section-6-5",
            "a² + b² alone, in every basis",
            numbers,
            Words(
                {"statistic": "statistic", "basis": "basis", "directions": "directions"},
                RANDOM_NULL,
            ),
            note="On the pairs without a zero. As (a + ib)(a − ib) = a² + b², the sum of the Gaussian logarithms is "
            "the logarithm of the output. Null of S: 1, no selection.",
        ),
    )
    drawing = _drawing(table, white_noise_concentration(study.runs[0]))
    return Section(section.key, section.title, section.lead, tables=tables, drawings=(drawing,), places=section.places)


_IN_BASES = {
    "energy_share": ("energy share", "share"),
    "concentration": ("F of ‖R‖²", "F"),
}


def _in_bases(table: pd.DataFrame, statistic: str) -> pd.DataFrame:
    words, unit = _IN_BASES[statistic]
    random = table[table["kind"] == "random"].groupby(["basis", "seed"])[statistic].mean().rename("null")
    rows = table[table["kind"].isin(["edge", "bulk"])].join(random, on=["basis", "seed"])
    rows = rows.assign(
        value=rows[statistic], directions=rows["kind"].map({"edge": "v1 to v3, mean", "bulk": KINDS["bulk"]})
    )
    numbers = over_seeds(rows, ["basis", "directions"])
    edge = numbers["directions"] == "v1 to v3, mean"
    numbers["published"] = np.where(
        edge & (statistic == "concentration"), published_number("§6.5", "F in any of five bases", "a² + b²"), ""
    )
    return numbers.assign(statistic=words, unit=unit)


_DRAWN = {"edge": "edge", "bulk": "bulk", "random": "random directions"}


def _panel(ax: Axes, table: pd.DataFrame, statistic: str, nothing: float) -> None:
    """Draw the means of each kind of direction, one row per basis and one point per seed."""
    names = list(dict.fromkeys(table["basis"]))
    for place, kind in enumerate(_DRAWN):
        part = table[table["kind"] == kind].groupby(["basis", "seed"])[statistic].mean().unstack("basis")
        for row, name in enumerate(names):
            values = part[name].to_numpy()
            scatter(ax, values, row + 0.27 * (place - 1) + spread_rows(len(values)) / 3, KIND_MARKS[kind], size=3.6)
    ax.axvline(nothing, color=INK, linewidth=0.8, linestyle=":")
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_yticks(range(len(names)), [basis_label(name) for name in names])
    ax.tick_params(axis="y", length=0)


def _drawing(table: pd.DataFrame, noise: float) -> Drawing:
    figure = canvas(TWO_COLUMNS, 0.42 * table["basis"].nunique() + 1.3)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, statistic, words, nothing in (
        (axes[0], "energy_share", "a  energy share", 0.0),
        (axes[1], "concentration", "b  F of ‖R‖² (published)", noise),
    ):
        _panel(ax, table, statistic, nothing)
        finish(ax, words, across=words[3:])
    percent_axis(axes[0])
    key(figure, [(words, handle(KIND_MARKS[kind])) for kind, words in _DRAWN.items()])
    return Drawing(
        "squares-in-bases",
        "a² + b² in every basis",
        "One point per seed, directions of a kind averaged within it. Dotted: what noise has.",
        "in every basis the three kinds of points would lie one above the other.",
        figure,
    )


def _gains_drawing(table: pd.DataFrame, noise: float) -> Drawing | None:
    rows = table[table["method"] == METHODS["concentration"][0]]
    parts = {task: rows[(rows["task"] == task) & rows["basis"].isin(bases)] for task, *bases, _ in _GAINS}
    parts = {task: part for task, part in parts.items() if set(_DRAWN) <= set(part["kind"])}
    if not parts:
        return None
    figure = canvas(TWO_COLUMNS, 1.9)
    axes = figure.subplots(1, len(parts), squeeze=False, sharex=True)[0]
    for letter, ax, part in zip("ab", axes, parts.values(), strict=False):
        _panel(ax, part, "concentration", noise)
        finish(ax, f"{letter}  {part['formula'].iloc[0]}", across="F of ‖R‖² (published)")
    key(figure, [(words, handle(KIND_MARKS[kind])) for kind, words in _DRAWN.items()])
    return Drawing(
        "logarithms",
        "F in discrete logarithms and in the other basis",
        "One point per seed, directions of a kind averaged within it; finite difference, test pairs. Dotted: the mean "
        "of white noise.",
        "the edge would gain no more than random directions do.",
        figure,
    )
