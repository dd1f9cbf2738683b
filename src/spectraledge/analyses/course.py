"""The key numbers of a run over training, when each of them changes, and by how much that precedes generalisation."""

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spectraledge.analyses.analysis import DIRECTION, Analysis, Column, Table
from spectraledge.analyses.move_table import move_table
from spectraledge.analyses.selection_tables import WHOLE, selection_rows
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.modes import grouping_basis, shares, span_cosines
from spectraledge.observed.labelled_directions import collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.observation import each_response
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View
from spectraledge.spectrum import Spectrum, effective_dimension, noise_floor
from spectraledge.spectrum.windows import check_window
from spectraledge.statistics import change_point
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.tasks import grouping
from spectraledge.trajectory import Manifest

POINTS = 12
"""Snapshots that are measured where no stride is chosen, about (our choice: some seconds each)."""

NULLS = 10
"""Directions of each null (our choice: the course is read as a whole)."""

COURSE_KINDS = ("edge", "bulk", "span", "random")

MOVED_BY = ("adam", "decay", "cross")
"""What moved the weights, as shares of a window's trace and of its directions' eigenvalues; see `move_table`."""

LOGARITHMIC = ("trace", "g23", "signal_ratio")
"""Quantities whose logarithm is searched for a change: they scale with the size of updates."""

_DEAL = 199


def follow_course(
    folder: Path, settings: AnalysisConfig, *, nulls: int = NULLS, dtype: torch.dtype = torch.float32
) -> dict[str, pd.DataFrame]:
    """Measure the key numbers of a run at snapshots over its whole training.

    Args:
        folder: A run folder that this package wrote.
        settings: Window, its centring before directions are taken, size of the edge, seed (the same directions are
            drawn at every step) and stride: snapshots from one that is measured to the next, the last always one;
            by default so that there are about 12.
        nulls: Directions of each null, at least 2. Default 10 (our choice: the course is read as a whole).
        dtype: Precision of responses. Default single (our choice: half the time, and shares agree with those of double
            precision to 1e-5).

    Returns:
        `TABLE` and `CHANGES` by name.

    Raises:
        InputError: if the folder is no run, has too few snapshots, or the weights did not move before a snapshot.

    Cost: a few seconds per measured snapshot for 9,409 pairs, 131,072 watched parameters and 10 nulls.
    """
    window, center = settings.window, settings.center_modes
    view = View(window=window, center=center, edge=settings.edge, nulls=nulls, seed=settings.seed, dtype=dtype)
    run = RecordedRun.open(folder, device=settings.device)
    check_window(window, len(run.steps))
    places = range(window, len(run.steps))
    stride = settings.stride or ceil(len(places) / POINTS)
    measured = places[::-1][::stride][::-1]
    rows: list[tuple[object, ...]] = []
    accuracy = run.metrics.set_index("step")["test_accuracy"]
    for place in measured:
        step = run.steps[place]
        here = run.window(step, window=window, center=center)
        network = Network.at(run, step, dtype=dtype)
        rows += [(step, *row) for row in _own_functions(run, here, network, view)]
        rows += [(step, *row) for row in _spectrum(here, view.seed)]
        rows += [(step, *row) for row in _moves(run, here, view.edge)]
        if place - window in places:
            before = run.window(run.steps[place - window], window=window, center=center).directions
            cosines = span_cosines(before.vectors_KP[: view.edge], here.directions.vectors_KP[: view.edge])
            rows.append((step, *_single("span_cosine", float(np.square(cosines).mean()))))
        if step in accuracy.index:
            rows.append((step, *_single("test_accuracy", float(accuracy[step]))))
    course, grokked = TABLE.frame(rows), Manifest.read(folder).grokked_step
    changes = change_table(course, grokked, block=ceil(window / stride), seed=view.seed)
    return {TABLE.name: course, CHANGES.name: changes}


def _own_functions(run: RecordedRun, window: Window, network: Network, view: View) -> Iterator[tuple[object, ...]]:
    directions = collect_directions(run, window, network, view, kinds=COURSE_KINDS)
    basis = grouping_basis(grouping(run.task, run.task.structure))
    energies_KS = np.vstack([basis.energies(found) for _, found in each_response(network, directions, "residual")])
    share_K = shares(energies_KS, basis).corrected(WHOLE)
    for row in directions.places("edge"):
        yield "energy_share", "edge", directions.numbers[row], share_K[row], np.nan, np.nan
    for kind in ("span", "random"):
        low, median, high = np.quantile(share_K[directions.places(kind)], [0.05, 0.5, 0.95])
        yield "energy_share", kind, 0, median, low, high
    of_window, of_random = (energies_KS[directions.places(*kinds)] for kinds in (("edge", "bulk"), ("random",)))
    eigenvalues_K = window.directions.eigenvalues_K.numpy()
    table = selection_rows(of_window, eigenvalues_K, of_random, basis, seed=view.seed, permutations=_DEAL)
    own = table[table["subspace"] == WHOLE].iloc[0]
    yield "selection", "window", 0, own["ratio"], own["low"], own["high"]
    yield _single("selection_p", own["p"])


def _spectrum(window: Window, seed: int) -> Iterator[tuple[object, ...]]:
    width = len(window.updates_WP)
    found_K = window.directions.eigenvalues_K
    spectrum = Spectrum.of(found_K, width, center=window.center)
    yield _single("k_star", float(spectrum.k_star_T[0]))
    yield _single("g23", float(spectrum.gaps_TW[0, 1]) if width > 2 else np.nan)
    yield _single("trace", float(spectrum.trace_T[0]))
    yield _single("effective_dimension", float(effective_dimension(found_K)))
    if width > 2:
        floor = noise_floor(window.updates_WP, generator=torch_generator(seed, "noise"))
        yield _single("signal_count", float(floor.count))
        yield _single("signal_ratio", float(floor.ratio_W[0]))


def _moves(run: RecordedRun, window: Window, edge: int) -> Iterator[tuple[object, ...]]:
    for row in move_table(run, window).head(1 + edge).itertuples():
        kind = "edge" if row.direction else "window"
        for quantity in MOVED_BY:
            yield quantity, kind, row.direction, getattr(row, quantity), np.nan, np.nan


def _single(quantity: str, value: float) -> tuple[object, ...]:
    return quantity, "window", 0, value, np.nan, np.nan


def change_table(course: pd.DataFrame, grokked_step: int | None, *, block: int, seed: int) -> pd.DataFrame:
    """Find when each quantity of a course changes its level.

    Windows overlap, so residuals are permuted in blocks as long as a window, in a short course as half of it: few
    windows support no change.

    Returns:
        See `CHANGES`.
    """
    chosen = course[course["kind"].isin(["edge", "window"]) & ~course["quantity"].isin(["selection_p", *MOVED_BY])]
    grokked = np.nan if grokked_step is None else float(grokked_step)
    rows = []
    for _, part in chosen.groupby(["quantity", "direction"], sort=False):
        quantity, direction = str(part["quantity"].iloc[0]), int(part["direction"].iloc[0])
        series_T: Float = part["value"].to_numpy(np.float64)
        if quantity in LOGARITHMIC:
            series_T = np.log(np.where(series_T > 0, series_T, np.nan))
        if len(series_T) < 4 or not np.isfinite(series_T).all() or np.ptp(series_T) <= 1e-12 * np.abs(series_T).max():
            continue
        at_most = min(block, len(series_T) // 2)
        found = change_point(series_T, block=at_most, generator=numpy_generator(seed, "change", quantity, direction))
        steps = part["step"].to_numpy()
        step, low, high = (float(steps[place]) for place in (found.position, found.low, found.high))
        leads = (grokked - step, grokked - high, grokked - low)
        rows.append(
            (quantity, direction, step, low, high, found.change, found.share, found.p, *leads, at_most, len(series_T))
        )
    return CHANGES.frame(rows)


TABLE = Table(
    "course",
    "quantity and measured snapshot",
    {
        "step": Column("the snapshot; a window ends there", "step"),
        "quantity": Column(
            "energy_share (of functions of the task's own variable, corrected for chance), selection (ratio of the "
            "own functions as a whole), selection_p, k_star, g23, trace, effective_dimension, signal_count and "
            "signal_ratio (eigenvalues of the centred window above the noise floor, and the largest over its floor), "
            "span_cosine (mean squared cosine of the edge with that of the window before, which shares no update; "
            "chance is edge/P), test_accuracy, and adam, decay, cross (see moves)"
        ),
        "kind": Column("edge, span, random, or window for what is of no direction"),
        "direction": Column("1-based; 0 for what is of no single direction"),
        "value": Column("of span and random the median over directions"),
        "low": Column("5 % quantile over directions, or lower end of a 95 % interval"),
        "high": Column("95 % quantile over directions, or upper end of a 95 % interval"),
    },
)
CHANGE_COLUMNS = {
    "step": Column("the first of the new level", "step"),
    "low": Column("lower end of its 95 % interval", "step"),
    "high": Column("upper end of its 95 % interval", "step"),
    "change": Column("new level less old, of the logarithm for what scales with the size of updates"),
    "share": Column("of the variation, that the change explains", "share"),
    "p": Column("against blocks of residuals dealt anew; read steps and leads only where it is small"),
    "lead": Column("by which it precedes the first test accuracy of .95; missing where that never comes", "steps"),
    "lead_low": Column("lower end of its 95 % interval", "steps"),
    "lead_high": Column("upper end of its 95 % interval", "steps"),
    "block": Column("measured snapshots per block of residuals"),
    "points": Column("measured snapshots"),
}
CHANGES = Table(
    "changes",
    "quantity that changes at all",
    {"quantity": Column("as in course"), "direction": DIRECTION, **CHANGE_COLUMNS},
)

COURSE = Analysis(
    "course",
    follow_course,
    (TABLE, CHANGES),
    settings=("stride", "window", "center_modes", "edge", "seed"),
    joined=("course",),
)
