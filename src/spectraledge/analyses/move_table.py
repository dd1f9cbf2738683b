"""What moved the weights in a window: the optimizer's own steps, weight decay, and how the two share the edge."""

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.analyses.analysis import EIGENVALUE, STEP, Column, StepTable
from spectraledge.analyses.left_out import without
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.trajectory import Series, moves_path, read_snapshot


class Moves(NamedTuple):
    """What moved the watched parameters in consecutive intervals, float64.

    Attributes:
        decay_WP: Weight decay's part of every update.
        gradient_WP: The gradients of the interval's steps, summed as they came.
        clipped_WP: The same as clipped.
    """

    decay_WP: Tensor
    gradient_WP: Tensor
    clipped_WP: Tensor


def recorded_moves(run: RecordedRun, series: Series) -> Moves | None:
    """Read what moved the weights between the snapshots of a part of a run.

    Args:
        run: The run.
        series: The snapshots, and the parameters that are watched.

    Returns:
        One row per update; None if the run does not say, or says it of other parameters.
    """
    files = [moves_path(run.folder, snapshot.step) for snapshot in series.snapshots[1:]]
    layout, recorded = series.layout, Series.open(run.folder, run.config.watched).layout
    if not all(file.is_file() for file in files) or not set(layout.shapes) <= set(recorded.shapes):
        return None
    names = tuple(f"{part}/{name}" for part in ("decay", "gradient", "clipped") for name in layout.shapes)
    parts: dict[str, list[Tensor]] = {"decay": [], "gradient": [], "clipped": []}
    for file in files:
        tensors = read_snapshot(file, names)
        for part, rows in parts.items():
            rows.append(layout.join({name: tensors[f"{part}/{name}"].double() for name in layout.shapes}))
    return Moves(*(torch.stack(rows) for rows in parts.values()))


def move_table(run: RecordedRun, window: Window) -> pd.DataFrame:
    """Split a window's Gram matrix, and the eigenvalue of each of its directions, by what moved the weights.

    Definition: each update is Δ = Δ_adam + Δ_decay, so G = G_adam + G_decay + G_cross, and along a direction
    v = Σ_t w_t Δ_t / √λ (w its weights on the updates) λ = ‖A v‖² + ‖D v‖² + 2⟨A v, D v⟩, A and D the matrices of the
    two parts, both without their means if the window was centred. Δ_decay is what was recorded, Δ_adam the rest.
    Cosines are between Σ_t w_t Δ_adam,t and −Σ_t w_t g_t, with g the interval's summed gradients as they came, or as
    clipped: they do not depend on the direction's sign. 1 would be plain gradient descent.

    Args:
        run: The run.
        window: The window.

    Returns:
        See `MOVES`. No rows if the run does not say what moved it, or says it of other parameters.
    """
    moved = recorded_moves(run, window.series)
    if moved is None:
        kinds = {name: "int64" if name in ("step", "direction") else "float64" for name in MOVES.columns}
        names = ", ".join(window.series.layout.shapes)
        return without(MOVES.frame().astype(kinds), f"what moved {names} was not recorded")
    decay_WP, gradient_WP, clipped_WP = moved.decay_WP, moved.gradient_WP, moved.clipped_WP
    adam_WP = window.updates_WP - decay_WP
    whole = _row(adam_WP, decay_WP, gradient_WP, clipped_WP, None, window)
    vectors_KP = window.directions.vectors_KP
    weights_KW = (vectors_KP @ window.rows_WP.T) / window.directions.eigenvalues_K.sqrt()[:, None]
    each = [
        _row(adam_WP, decay_WP, gradient_WP, clipped_WP, (vector_P, weights_W), window)
        for vector_P, weights_W in zip(vectors_KP, weights_KW, strict=True)
    ]
    return MOVES.frame((window.step, number, *row) for number, row in enumerate([whole, *each]))


def _row(
    adam_WP: Tensor,
    decay_WP: Tensor,
    gradient_WP: Tensor,
    clipped_WP: Tensor,
    along: tuple[Tensor, Tensor] | None,
    window: Window,
) -> tuple[float, ...]:
    def centred(rows_WP: Tensor) -> Tensor:
        return rows_WP - rows_WP.mean(0) if window.center else rows_WP

    adam, decay = centred(adam_WP), centred(decay_WP)
    if along is None:
        squares = [float(adam.square().sum()), float(decay.square().sum()), 2 * float((adam * decay).sum())]
        weights_W = torch.ones(len(adam), dtype=torch.float64, device="cpu")
    else:
        vector_P, weights_W = along
        adam_W, decay_W = adam @ vector_P, decay @ vector_P
        squares = [float(adam_W @ adam_W), float(decay_W @ decay_W), 2 * float(adam_W @ decay_W)]
    total = sum(squares)
    step_P = weights_W @ adam_WP
    cosines = [
        float(F.cosine_similarity(step_P, -(weights_W @ rows_WP), dim=0)) for rows_WP in (gradient_WP, clipped_WP)
    ]
    return (total, *(square / total for square in squares), *cosines)


_OF_IT = "of the eigenvalue; the three sum to 1"

MOVES = StepTable(
    "moves",
    "direction of the window, and one for the whole window",
    {
        "step": STEP,
        "direction": Column("1-based; 0 for the whole window, whose eigenvalue is the trace and whose mean is kept"),
        "eigenvalue": EIGENVALUE,
        "adam": Column(f"what the optimizer's own steps give, {_OF_IT}", "share"),
        "decay": Column(f"what weight decay gives, {_OF_IT}", "share"),
        "cross": Column(f"what both give together, negative where they oppose each other, {_OF_IT}", "share"),
        "gradient_cosine": Column("of the optimizer's part with minus the summed gradients as they came"),
        "clipped_cosine": Column("of the optimizer's part with minus the summed gradients as clipped"),
    },
    make=lambda seen, settings: move_table(seen.run, seen.window),
)
