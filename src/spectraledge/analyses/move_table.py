"""What moved the weights in a window: the optimizer's own steps, weight decay, and how the two share the edge."""

from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.analyses.analysis import EIGENVALUE, STEP, Column, StepTable, without
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
    """Read what moved the weights between snapshots, by update; None if that was not recorded of these parameters."""
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

    Returns:
        See `MOVES`. No rows if the run does not say what moved it, or says it of other parameters.
    """
    moved = recorded_moves(run, window.series)
    if moved is None:
        kinds = {name: "int64" if name in ("step", "direction") else "float64" for name in MOVES.columns}
        names = ", ".join(window.series.layout.shapes)
        return without(MOVES.frame().astype(kinds), f"what moved {names} was not recorded")
    adam_WP = window.updates_WP - moved.decay_WP
    vectors_KP = window.directions.vectors_KP
    weights_KW = (vectors_KP @ window.rows_WP.T) / window.directions.eigenvalues_K.sqrt()[:, None]
    # First the whole window, in which every update counts once, then its directions.
    weights_RW = torch.cat([torch.ones_like(weights_KW[:1]), weights_KW])
    adam, decay = _centred(adam_WP, window), _centred(moved.decay_WP, window)
    adam_KW, decay_KW = vectors_KP @ adam.T, vectors_KP @ decay.T
    whole_13 = torch.stack([adam.square().sum(), decay.square().sum(), 2 * (adam * decay).sum()])[None]
    along_K3 = torch.stack([adam_KW**2, decay_KW**2, 2 * adam_KW * decay_KW], -1).sum(1)
    squares_R3 = torch.cat([whole_13, along_K3])
    total_R1 = squares_R3.sum(1, keepdim=True)
    step_RP, *against = (
        F.normalize(weights_RW @ rows_WP, eps=_NOTHING) for rows_WP in (adam_WP, moved.gradient_WP, moved.clipped_WP)
    )
    cosines = [-torch.linalg.vecdot(step_RP, down_RP) for down_RP in against]
    rows_R6 = torch.cat([total_R1, squares_R3 / total_R1, torch.stack(cosines, 1)], 1)
    return MOVES.frame((window.step, number, *row) for number, row in enumerate(rows_R6.tolist()))


def _centred(rows_WP: Tensor, window: Window) -> Tensor:
    return rows_WP - rows_WP.mean(0) if window.center else rows_WP


_NOTHING = 1e-8
"""Length below which a sum of updates or gradients has no direction, as in PyTorch's cosines."""

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
