"""Table 1: the spectral edge across conditions, the published decline beside what tells runs that grok from others."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.published import published_number
from spectraledge.report.paper.conditions import GROUPS, group_of, single_runs
from spectraledge.report.paper.drawing import (
    GROUP_MARKS,
    NULL_HANDLE,
    REFERENCE_HANDLE,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    log_axis,
    strips,
)
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.over_seeds import Words, interval, over_seeds, seeds_table
from spectraledge.report.words import figures, hundredths, spread
from spectraledge.studies.results import StudyResult

_TABLE_WINDOW = 10


@dataclass(frozen=True)
class _Quantity:
    """One number of a run at its marked step.

    Attributes:
        name: `quantity` of the table of declines, or "selection".
        definition: Of that table.
        window: Updates per window; 0 for the study's own, −1 for what has none.
        centered: Whether the window is centred.
        words: What it is.
        axis: The same, short.
        logarithmic: Whether it is a ratio.
        reference: What nothing would give.
    """

    name: str
    definition: str
    window: int
    centered: bool
    words: str
    axis: str
    logarithmic: bool
    reference: float | None = None


_QUANTITIES = (
    _Quantity(
        "selection", "value", 0, True, "selection ratio S of the own functions", "selection ratio S", True, reference=1
    ),
    _Quantity(
        "above_floor", "value", 0, True, "eigenvalues above the noise floor", "eigenvalues above the floor", False
    ),
    _Quantity(
        "floor_ratio", "value", 0, True, "largest eigenvalue over its noise floor", "largest over its floor", True, 1
    ),
    _Quantity(
        "g23_share", "since_peak", 0, False, "decline of g₂₃ / trace since its peak", "decline of g₂₃/trace", True
    ),
    _Quantity(
        "g23",
        "since_peak",
        _TABLE_WINDOW,
        False,
        "decline of g₂₃ since its peak, W = 10 (published script)",
        "decline of g₂₃ (published)",
        True,
    ),
    _Quantity(
        "g23",
        "since_first",
        _TABLE_WINDOW,
        False,
        "decline of g₂₃ since the first window, W = 10 (published text)",
        "decline of g₂₃ since the start",
        True,
    ),
    _Quantity(
        "weight_norm", "since_first", -1, False, "decline of the weight norm", "decline of the weight norm", True
    ),
)

_PUBLISHED_GROUPS = dict(
    zip(
        GROUPS,
        ("grokking runs", "grokking tasks without", "other tasks", "other tasks without"),
        strict=True,
    )
)
"""How what the published values of Table 1 are of begins."""

_DRAWN = (0, 2, 4, 3)


def edge_section(study: StudyResult, claims: pd.DataFrame) -> Section:
    """Table 1: quantities by group of runs, and how well each tells the groups apart.

    Args:
        study: The study.
        claims: Claims over its seeds; those on areas are shown again.

    Returns:
        The section.
    """
    values = _values(study)
    section = Section(
        key="table-1",
        title="Table 1. The spectral edge across conditions",
        lead="Does anything about the window of updates tell runs that generalise from runs that do not? Sound "
        "quantities first, the published decline of g₂₃ below. Read at the step at which test accuracy first reached "
        "0.95, in other runs at the median of those steps in their seed; one snapshot interval for all.",
        places=("Table 1", "§4", "§4.1", "§2.3", "Conjecture 1"),
    )
    if values.empty:
        return section
    numbers = _numbers(values)
    table = seeds_table(
        "table-1",
        "Quantities at like steps, by group of runs",
        numbers,
        Words(
            {"words": "quantity", "group": "runs", "generalised": "generalised", "range": "lowest to highest run"},
            "null",
        ),
        note="Means over seeds, geometric for ratios and declines; what one seed has several runs of is averaged "
        "first. Null: of S no selection, 1; of eigenvalues above the floor their rate of false alarms; of g₂₃ and the "
        "trace updates of the same lengths at right angles; of the weight norm weight decay alone. W is the study's "
        "window where it is not named.",
    )
    return Section(
        key=section.key,
        title=section.title,
        lead=section.lead,
        tables=(*_areas(claims), table),
        drawings=(_drawing(values),),
        notes=(
            "g₂₃ has the unit of squared updates: it shrinks wherever updates shrink, so a decline says nothing by "
            "itself. Compare it with its null and with runs that never generalise.",
        ),
        places=section.places,
    )


def _read_at(runs: tuple[RunResult, ...]) -> dict[str, float]:
    """The step at which each run is read, as for the claims; none in seeds without a run that generalised."""
    grokked: dict[int, list[int]] = {}
    for run in runs:
        if run.manifest.grokked_step is not None:
            grokked.setdefault(run.config.seed, []).append(run.manifest.grokked_step)
    medians = {seed: float(np.median(steps)) for seed, steps in grokked.items()}
    return {
        run.run_id: float(run.manifest.grokked_step or medians[run.config.seed])
        for run in runs
        if run.config.seed in medians
    }


def _values(study: StudyResult) -> pd.DataFrame:
    """One row per run and quantity at the step at which it is read."""
    runs = single_runs(study)
    steps, found = _read_at(runs), []
    for run in runs:
        labels = {"group": group_of(run), "seed": run.config.seed, "run": run.run_id, "grokked": run.grokked}
        for place, quantity in enumerate(_QUANTITIES):
            if quantity.name == "selection":
                part = _selection(run)
            else:
                part = _at(steps.get(run.run_id), _of_quantity(run, quantity, study.config.analysis.window))
            found += [{**labels, "place": place, **row} for row in part.to_dict("records")]
    return pd.DataFrame(found)


def _selection(run: RunResult) -> pd.DataFrame:
    table = run.selection
    if table.empty:
        return table
    own = table[(table["basis"] == run.structure) & (table["subspace"] == WHOLE)]
    return pd.DataFrame({"value": own["ratio"], "null": 1.0})


def _of_quantity(run: RunResult, quantity: _Quantity, window: int) -> pd.DataFrame:
    table = run.table("declines")
    if table.empty:
        return table
    return table[
        (table["quantity"] == quantity.name)
        & (table["definition"] == quantity.definition)
        & (table["window"] == {0: window, -1: 0}.get(quantity.window, quantity.window))
        & (table["centered"] == quantity.centered)
    ]


def _at(step: float | None, table: pd.DataFrame) -> pd.DataFrame:
    """The row nearest to a step."""
    if step is None or table.empty:
        return pd.DataFrame()
    nearest = int((table["step"] - step).abs().to_numpy().argmin())
    return table.iloc[[nearest]][["value", "null"]]


def _numbers(values: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for place, quantity in enumerate(_QUANTITIES):
        for group in GROUPS:
            part = values[(values["place"] == place) & (values["group"] == group)]
            if part.empty:
                continue
            numbers = over_seeds(part, ["group"], logarithmic=quantity.logarithmic)
            runs = part.drop_duplicates("run")
            numbers.insert(0, "words", quantity.words)
            numbers["generalised"] = f"{int(runs['grokked'].sum())} of {len(runs)}"
            numbers["range"] = spread(float(part["value"].min()), float(part["value"].max()), figures)
            numbers["unit"] = "ratio" if quantity.logarithmic else "number"
            numbers["published"] = _published(group) if quantity.name == "g23" else ""
            parts.append(numbers)
    return pd.concat(parts, ignore_index=True)


def _areas(claims: pd.DataFrame) -> tuple[Table, ...]:
    found = claims[(claims["scale"] == "area") & (claims["seeds"] > 0)] if len(claims) else claims
    if found.empty:
        return ()
    found = found.sort_values("method", key=lambda kinds: kinds != "sound", kind="stable")
    rows = tuple(
        (
            row["statistic"].partition(";")[0].rstrip(","),
            "published" if row["method"] == "published" else "ours",
            f"{hundredths(row['value'])} ({interval(row['low'], row['high'], hundredths)})",
            str(row["seeds"]),
            "0.5",
            f"{figures(row['measured'])} and {figures(row['measured_null'])}",
        )
        for row in found.to_dict("records")
    )
    return (
        Table(
            "table-1-areas",
            "How well each quantity tells runs that generalise from runs that do not",
            (
                "quantity",
                "statistic",
                "area under the ROC curve (95% interval)",
                "seeds",
                "null",
                "medians: generalised and not",
            ),
            rows,
            (False, False, True, True, True, True),
            "Area: the probability that a run that generalised has the larger value; runs of one seed count as "
            "related. An area of 1 means that the groups do not overlap.",
            found,
        ),
    )


def _published(group: str) -> str:
    of = _PUBLISHED_GROUPS[group]
    runs = published_number("Table 1", "runs that decline", of)
    return f"{published_number('Table 1', 'decline of g_23', of)}, {runs} runs"


def _drawing(values: pd.DataFrame) -> Drawing:
    figure = canvas(TWO_COLUMNS, 4.3)
    axes = figure.subplots(2, 2, sharey=True).ravel()
    short = {group: group.replace(", weight decay ", ",\nweight decay ") for group in GROUPS}
    for number, (ax, place) in enumerate(zip(axes, _DRAWN, strict=True)):
        quantity = _QUANTITIES[place]
        part = values[values["place"] == place].assign(lane=lambda rows: rows["group"].map(short))
        strips(ax, part, list(short.values()), GROUP_MARKS, null=quantity.reference)
        finish(ax, f"{'abcd'[number]}  {quantity.axis}", across=f"{quantity.axis} (log)")
        log_axis(ax, [*part["value"], *part["null"]])
    entries = [(group, handle(mark)) for group, mark in zip(GROUPS, GROUP_MARKS, strict=True)]
    key(
        figure,
        [*entries, ("null of the same run", NULL_HANDLE), ("no effect", REFERENCE_HANDLE)],
        columns=3,
    )
    return Drawing(
        "edge-across-conditions",
        "What tells runs that generalise from runs that do not",
        "One point per run at the step at which it is read, by group of runs. a and b: sound quantities. c: the "
        "published decline of g₂₃. d: the same without its unit. Upright bars: each run's own null.",
        "the four rows of a panel would lie one above the other, on their nulls.",
        figure,
    )
