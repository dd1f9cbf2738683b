"""Branches of one network: which functions each moves, at the network where they part, beside directions at random."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import BASIS, READOUT, Analysis, Column, Table
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.score import READOUTS
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.models import ReadoutName
from spectraledge.modes import Basis, grouping_basis, growth
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.statistics import empirical_p, random_directions
from spectraledge.streams import torch_generator
from spectraledge.tasks import Grouping, default_groupings, grouping, grouping_rule


def branch_table(
    branches: Mapping[str, Path], groupings: Mapping[str, Grouping], settings: AnalysisConfig
) -> pd.DataFrame:
    """Measure which functions the net moves of branches lie in, all by the one Jacobian of where they part.

    Definition (ours): J the derivative of the read-out there, Δ = θ − θ_fork a branch's net move of the watched weights
    up to a snapshot. The share of J·Δ's energy without mean that the functions of a grouping hold, over the same share
    of J·v for isotropic v, pooled over draws: 1 is no preference. The network and its Jacobian are the same for all
    branches, so that only what the branches learn can make a difference.
    Null: single isotropic directions, whose own ratios lie between `low` and `high`; and the branch with other batches
    or answers, which the rows beside are for.

    Returns:
        See `BRANCHES`.

    Raises:
        InputError: if there is no branch, they do not begin at one network, or directions at random move nothing that
            it says.

    Cost: a derivative per snapshot of a branch and per random direction, in single precision.
    """
    runs = {
        name: RecordedRun.open(folder, settings.params, device=settings.device) for name, folder in branches.items()
    }
    parting = _parting(runs, groupings, settings)
    rows = [row for name, run in runs.items() for row in parting.rows(name, run)]
    return BRANCHES.frame(rows)


def branch_groupings(run: RecordedRun, branches: Mapping[str, Path]) -> dict[str, Grouping]:
    """Choose the groupings in which branches are read: the run's, and the own one of each other task, by its name."""
    own = run.task.structure
    found = {name: grouping(run.task, name) for name in (own, *default_groupings(run.task))}
    for folder in branches.values():
        other = RecordedRun.open(folder).task
        name, group = other.structure, grouping(other, other.structure)
        if name in found and not np.array_equal(found[name].groups_N, group.groups_N):
            name = f"{name} of {other.name}"
        found.setdefault(name, group)
    return found


@dataclass(frozen=True)
class _Parting:
    """Where branches part, and what directions at random do there."""

    step: int
    network: Network
    bases: Mapping[str, Basis]
    functions: Mapping[ReadoutName, Tensor]
    random_B2: Mapping[tuple[ReadoutName, str], Float]
    """Of each isotropic direction the energy in the functions of a basis, and all without mean."""

    def rows(self, name: str, run: RecordedRun) -> Iterator[tuple[object, ...]]:
        """Rows of `BRANCHES` of one branch."""
        metrics = run.metrics.set_index("step")
        begin_P = self.network.weights_P.double()
        for step in run.steps[1:]:
            there = Network.at(run, step, dtype=self.network.dtype)
            moved_P = there.weights_P.double() - begin_P
            energies = _energies(self.network, torch.nn.functional.normalize(moved_P, dim=0)[None], self.bases)
            for (readout, basis), energy_1S in energies.items():
                share = _held(energy_1S, self.bases[basis])
                random_B2 = self.random_B2[readout, basis]
                pooled = float(random_B2[:, 0].sum() / random_B2[:, 1].sum())
                # Functions of one answer for all pairs hold nothing, and no ratio.
                over = pooled or np.nan
                shares_B = random_B2[:, 0] / random_B2[:, 1]
                low, high = np.quantile(shares_B, [0.05, 0.95]) / over
                before_ND = self.functions[readout]
                grown_S = growth(before_ND, there.readout(readout), self.bases[basis]).whole_S
                had = self.bases[basis].energies(before_ND[None])[0, 1:].sum()
                yield (
                    *(name, step, step - self.step, readout, basis, float(moved_P.norm()), share, pooled),
                    *(share / over, float(low), float(high)),
                    np.nan if np.isnan(share) else empirical_p(share, shares_B),
                    float(grown_S[self.bases[basis].indices(WHOLE)].sum() / had),
                    float(metrics["test_accuracy"][step]),
                )


def _parting(runs: Mapping[str, RecordedRun], groupings: Mapping[str, Grouping], settings: AnalysisConfig) -> _Parting:
    if not runs:
        raise InputError("expected at least one branch, got none")
    (first_name, first), *others = runs.items()
    step = first.steps[0]
    network = Network.at(first, step, dtype=torch.float32)
    for name, run in others:
        there = Network.at(run, run.steps[0], dtype=torch.float32).parameters
        same = run.steps[0] == step and there.keys() == network.parameters.keys()
        if not same or any(not torch.equal(part, there[part_name]) for part_name, part in network.parameters.items()):
            raise InputError(
                f"branches {first_name!r} and {name!r} do not begin at one network, so that no Jacobian is that of "
                "both: fork them from one run at one step"
            )
    bases = {name: grouping_basis(group) for name, group in groupings.items()}
    vectors = random_directions(settings.nulls, network.layout.size, torch_generator(settings.seed, "branches"))
    random: dict[tuple[ReadoutName, str], list[Float]] = {}
    for vector_P in vectors:
        for key, energy_1S in _energies(network, vector_P[None], bases).items():
            total = float(energy_1S[0, 1:].sum())
            if not total:
                raise InputError(
                    f"a direction at random does not move the {key[0]} of the network at step {step} in basis "
                    f"{key[1]!r}, so that there is nothing to compare moves with: fork another step, or watch other "
                    "parameters"
                )
            random.setdefault(key, []).append(np.array([_held(energy_1S, bases[key[1]]) * total, total]))
    functions = {name: network.readout(name).double() for name in _readouts(network)}
    return _Parting(step, network, bases, functions, {key: np.stack(rows) for key, rows in random.items()})


def _readouts(network: Network) -> list[ReadoutName]:
    return [name for name in READOUTS if name in network.architecture.readouts]


def _energies(network: Network, vector_1P: Tensor, bases: Mapping[str, Basis]) -> dict[tuple[ReadoutName, str], Float]:
    """Energies of every read-out's response along one direction in every basis, (1, S) each."""
    found = {}
    for readout in _readouts(network):
        response_1ND = network.responses(vector_1P, readout)
        for name, basis in bases.items():
            found[readout, name] = basis.energies(response_1ND)
    return found


def _held(energy_1S: Float, basis: Basis) -> float:
    """Share of the energy without mean in the functions of a basis; NaN of none."""
    total = float(energy_1S[0, 1:].sum())
    return float(energy_1S[0, basis.indices(WHOLE)].sum()) / total if total else np.nan


def branch_sentence(table: pd.DataFrame, own: str) -> str:
    """Say how much more the unchanged branch moves the task's own functions than the others do."""
    last = table["step"].max()
    rows = table[(table["step"] == last) & (table["readout"] == FUNCTION) & (table["basis"] == own)].set_index("branch")
    first = rows.iloc[0]
    told = "; ".join(
        f"{name} {'does not move them' if np.isnan(row['ratio']) else format(row['ratio'], '.2f')} "
        f"(growth {row['growth']:+.3f})"
        for name, row in rows.iterrows()
    )
    return (
        f"Over {int(first['since']):,} steps from one network at step {int(last - first['since']):,}, functions of "
        f"{grouping_rule(own).formula} hold so many times the share of the net move's response that they hold along "
        f"directions at random ({first['low']:.2f} to {first['high']:.2f}): {told}."
    )


BRANCHES = Table(
    "branches",
    "branch, snapshot behind the parting, read-out and basis",
    {
        "branch": Column("what is changed in it"),
        "step": Column("the snapshot", "step"),
        "since": Column("steps since the branches parted", "step"),
        "readout": READOUT,
        "basis": BASIS,
        "moved": Column("length of the net move of the watched weights", "weight"),
        "share": Column(
            "of the energy of J·Δ, mean left out, in all functions of the basis' grouping; missing where J·Δ is 0",
            "share",
        ),
        "random_share": Column("the same along isotropic directions, pooled", "share"),
        "ratio": Column("of the two; 1 is no preference", "ratio"),
        "low": Column("5 % quantile of the ratio of single isotropic directions", "ratio"),
        "high": Column("95 % quantile of it", "ratio"),
        "p": Column("one-sided, of the share among those of isotropic directions"),
        "growth": Column("energy that the read-out gained in these functions, exactly, over all energy that it had"),
        "test_accuracy": Column("on the branch's own answers", "share"),
    },
)


def branch_run(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Measure which functions the net move of one run lies in, by the Jacobian of its first network."""
    run = RecordedRun.open(folder, device=settings.device)
    names = settings.bases or (run.task.structure, *default_groupings(run.task))
    groupings = {name: grouping(run.task, name) for name in names}
    return {BRANCHES.name: branch_table({run.task.name: folder}, groupings, settings)}


BRANCHING = Analysis("branches", branch_run, (BRANCHES,), settings=("nulls", "seed", "bases", "params"))
