"""The score of runs: which functions a network computes, as frequency over training, beside its accuracy."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.score_findings import own_course
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.report.curve_plot import LABEL_PIXELS, STEP_ROOM, STEPS, curve_plot
from spectraledge.report.curves import MARK
from spectraledge.report.document import Chart, Figure, Panel
from spectraledge.report.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.report.plots import rounded, specification, value_axis
from spectraledge.report.run_names import basis_label
from spectraledge.report.style import BLUE, QUIET, VERMILLION

_SCORE_PIXELS, _CURVE_PIXELS = 210, 110
_COURSES = {
    "train": Mark("share in all of these functions, train pairs", BLUE, dash=DASHED),
    "chance": Mark("share by chance", QUIET, dash=DOTTED),
    "test": Mark("share in all of these functions, test pairs", BLUE, dash=SOLID),
    "accuracy": Mark("test accuracy", VERMILLION, dash=SOLID),
}
"""The last one on top."""


@dataclass(frozen=True)
class Scored:
    """A run whose score is drawn.

    Attributes:
        title: The run in a few words.
        score: Its table `SCORE`.
        metrics: Its evaluations.
        grokked_step: When test accuracy reached .95, if ever.
    """

    title: str
    score: pd.DataFrame
    metrics: pd.DataFrame
    grokked_step: int | None

    @classmethod
    def of(cls, run: RunResult, title: str) -> "Scored":
        """Take an analysed run."""
        return cls(title, run.table("score"), run.metrics, run.manifest.grokked_step)


def score_figure(runs: Sequence[Scored], basis: str, *, key: str = "score") -> Figure:
    """Draw the score of runs in one basis and on one scale, a learned task's beside its controls'.

    Args:
        runs: The runs; all have a score in the basis.
        basis: The basis.
        key: Anchor of the figure.

    Returns:
        The figure.
    """
    lines = [_lines(run.score, basis) for run in runs]
    top = max((float(table["share"].max()) for table in lines), default=1.0)
    variable = basis_label(basis)
    return Figure(
        key=key,
        title=f"The score: functions of {variable} that the network computes, over training",
        caption=(
            f"Each row of a picture is a frequency ω of {variable}, each column a snapshot; the darker, the more of "
            f"the energy of the centred logits on test pairs lies in functions of that frequency (white 0, darkest "
            f"{top:.1%}, the same in all pictures). Below: the share in all of them, on test pairs and on train pairs, "
            "beside test accuracy."
        ),
        nothing="no row would darken, and the share on test pairs would stay where chance puts it.",
        panels=tuple(
            Panel((_picture(table, top, run.title), _curves(run, basis)), run.title)
            for run, table in zip(runs, lines, strict=True)
        ),
        entries=(*reversed(_COURSES.values()), MARK),
        across=2,
    )


def _lines(score: pd.DataFrame, basis: str) -> pd.DataFrame:
    """Shares of single frequencies on test pairs, with the edges of each cell."""
    chosen = (score["basis"] == basis) & (score["half"] == "test") & (score["readout"] == FUNCTION)
    rows = score[chosen & score["subspace"].str.startswith(f"{WHOLE} ")]
    steps = np.unique(rows["step"])
    middles = (steps[1:] + steps[:-1]) / 2
    ends = np.array([steps[0], *middles, steps[-1]], dtype=np.float64)
    place = np.searchsorted(steps, rows["step"])
    frequency = rows["subspace"].str.removeprefix(f"{WHOLE} ").astype(int)
    return pd.DataFrame(
        {
            "step": rows["step"].astype(int),
            "from": ends[place],
            "to": ends[place + 1],
            "frequency": frequency,
            "low": frequency - 0.5,
            "high": frequency + 0.5,
            "share": rows["share"],
        }
    )


def _picture(table: pd.DataFrame, top: float, title: str) -> Chart:
    first, last_step = float(table["step"].min()), float(table["step"].max())
    room = STEP_ROOM * max(last_step - first, 1.0)
    rows = value_axis((float(table["low"].min()), float(table["high"].max())), "frequency ω")
    rows["axis"].minExtent = LABEL_PIXELS
    shades = alt.Scale(
        domain=[top * place**2 for place in (0, 1 / 3, 2 / 3, 1)],
        range=["#ffffff", "#9ecae1", "#2171b5", "#08172e"],
        interpolate="rgb",
    )
    layer = (
        alt.Chart(rounded(table))
        .mark_rect(clip=True)
        .encode(
            x=alt.X("from", type="quantitative", **value_axis((first - room, last_step + room), STEPS)),
            x2="to",
            y=alt.Y("low", type="quantitative", **rows),
            y2="high",
            color=alt.Color("share", type="quantitative", scale=shades, legend=None),
            tooltip=[
                alt.Tooltip("step", type="quantitative", title="step", format=",d"),
                alt.Tooltip("frequency", type="quantitative", title="ω", format="d"),
                alt.Tooltip("share", type="quantitative", title="share", format=".1%"),
            ],
        )
    )
    last = table[table["step"] == table["step"].max()].nlargest(3, "share")
    strongest = ", ".join(f"{row.frequency} ({row.share:.1%})" for row in last.itertuples())
    words = f"Shares of single frequencies over training, {title}. Strongest in the end: {strongest}"
    return Chart(specification([layer], height=_SCORE_PIXELS), "", words)


def _curves(run: Scored, basis: str) -> Chart:
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
        limits=(-0.02, 1.04),
        percent=True,
        mark=run.grokked_step,
    )
