"""The figures over time: accuracy and loss, and the eigenvalues of the windows."""

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.models import LOSS_UNITS, LOSSES
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Chart, Figure, Panel
from spectraledge.pages.marks import DASHED, DOTTED, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, INK, PALE, PURPLE, VERMILLION
from spectraledge.report.run_names import floats, titles
from spectraledge.report.words import listing, spectrum_window
from spectraledge.studies.results import StudyResult

MARK = Mark("step at which test accuracy reached 0.95", INK, dash=DASHED, width=1)

_FLOOR_CAPTION = (
    ", and how many eigenvalues of the centred window stand above those of surrogate windows in which every parameter "
    "keeps its own course but parameters share nothing"
)
_CURVE_PIXELS = 130
_EIGENVALUE_PIXELS = 190
_COUNT_PIXELS = 70

_SPLITS = {
    "train": Mark("train pairs", BLUE, dash=DASHED),
    "test": Mark("test pairs", VERMILLION, dash=SOLID),
}
_EIGENVALUES = {
    "other": Mark("the other eigenvalues", PALE, dash=SOLID, width=0.8),
    "3": Mark("eigenvalue 3", GREEN, dash=DOTTED, width=2.2),
    "2": Mark("eigenvalue 2", BLUE, dash=DASHED, width=2.2),
    "1": Mark("eigenvalue 1", VERMILLION, dash=SOLID, width=2.2),
}
"""The leading ones last, so that they lie on top."""

_COUNTS = {
    "k_star": Mark("k*", PURPLE, dash=SOLID, width=3),
    "above_floor": Mark("eigenvalues above the noise floor", INK, dash=DOTTED),
}


def training_figure(study: StudyResult) -> Figure:
    """Accuracy and loss over training, one panel per run."""
    named = titles(study)
    losses = [f"{LOSSES[kind]} in {LOSS_UNITS[kind]}" for kind in dict.fromkeys(run.config.loss for run in study.runs)]
    return Figure(
        key="training",
        title="Accuracy and loss",
        caption=f"On all training pairs and on all held-out pairs, at every recorded step. Loss: {listing(losses)}.",
        nothing="test accuracy would stay near its chance level, one over the number of classes.",
        panels=tuple(Panel((_course(run, "accuracy"), _course(run, "loss")), named[run.run_id]) for run in study.runs),
        entries=(*_SPLITS.values(), MARK),
        across=2,
    )


def eigenvalue_figure(study: StudyResult) -> Figure:
    """Eigenvalues of every window and the edge position, one panel per run."""
    named = titles(study)
    floored = any("above_floor" in run.edge for run in study.runs)
    return Figure(
        key="eigenvalues",
        title="Eigenvalues of the window of updates, and the edge position k*",
        caption=(
            f"Eigenvalues of the Gram matrix of each trailing {spectrum_window(study)}, plotted at the window's last "
            f"step; the first window is full only after {study.config.analysis.window} updates. Below each: k*, where "
            f"a large singular value is followed by a large drop"
            f"{_FLOOR_CAPTION if floored else ''}. Unit: squared units of the weights."
        ),
        nothing=(
            "all eigenvalues would fall together. That they fall when a network generalises is no evidence by itself: "
            "eigenvalues scale with the square of the updates, and updates shrink in runs that never generalise too."
        ),
        panels=tuple(
            Panel(spectrum_charts(run.spectrum, run.edge, run.manifest.grokked_step), named[run.run_id])
            for run in study.runs
        ),
        entries=(*reversed(_EIGENVALUES.values()), *count_marks(floored=floored), MARK),
        across=2,
    )


def count_chart(counts: pd.DataFrame, mark: int | None) -> Chart | None:
    """Chart of `k_star` and `above_floor` by `place`, as far as counts have them; None without any number."""
    known = [name for name in _COUNTS if name in counts and counts[name].notna().any()]
    if not known:
        return None
    parts = [
        pd.DataFrame({"name": _COUNTS[name].label, "mark": name, "place": counts["place"], "value": counts[name]})
        for name in known
    ]
    table = pd.concat(parts, ignore_index=True)
    floored = "above_floor" in known
    return curve_plot(
        table,
        _COUNTS,
        axis="number" if floored else "k*",
        words="Counts over training",
        height=_COUNT_PIXELS,
        title="Counts: k*, above floor" if floored else "Edge position k*",
        limits=(-0.2, float(table["value"].max()) + 1.0),
        whole=True,
        mark=mark,
    )


def count_marks(*, floored: bool) -> tuple[Mark, ...]:
    """Key of `count_chart`."""
    return tuple(mark for name, mark in _COUNTS.items() if floored or name == "k_star")


def _course(run: RunResult, quantity: str) -> Chart:
    parts = [
        pd.DataFrame(
            {
                "name": mark.label,
                "mark": name,
                "place": floats(run.metrics, "step"),
                "value": floats(run.metrics, f"{name}_{quantity}"),
            }
        )
        for name, mark in _SPLITS.items()
    ]
    loss = quantity == "loss"
    return curve_plot(
        pd.concat(parts, ignore_index=True),
        _SPLITS,
        axis=f"loss ({LOSS_UNITS[run.config.loss]}, log)" if loss else "accuracy",
        words=f"{quantity.title()} over training, training and test pairs",
        height=_CURVE_PIXELS,
        title=quantity.title(),
        limits=None if loss else (-0.03, 1.03),
        log=loss,
        mark=run.manifest.grokked_step,
    )


def spectrum_charts(spectrum: pd.DataFrame, edge: pd.DataFrame, mark: int | None = None) -> tuple[Chart, ...]:
    """Draw the eigenvalues of every window, and below them k* and how many stand above the noise floor."""
    numbers = spectrum["k"].astype(str)
    table = pd.DataFrame(
        {
            "name": "eigenvalue " + numbers,
            "mark": numbers.where(numbers.isin(list(_EIGENVALUES)), "other"),
            "place": floats(spectrum, "step"),
            "value": floats(spectrum, "eigenvalue"),
        }
    )
    chart = curve_plot(
        table,
        _EIGENVALUES,
        axis="eigenvalue (weight², log)",
        words="Eigenvalues of the window of updates over training",
        height=_EIGENVALUE_PIXELS,
        title="Eigenvalues",
        log=True,
        mark=mark,
    )
    counts = pd.DataFrame({name: floats(edge, name) for name in _COUNTS if name in edge})
    numbered = count_chart(counts.assign(place=floats(edge, "step")), mark)
    return (chart, numbered) if numbered else (chart,)


def spectrum_marks(edge: pd.DataFrame) -> tuple[Mark, ...]:
    """Key of `spectrum_charts`."""
    return (*reversed(_EIGENVALUES.values()), *count_marks(floored="above_floor" in edge))


def spectrum_figure(spectrum: pd.DataFrame, edge: pd.DataFrame) -> Figure:
    """Draw the spectrum of every window of one training."""
    return Figure(
        key="eigenvalues",
        title="Eigenvalues of the window of updates, and the edge position k*",
        caption=(
            "Eigenvalues of the Gram matrix of each window of updates, plotted at the window's last step. Below: k*, "
            "where a large singular value is followed by a large drop, and, where a noise floor was measured, how many "
            "eigenvalues stand above it. Unit: squared units of the weights."
        ),
        nothing=(
            "all eigenvalues would fall and rise together, and none would stand above its noise floor. k* alone is no "
            "evidence: updates without any structure have some largest drop, too."
        ),
        panels=(Panel(spectrum_charts(spectrum, edge)),),
        entries=spectrum_marks(edge),
    )
