"""Centroids of inputs: how far directions of the weights move what answers depend on in their inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.analyses.analysis import DIRECTION_SETTINGS, STEP, Analysis, Column, Table, without
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.models import HasTokenTable
from spectraledge.observed.gradient_batch import DRAWS, GradientBatch
from spectraledge.observed.network import DIFFERENCE_SIZE, Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.spectrum import window_directions
from spectraledge.statistics import block_matched_directions, random_directions
from spectraledge.streams import numpy_generator, torch_generator

PAIRS = 1024
"""Pairs whose centroids are probed (arXiv 2604.25143)."""

SIZES = (DIFFERENCE_SIZE, DIFFERENCE_SIZE / 10)
"""Sizes of the difference over the norm of the watched weights: the published one, and a tenth of it."""

FORMS = {"answer": "of its own answer's logit", "all": "of the sum of its logits"}
"""What a centroid is the gradient of."""

KINDS = {
    "update": "leading directions of the window of updates",
    "gradient": "of the window of gradients on one batch, at the snapshots where the updates end",
    "permuted": "of the same for the answers dealt out to other pairs of the batch, the same way at every snapshot",
    "block": "at random, with the norms of the update's in every tensor",
    "random": "isotropic",
}


@dataclass(frozen=True)
class CentroidProbe:
    """The centroids of some inputs with their answers, as a function of the watched weights.

    Definition (arXiv 2604.25143): μ_x, the gradient of the logit of x's own answer with respect to x's two embeddings;
    or, in the form "all", of the sum of x's logits, Jᵀ·1.
    """

    network: Network
    pairs_n2: Tensor
    labels_n: Tensor

    @classmethod
    def of(cls, network: Network, kept: Tensor) -> "CentroidProbe | None":
        """Probe some inputs of a network's domain; None where it has no vectors for its tokens."""
        architecture, parameters = network.architecture, network.parameters
        vectors = architecture.token_table(parameters) if isinstance(architecture, HasTokenTable) else None
        # A network that reads one-hot vectors has columns of its first layer there, and no table.
        has_table = any(value is vectors for value in parameters.values())
        kept = kept.to(network.device)
        return cls(network, network.inputs_N2[kept], network.labels_N[kept]) if has_table else None

    def centroids(self, moved_P: Tensor | None = None) -> dict[str, Tensor]:
        """Return the centroids by form, shape (n, 2, D), of the weights moved by a vector."""
        network = self.network if moved_P is None else self.network.moved(moved_P)
        parameters, architecture = network.parameters, network.architecture
        assert isinstance(architecture, HasTokenTable)
        rows = architecture.token_table(parameters)[self.pairs_n2].detach().requires_grad_()
        logits_nC = architecture.embedded_logits(parameters, rows)
        picked = {"answer": logits_nC.gather(1, self.labels_n[:, None]).sum(), "all": logits_nC.sum()}
        return {form: torch.autograd.grad(picked[form], rows, retain_graph=True)[0] for form in FORMS}

    def moves(self, vector_P: Tensor, size: float) -> dict[str, float]:
        """Return by form the mean over inputs of ‖(μ_x(θ + εv) − μ_x(θ − εv))/2ε‖², ‖v‖ = 1, ε = size · ‖θ‖."""
        epsilon = size * float(self.network.weights_P.norm())
        ahead, behind = (self.centroids(sign * epsilon * vector_P) for sign in (1, -1))
        return {
            form: float(((ahead[form] - behind[form]) / (2 * epsilon)).double().square().sum(dim=(1, 2)).mean())
            for form in FORMS
        }


def centroid_table(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Measure how far directions at a step move the centroids of inputs, over isotropic ones.

    Definition (arXiv 2604.25143): R of a direction, its `CentroidProbe.moves` over their median for isotropic ones.
    The gradient's window: gradients of the mean cross-entropy on one batch of training pairs, at the snapshots at which
    the updates of the window end; beside it the last gradient alone, a window of 1.
    Null, ours: gradients for permuted answers. Gradient and centroid share the derivative of the network, so that any
    gradient moves centroids; what the right answers do more than permuted ones is theirs.
    All in double precision: a difference of gradients loses half the digits.

    Returns:
        `CENTROIDS` by name.

    Raises:
        InputError: if gradients do not change over the window, as those of weights that the answers do not depend on.

    Cost: four passes and four backwards over 1,024 pairs per direction: about a minute at p = 97.
    """
    run = RecordedRun.open(folder, settings.params, device=settings.device)
    step = run.chosen_step(settings.step)
    window = run.window(step, window=settings.window, center=settings.center_modes)
    network = Network.at(run, step)
    generator = numpy_generator(settings.seed, "centroids")
    kept = generator.permutation(len(run.task))[:PAIRS]
    probe = CentroidProbe.of(network, torch.from_numpy(np.sort(kept)))
    if probe is None:
        return {CENTROIDS.name: without(CENTROIDS.frame(), "the network has no vectors for its tokens")}
    batch = GradientBatch.draw(run, generator)
    steps = [snapshot.step for snapshot in window.series.snapshots[1:]]
    networks = [Network.at(run, one) for one in steps]
    edge, center = settings.edge, settings.center_modes
    found: list[tuple[str, int, int, Tensor]] = [("update", 0, len(steps), window.directions.vectors_KP[:edge])]
    for draw in range(DRAWS + 1):
        kind = "permuted" if draw else "gradient"
        gradients_WP = torch.stack([batch.gradient(one, draw) for one in networks])
        vectors_KP = window_directions(gradients_WP, center=center).vectors_KP[:edge]
        if not len(vectors_KP):
            raise InputError(
                f"the gradients of the watched weights are all the same at the {len(steps)} snapshots up to step "
                f"{step}, so that none leads: choose another step, or watch other parameters"
            )
        found.append((kind, draw, len(steps), vectors_KP))
        found.append((kind, draw, 1, F.normalize(gradients_WP[-1:], dim=1)))
    blocks = [prod(shape) for shape in run.series.layout.shapes.values()]
    random = torch_generator(settings.seed, "centroids")
    matched_BP = block_matched_directions(found[0][3], blocks, settings.nulls, random)
    isotropic_BP = random_directions(settings.nulls, run.series.layout.size, random)
    for kind, vectors_BP in (("block", matched_BP), ("random", isotropic_BP)):
        found += [(kind, draw, len(steps), vector_P[None]) for draw, vector_P in enumerate(vectors_BP, start=1)]
    beside = pd.DataFrame(_rows(probe, found), columns=_MEASURED)
    median = beside[beside["kind"] == "random"].groupby(["form", "size"])["moved"].median()
    beside = beside.join(median.replace(0, np.nan).rename("null"), on=["form", "size"])
    beside = beside.assign(step=step, ratio=beside["moved"] / beside["null"])
    return {CENTROIDS.name: beside[list(CENTROIDS.columns)]}


def _rows(probe: CentroidProbe, found: list[tuple[str, int, int, Tensor]]) -> Iterator[tuple[object, ...]]:
    for kind, draw, window, vectors_KP in found:
        for number, vector_P in enumerate(vectors_KP, start=1):
            for size in SIZES:
                for form, moved in probe.moves(vector_P, size).items():
                    yield form, size, kind, window, draw, number, moved


def centroid_sentence(table: pd.DataFrame) -> str:
    """Say how far the gradient's directions move centroids, beside those of permuted answers and of updates."""
    chosen = table[(table["form"] == "answer") & (table["size"] == SIZES[0])]
    largest = chosen["window"].max()

    def means(kind: str, window: int) -> list[float]:
        of_kind = chosen[(chosen["kind"] == kind) & (chosen["window"] == window)]
        return of_kind.groupby("draw")["ratio"].mean().tolist()

    def span(values: list[float]) -> str:
        return f"{min(values):.3g} to {max(values):.3g}"

    (own,), (alone,), (update,) = means("gradient", largest), means("gradient", 1), means("update", largest)
    low, high = np.quantile(chosen.loc[chosen["kind"] == "random", "ratio"], [0.05, 0.95])
    step = table["step"].to_numpy(np.int64)[0]
    return (
        f"At step {step:,} the leading directions of the gradients' window move centroids {own:.3g} times as much as "
        f"isotropic ones ({low:.2g} to {high:.2g}), those of gradients for permuted answers "
        f"{span(means('permuted', largest))} times, those of updates {update:.3g} times; the last gradient alone "
        f"{alone:.3g} times, for permuted answers {span(means('permuted', 1))}. Only what the first is more than the "
        "second is about the task's answers."
    )


CENTROIDS = Table(
    "centroids",
    "form of the centroid, size of the difference, and direction",
    {
        "step": STEP,
        "form": Column("a centroid is a gradient " + "; ".join(f"{name}: {what}" for name, what in FORMS.items())),
        "size": Column("of the central difference, over the norm of the watched weights"),
        "kind": Column("; ".join(f"{name}: {what}" for name, what in KINDS.items())),
        "window": Column("updates, or gradients, that the directions are of"),
        "draw": Column("1-based number of those at random and of permutations, else 0"),
        "direction": Column("1-based number"),
        "moved": Column("mean over pairs of the squared length of the centroid's derivative", "(centroid/weight)²"),
        "ratio": Column("the same over its median for isotropic directions, R"),
    },
)
_MEASURED = [name for name in CENTROIDS.columns if name not in ("step", "ratio")]
PROBING_CENTROIDS = Analysis("centroids", centroid_table, (CENTROIDS,), settings=DIRECTION_SETTINGS, thinned=True)
