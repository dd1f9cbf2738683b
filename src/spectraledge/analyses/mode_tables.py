"""The functional modes of a recorded run at one step: what directions of every kind do to every input."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.modes import chance_share, energy_share, field, peak, shares
from spectraledge.observed.observation import Observation
from spectraledge.tasks import Grouping

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
