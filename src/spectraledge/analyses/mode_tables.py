"""What directions of every kind do to every input, as tables: modes in every basis, pictures, and their characters."""

import pandas as pd

from spectraledge.analyses.analysis import BASIS, DIRECTION, KIND, OF_DIRECTION, READOUT, Column, StepTable
from spectraledge.analyses.forming import ORDERS
from spectraledge.analyses.selection_tables import SUBSPACE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.modes import Wave, chance_share, energy_share, field, peak, shares
from spectraledge.observed.observation import Observation
from spectraledge.tasks import Grouping

DIFFERENCE_KINDS = ("edge", "bulk", "span", "random")
"""Kinds that are also measured by the published finite difference."""

PICTURED = 2
"""Directions of the edge whose response is kept as a picture (our choice: v_1 and v_2)."""


def mode_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """Peaks of ‖R‖² and energy shares of every direction in every basis, exactly and by the published difference."""
    labels, rows = _labels(seen), []
    for name, group in seen.groupings.items():
        basis = seen.bases[name]
        share_K = shares(seen.energies[name], basis).corrected(*basis.subspaces[1:-1])
        rows.append(_rows(seen.field_KN, share_K, group, labels, "jvp"))
    if seen.readout == "residual":
        places = seen.directions.places(*DIFFERENCE_KINDS)
        moved_KND = seen.network.differences(seen.directions.vectors_KP[places], seen.run.test_N)
        for group in seen.groupings.values():
            # Where no two test pairs are in one group, nothing can be said of them.
            if (half := group.restricted(seen.run.test_N)).separates:
                continue
            share_K = energy_share(moved_KND, half)
            rows.append(_rows(field(moved_KND), share_K, half, [labels[row] for row in places], "difference"))
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "step", seen.step)
    table["readout"] = seen.readout
    return table


def wave_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """The responses of the edge's first directions as pictures over the inputs."""
    pictures = []
    for picture, (kind, direction) in zip(seen.waves, _labels(seen), strict=True):
        if _is_pictured(kind, direction):
            table = pd.DataFrame(seen.run.task.pairs_N2, columns=["a", "b"])
            table.insert(0, "direction", direction)
            table["value"] = picture.values_N
            table[["phase_a", "phase_b"]] = picture.phases_N2
            pictures.append(table)
    return pd.concat(pictures, ignore_index=True)


def character_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """How much of every direction's picture one plane wave holds."""
    return CHARACTERS.frame(
        (
            *label,
            seen.run.wave_basis,
            picture.frequency,
            picture.subspace,
            *picture.character_frequencies,
            picture.character_share,
            *_orders(picture, *label),
        )
        for picture, label in zip(seen.waves, _labels(seen), strict=True)
    )


def _orders(picture: Wave, kind: str, direction: int) -> tuple[str, str]:
    """How a and b of a picture that is kept are ordered; "" where it is by phase."""
    if not _is_pictured(kind, direction) or not picture.orders:
        return "", ""
    a, b = picture.orders
    return a.words, b.words


def _is_pictured(kind: str, direction: int) -> bool:
    return kind == "edge" and direction <= PICTURED


def _labels(seen: Observation) -> list[tuple[str, int]]:
    return list(zip(seen.directions.kinds, seen.directions.numbers, strict=True))


def _rows(field_KN: Float, share_K: Float, group: Grouping, labels: list[tuple[str, int]], method: str) -> pd.DataFrame:
    peaks = peak(field_KN, group)
    return pd.DataFrame(
        {
            "kind": [kind for kind, _ in labels],
            "direction": [direction for _, direction in labels],
            "basis": group.name,
            "frequency": peaks.frequency_K,
            "subspace": [group.functions.name(frequency) for frequency in peaks.frequency_K.tolist()],
            "concentration": peaks.concentration_K,
            "energy_share": share_K,
            "method": method,
            "pairs": len(group.groups_N) - group.excluded,
            "excluded": group.excluded,
            "chance": chance_share(group),
        }
    )


MODES = StepTable(
    "modes",
    "direction, basis and method",
    {
        **OF_DIRECTION,
        "basis": BASIS,
        "frequency": Column("ω of the largest power of the field ‖R‖² in the basis, 1..⌊M/2⌋"),
        "subspace": SUBSPACE,
        "concentration": Column("F: its share of the power over all frequencies", "share"),
        "energy_share": Column(
            "of the vector response's energy, how much is a function of the grouping variable, corrected for chance: 1 "
            "all of it, 0 as much as noise",
            "share",
        ),
        "method": Column("jvp (exact, whole domain) or difference (published finite difference, test pairs)"),
        "pairs": Column("pairs used"),
        "excluded": Column("pairs outside the basis (zero has no logarithm)"),
        "chance": Column("what noise would have before the correction", "share"),
        "readout": READOUT,
    },
    make=mode_table,
)
WAVES = StepTable(
    "waves",
    "input pair and direction of the edge (v_1 and v_2)",
    {
        "direction": DIRECTION,
        "a": Column("first input"),
        "b": Column("second input"),
        "value": Column(
            "response projected on the read-out direction along which its group means vary most", "its root mean square"
        ),
        "phase_a": Column("position of a on the wave, or its place in the order; −1 outside the basis"),
        "phase_b": Column("position of b on the wave; −1 outside the basis"),
    },
    make=wave_table,
)
CHARACTERS = StepTable(
    "characters",
    "direction",
    {
        "kind": KIND,
        "direction": DIRECTION,
        "basis": BASIS,
        "frequency": Column("dominant, of the projected group means"),
        "subspace": SUBSPACE,
        "character_a": Column(
            "frequency over a of the 2-D character that holds most of the picture; where elements have an order, that "
            "of the dominant subspace"
        ),
        "character_b": Column("its frequency over b"),
        "character_share": Column("of the picture's energy, in that character or subspace", "share"),
        **ORDERS,
    },
    make=character_table,
)
