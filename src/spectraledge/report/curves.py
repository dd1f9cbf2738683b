"""The figures over time: accuracy and loss, and the eigenvalues of the windows."""

from collections.abc import Mapping

import numpy as np

from spectraledge.analyses.run_result import RunResult
from spectraledge.report.charts import Curve, CurveChart, FigureSpec, Float, KeyEntry, Panel
from spectraledge.report.data import curve, titles
from spectraledge.report.style import BLUE, DASHED, DOTTED, GREEN, INK, PURPLE, SOLID, VERMILLION
from spectraledge.report.words import spectrum_window
from spectraledge.studies.results import StudyResult

FLOOR = "eigenvalues above the noise floor"
FLOOR_CAPTION = (
    ", and how many eigenvalues of the centred window stand above those of surrogate windows in which every parameter "
    "keeps its own course but parameters share nothing"
)

_CURVE_PIXELS = 190
_EIGENVALUE_PIXELS = 250
_COUNT_PIXELS = 130

_SPLITS = (("train", BLUE, DASHED), ("test", VERMILLION, SOLID))
_LEADING = ((1, VERMILLION, SOLID), (2, BLUE, DASHED), (3, GREEN, DOTTED))
_REST = "#a8a8a8"
_COUNTED = {"k*": (PURPLE, SOLID, 3.0), FLOOR: (INK, DOTTED, 1.8)}
MARK = KeyEntry("step at which test accuracy reached 0.95", INK, dash=DASHED)


def training_figure(study: StudyResult) -> FigureSpec:
    """Accuracy and loss over training, one panel per run."""
    named = titles(study)
    return FigureSpec(
        key="training",
        title="Accuracy and loss",
        caption="On all training pairs and on all held-out pairs, at every recorded step. Loss: cross-entropy in nats.",
        nothing="test accuracy would stay near its chance level, one over the number of classes.",
        entries=(*(KeyEntry(f"{name} pairs", colour, dash=dash) for name, colour, dash in _SPLITS), MARK),
        panels=tuple(Panel(named[run.run_id], (_accuracy(run), _loss(run))) for run in study.runs),
    )


def eigenvalue_figure(study: StudyResult) -> FigureSpec:
    """Eigenvalues of every window and the edge position, one panel per run."""
    named = titles(study)
    floored = any(_floored(run) for run in study.runs)
    leading = (KeyEntry(f"eigenvalue {k}", colour, dash=dash) for k, colour, dash in _LEADING)
    return FigureSpec(
        key="eigenvalues",
        title="Eigenvalues of the window of updates, and the edge position k*",
        caption=(
            f"Eigenvalues of the Gram matrix of each trailing {spectrum_window(study)}, plotted at the window's last "
            f"step; the first window is full only after {study.config.analysis.window} updates. Below each: k*, where "
            f"a large singular value is followed by a large drop"
            f"{FLOOR_CAPTION if floored else ''}. Unit: squared units of the weights."
        ),
        nothing=(
            "all eigenvalues would fall together. That they fall when a network generalises is no evidence by itself: "
            "eigenvalues scale with the square of the updates, and updates shrink in runs that never generalise too."
        ),
        entries=(
            *leading,
            KeyEntry("the other eigenvalues", _REST, dash=SOLID),
            *count_entries(floored),
            MARK,
        ),
        panels=tuple(Panel(named[run.run_id], _spectrum_charts(run)) for run in study.runs),
    )


def _accuracy(run: RunResult) -> CurveChart:
    return CurveChart(
        "Accuracy", "accuracy", _both(run, "accuracy"), _CURVE_PIXELS, limits=(-0.03, 1.03), mark=mark(run)
    )


def _loss(run: RunResult) -> CurveChart:
    return CurveChart("Loss", "loss (nats, log)", _both(run, "loss"), _CURVE_PIXELS, log=True, mark=mark(run))


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
    charts: list[CurveChart | None] = [
        CurveChart(
            "Eigenvalues",
            "eigenvalue (weight², log)",
            tuple(lines),
            _EIGENVALUE_PIXELS,
            log=True,
            mark=mark(run),
        )
    ]
    steps = curve(run.edge, "step")
    counts = {"k*": curve(run.edge, "k_star"), FLOOR: curve(run.edge, "above_floor") if _floored(run) else np.array([])}
    charts.append(count_chart({name: (steps, values) for name, values in counts.items()}, mark(run)))
    return tuple(chart for chart in charts if chart)


def count_chart(counts: Mapping[str, tuple[Float, Float]], mark: int | None) -> CurveChart | None:
    """Chart of k* and of the number of eigenvalues above the noise floor.

    Args:
        counts: Steps and numbers of each by its name, "k*" or `FLOOR`.
        mark: When test accuracy reached 0.95.

    Returns:
        The chart; None if there is no number at all.
    """
    known = {name: (steps, values) for name, (steps, values) in counts.items() if np.isfinite(values).any()}
    if not known:
        return None
    curves = tuple(
        Curve(name, steps, values, *_COUNTED[name], drawn="steps") for name, (steps, values) in known.items()
    )
    top = max(float(np.nanmax(values)) for _, values in known.values())
    title = "Counts: k*, above floor" if FLOOR in known else "Edge position k*"
    return CurveChart(
        title, "number" if FLOOR in known else "k*", curves, _COUNT_PIXELS, limits=(-0.2, top + 1.0), mark=mark
    )


def count_entries(floored: bool) -> tuple[KeyEntry, ...]:
    """Key of `count_chart`."""
    return tuple(
        KeyEntry(name, colour, dash=dash) for name, (colour, dash, _) in _COUNTED.items() if floored or name != FLOOR
    )


def _floored(run: RunResult) -> bool:
    return "above_floor" in run.edge


def mark(run: RunResult) -> int | None:
    """Step at which test accuracy reached 0.95, to be marked."""
    return run.manifest.grokked_step
