"""What a function grows by between two snapshots, part by part, and which directions carry it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import BASIS, Column, Table
from spectraledge.analyses.move_table import Moves, recorded_moves
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.models import ReadoutName
from spectraledge.modes import (
    Basis,
    carried_growth,
    growth,
    in_their_plane,
    random_frames,
    random_frames_in_plane,
    shares,
)
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.spectrum import window_directions
from spectraledge.streams import numpy_generator
from spectraledge.trajectory import Series

FUNCTION: ReadoutName = "logits"
"""What growth is of: the logits without their mean over classes, which are all that answers depend on."""


@dataclass(frozen=True)
class Interval:
    """Two consecutive snapshots, the network half-way between them, and what moved it.

    Derivatives are taken half-way: there the first order misses the change by a third-order term alone. At the
    interval's beginning it misses most of it, because gradient and weight decay, which nearly cancel over the interval,
    do not cancel there.

    Attributes:
        step: Of the later snapshot.
        before: The network at the earlier snapshot.
        middle: The network with the mean of both weights; its watched parameters are those whose windows are taken.
        after: The network at the later snapshot.
        series: The snapshots up to the later one: those of at most window + 1 updates.
        updates_WP: These updates of the watched parameters, oldest first; the last one is the interval's.
        noise_W: Largest squared length that rounding of the stored parameters can give each.
        mean: Mean update of all parameters in the window before, by name; None where that is not full.
        moves: What moved the watched parameters, by update; None where that was not recorded.
    """

    step: int
    before: Network
    middle: Network
    after: Network
    series: Series
    updates_WP: Tensor
    noise_W: list[float]
    mean: Mapping[str, Tensor] | None
    moves: Moves | None

    @classmethod
    def of(cls, run: RecordedRun, place: int, before: Network, after: Network, window: int) -> "Interval":
        """Read the interval that ends at a snapshot of a run, by its number there, and begins one before."""
        series = run.series.until(run.steps[place]).last(window + 2)
        updates = list(series.updates())
        mean = None
        if len(updates) > window:
            first = Network.at(run, series.snapshots[0].step, dtype=before.dtype).parameters
            mean = {name: (value - first[name]) / window for name, value in before.parameters.items()}
        return cls(
            run.steps[place],
            before,
            before.between(after),
            after,
            series,
            torch.stack([update.update_P for update in updates]),
            [update.storage_noise for update in updates],
            mean,
            recorded_moves(run, series),
        )

    def parts(self) -> tuple[list[tuple[str, str]], Tensor]:
        """Cut the interval's first-order change of the function by what made it.

        Returns:
            The split and name of every part, and the responses J·δθ of each, shape (K, N, D); of every split they sum
            to the same.
        """
        whole, after, before = self.middle.whole, self.after.parameters, self.before.parameters
        update = {name: value - before[name] for name, value in after.items()}
        groups = whole.architecture.groups
        names = list(dict.fromkeys(groups[name] for name in update))
        rows = [
            whole.layout.join({name: value * (groups[name] == group) for name, value in update.items()})
            for group in names
        ]
        if self.mean is not None:
            rows.append(whole.layout.join(self.mean))
        response_KND = whole.responses(torch.stack(rows), FUNCTION)
        labels = [("group", name) for name in names]
        parts = list(response_KND[: len(names)])
        first_ND = sum(parts, torch.zeros_like(parts[0]))
        if self.mean is not None:
            labels += [("window", "mean"), ("window", "fluctuation")]
            parts += [response_KND[-1], first_ND - response_KND[-1]]
        if self.moves is not None:
            decay_P, update_P = self.moves.decay_WP[-1], self.updates_WP[-1]
            watched_KND = self.middle.responses(torch.stack([update_P - decay_P, decay_P]), FUNCTION)
            labels += [("moves", "optimizer"), ("moves", "decay"), ("moves", "not recorded")]
            parts += [*watched_KND, first_ND - watched_KND.sum(0)]
        return [("change", "first order"), *labels], torch.stack([first_ND, *parts])


def growth_tables(interval: Interval, bases: Mapping[str, Basis]) -> Iterator[pd.DataFrame]:
    """Split what the function gained in every subspace over an interval: rows of `GROWTH`."""
    labels, part_KND = interval.parts()
    before_ND, after_ND, middle_ND = (
        network.readout(FUNCTION) for network in (interval.before, interval.after, interval.middle)
    )
    for name, basis in bases.items():
        had = basis.energies(before_ND[None])[0, 1:].sum()
        gained = growth(before_ND, after_ND, basis)
        whole_S = gained.whole_S
        product_KS, energy_KS = basis.products_and_energies(middle_ND, part_KND)
        first_KS, share_KS = 2 * product_KS, shares(energy_KS, basis).share_KS
        rows = [
            (("change", "whole"), whole_S, shares(gained.square_S[None], basis).share_KS[0]),
            (("change", "beyond"), whole_S - first_KS[0], np.full(len(whole_S), np.nan)),
            *zip(labels, first_KS, share_KS, strict=True),
        ]
        for (split, part), growth_S, share_S in rows:
            yield pd.DataFrame(
                {
                    "step": interval.step,
                    "basis": name,
                    "subspace": basis.subspaces[1:],
                    "split": split,
                    "part": part,
                    "growth": growth_S[1:] / (had or np.nan),
                    "share": share_S[1:],
                }
            )


def carrier_rows(interval: Interval, own: Basis, settings: AnalysisConfig) -> Iterator[tuple[object, ...]]:
    """Ask which directions carry the growth of the task's own functions over an interval: rows of `CARRIERS`."""
    window, center, edge = settings.window, settings.center_modes, settings.edge
    function_ND = interval.middle.readout(FUNCTION)
    had = own.energies(interval.before.readout(FUNCTION)[None])[0, 1:].sum()
    pulled_P = interval.middle.pulled_back(2 * own.projection(host(function_ND), WHOLE), FUNCTION)
    gradient_P, update_P = pulled_P.double().numpy(), interval.updates_WP[-1].numpy()
    total = float(gradient_P @ update_P)

    def row(window: str, kind: str, k: int, carried: float) -> tuple[object, ...]:
        return interval.step, window, kind, k, _over(carried, had), _over(carried, total)

    for name, chosen in (("before", slice(-window - 1, -1)), ("own", slice(-window, None))):
        updates_WP, noise = interval.updates_WP[chosen], sum(interval.noise_W[chosen])
        if len(updates_WP) < window:
            continue
        found = window_directions(updates_WP, center=center, storage_noise=noise).vectors_KP.numpy()
        plain = window_directions(updates_WP, storage_noise=noise).vectors_KP.numpy()
        mean_P = updates_WP.mean(0).numpy()
        length = float(np.linalg.norm(mean_P))
        kinds = {"edge": found, "bulk": found[edge:], "uncentred": plain}
        kinds["mean"] = mean_P[None] / length if length else plain[:0]
        if interval.moves is not None:
            gradients_WP = interval.moves.gradient_WP[chosen]
            kinds["gradient"] = window_directions(gradients_WP, center=center).vectors_KP.numpy()
        if name == "own":
            yield *row(name, "all", len(gradient_P), total), np.nan, np.nan
        curves = {kind: carried_growth(gradient_P, update_P, vectors_KP) for kind, vectors_KP in kinds.items()}
        for kind, curve_K in curves.items():
            for k, carried in enumerate(curve_K, start=1):
                yield *row(name, kind, k, float(carried)), np.nan, np.nan
        generator = numpy_generator(settings.seed, "carriers", interval.step, name)
        count, draws = len(found), settings.nulls
        in_span = random_frames(count, count, draws, generator) if count else np.empty((draws, 0, 0))
        nulls = {
            "span": carried_growth(found @ gradient_P, found @ update_P, in_span),
            "random": carried_growth(
                *in_their_plane(gradient_P, update_P), random_frames_in_plane(len(gradient_P), count, draws, generator)
            ),
        }
        for kind, curve_BK in nulls.items():
            for k, carried_B in enumerate(curve_BK.T, start=1):
                ends = np.quantile(carried_B, [0.05, 0.95] if total > 0 else [0.95, 0.05])
                yield *row(name, kind, k, float(carried_B.mean())), *(_over(float(end), total) for end in ends)


def _over(part: float, whole: float) -> float:
    return part / whole if whole else np.nan


GROWTH = Table(
    "growth",
    "measured interval, subspace and part",
    {
        "step": Column("the snapshot at which the interval between two snapshots ends", "step"),
        "basis": BASIS,
        "subspace": Column("as in score"),
        "split": Column(
            "change: whole is first order and beyond together; of the others the parts sum to the first order: group "
            "(of parameters), window (its mean update and what differs from it), moves (optimizer's steps and weight "
            "decay of the watched parameters, and what was not recorded)"
        ),
        "part": Column(
            "whole: what the energy of the centred logits gained, exactly; first order: by the derivative half-way; "
            "beyond: the error of that; else a part of the first order"
        ),
        "growth": Column("energy gained, over all energy without mean that the logits had before; signed"),
        "share": Column("of the energy of the part's own change of the logits, that lies in the subspace", "share"),
    },
)
CARRIERS = Table(
    "carriers",
    "measured interval, window, kind and number of directions",
    {
        "step": Column("the snapshot at which the interval between two snapshots ends", "step"),
        "window": Column("before: it ends where the interval begins, and has not seen it; own: it ends with it"),
        "kind": Column(
            "all: everything that is watched, in both windows alike; edge: leading directions; bulk: those after the "
            "edge; span: random in the span of both; random: isotropic; mean: along the window's mean update; "
            "uncentred: leading directions with that left in; gradient: leading directions of the recorded gradients' "
            "window"
        ),
        "k": Column("how many of them together"),
        "growth": Column("first-order growth of the task's own functions that they carry, in units of growth.growth"),
        "share": Column("of what all watched parameters carry; signed, and beyond 1 where others take away", "share"),
        "low": Column("of span and random the 5 % quantile over draws, whose mean the share is", "share"),
        "high": Column("the 95 % quantile", "share"),
    },
)
