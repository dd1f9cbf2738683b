"""The functional modes of a recorded run at one step: what directions of every kind do to every input."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spectraledge.modes import chance_share, energy_share, field, peak, shares
from spectraledge.studies.directions import collect_directions
from spectraledge.studies.network import Network, check_readout
from spectraledge.studies.observation import Observation, observe
from spectraledge.studies.recorded import RecordedRun
from spectraledge.tasks import Grouping, grouping
from spectraledge.tasks.groupings import default_groupings

DIFFERENCE_KINDS = ("edge", "bulk", "span", "random")
"""Kinds that are also measured by the published finite difference."""


@dataclass(frozen=True)
class ModesResult:
    """Functional modes of a run at one step.

    Attributes:
        step: The snapshot at which responses were taken; the window ends there.
        table: One row per direction, basis and method: step, kind (see `directions.KINDS`), direction (1-based),
            basis, frequency, concentration (of ‖R‖²), energy_share (of the vector response, corrected for chance),
            method (jvp: whole domain; difference: test pairs, residual only, four kinds), pairs (used), excluded (pairs
            outside the basis), chance (share that noise would have, before the correction), readout.
        waves: The pictures of v_1 and v_2: direction, a, b, value, phase_a, phase_b.
        characters: One row per direction: kind, direction, basis, frequency, character_a, character_b, character_share.
    """

    step: int
    table: pd.DataFrame
    waves: pd.DataFrame
    characters: pd.DataFrame


def observe_run(
    folder: Path,
    *,
    step: int | None = None,
    window: int = 20,
    center: bool = True,
    edge: int = 3,
    nulls: int = 20,
    readout: str = "residual",
    bases: Sequence[str] | None = None,
    seed: int = 42,
    patterns: Sequence[str] | None = None,
    dtype: torch.dtype = torch.float64,
) -> Observation:
    """Take the responses of a recorded run at one step along directions of every kind.

    Args:
        folder: A run folder that this package wrote.
        step: Snapshot at which to measure. Default: the last one with test accuracy above 0.95, else the last.
        window: Updates in the window, which ends at that snapshot. Default 20 (Xu 2026, §2.3).
        center: Remove the window's mean update. Default yes (Xu 2026, functional scripts).
        edge: How many directions count as edge; the rest are bulk. Default 3 (Xu 2026, §3).
        nulls: Directions of each null. Default 20.
        readout: "residual" (Xu 2026, §2.4), "normed" (behind the final LayerNorm) or "logits" (without their mean).
        bases: Names of groupings. Default: the paper's five and the task's own.
        seed: Root seed of the null directions.
        patterns: Watched parameters. Default: those the run was configured with.
        dtype: Precision of responses. Default double; single takes half the time, and shares agree to 1e-5.

    Returns:
        What every table of the step is made from.

    Raises:
        InputError: if the folder is no run, the step has no snapshot or too few before it, a basis or read-out is
            unknown, or the weights did not move.
    """
    read = check_readout(readout)
    run = RecordedRun.open(folder, patterns)
    names = list(bases or default_groupings(run.task))
    for name in names:
        chance_share(grouping(run.task, name))  # Refuses what cannot be tested, before anything is computed.
    at = run.chosen_step(step)
    trailing = run.window(at, window=window, center=center)
    network = Network.at(run, at, dtype=dtype)
    directions = collect_directions(run, trailing, network, edge=edge, nulls=nulls, seed=seed)
    return observe(run, trailing, network, directions, readout=read, names=names)


def measure_modes(
    folder: Path,
    *,
    step: int | None = None,
    window: int = 20,
    center: bool = True,
    edge: int = 3,
    nulls: int = 20,
    readout: str = "residual",
    bases: Sequence[str] | None = None,
    seed: int = 42,
    patterns: Sequence[str] | None = None,
) -> ModesResult:
    """Measure what the directions of a run's window do to every input, beside what null directions do.

    Args:
        folder: As in `observe_run`, like all that follow.
        step: Snapshot at which to measure.
        window: Updates in the window.
        center: Remove the window's mean update.
        edge: How many directions count as edge.
        nulls: Directions of each null.
        readout: What responds.
        bases: Names of groupings.
        seed: Root seed of the null directions.
        patterns: Watched parameters.

    Returns:
        The tables.

    Raises:
        InputError: as `observe_run` does.
    """
    return modes_of(
        observe_run(
            folder,
            step=step,
            window=window,
            center=center,
            edge=edge,
            nulls=nulls,
            readout=readout,
            bases=bases,
            seed=seed,
            patterns=patterns,
        )
    )


def modes_of(seen: Observation) -> ModesResult:
    """Make the tables of modes of what was seen at a step."""
    labels = list(zip(seen.directions.kinds, seen.directions.numbers, strict=True))
    rows = [_exact_rows(seen, group, labels) for group in seen.groupings.values()]
    if seen.readout == "residual":
        places = seen.directions.places(*DIFFERENCE_KINDS)
        moved_KND = seen.network.differences(seen.directions.vectors_KP[places], seen.run.test_N)
        for group in seen.groupings.values():
            half = restricted(group, seen.run.test_N)
            share_K = energy_share(moved_KND, half)
            rows.append(_rows(field(moved_KND), share_K, half, [labels[row] for row in places], "difference"))
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "step", seen.step)
    table["readout"] = seen.readout
    return ModesResult(seen.step, table, *_waves(seen, labels))


def restricted(grouping: Grouping, kept_N: NDArray[np.bool_]) -> Grouping:
    """Restrict a grouping to some pairs of the domain."""
    groups_N, coordinates_N2 = grouping.groups_N[kept_N], grouping.coordinates_N2[kept_N]
    return Grouping(grouping.name, grouping.formula, grouping.order, groups_N, coordinates_N2, grouping.signs)


def _exact_rows(seen: Observation, group: Grouping, labels: list[tuple[str, int]]) -> pd.DataFrame:
    basis = seen.bases[group.name]
    share_K = shares(seen.energies[group.name], basis).corrected(*basis.subspaces[1:-1])
    return _rows(seen.field_KN, share_K, group, labels, "jvp")


def _rows(
    field_KN: NDArray[np.float64],
    share_K: NDArray[np.float64],
    group: Grouping,
    labels: list[tuple[str, int]],
    method: str,
) -> pd.DataFrame:
    peaks = peak(field_KN, group)
    return pd.DataFrame(
        {
            "kind": [kind for kind, _ in labels],
            "direction": [direction for _, direction in labels],
            "basis": group.name,
            "frequency": peaks.frequency_K,
            "concentration": peaks.concentration_K,
            "energy_share": share_K,
            "method": method,
            "pairs": len(group.groups_N) - group.excluded,
            "excluded": group.excluded,
            "chance": chance_share(group),
        }
    )


def _waves(seen: Observation, labels: list[tuple[str, int]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    pictures, characters = [], []
    for picture, (kind, direction) in zip(seen.waves, labels, strict=True):
        characters.append(
            (
                kind,
                direction,
                seen.run.wave_basis,
                picture.frequency,
                *picture.character_frequencies,
                picture.character_share,
            )
        )
        if kind == "edge" and direction <= 2:
            table = pd.DataFrame(seen.run.task.pairs_N2, columns=["a", "b"])
            table.insert(0, "direction", direction)
            table["value"] = picture.values_N
            table[["phase_a", "phase_b"]] = picture.phases_N2
            pictures.append(table)
    columns = ["kind", "direction", "basis", "frequency", "character_a", "character_b", "character_share"]
    return pd.concat(pictures, ignore_index=True), pd.DataFrame(characters, columns=columns)
