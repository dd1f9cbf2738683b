"""How a recorded run is looked at: where, through which window, along how many directions, in which precision."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class View:
    """Settings of everything that is seen of a recorded run at a step.

    Attributes:
        step: Snapshot at which to look. Default: the last one with test accuracy above 0.95, else the last.
        window: Updates in the window, which ends at that snapshot. Default 20 (Xu 2026, §2.3).
        center: Remove the window's mean update. Default yes (Xu 2026, functional scripts).
        edge: How many directions count as edge; the rest are bulk. Default 3 (Xu 2026, §3).
        nulls: Directions of each null. Default 20 (our choice).
        readout: "residual" (Xu 2026, §2.4), "normed" (behind the final LayerNorm) or "logits" (without their mean).
        bases: Names of groupings. Default: see `default_groupings`.
        params: Patterns of the watched parameters. Default: those the run was configured with.
        seed: Root seed of everything random; each use has a stream of its own.
        dtype: Precision of responses. Default double; single takes half the time, and shares agree to 1e-5.
        device: Where networks compute: "cpu", "cuda" or "cuda:N".
    """

    step: int | None = None
    window: int = 20
    center: bool = True
    edge: int = 3
    nulls: int = 20
    readout: str = "residual"
    bases: tuple[str, ...] | None = None
    params: tuple[str, ...] | None = None
    seed: int = 42
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
