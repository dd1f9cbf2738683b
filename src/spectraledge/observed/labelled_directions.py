"""Directions of every kind at a step of a run: those of its window, and those they are compared with."""

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View
from spectraledge.statistics import block_matched_directions, label_permutation, random_directions, span_directions
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.tasks import grouping_rule

KINDS = {
    "edge": "the window's leading directions",
    "bulk": "the rest of the window's directions",
    "span": "random in the span of the window's directions",
    "random": "isotropic",
    "block": "random, with the edge's norm in every tensor",
    "run_span": "random in the span of all updates of the run up to the step",
    "weights": "the watched weights themselves",
    "gradient": "of the loss on all training pairs",
    "shuffled": "the same with permuted answers",
}
"""Every kind of directions, and what it is."""

SHUFFLES = 5
"""Permutations of the answers, at most (our choice: each needs a gradient over all training pairs)."""


@dataclass(frozen=True)
class LabelledDirections:
    """Directions and what each is.

    Attributes:
        vectors_KP: Unit rows (zero where there is no such direction: the gradient of a network without loss).
        kinds: Kind of each, one of `KINDS`; edge and bulk first, in order of eigenvalue.
        numbers: 1-based number of each within its kind; the window's are numbered through.
    """

    vectors_KP: Tensor
    kinds: tuple[str, ...]
    numbers: tuple[int, ...]

    def places(self, *kinds: str) -> list[int]:
        """Rows of the directions of some kinds."""
        return [row for row, kind in enumerate(self.kinds) if kind in kinds]


def collect_directions(
    run: RecordedRun, window: Window, network: Network, view: View, *, kinds: Collection[str] = KINDS
) -> LabelledDirections:
    """Return directions of some kinds at the step at which a window ends.

    Cost: for run_span one pass over all snapshots up to the step, with `view.nulls` vectors in memory.
    """
    edge, nulls, seed = view.edge, view.nulls, view.seed
    found_KP = window.directions.vectors_KP
    size = run.series.layout.size
    parts: dict[str, Tensor] = {"edge": found_KP[:edge], "bulk": found_KP[edge:]}
    for kind in kinds:
        generator = torch_generator(seed, kind)
        if kind == "span":
            parts[kind] = span_directions(found_KP, nulls, generator)
        elif kind == "random":
            parts[kind] = random_directions(nulls, size, generator)
        elif kind == "block":
            blocks = [prod(shape) for shape in run.series.layout.shapes.values()]
            parts[kind] = block_matched_directions(found_KP[:edge], blocks, nulls, generator)
        elif kind == "run_span":
            parts[kind] = _run_span(run, window.step, nulls, generator)
        elif kind == "weights":
            parts[kind] = F.normalize(network.weights_P.double()[None], dim=1)
        elif kind == "gradient":
            parts[kind] = F.normalize(network.gradient(~run.test_N).double()[None], dim=1)
        elif kind == "shuffled":
            parts[kind] = _shuffled(run, network, min(nulls, SHUFFLES), seed)
    labels = [
        (kind, number + (edge if kind == "bulk" else 0) + 1)
        for kind in parts
        if kind in kinds
        for number in range(len(parts[kind]))
    ]
    return LabelledDirections(
        torch.cat([parts[kind] for kind in parts if kind in kinds]),
        tuple(kind for kind, _ in labels),
        tuple(number for _, number in labels),
    )


def _run_span(run: RecordedRun, step: int, count: int, generator: torch.Generator) -> Tensor:
    """Random unit vectors in the span of all updates up to a step, each update at unit length, mixed by Gaussians."""
    mixed_KP = torch.zeros(count, run.series.layout.size, dtype=torch.float64, device="cpu")
    for update in run.series.until(step).updates():
        weights_K = torch.randn(count, dtype=torch.float64, device="cpu", generator=generator)
        mixed_KP.addr_(weights_K, F.normalize(update.update_P, dim=0))
    return F.normalize(mixed_KP, dim=1)


def _shuffled(run: RecordedRun, network: Network, count: int, seed: int) -> Tensor:
    generator = numpy_generator(seed, "shuffled")
    excludes = grouping_rule(run.task.structure).symmetries
    rows = []
    # Fewer than four labels have no permutation that is no symmetry, so no such direction.
    for _ in range(count if run.task.modulus >= 4 else 0):
        permutation = label_permutation(run.task.modulus, generator, excludes=excludes)
        labels = torch.from_numpy(permutation[run.task.labels_N].astype(np.int64))
        rows.append(network.gradient(~run.test_N, labels).double())
    nothing = torch.empty(0, run.series.layout.size, dtype=torch.float64, device="cpu")
    return F.normalize(torch.stack(rows), dim=1) if rows else nothing


class ChosenStep(NamedTuple):
    """A run at a step: the window of updates that ends there, the network, and directions of the kinds asked for."""

    run: RecordedRun
    window: Window
    network: Network
    directions: LabelledDirections

    @property
    def labels(self) -> list[tuple[int, str, int]]:
        """Step, kind and number of every direction."""
        kinds, numbers = self.directions.kinds, self.directions.numbers
        return [(self.window.step, kind, number) for kind, number in zip(kinds, numbers, strict=True)]


def at_chosen_step(folder: Path, view: View, *kinds: str) -> ChosenStep:
    """Read a run at a step, with directions of some of `labelled_directions.KINDS`."""
    run = RecordedRun.open(folder, view.params, device=view.device)
    step = run.chosen_step(view.step)
    window = run.window(step, window=view.window, center=view.center)
    network = Network.at(run, step, dtype=view.dtype)
    return ChosenStep(run, window, network, collect_directions(run, window, network, view, kinds=kinds))
