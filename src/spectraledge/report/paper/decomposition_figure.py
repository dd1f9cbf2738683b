"""§4.2 as a figure: three decompositions of a run that grokked, and of a control, over training."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.design import GROKKING
from spectraledge.report.paper.drawing import TWO_COLUMNS, canvas, finish, key, log_axis, percent_axis, step_axis
from spectraledge.report.paper.model import Drawing
from spectraledge.report.style import BLUE, DASHED, DOTTED, GREEN, INK, QUIET, SOLID, VERMILLION, Dash
from spectraledge.report.words import spectrum_window
from spectraledge.studies.results import StudyResult

Series = tuple[str, str, Dash]

_GRAM: dict[str, Series] = {
    "sigma_1": ("σ₁", VERMILLION, SOLID),
    "sigma_2": ("σ₂", BLUE, DASHED),
    "sigma_3": ("σ₃", GREEN, DOTTED),
}
_PATH: dict[str, Series] = {"pc1_share": ("first component", VERMILLION, SOLID)}
_WEIGHTS: dict[str, Series] = {"ratio": ("σ₁/σ₂ of W_Q and W_K", VERMILLION, SOLID)}
_PANELS = (
    ("updates", _GRAM, "Gram of updates", "singular value (log)", "g23"),
    ("displacement", _PATH, "PCA of the path", "share of variance", "pc1_share"),
    ("weights", _WEIGHTS, "weight matrices", "σ₁/σ₂ (log)", "ratio"),
)
_NULL_COLOUR = QUIET


def decomposition_figure(study: StudyResult) -> Drawing | None:
    """Draw the three decompositions; None where no run has them."""
    pair = _pair(study)
    return _drawing(pair, study) if pair else None


def _pair(study: StudyResult) -> list[RunResult]:
    """The first run that grokked, and the same task and seed without weight decay, or another that never grokked."""
    runs = [run for run in study.runs if len(run.table("decompositions"))]
    grokked = [run for run in runs if run.grokked and run.config.task in GROKKING and run.config.weight_decay == 1.0]
    if not grokked:
        return runs[:1]
    first = grokked[0]
    controls = sorted(
        (run for run in runs if not run.grokked),
        key=lambda run: (run.config.task != first.config.task, run.config.seed != first.config.seed),
    )
    return [first, *controls[:1]]


def _drawing(pair: list[RunResult], study: StudyResult) -> Drawing:
    figure = canvas(TWO_COLUMNS, 1.75 * len(_PANELS) + 0.4)
    axes = figure.subplots(len(_PANELS), len(pair), squeeze=False, sharex="col", sharey="row")
    for row, (name, series, title, up, chief) in enumerate(_PANELS):
        shown: list[float] = []
        for column, run in enumerate(pair):
            ax = axes[row][column]
            shown += _draw(ax, run, study, name, series)
            _mark_change(ax, run, study, name, chief)
            bottom = "training step" if row == len(_PANELS) - 1 else ""
            finish(
                ax,
                f"{'abcdef'[row * len(pair) + column]}  {title}: {run.formula}",
                across=bottom,
                up=up if column == 0 else "",
            )
            step_axis(ax)
        if name == "displacement":
            percent_axis(axes[row][0], vertical=True)
        else:
            log_axis(axes[row][0], shown, vertical=True)
    entries = [
        (words, Line2D([], [], color=colour, linestyle=dash.matplotlib)) for words, colour, dash in _GRAM.values()
    ]
    key(
        figure,
        [
            *entries,
            ("null of the first", Line2D([], [], color=_NULL_COLOUR, linestyle="-", linewidth=0.9)),
            ("change of level", Line2D([], [], color=INK, linestyle=":")),
            ("test accuracy 0.95", Line2D([], [], color=INK, linestyle="--")),
        ],
        columns=6,
    )
    return Drawing(
        "decompositions",
        "Three decompositions over training",
        f"Left: a run that generalised; right: a control of the same seed. Gram: singular values of each trailing "
        f"{spectrum_window(study)}; its null: updates of the same lengths at right angles. Path: share of the first "
        f"principal component of the weights so far; null: a random walk with the same steps. Weights: geometric mean "
        f"of σ₁/σ₂ over W_Q and W_K of all layers; null: normal noise of the same shape. A dotted line marks one "
        f"change of level, of g₂₃ in the first row.",
        "red would follow grey, and dotted lines would fall anywhere.",
        figure,
    )


def _rows(run: RunResult, study: StudyResult, name: str, quantity: str, table: str = "decompositions") -> pd.DataFrame:
    rows = run.table(table)
    if rows.empty:
        return rows
    window = study.config.analysis.window if name == "updates" else 0
    chosen = (rows["decomposition"] == name) & (rows["quantity"] == quantity) & (rows["window"] == window)
    return rows[chosen & (rows["layer"] == 0)].sort_values("step")


def _draw(ax: Axes, run: RunResult, study: StudyResult, name: str, series: dict[str, Series]) -> list[float]:
    shown: list[float] = []
    for place, (quantity, (_, colour, dash)) in enumerate(series.items()):
        rows = _rows(run, study, name, quantity)
        if rows.empty:
            continue
        if place == 0:
            ax.plot(rows["step"], rows["null"], color=_NULL_COLOUR, linewidth=0.9)
            shown += rows["null"].tolist()
        ax.plot(rows["step"], rows["value"], color=colour, linestyle=dash.matplotlib, linewidth=1.3)
        shown += rows["value"].tolist()
    return shown


def _mark_change(ax: Axes, run: RunResult, study: StudyResult, name: str, chief: str) -> None:
    changes = _rows(run, study, name, chief, "decomposition_changes")
    for step in changes["step"] if len(changes) else ():
        ax.axvline(float(step), color=INK, linewidth=0.9, linestyle=":")
    if run.manifest.grokked_step is not None:
        ax.axvline(run.manifest.grokked_step, color=INK, linewidth=0.9, linestyle="--")
