"""Figure 1: the edge's response as a picture over the inputs, and how much of it is one plane wave."""

from matplotlib.axes import Axes

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.design import GROKKING
from spectraledge.report.data import pictures
from spectraledge.report.paper.drawing import SMALL, TEXT, TWO_COLUMNS, canvas
from spectraledge.report.paper.model import Drawing
from spectraledge.report.style import DIVERGING
from spectraledge.report.words import percent, step_word
from spectraledge.studies.results import StudyResult

_LIMIT = 2.0


def figure_one(study: StudyResult) -> tuple[Drawing, ...]:
    """Draw the response of v1 over all inputs, for the first run of each task that has pictures; none without them."""
    shown: dict[str, RunResult] = {}
    for run in study.runs:
        drawable = all(map(len, (run.waves, run.characters, run.modes))) and run.config.weight_decay == 1.0
        if drawable and run.config.task in GROKKING:
            shown.setdefault(run.config.task, run)
    if not shown:
        return ()
    figure = canvas(TWO_COLUMNS, 4.35)
    axes = figure.subplots(2, len(shown), squeeze=False)
    for column, run in enumerate(shown.values()):
        picture = pictures(run)[0]
        for row, values in enumerate((picture.raw, picture.ordered)):
            ax: Axes = axes[row][column]
            image = ax.imshow(
                values, cmap=DIVERGING, vmin=-_LIMIT, vmax=_LIMIT, origin="lower", interpolation="nearest"
            )
            ax.set_xticks([])
            ax.set_yticks([])
            ordered = row == 1
            ax.set_xlabel("b, by phase" if ordered else "b", fontsize=SMALL)
            ax.set_ylabel("a, by phase" if ordered else "a", fontsize=SMALL)
            title = (
                f"ω = {picture.frequency}, {percent(picture.share)}" if ordered else f"{'abcd'[column]}  {run.formula}"
            )
            ax.set_title(title, fontsize=TEXT, loc="left")
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.35, aspect=40, extend="both")
    bar.set_label("projected response of v1, in units of its root mean square", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    runs = "; ".join(f"{run.formula}: seed {run.config.seed}, {step_word(run.modes_step)}" for run in shown.values())
    return (
        Drawing(
            "figure-1",
            "The response of v1 over all inputs, raw and in its basis (the paper’s Figure 1)",
            f"Each cell is an input pair; colour is the response of v1, projected on the residual direction along "
            f"which its group means vary most. Upper row: a and b in their own order. Lower row: both sorted by their "
            f"position on the strongest wave of the task’s basis; in its title the wave and the share of the picture’s "
            f"energy in one 2-D character. {runs}.",
            "the lower row would be as speckled as the upper one.",
            figure,
        ),
    )
