"""Figures of tables that say themselves how they are drawn."""

import pandas as pd

from spectraledge.analyses.analysis import Drawing, Table
from spectraledge.analyses.registry import TABLES
from spectraledge.analyses.run_result import RunResult
from spectraledge.models import ANY_LOSS, LOSS_UNITS
from spectraledge.pages.curve_plot import STEPS, curve_plot
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.marks import SHAPES, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, INK, KIND_COLOURS, ORANGE, PURPLE, VERMILLION
from spectraledge.report.run_names import floats, titles
from spectraledge.report.words import sentence
from spectraledge.studies.results import StudyResult

_COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE, INK)
_PIXELS = 160


def declared_figures(study: StudyResult) -> list[Figure]:
    """Draw every table that has a `Drawing` and rows in some run, one panel per run."""
    return [
        _figure(study, table, table.drawing)
        for table in TABLES.values()
        if table.drawing and any(len(run.table(table.name)) for run in study.runs)
    ]


def _figure(study: StudyResult, table: Table, drawing: Drawing) -> Figure:
    named = titles(study)
    shown = [run for run in study.runs if len(run.table(table.name))]
    names = (
        [str(name) for run in shown for name in run.table(table.name)[drawing.by]] if drawing.by else [drawing.value]
    )
    marks = _marks(list(dict.fromkeys(names)), steps=drawing.along == "step")
    meaning = {name: sentence(table.columns[name].meaning) for name in (drawing.value, drawing.along)}
    return Figure(
        key=table.name.replace("_", "-"),
        title=drawing.title,
        caption=f"Upwards: {meaning[drawing.value]}. From left to right: {meaning[drawing.along]}. Every number is in "
        f"the table {table.name}.",
        nothing=drawing.nothing,
        panels=tuple(Panel((_chart(run, table, drawing, marks),), named[run.run_id]) for run in shown),
        entries=tuple(marks.values()),
        across=2,
    )


def _marks(names: list[str], *, steps: bool) -> dict[str, Mark]:
    others = [name for name in names if name not in KIND_COLOURS]
    free = [colour for colour in _COLOURS if colour not in {KIND_COLOURS.get(name) for name in names}] or list(_COLOURS)
    colours = {name: free[place % len(free)] for place, name in enumerate(others)} | KIND_COLOURS
    if steps:
        return {name: Mark(name, colours[name], dash=SOLID) for name in names}
    return {name: Mark(name, colours[name], shape=SHAPES[place % len(SHAPES)]) for place, name in enumerate(names)}


def _chart(run: RunResult, table: Table, drawing: Drawing, marks: dict[str, Mark]) -> Chart:
    rows, unit = run.table(table.name), table.columns[drawing.value].unit
    unit = LOSS_UNITS[run.config.loss] if unit == ANY_LOSS else unit
    mark = rows[drawing.by].astype(str) if drawing.by else drawing.value
    steps = drawing.along == "step"
    notes = [unit] * bool(unit) + ["log"] * drawing.log
    return curve_plot(
        pd.DataFrame(
            {"name": mark, "mark": mark, "place": floats(rows, drawing.along), "value": floats(rows, drawing.value)}
        ),
        marks,
        axis=f"{drawing.value.replace('_', ' ')}" + (f" ({', '.join(notes)})" if notes else ""),
        words=drawing.title,
        height=_PIXELS,
        across=STEPS if steps else drawing.along.replace("_", " "),
        log=drawing.log,
        mark=run.manifest.grokked_step if steps else None,
        reference=drawing.reference,
    )
