"""The decline of the spectral edge over a run, as published, and beside it what a decline of the updates is not."""

from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import Analysis, Column, Table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.spectrum import (
    Since,
    Spectrum,
    band_windows,
    decline,
    noise_floor,
    orthogonal_gram,
    window_eigenvalues,
)
from spectraledge.spectrum.windows import check_window
from spectraledge.streams import torch_generator
from spectraledge.training import RunConfig
from spectraledge.training.metrics_tables import read_metrics
from spectraledge.trajectory import Manifest, RecordedGram, Series

TABLE_WINDOW = 10
"""Updates per window of Table 1 (Xu 2026, scripts), uncentred."""

FLOOR_EVERY, FLOORS = 10, 6
"""Snapshots from one noise floor to the next, doubled until there are no more than so many (our choice: about a second
each, and steps that runs of like length share)."""

_Row = tuple[str, str, int, bool, int, float, float]


def declines(folder: Path, settings: AnalysisConfig, *, step: int | None = None) -> dict[str, pd.DataFrame]:
    """Measure at every snapshot how far the edge has declined, and what tells grokking runs from others.

    Definition: the decline of g_23 is an early value over the value here ("since_first"; Xu 2026, §4.1) or the largest
    so far over the value here ("since_peak"; Xu 2026, scripts, with windows of 10 updates, uncentred). Any snapshot may
    be the one of interest, so runs that never grok have a value at the step that they are matched at.
    g_23 has the unit of squared updates, and shrinks with them whether a run groks or not. Its share of the trace and
    the ratio of its two eigenvalues have no unit; what stands above the noise floor is signal whatever its size.
    Null: updates of the same lengths at right angles, so that only their sizes are left (see `orthogonal_gram`); for
    the weight norm, weight decay alone; for above_floor, its rate of false alarms; for floor_ratio, the floor.

    Returns:
        `TABLE` by name.
        Values are finite; for eigenvalues that rounding hides, as large as can be told. There is no row where the
        window is not yet full. above_floor and floor_ratio are of centred windows, at the marked step (by default the
        first with test accuracy of at least .95, else the last), at every tenth snapshot (every 20th, 40th, ... of runs
        of 70 and more) and at the last, where the window's snapshots are still there.

    Cost: some hundredths of a second, and a second per noise floor (131,072 watched parameters, 39 surrogates).
    """
    config = RunConfig.of_run(folder)
    recorded = recorded_gram(folder, settings.window)
    marked = _marked(folder, recorded.steps, step)
    windows = [settings.window] + [TABLE_WINDOW] * (settings.window != TABLE_WINDOW <= len(recorded.steps))
    rows: list[_Row] = []
    for window in windows:
        for center in (False, True):
            rows += _of_windows(recorded, window, center)
    rows += _weight_norm(folder, config)
    if settings.surrogates:
        rows += _floors(Series.open(folder, config.watched), recorded, marked, settings)
    return {TABLE.name: TABLE.frame((*row, row[4] == marked) for row in rows)}


def recorded_gram(folder: Path, window: int) -> RecordedGram:
    """Return a run's Gram matrix, if it has windows of a size.

    Raises:
        InputError: if there is none, it is behind the snapshots of an unfinished run, the run is too short, the window
            has no g_23, or fewer inner products were kept.
    """
    recorded = RecordedGram.read(folder)
    known = Manifest.read(folder) if Manifest.present(folder) else None
    last = recorded.steps[-1] if recorded else 0
    if known and known.status == "running" and last < known.step:
        raise InputError(
            f"{folder} is not finished: its inner products are written up to step {last}, its snapshots up to "
            f"{known.step}; train it to its end"
        )
    if recorded is None:
        raise InputError(f"no gram.parquet in {folder}: it is written while a run is recorded; train it again")
    check_window(window, len(recorded.steps) + 1)
    kept = recorded.band_TW.shape[1]
    if not 3 <= window <= kept:
        raise InputError(
            f"a window must be in [3, {kept}] for g_23 and the recorded inner products, got {window}: choose another"
        )
    return recorded


def window_spectra(recorded: RecordedGram, window: int, *, center: bool) -> tuple[Spectrum, Spectrum, Tensor]:
    """Spectrum of every full window of a recorded run, and that of updates of the same lengths at right angles.

    Returns:
        The spectrum, its null, and the largest squared length that storage can give each window, shape (windows,).
    """
    gram_NWW = band_windows(recorded.band_TW, window)
    noise_N = recorded.noise_T.unfold(0, window, 1).sum(-1)
    found, null = (
        Spectrum(window_eigenvalues(gram, center=center, storage_noise=noise_N[:, None]), window, center)
        for gram in (gram_NWW, orthogonal_gram(gram_NWW))
    )
    return found, null, noise_N


def _marked(folder: Path, steps: list[int], step: int | None) -> int:
    if step is None:
        grokked = Manifest.read(folder).grokked_step
        # A resumed run may have grokked at a step that is no longer recorded.
        return grokked if grokked in steps else steps[-1]
    if step not in steps:
        nearest = min(steps, key=lambda known: abs(known - step))
        raise InputError(f"no update ends at step {step} in {folder}: the nearest is at step {nearest}")
    return step


def _of_windows(recorded: RecordedGram, window: int, center: bool) -> Iterator[_Row]:
    found, null, noise_N = window_spectra(recorded, window, center=center)
    steps = recorded.steps[window - 1 :]
    of_null = _quantities(null, noise_N)
    for name, (values_N, least_N) in _quantities(found, noise_N).items():
        expected = _with_declines(*of_null[name])
        for definition, series_N in _with_declines(values_N, least_N).items():
            pairs = zip(steps, series_N.tolist(), expected[definition].tolist(), strict=True)
            yield from ((name, definition, window, center, *row) for row in pairs)


def _quantities(spectrum: Spectrum, noise_N: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return each quantity of every window and the smallest value of it that storage lets one tell from 0."""
    trace_N = torch.maximum(spectrum.trace_T, noise_N)
    second_N, third_N = (torch.maximum(spectrum.eigenvalues_TW[:, k], noise_N) for k in (1, 2))
    g23_N = spectrum.gaps_TW[:, 1]
    return {
        "g23": (g23_N, noise_N),
        "trace": (trace_N, noise_N),
        "g23_share": (g23_N / trace_N, noise_N / trace_N),
        "ratio_23": (second_N / third_N, torch.ones_like(noise_N)),
    }


def _with_declines(values_N: Tensor, least_N: Tensor) -> dict[str, Tensor]:
    found = {f"since_{since}": decline(values_N, since=since, resolution_T=least_N) for since in get_args(Since)}
    return {"value": values_N, **found}


def _weight_norm(folder: Path, config: RunConfig) -> Iterator[_Row]:
    metrics = read_metrics(folder)
    norm_T = torch.from_numpy(metrics["weight_norm"].to_numpy(np.float64, copy=True))
    taken_T = torch.from_numpy(metrics["step"].to_numpy(np.float64, copy=True))
    null_T = norm_T[0] * config.shrink**taken_T
    least_T = torch.finfo(torch.float32).eps * norm_T[0].expand(len(norm_T))
    expected = _with_declines(null_T, least_T)
    for definition, series_T in _with_declines(norm_T, least_T).items():
        pairs = zip(metrics["step"].tolist(), series_T.tolist(), expected[definition].tolist(), strict=True)
        yield from (("weight_norm", definition, 0, False, *row) for row in pairs)


def _floors(series: Series, recorded: RecordedGram, marked: int, settings: AnalysisConfig) -> Iterator[_Row]:
    window, steps = settings.window, recorded.steps
    present = {snapshot.step for snapshot in series.snapshots}
    stride = FLOOR_EVERY
    while len(steps) // stride > FLOORS:
        stride *= 2
    wanted = {marked, steps[-1], *steps[stride - 1 :: stride]}
    for place in range(window - 1, len(steps)):
        step = steps[place]
        before = steps[place - window] if place >= window else min(present, default=inf)
        if step not in wanted or not {before, *steps[place - window + 1 : place + 1]} <= present:
            continue
        updates = list(series.until(step).last(window + 1).updates())
        floor = noise_floor(
            torch.stack([update.update_P for update in updates]),
            surrogates=settings.surrogates,
            generator=torch_generator(settings.seed, "surrogates", step),
            storage_noise=sum(update.storage_noise for update in updates),
        )
        yield "above_floor", "value", window, True, step, float(floor.count), floor.false_alarms
        yield "floor_ratio", "value", window, True, step, float(floor.ratio_W[0]), 1.0


TABLE = Table(
    "declines",
    "quantity, definition, kind of window and step",
    {
        "quantity": Column("g23, trace, g23_share (of the trace), ratio_23, weight_norm, above_floor or floor_ratio"),
        "definition": Column("value, since_first (the first value over this one) or since_peak (the largest so far)"),
        "window": Column("updates in it; 0 where there is none"),
        "centered": Column("whether the window's mean is removed"),
        "step": Column("of the window's last snapshot", "step"),
        "value": Column("of a quantity; a decline is a ratio", "weight² for g23 and trace, weight for the norm"),
        "null": Column("the same of updates of these lengths at right angles, of weight decay alone, or of noise"),
        "matched": Column("whether this is the step asked for: where test accuracy reached .95, or the last"),
    },
)

DECLINES = Analysis("declines", declines, (TABLE,), settings=("window", "surrogates", "seed"), joined=("declines",))
