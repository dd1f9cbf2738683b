"""A tracked training at a glance: its spectrum, and the functions that the model computes."""

from dataclasses import replace
from typing import Protocol

import pandas as pd

from spectraledge.analyses.score_findings import WatchedCourse
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Column, Figure, Glance, Panel, Rows, Table, number_columns
from spectraledge.pages.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from spectraledge.report.curves import spectrum_figure
from spectraledge.report.words import NONE, counted, figures, percent, step_word

_CURVE_PIXELS = 190
_COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE)
_DASHES = (SOLID, DASHED, DOTTED, SOLID, DASHED)
_EDGE_COLUMNS = {
    "step": "Step",
    "k_star": "k*",
    "above_floor": "Above noise",
    "g12": "g12",
    "g23": "g23",
    "trace": "Trace (weight²)",
}


class Tracked(Protocol):
    """What a tracker found: tables as `SpectrumTables` has them, and of the function that it watches, if any."""

    spectrum: pd.DataFrame
    edge: pd.DataFrame
    score: pd.DataFrame


class Tracker(Protocol):
    """What tracks a training."""

    def results(self) -> Tracked:
        """Return what was found so far."""


def tracker_glance(tracker: Tracker) -> Glance:
    """Take a tracker at a glance: what it has found so far."""
    return tracked_glance(tracker.results())


def tracked_glance(tracked: Tracked) -> Glance:
    """Take a tracked training at a glance: the function that is watched, if one is, then the spectrum."""
    watched = score_glance(tracked.score) if len(tracked.score) else None
    if tracked.edge.empty:
        return watched or Glance(("No window of updates is full yet, and no function is watched.",))
    spectrum = spectrum_glance(tracked.spectrum, tracked.edge)
    if watched is None or watched.figure is None or spectrum.figure is None:
        return spectrum
    both = replace(
        watched.figure,
        title=f"{watched.figure.title}, and the spectrum of its updates",
        nothing=f"{watched.figure.nothing} Below, {spectrum.figure.nothing}",
        panels=(*watched.figure.panels, *spectrum.figure.panels),
        entries=(*watched.figure.entries, *spectrum.figure.entries),
    )
    return Glance((*watched.found, *spectrum.found), both, spectrum.table, spectrum.source)


def spectrum_glance(spectrum: pd.DataFrame, edge: pd.DataFrame) -> Glance:
    """Take a spectrum at a glance."""
    figure = spectrum_figure(spectrum, edge)
    source = "the last windows first; all of them in .edge"
    return Glance((spectrum_sentence(edge),), figure, _edge_table(edge), source)


def _edge_table(edge: pd.DataFrame) -> Table:
    names = {name: title for name, title in _EDGE_COLUMNS.items() if name in edge}
    cells = (
        tuple(NONE if pd.isna(row[name]) else figures(float(row[name])) for name in names)
        for row in edge.iloc[::-1].to_dict("records")
    )
    columns = tuple(Column(title, "number") for title in names.values())
    return Table("edge", "Windows of updates", columns, (Rows.of("", cells),))


def score_glance(score: pd.DataFrame) -> Glance:
    """Take the score of a watched function at a glance."""
    course = WatchedCourse.of(score)
    if course.empty:
        return Glance((course.sentence,))
    shares = course.shares
    ends = shares.iloc[[-1, 0] if len(shares) > 1 else [0]]
    cells = ((name, *map(percent, ends[name]), percent(course.chance[name])) for name in map(str, shares.columns))
    titles = (*(f"At {step_word(int(step))}" for step in ends.index), "By chance")
    columns = number_columns("Functions", titles)
    table = Table("functions", "Shares of the functions", columns, (Rows.of("", cells),))
    figure = _score(shares) if len(shares) > 1 else None
    return Glance((course.sentence,), figure, table, "the furthest above chance first; all of them in .score")


def _score(shares: pd.DataFrame) -> Figure:
    shown = [str(name) for name in shares.columns[: len(_COLOURS)]]
    marks = {name: Mark(name, colour, dash=dash) for name, colour, dash in zip(shown, _COLOURS, _DASHES, strict=False)}
    parts = [
        pd.DataFrame({"name": name, "mark": name, "place": shares.index, "value": shares[name].to_numpy()})
        for name in shown
    ]
    chart = curve_plot(
        pd.concat(parts, ignore_index=True),
        marks,
        axis="share",
        words="Shares of functions in what the model computes, over training",
        height=_CURVE_PIXELS,
        limits=(-0.02, 1.02),
        percent=True,
    )
    return Figure(
        "score",
        "What the model computes",
        "Share of the energy of the read-out, without its mean over the inputs, by kind of function: those that end "
        "furthest above chance.",
        "all curves would stay where chance puts them.",
        (Panel((chart,)),),
        tuple(marks.values()),
    )


def spectrum_sentence(edge: pd.DataFrame) -> str:
    """Say how many directions stand apart."""
    last = edge.iloc[-1]
    windows = f"{counted(len(edge), 'window')} up to {step_word(int(last['step']))}"
    if "above_floor" in edge and edge["above_floor"].notna().any():
        above = edge["above_floor"]
        least, most = int(above.min()), int(above.max())
        if least == most:
            return f"Eigenvalues above their noise floor: {least} in each of {windows}."
        end = f"{int(above.iloc[-1])} in the last"
        return f"In {windows}, between {least} and {most} eigenvalues stand above their noise floor, {end}."
    k_star = "none" if pd.isna(last["k_star"]) else int(last["k_star"])
    return (
        f"In {windows}, the edge is at k* = {k_star} in the last and at {edge['k_star'].median():g} in the median; how "
        "many eigenvalues stand above noise was not measured: surrogates tell (`spectraledge analyze --surrogates 39`)."
    )
