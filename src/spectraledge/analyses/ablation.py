"""Ablation after training: what a network loses when moves of its run are taken back, or functions are left out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import BASIS, DIRECTION_SETTINGS, STEP, Analysis, Column, Drawing, Table
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Bools, Float
from spectraledge.devices import CPU, host
from spectraledge.models import ANY_LOSS, answer_losses
from spectraledge.modes import Basis, grouping_basis, shares
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.spectrum import orthonormal_rows
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.tasks import grouping

LEADING = 3
"""Frequencies of the task's own functions that are taken out one by one: those with most energy (our choice)."""

KINDS = {
    "nothing": "the network as it is",
    "edge": "the leading directions of the window",
    "bulk": "its other directions",
    "span": "as many at random in the span of both as the edge has",
    "random": "as many isotropic ones",
    "everything": "all that the watched weights moved by",
}


@dataclass(frozen=True)
class _Network:
    """A trained network whose weights are taken back or whose function is changed, and how well it then answers."""

    network: Network
    test_N: Bools
    own: Basis

    def without(self, removed_P: Tensor) -> Float:
        """The centred logits, (N, C), of the network whose watched weights lack a vector."""
        weights_P = self.network.weights_P.double() - removed_P
        weights_P = weights_P.to(self.network.device, self.network.dtype)
        parts = self.network.layout.split(weights_P)
        changed = replace(self.network, parameters={**self.network.parameters, **parts})
        return host(changed.readout(FUNCTION).double())

    def scores(self, logits_NC: Float) -> tuple[float, ...]:
        """Accuracies and mean losses on train and test pairs, share and energy of the task's own functions."""
        labels_N = self.network.labels_N.to(CPU)
        right_N = logits_NC.argmax(axis=1) == labels_N.numpy()
        loss_N = answer_losses(torch.from_numpy(logits_NC), labels_N, self.network.loss).numpy()
        halves = ~self.test_N, self.test_N
        energies_S = self.own.energies(logits_NC[None])[0]
        indices = self.own.indices(WHOLE)
        share = float(shares(energies_S[None], self.own).share_KS[0, indices].sum())
        return (
            *(float(right_N[half].mean()) for half in halves),
            *(float(loss_N[half].mean()) for half in halves),
            share,
            float(energies_S[indices].sum() / self.own.size),
        )


def ablation(folder: Path, settings: AnalysisConfig, *, dtype: torch.dtype = torch.float32) -> dict[str, pd.DataFrame]:
    """Take back what a run moved its weights by along some directions, and leave single functions out.

    Definition (ours): Δ = θ_T − θ_0, of the watched weights, from the run's first snapshot to the step at which the
    window ends; Π the projector on a subspace. The network at θ_T − ΠΔ has not moved there ("own"). Subspaces hold
    very different parts of Δ, so each is also taken back by as much as the edge's part is long: θ_T − ‖Π_edge Δ‖·u, u
    the unit vector along ΠΔ ("equal").
    Null: for edge and bulk, what directions at random in their span and isotropic ones do at equal length.
    Single functions: the logits f without P_ω f, and without the same values dealt out to other pairs ("permuted", of
    equal energy exactly); and the weights without what Δ has along Jᵀ P_ω f, the direction that moves that function
    most, beside the same for permuted values, at the length that ω has.
    Passes are in single precision by default (our choice, as for the score).

    Returns:
        `ABLATION` and `ABLATED_FUNCTIONS` by name.

    Cost: a forward pass per row, and a pass backwards for each direction of a function: a minute at p = 97.
    """
    run = RecordedRun.open(folder, settings.params, device=settings.device)
    step = run.chosen_step(settings.step)
    window = run.window(step, window=settings.window, center=settings.center_modes)
    own = grouping_basis(grouping(run.task, run.task.structure))
    trained = _Network(Network.at(run, step, dtype=dtype), run.test_N, own)
    begin = Network.at(run, run.steps[0], dtype=torch.float64)
    moved_P = Network.at(run, step, dtype=torch.float64).weights_P - begin.weights_P
    rows = _moves(trained, window.directions.vectors_KP, moved_P, settings)
    table = ABLATION.frame((step, *row) for row in rows)
    functions = ABLATED_FUNCTIONS.frame((step, own.name, *row) for row in _functions(trained, moved_P, settings))
    return {ABLATION.name: table, ABLATED_FUNCTIONS.name: functions}


def _moves(
    trained: _Network, window_KP: Tensor, moved_P: Tensor, settings: AnalysisConfig
) -> Iterator[tuple[object, ...]]:
    edge_KP, bulk_KP = window_KP[: settings.edge], window_KP[settings.edge :]
    length, whole = float((edge_KP @ moved_P).norm()), float(moved_P.norm())

    def row(kind: str, draw: int, amount: str, removed_P: Tensor) -> tuple[object, ...]:
        size = float(removed_P.norm())
        share = (size / whole) ** 2 if whole else np.nan
        return kind, draw, amount, size, share, *trained.scores(trained.without(removed_P))

    yield row("nothing", 0, "own", 0 * moved_P)
    yield row("everything", 0, "own", moved_P)
    for kind, draw, frame_KP in _frames(edge_KP, bulk_KP, window_KP, settings):
        inside_P = (frame_KP @ moved_P) @ frame_KP
        size = float(inside_P.norm())
        yield row(kind, draw, "own", inside_P)
        yield row(kind, draw, "equal", inside_P * (length / size if size else 0.0))


def _frames(
    edge_KP: Tensor, bulk_KP: Tensor, window_KP: Tensor, settings: AnalysisConfig
) -> Iterator[tuple[str, int, Tensor]]:
    count, (rank, size) = len(edge_KP), window_KP.shape
    yield "edge", 0, edge_KP
    if len(bulk_KP):
        yield "bulk", 0, bulk_KP
    for kind, dimension in (("span", rank), ("random", size)):
        generator = torch_generator(settings.seed, "ablation", kind)
        for draw in range(1, settings.nulls + 1):
            drawn = torch.randn(count, dimension, dtype=torch.float64, device="cpu", generator=generator)
            frame = orthonormal_rows(drawn)
            yield kind, draw, frame @ window_KP if kind == "span" else frame


def _functions(trained: _Network, moved_P: Tensor, settings: AnalysisConfig) -> Iterator[tuple[object, ...]]:
    own, logits_NC = trained.own, trained.without(0 * moved_P)
    covered = np.flatnonzero(own.covered_N)
    energies_S = own.energies(logits_NC[None])[0]
    total = float(energies_S[1:].sum())
    held = [index for index in own.indices(WHOLE) if energies_S[index] > 0]
    generator = numpy_generator(settings.seed, "ablation", "functions")

    def row(
        subspace: str, kind: str, draw: int, what: str, energy: float, size: float, changed_NC: Float
    ) -> tuple[object, ...]:
        return subspace, what, kind, draw, energy / total, size, *trained.scores(changed_NC)

    for index in sorted(held, key=lambda index: -energies_S[index])[:LEADING]:
        name, energy = own.subspaces[index], float(energies_S[index])
        function_NC = own.projection(logits_NC, name)
        length = np.nan
        for draw in range(settings.nulls + 1):
            kind, taken_NC = "permuted" if draw else "own", function_NC
            if draw:
                taken_NC = np.zeros_like(function_NC)
                taken_NC[covered] = function_NC[generator.permutation(covered)]
            yield row(name, kind, draw, "function", energy, np.nan, logits_NC - taken_NC)
            pulled_P = trained.network.pulled_back(taken_NC, FUNCTION).double()
            unit_P = torch.nn.functional.normalize(pulled_P, dim=0)
            along = float(unit_P @ moved_P)
            length = length if draw else abs(along)
            yield row(name, kind, draw, "move", energy, length, trained.without(np.sign(along) * length * unit_P))


def ablation_sentence(table: pd.DataFrame) -> str:
    """Say what taking back the edge's move costs, beside directions at random."""
    equal = table[table["amount"] == "equal"]
    before, edge = (table[(table["kind"] == kind) & (table["amount"] == "own")].iloc[0] for kind in ("nothing", "edge"))
    parts = [
        "Taking back what the run moved its weights by along the leading directions at step "
        f"{int(edge['step']):,} ({edge['share']:.2%} of the squared length of its whole move) changes test accuracy "
        f"from {before['test_accuracy']:.3f} to {edge['test_accuracy']:.3f}, test loss from {before['test_loss']:.3g} "
        f"to {edge['test_loss']:.3g}, and the share of its own functions from {before['own_share']:.3f} to "
        f"{edge['own_share']:.3f}"
    ]
    for kind, words in (("span", "in the window's span"), ("random", "anywhere")):
        drawn = equal.loc[equal["kind"] == kind, "test_loss"].to_numpy(np.float64)
        low, high = np.quantile(drawn, [0.05, 0.95])
        p = (1 + int((drawn >= edge["test_loss"]).sum())) / (1 + len(drawn))
        parts.append(
            f"as much along directions at random {words} makes a test loss of {drawn.mean():.3g} "
            f"({low:.3g} to {high:.3g}; p = {p:.2g} of {len(drawn)} draws)"
        )
    return "; ".join(parts) + "."


_SCORES: Mapping[str, Column] = {
    "train_accuracy": Column("on the training pairs", "share"),
    "test_accuracy": Column("on the test pairs", "share"),
    "train_loss": Column("mean loss on the training pairs: cross-entropy, or the squared error", ANY_LOSS),
    "test_loss": Column("mean loss on the test pairs", ANY_LOSS),
    "own_share": Column(
        "of the logits' energy without mean, that the task's own functions hold, over all pairs", "share"
    ),
    "own_energy": Column("of the task's own functions in the centred logits, per pair", "logit²"),
}

ABLATION = Table(
    "ablation",
    "subspace, draw and amount",
    {
        "step": STEP,
        "kind": Column("; ".join(f"{name}: {what}" for name, what in KINDS.items())),
        "draw": Column("1-based number of those at random, else 0"),
        "amount": Column(
            "own: what the run moved there is taken back; equal: as much along it as the edge's part is long"
        ),
        "removed": Column("length of what is taken out of the weights", "weight"),
        "share": Column("its squared length over that of the whole move", "share"),
        **_SCORES,
    },
    drawing=Drawing(
        "test_loss",
        "removed",
        "kind",
        "What the network loses when moves are taken back",
        "the edge would lie where directions at random do.",
    ),
)
ABLATED_FUNCTIONS = Table(
    "ablated_functions",
    "leading frequency, what is taken out, and draw",
    {
        "step": STEP,
        "basis": BASIS,
        "subspace": Column("frequency ω of the task's own functions, one of those with most energy"),
        "what": Column(
            "function: out of the logits; move: out of the weights, what they moved along the direction of it"
        ),
        "kind": Column("own: the function itself; permuted: its values dealt out to other pairs, equal in energy"),
        "draw": Column("1-based number of those permuted, else 0"),
        "energy": Column("of the function, over that of the logits without mean", "share"),
        "removed": Column(
            "length of what is taken out of the weights, for the permuted as for ω; missing of function", "weight"
        ),
        **_SCORES,
    },
)
ABLATING = Analysis("ablation", ablation, (ABLATION, ABLATED_FUNCTIONS), settings=DIRECTION_SETTINGS, thinned=True)
