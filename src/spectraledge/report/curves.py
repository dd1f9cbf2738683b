"""The figures over time: accuracy and loss, and the eigenvalues of the windows."""

import numpy as np

from spectraledge.report.charts import Curve, CurveChart, FigureSpec, KeyEntry, Panel
from spectraledge.report.data import curve, titles
from spectraledge.report.style import BLUE, DASHED, DOTTED, GREEN, INK, PURPLE, SOLID, VERMILLION
from spectraledge.report.words import spectrum_window
from spectraledge.studies.results import RunResult, StudyResult

_CURVE_PIXELS = 190
_EIGENVALUE_PIXELS = 250
_K_STAR_PIXELS = 130

_SPLITS = (("train", BLUE, DASHED), ("test", VERMILLION, SOLID))
_LEADING = ((1, VERMILLION, SOLID), (2, BLUE, DASHED), (3, GREEN, DOTTED))
_REST = "#a8a8a8"
_MARK = KeyEntry("step at which test accuracy reached 0.95", INK, dash=DASHED)


def training_figure(study: StudyResult) -> FigureSpec:
    """Accuracy and loss over training, one panel per run."""
    named = titles(study)
    return FigureSpec(
        key="training",
        title="Accuracy and loss",
        caption="On all training pairs and on all held-out pairs, at every recorded step. Loss: cross-entropy in nats.",
        nothing="test accuracy would stay near its chance level, one over the number of classes.",
        entries=(*(KeyEntry(f"{name} pairs", colour, dash=dash) for name, colour, dash in _SPLITS), _MARK),
        panels=tuple(Panel(named[run.run_id], (_accuracy(run), _loss(run))) for run in study.runs),
    )


def eigenvalue_figure(study: StudyResult) -> FigureSpec:
    """Eigenvalues of every window and the edge position, one panel per run."""
    named = titles(study)
    leading = (KeyEntry(f"eigenvalue {k}", colour, dash=dash) for k, colour, dash in _LEADING)
    return FigureSpec(
        key="eigenvalues",
        title="Eigenvalues of the window of updates, and the edge position k*",
        caption=(
            f"Eigenvalues of the Gram matrix of each trailing {spectrum_window(study)}, plotted at the window's last "
            f"step; the first window is full only after {study.config.analysis.window} updates. Below each: k*, where "
            f"a large singular value is followed by a large drop. Unit: squared units of the weights."
        ),
        nothing=(
            "all eigenvalues would fall together. That they fall when a network generalises is no evidence by itself: "
            "eigenvalues scale with the square of the updates, and updates shrink in runs that never generalise too."
        ),
        entries=(
            *leading,
            KeyEntry("the other eigenvalues", _REST, dash=SOLID),
            KeyEntry("k*", PURPLE, dash=SOLID),
            _MARK,
        ),
        panels=tuple(Panel(named[run.run_id], _spectrum_charts(run)) for run in study.runs),
    )


def _accuracy(run: RunResult) -> CurveChart:
    return CurveChart(
        "Accuracy", "accuracy", _both(run, "accuracy"), _CURVE_PIXELS, limits=(-0.03, 1.03), mark=_mark(run)
    )


def _loss(run: RunResult) -> CurveChart:
    return CurveChart("Loss", "loss (nats, log)", _both(run, "loss"), _CURVE_PIXELS, log=True, mark=_mark(run))


def _both(run: RunResult, quantity: str) -> tuple[Curve, ...]:
    steps = curve(run.metrics, "step")
    return tuple(
        Curve(name, steps, curve(run.metrics, f"{name}_{quantity}", positive=quantity == "loss"), colour, dash)
        for name, colour, dash in _SPLITS
    )


def _spectrum_charts(run: RunResult) -> tuple[CurveChart, ...]:
    styles = {k: (colour, dash, 2.2) for k, colour, dash in _LEADING}
    lines = []
    # The leading ones last, so that they lie on top.
    for k, table in sorted(run.spectrum.groupby("k"), key=lambda item: -item[1]["k"].iloc[0]):
        colour, dash, width = styles.get(int(table["k"].iloc[0]), (_REST, SOLID, 0.8))
        values = curve(table, "eigenvalue", positive=True)
        lines.append(Curve(f"eigenvalue {k}", curve(table, "step"), values, colour, dash, width))
    charts = [
        CurveChart(
            "Eigenvalues",
            "eigenvalue (weight², log)",
            tuple(lines),
            _EIGENVALUE_PIXELS,
            log=True,
            mark=_mark(run),
        )
    ]
    k_star = curve(run.edge, "k_star")
    if np.isfinite(k_star).any():
        position = Curve("k*", curve(run.edge, "step"), k_star, PURPLE, stepped=True)
        charts.append(
            CurveChart(
                "Edge position k*",
                "k*",
                (position,),
                _K_STAR_PIXELS,
                limits=(0.0, float(np.nanmax(k_star)) + 1.0),
                mark=_mark(run),
            )
        )
    return tuple(charts)


def _mark(run: RunResult) -> int | None:
    return run.manifest.grokked_step
