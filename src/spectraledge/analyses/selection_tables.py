"""Which functions the updates of a window select, against directions at random, and at which frequencies."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from spectraledge.algebra import FREQUENCY
from spectraledge.analyses.analysis import DIRECTION, KIND, OF_BASIS, Column, StepTable
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.modes import (
    Basis,
    isotropy_p_values,
    key_frequencies,
    selection_p_values,
    selection_ratio_of_energies,
)
from spectraledge.modes.basis import Family, part_labels
from spectraledge.modes.decompositions import line_groupings
from spectraledge.observed.observation import Observation
from spectraledge.streams import numpy_generator

KEY_DIRECTIONS = 3
"""Directions of the edge, and at random, whose key frequencies are sought (Xu 2026, §3, tells of v_1 to v_3)."""

COMPARED_KINDS = ("edge", "block", "run_span", "weights", "gradient", "shuffled")
"""Kinds whose share of the energy stands beside that of the window and of random directions."""

WHOLE = FREQUENCY
"""Name, in the basis of a grouping, of all its functions together."""

REST = "rest"
"""Name of the subspace of all functions that a basis does not name."""

SUBSPACE = Column('of that frequency: "frequency 26", or the name of a representation; empty for none', optional=True)


def selection_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """Selection ratio of every subspace of the task's own bases, and of every grouping as a whole.

    Definition and null: see `selection_ratio_of_energies`, `isotropy_p_values` and `selection_p_values`; the window's
    directions with their eigenvalues against isotropic ones. A subspace holds what it adds to those before it in its
    basis.

    Returns:
        See `SELECTION`. Bases: every grouping (single frequencies of the task's own only), the pairs in its
        coordinates, and sum before dlog_sum.

    Raises:
        InputError: if there are fewer than two random directions, or no response changes along the directions.
    """
    window = seen.directions.places("edge", "bulk")
    random = seen.directions.places("random")
    eigenvalues_K = seen.window.directions.eigenvalues_K.numpy()
    tables = []
    for name, basis in seen.bases.items():
        energies_KS = seen.energies[name]
        table = selection_rows(
            energies_KS[window], eigenvalues_K, energies_KS[random], basis, seed=settings.seed, permutations=999
        )
        for kind in COMPARED_KINDS:
            table[f"{kind}_share"] = _shares_along(seen, kind, basis, list(table["subspace"]))
        alone = name in seen.groupings and name != seen.own
        tables.append(table[table["part"]] if alone else table)
    found = pd.concat(tables, ignore_index=True)
    found.insert(0, "step", seen.step)
    found.insert(1, "readout", seen.readout)
    return found


def _shares_along(seen: Observation, kind: str, basis: Basis, subspaces: list[str]) -> list[float]:
    """Share of the energy along all directions of a kind in each subspace, mean left out; NaN where there is none."""
    places = seen.directions.places(kind)
    weights_K = seen.window.directions.eigenvalues_K.numpy()[places] if kind == "edge" else np.ones(len(places))
    energy_S = weights_K @ seen.energies[basis.name][places]
    total = energy_S[1:].sum()
    return [float(energy_S[basis.indices(name)].sum() / total) if total > 0 else np.nan for name in subspaces]


def selection_rows(
    window_energies_KS: Float,
    eigenvalues_K: Float,
    random_energies_BS: Float,
    basis: Basis,
    *,
    seed: int,
    permutations: int,
) -> pd.DataFrame:
    """Selection ratio of every subspace and part of a basis, from energies: `SELECTION` from its column `basis` on."""
    ratio = selection_ratio_of_energies(window_energies_KS, eigenvalues_K, random_energies_BS, basis)
    p_U = selection_p_values(
        window_energies_KS,
        eigenvalues_K,
        random_energies_BS,
        basis,
        generator=numpy_generator(seed, "selection", basis.name),
        permutations=permutations,
    )
    dimensions = [int(basis.dimensions_S[basis.indices(name)].sum()) for name in ratio.subspaces]
    return pd.DataFrame(
        {
            "basis": basis.name,
            "subspace": ratio.subspaces,
            "part": [name in basis.parts for name in ratio.subspaces],
            **_described(ratio.subspaces, basis),
            "dimension": dimensions,
            "ratio": ratio.ratio,
            "low": ratio.low,
            "high": ratio.high,
            "p": isotropy_p_values(window_energies_KS, eigenvalues_K, random_energies_BS, basis),
            "p_exact": p_U,
            "window_share": ratio.numerator_share,
            "random_share": ratio.denominator_share,
            "chance": np.array(dimensions) / max(basis.size - 1, 1),
        }
    )


def _described(names: Sequence[str], basis: Basis) -> dict[str, object]:
    """What subspaces and parts of a basis are, by column."""
    part_of = dict(zip(basis.subspaces, basis.parts, strict=True))
    frequency_of = dict(zip(basis.subspaces, basis.frequencies_S.tolist(), strict=True))
    parts = [part_of.get(name, name) for name in names]
    return {
        "frequency": [frequency_of.get(name, 0) for name in names],
        "family": basis.family,
        "grouping": [basis.groupings.get(part, "") for part in parts],
        "functions": [basis.labels[part] for part in parts],
    }


def of_functions(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rest: what stays is of single subspaces of a grouping's functions."""
    return rows[rows["subspace"] != REST]


def numbered(subspaces: Iterable[str]) -> bool:
    """Tell whether all subspaces are frequencies by number, and none has a name of its own."""
    return all(name.startswith(f"{WHOLE} ") for name in subspaces)


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Name the subspaces of a table with a column `frequency`; one of an older version has their numbers only."""
    if "subspace" in table or "frequency" not in table:
        return table
    return table.assign(subspace=[f"{WHOLE} {frequency}" if frequency else "" for frequency in table["frequency"]])


def described(selection: pd.DataFrame) -> pd.DataFrame:
    """Say what the subspaces of a selection table are where it is of an older version, which has names only."""
    if selection.empty or "family" in selection:
        return selection
    tables = []
    for basis, rows in selection.groupby("basis", sort=False):
        family, groupings = _named(str(basis))
        words = rows["subspace"].str.extract(r"^(.*?)(?: (\d+))?$")
        labels = part_labels(family, list(dict.fromkeys(words[0])), groupings)
        tables.append(
            rows.assign(
                frequency=words[1].fillna("0").astype(int),
                family=family,
                grouping=words[0].map(groupings).fillna(""),
                functions=words[0].map(labels),
            )
        )
    return pd.concat(tables).sort_index()


def _named(basis: str) -> tuple[Family, dict[str, str]]:
    """How a basis of a name is made, and the groupings of its parts."""
    if basis.startswith("pairs of "):
        return "pairs", line_groupings(basis.removeprefix("pairs of "))
    if " then " in basis:
        return "joint", {name: name for name in basis.split(" then ")}
    return "grouping", {WHOLE: basis}


def key_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """Frequencies of the task's own grouping that stand out of the response, for the edge and for random directions.

    Null: see `key_frequencies`; it is noise, which no trained network's response is, so compare the two kinds.

    Returns:
        See `KEYS`.
    """
    basis = seen.bases[seen.own]
    tables = []
    for kind in ("edge", "random"):
        response_KND = seen.responses(kind, KEY_DIRECTIONS)
        found = key_frequencies(response_KND, basis, generator=numpy_generator(settings.seed, "keys", kind))
        count, family = found.share_KF.shape
        tables.append(
            pd.DataFrame(
                {
                    "kind": kind,
                    "direction": np.repeat(np.arange(1, count + 1), family),
                    "frequency": np.tile(basis.frequencies_S[1:-1], count),
                    "subspace": found.subspaces * count,
                    "share": found.share_KF.ravel(),
                    "p": found.p_KF.ravel(),
                    "key": [name in names for names in found.found for name in found.subspaces],
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "step", seen.step)
    table.insert(1, "readout", seen.readout)
    table.insert(2, "basis", seen.own)
    return table


SELECTION = StepTable(
    "selection",
    "basis and subspace",
    {
        **OF_BASIS,
        "subspace": Column("what it adds to those before it in its basis: frequency is all functions of a grouping"),
        "part": Column("whether it is a whole part of the basis"),
        "frequency": Column("ω, from 1, of representations their number; 0 where it is no single one", optional=True),
        "family": Column("how the basis is made: grouping, pairs, joint or features", optional=True),
        "grouping": Column("the grouping whose functions its part holds; empty for none", optional=True),
        "functions": Column("those of its part, as a person writes them", optional=True),
        "dimension": Column("of the subspace"),
        "ratio": Column("selection ratio S; 1 is no selection", "ratio"),
        "low": Column("lower end of its 95 % interval", "ratio"),
        "high": Column("upper end of its 95 % interval", "ratio"),
        "p": Column("one-sided, from how much isotropic directions differ among each other; not adjusted"),
        "p_exact": Column(
            "by dealing out directions anew; with 20 random ones hardly below .05 where one eigenvalue dominates"
        ),
        "window_share": Column("of the response's energy along the window, mean left out", "share"),
        "random_share": Column("of the response's energy along isotropic directions, mean left out", "share"),
        "chance": Column("what noise would have", "share"),
        **{
            f"{kind}_share": Column(f"along the directions of kind {kind}; missing where there are none", "share")
            for kind in COMPARED_KINDS
        },
    },
    make=selection_table,
)
KEYS = StepTable(
    "keys",
    "direction (edge, random) and frequency of the task's own grouping",
    {
        **OF_BASIS,
        "kind": KIND,
        "direction": DIRECTION,
        "frequency": Column("ω, from 1; of representations their number"),
        "subspace": SUBSPACE,
        "share": Column("of the response's energy, not corrected", "share"),
        "p": Column("family-wise over the frequencies of a direction"),
        "key": Column("whether p ≤ .05"),
    },
    make=key_table,
)
