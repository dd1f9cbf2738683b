"""Curvature of the loss over a run, and whether its leading directions are those of the updates."""

from collections.abc import Iterator
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import scipy

from spectraledge.analyses.analysis import DIRECTION_SETTINGS, STEP, Analysis, Column, Drawing, Table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.models import ANY_LOSS
from spectraledge.modes import random_frames
from spectraledge.observed.gradient_batch import BATCH, GradientBatch
from spectraledge.observed.loss_curvature import MATRICES, LossCurvature, commutator
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.spectrum.windows import check_window
from spectraledge.streams import numpy_generator

BATCHES = 5
"""Pairs of batches of which the median defect is taken (Xu, arXiv 2602.16746, scripts)."""

LEADING = 3
"""Leading directions of every matrix (our choice: as many as the edge of Xu 2026, §3)."""

POINTS = 12
"""Snapshots whose leading directions are sought where no stride is chosen, about (our choice: half a minute each)."""

COMMUTATOR = "commutator"


def measure_curvature(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Measure the commutator defect at every snapshot, and the leading directions of the loss's curvature at some.

    Definition: see `commutator`, on `BATCHES` pairs of batches of 512 training pairs drawn with replacement, all
    parameters moving, as published. The defect divides by gradients' lengths twice and multiplies once, so that it
    grows as gradients shrink, whatever the curvature does: gradient and curvature, whose quotient it is, stand beside.
    Leading directions: of the loss, of a joint run the sum of its parts', on one batch of 512 training pairs in the
    watched parameters, see `LossCurvature.leading`. Overlap: the squared length of a unit vector's part along v_k, or
    in the edge.
    Null: as many directions at random in the span of the window's, drawn, and isotropic ones, whose overlap follows a
    beta distribution with mean k/P.

    Returns:
        `DEFECTS` and `LEADERS` by name.

    Cost: two seconds per snapshot, and half a minute for leading directions, at p = 97.
    """
    parts = RecordedRun.parts(folder, settings.params, device=settings.device)
    run = parts[-1]
    if settings.step is None:
        check_window(settings.window, len(run.steps))
        steps = run.steps
        chosen = steps[::-1][:: settings.stride or ceil(len(steps) / POINTS)]
    else:
        steps = chosen = [run.chosen_step(settings.step)]
    batch = GradientBatch.draw(run, numpy_generator(settings.seed, "gradients"))
    defects: list[tuple[object, ...]] = []
    leaders: list[tuple[object, ...]] = []
    for step in steps:
        network = Network.with_all_heads(parts, step)
        row, between_P = _commutators(run, network, numpy_generator(settings.seed, COMMUTATOR, step))
        defects.append((step, *row))
        if step in chosen:
            is_full = settings.step is not None or run.steps.index(step) >= settings.window
            window = run.window(step, window=settings.window, center=settings.center_modes) if is_full else None
            for name, number, value, residual, vector_P in _vectors(network, batch, between_P, settings.seed, step):
                generator = numpy_generator(settings.seed, "span", step, name, number)
                for overlap in _overlaps(vector_P, window, settings, generator):
                    leaders.append((step, name, number, value, residual, *overlap))
    return {DEFECTS.name: DEFECTS.frame(defects), LEADERS.name: LEADERS.frame(leaders)}


def _commutators(run: RecordedRun, network: Network, generator: np.random.Generator) -> tuple[tuple[float, ...], Float]:
    """A row of `DEFECTS`, and the watched part of the commutator whose defect is the median."""
    train_n = np.flatnonzero(~run.test_N)
    found = [commutator(network, *generator.choice(train_n, (2, BATCH))) for _ in range(BATCHES)]
    found.sort(key=lambda one: one.defect)
    defects = np.quantile([one.defect for one in found], [0.5, 0.25, 0.75])
    gradient, curvature, cosine = np.median(
        [(one.gradient, float(one.vector_P.norm()) / (one.gradient or np.nan), one.cosine) for one in found], axis=0
    )
    between = network.whole.layout.split(found[BATCHES // 2].vector_P)
    return (*defects, gradient, curvature, cosine), network.layout.join(between).numpy()


def _vectors(
    network: Network, batch: GradientBatch, between_P: Float, seed: int, step: int
) -> Iterator[tuple[str, int, float, float, Float]]:
    """Name, number, value, residual and unit vector of everything that the edge is held against."""
    length = float(np.linalg.norm(between_P))
    if length:
        yield COMMUTATOR, 1, length, np.nan, between_P / length
    curved = LossCurvature(network, batch.kept_N)
    for name in MATRICES:
        leading = curved.leading(name, LEADING, numpy_generator(seed, name, step))
        for number, (value, vector_P, residual) in enumerate(zip(*leading, strict=True), start=1):
            yield name, number, value, residual, vector_P


def _overlaps(
    vector_P: Float, window: Window | None, settings: AnalysisConfig, generator: np.random.Generator
) -> Iterator[tuple[float, ...]]:
    """Of a unit vector: overlap with all of the edge, as number 0, and with each of its directions, beside nulls."""
    if window is None:
        yield 0, *[np.nan] * 6
        return
    along_K = window.directions.vectors_KP.numpy() @ vector_P
    size, rank = len(vector_P), len(along_K)
    edge = min(settings.edge, rank)
    for number, part in enumerate([slice(edge), *(slice(place, place + 1) for place in range(edge))]):
        overlap_k = np.square(along_K[part])
        span_B = np.square(random_frames(rank, len(overlap_k), settings.nulls, generator) @ along_K).sum(1)
        isotropic = scipy.stats.beta(len(overlap_k) / 2, (size - len(overlap_k)) / 2)
        span = len(overlap_k) / rank * np.square(along_K).sum()
        yield number, overlap_k.sum(), span, *np.quantile(span_B, [0.05, 0.95]), isotropic.mean(), isotropic.ppf(0.95)


def curvature_sentence(defects: pd.DataFrame, leaders: pd.DataFrame) -> str:
    """Say how the defect goes over the run, and whether the loss bends most along the edge."""
    by_size = defects.sort_values("defect")
    least, most = by_size.iloc[0], by_size.iloc[-1]
    one = leaders[(leaders["step"] == leaders["step"].max()) & (leaders["direction"] == 0)]
    first = one[(one["vector"] == "hessian") & (one["number"] == 1)].iloc[0]
    return (
        f"The commutator defect is {least['defect']:.3g} at step {int(least['step']):,} and {most['defect']:.3g} at "
        f"step {int(most['step']):,}, with gradients of {least['gradient']:.3g} and {most['gradient']:.3g} and "
        f"curvatures along them of {least['curvature']:.3g} and {most['curvature']:.3g}. At step "
        f"{int(first['step']):,} the edge of updates holds {first['overlap']:.2g} of the direction along which the "
        f"loss bends most; as many directions at random in its window's span {first['span_low']:.2g} to "
        f"{first['span_high']:.2g}, isotropic ones up to {first['random_high']:.2g}."
    )


_BENT = f"({ANY_LOSS})/weight²"
DEFECTS = Table(
    "commutator",
    "snapshot",
    {
        "step": Column("the snapshot", "step"),
        "defect": Column(f"commutator defect, median of {BATCHES} pairs of batches", "1/weight"),
        "low": Column("its lower quartile over the pairs", "1/weight"),
        "high": Column("its upper quartile", "1/weight"),
        "gradient": Column("geometric mean of the lengths of the two gradients, median", f"({ANY_LOSS})/weight"),
        "curvature": Column("defect times that: what does not grow where gradients only shrink, median", _BENT),
        "cosine": Column("of the two gradients, median"),
    },
    drawing=Drawing(
        "defect",
        "step",
        "",
        "How much the order of two gradient steps matters",
        "it would be 0 where steps on different batches commute.",
        log=True,
    ),
)
LEADERS = Table(
    "curvature",
    "measured snapshot, vector, and direction of the edge",
    {
        "step": STEP,
        "vector": Column(
            f"{COMMUTATOR}: that of the median defect, its watched part; "
            + "; ".join(f"{name}: leading eigenvectors of the {what}" for name, what in MATRICES.items())
        ),
        "number": Column("1-based, the largest eigenvalue first"),
        "value": Column(
            f"eigenvalue; of the commutator its length over the squared step size, {ANY_LOSS}²/weight³", _BENT
        ),
        "residual": Column("how far it is from an eigenvector, ‖M·u − λ·u‖ over the largest eigenvalue"),
        "direction": Column("1-based, of the window of updates; 0 for all of its edge together"),
        "overlap": Column(
            "squared length of the unit vector's part along it; missing where the window is not yet full", "share"
        ),
        "span": Column("the same of as many directions at random in the span of the window's, mean", "share"),
        "span_low": Column("its 5 % quantile over draws", "share"),
        "span_high": Column("its 95 % quantile", "share"),
        "random": Column("the same of isotropic directions, mean", "share"),
        "random_high": Column("its 95 % quantile", "share"),
    },
)
CURVATURE = Analysis("curvature", measure_curvature, (DEFECTS, LEADERS), settings=(*DIRECTION_SETTINGS, "stride"))
