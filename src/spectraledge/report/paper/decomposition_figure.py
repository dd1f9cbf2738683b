"""§4.2 as a figure: three decompositions of a run that grokked, and of a control, over training."""

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.design import GROKKING
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, INK, QUIET, VERMILLION
from spectraledge.report.words import spectrum_window
from spectraledge.studies.results import StudyResult

_NULL = Mark("null of the first", QUIET, dash=SOLID, width=0.9)
_CHANGE = Mark("change of level", INK, dash=DOTTED)
_SERIES = {
    "sigma_1": Mark("σ₁", VERMILLION, dash=SOLID),
    "sigma_2": Mark("σ₂", BLUE, dash=DASHED),
    "sigma_3": Mark("σ₃", GREEN, dash=DOTTED),
    "pc1_share": Mark("first component", VERMILLION, dash=SOLID),
    "ratio": Mark("σ₁/σ₂ of W_Q and W_K", VERMILLION, dash=SOLID),
}
_PANELS = (
    ("updates", ("sigma_1", "sigma_2", "sigma_3"), "Gram of updates", "singular value (log)", "g23"),
    ("displacement", ("pc1_share",), "PCA of the path", "share of variance", "pc1_share"),
    ("weights", ("ratio",), "weight matrices", "σ₁/σ₂ (log)", "ratio"),
)
"""Decomposition, quantities, words, axis, and the quantity whose change of level is marked."""

_HEIGHT = 120


def decomposition_figure(study: StudyResult) -> Figure | None:
    """Draw the three decompositions; None where no run has them."""
    pair = _pair(study)
    panels = [
        Panel((chart,), f"{title}: {run.formula}, weight decay {run.config.weight_decay:g}")
        for name, quantities, title, axis, chief in _PANELS
        for run in pair
        if (chart := _chart(run, study, name, quantities, axis, chief)) is not None
    ]
    if not panels:
        return None
    return Figure(
        "decompositions",
        "Three decompositions over training",
        "Left: a run that generalised; right: a control of the same seed. Gram: singular values of each trailing "
        f"{spectrum_window(study)}; its null: updates of the same lengths at right angles. Path: share of the first "
        "principal component of the weights so far; null: a random walk with the same steps. Weights: geometric mean "
        "of σ₁/σ₂ over W_Q and W_K of all layers; null: normal noise of the same shape. Dotted: one change of level "
        "with its interval, of g₂₃ in the first row.",
        "red would follow grey, and dotted lines would fall anywhere.",
        tuple(panels),
        (*(_SERIES[name] for name in ("sigma_1", "sigma_2", "sigma_3")), _NULL, _CHANGE),
        across=len(pair),
        for_paper=True,
    )


def _pair(study: StudyResult) -> list[RunResult]:
    """The first run that grokked, and the same task and seed without weight decay, or another that never grokked."""
    runs = [run for run in study.runs if len(run.table("decompositions"))]
    grokked = [run for run in runs if run.grokked and run.config.task in GROKKING and run.config.weight_decay == 1.0]
    if not grokked:
        return runs[:1]
    first = grokked[0].config
    controls = sorted(
        (run for run in runs if not run.grokked),
        key=lambda run: (run.config.task != first.task, run.config.seed != first.seed),
    )
    return [grokked[0], *controls[:1]]


def _chart(
    run: RunResult, study: StudyResult, name: str, quantities: tuple[str, ...], axis: str, chief: str
) -> Chart | None:
    window = study.config.analysis.window if name == "updates" else 0

    def rows(table: str, quantity: str) -> pd.DataFrame:
        found = run.table(table)
        if found.empty:
            return found
        chosen = (found["decomposition"] == name) & (found["quantity"] == quantity) & (found["window"] == window)
        return found[chosen & (found["layer"] == 0)].sort_values("step")

    parts = []
    for quantity in quantities:
        found = rows("decompositions", quantity)
        values = {quantity: "value"} if quantity != quantities[0] else {"null": "null", quantity: "value"}
        parts += [
            pd.DataFrame({"name": mark, "mark": mark, "place": found["step"], "value": found[column]})
            for mark, column in (values.items() if len(found) else ())
        ]
    if not parts:
        return None
    changes = rows("decomposition_changes", chief)
    if len(changes):
        changes = changes.rename(columns={"step": "at"})[["at", "low", "high"]].assign(mark="change")
    return curve_plot(
        pd.concat(parts, ignore_index=True),
        {"null": _NULL, "change": _CHANGE, **{quantity: _SERIES[quantity] for quantity in quantities}},
        axis=axis,
        words=f"{axis} of {run.formula} over training",
        height=_HEIGHT,
        log=name != "displacement",
        percent=name == "displacement",
        mark=run.manifest.grokked_step,
        changes=changes,
    )
