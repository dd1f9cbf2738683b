"""The score of runs: which functions a network computes, a row of each kind over training, beside its accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.score_findings import own_course
from spectraledge.analyses.selection_tables import numbered, of_functions
from spectraledge.pages.curve_plot import LABEL_PIXELS, STEP_ROOM, STEPS, curve_plot
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.pages.picture_plot import image_address, image_layer
from spectraledge.pages.plots import channel, layer, specification, value_axis
from spectraledge.pages.style import BLUE, QUIET, VERMILLION
from spectraledge.report.curves import MARK
from spectraledge.report.run_names import function_label
from spectraledge.tasks import basis_formula

_SCORE_PIXELS, _CURVE_PIXELS = 210, 110
_LETTER_PIXELS = 6
_COLUMNS = 480
"""Columns of the image of a score."""

_SHADES = ((255, 255, 255), (158, 202, 225), (33, 113, 181), (8, 23, 46))
"""Colours of shares, by their roots: white 0."""
_COURSES = {
    "train": Mark("share in all of these functions, train pairs", BLUE, dash=DASHED),
    "chance": Mark("share by chance", QUIET, dash=DOTTED),
    "test": Mark("share in all of these functions, test pairs", BLUE, dash=SOLID),
    "accuracy": Mark("test accuracy", VERMILLION, dash=SOLID),
}
"""The last one on top."""


@dataclass(frozen=True)
class Scored:
    """A run whose score is drawn: in a few words, its table `SCORE`, its evaluations, and when it generalised."""

    title: str
    score: pd.DataFrame
    metrics: pd.DataFrame
    grokked_step: int | None

    @classmethod
    def of(cls, run: RunResult, title: str) -> "Scored":
        """Take an analysed run."""
        return cls(title, run.table("score"), run.metrics, run.manifest.grokked_step)


def score_figure(runs: Sequence[Scored], basis: str, *, key: str = "score") -> Figure:
    """Draw the score of runs in one basis and on one scale, a learned task's beside its controls'."""
    lines = [_lines(run.score, basis) for run in runs]
    by_number = numbered(lines[0].index)
    rows = "a frequency ω of {}" if by_number else "an irreducible representation, functions of {} of that kind"
    top = max((float(table.to_numpy().max()) for table in lines), default=1.0)
    variable = basis_formula(basis)
    return Figure(
        key=key,
        title=f"The score: functions of {variable} that the network computes, over training",
        caption=(
            f"Each row of a picture is {rows.format(variable)}, each column a snapshot; the stronger its colour, the "
            "more of the energy of the centred logits on test pairs lies in these functions (none 0, strongest "
            f"{top:.1%}, the same in all pictures). Below: the share in all of them, on test pairs and on train pairs, "
            "beside test accuracy."
        ),
        nothing="no row would stand out, and the share on test pairs would stay where chance puts it.",
        panels=tuple(
            Panel((_picture(table, top, run.title), _curves(run, basis, room=_label_room(table))), run.title)
            for run, table in zip(runs, lines, strict=True)
        ),
        entries=(*reversed(_COURSES.values()), MARK),
        across=2,
    )


def _lines(score: pd.DataFrame, basis: str) -> pd.DataFrame:
    """Shares of single subspaces on test pairs: a row for each by name, in their order, a column for each step."""
    chosen = (score["basis"] == basis) & (score["half"] == "test") & (score["readout"] == FUNCTION)
    rows = of_functions(score[chosen])
    return rows.pivot(index="subspace", columns="step", values="share").loc[list(dict.fromkeys(rows["subspace"]))]


def _picture(table: pd.DataFrame, top: float, title: str) -> Chart:
    steps_T, count = table.columns.to_numpy(np.float64), len(table)
    room = STEP_ROOM * max(steps_T[-1] - steps_T[0], 1.0)
    first, last_step = steps_T[0] - room, steps_T[-1] + room
    by_number = numbered(table.index)
    names = () if by_number else tuple(table.index)
    rows = value_axis((0.5, count + 0.5), "frequency ω" if by_number else "representation", names=names)
    rows["axis"]["minExtent"] = _label_room(table)
    # Every column of the image shows the snapshot that is nearest to it; beyond the first and last there is none.
    at_X = np.linspace(first, last_step, _COLUMNS)
    nearest_X = np.abs(at_X[:, None] - steps_T).argmin(axis=1)
    part = np.where((at_X >= steps_T[0]) & (at_X <= steps_T[-1]), table.to_numpy()[:, nearest_X], 0.0)
    url = image_address(np.sqrt(part[::-1] / (top or 1.0)), _SHADES)
    place = {"align": "left", "baseline": "top", "x": 0, "y": 0, "width": {"expr": "width"}, "height": _SCORE_PIXELS}
    ends = {"x": channel("x", **value_axis((first, last_step), STEPS)), "y": channel("y", **rows)}
    layers = [
        image_layer(url, smooth=False, **place),
        layer(pd.DataFrame({"x": [first, last_step], "y": [1, count]}), "point", encoding=ends, opacity=0),
    ]
    last = table.iloc[:, -1].nlargest(3)
    strongest = ", ".join(f"{function_label(str(name))} ({share:.1%})" for name, share in last.items())
    words = f"Shares of single kinds of functions over training, {title}. Strongest in the end: {strongest}"
    return Chart(specification(layers, height=_SCORE_PIXELS), "", words, over_steps=True)


def _label_room(table: pd.DataFrame) -> int:
    """Room for the labels of rows, in pixels."""
    return LABEL_PIXELS if numbered(table.index) else max(LABEL_PIXELS, _LETTER_PIXELS * max(map(len, table.index)))


def _curves(run: Scored, basis: str, *, room: int) -> Chart:
    parts = []
    for half in ("train", "test"):
        course = own_course(run.score, basis, half=half)
        parts.append(pd.DataFrame({"mark": half, "place": course.index, "value": course["share"].to_numpy()}))
    parts.append(pd.DataFrame({"mark": "chance", "place": course.index, "value": course["chance"].to_numpy()}))
    metrics = run.metrics
    parts.append(pd.DataFrame({"mark": "accuracy", "place": metrics["step"], "value": metrics["test_accuracy"]}))
    table = pd.concat(parts, ignore_index=True)
    table["name"] = table["mark"].map({name: mark.label for name, mark in _COURSES.items()})
    end = course["share"].iloc[-1]
    return curve_plot(
        table,
        _COURSES,
        axis="share, accuracy",
        words=f"Share of all these functions and test accuracy, {run.title}; in the end {end:.1%} on test pairs",
        height=_CURVE_PIXELS,
        room=room,
        limits=(-0.02, 1.04),
        percent=True,
        mark=run.grokked_step,
    )
