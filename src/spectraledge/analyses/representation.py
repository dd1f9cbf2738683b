"""What representation-level tools see of a run's directions at its chosen step, each beside random directions."""

from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.analyses.analysis import BASIS, DIRECTION_SETTINGS, OF_DIRECTION, Analysis, Column, Table, without
from spectraledge.analyses.selection_tables import SUBSPACE
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.controls import (
    GRAINS,
    MATRICES,
    BlockShares,
    Grain,
    block_shares,
    peakedness,
    response_ranks,
    two_sided_p,
)
from spectraledge.devices import host
from spectraledge.models import HasAttention
from spectraledge.modes.measures import group_means
from spectraledge.observed.labelled_directions import ChosenStep, at_chosen_step
from spectraledge.observed.observation import each_response
from spectraledge.statistics import empirical_p
from spectraledge.streams import numpy_generator
from spectraledge.tasks import grouping


def analyze_representation(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Head purity and response ranks of a run's directions, and of random ones in their span and at large.

    The read-out is the residual stream always (Xu 2026, §5).

    Returns:
        `BLOCK_SHARES`, `PURITY` and `RANKS` by name, of directions of kind edge, bulk, span or random; the first two
        without rows where the network has no attention heads.

    Cost: about 5 s on one core for 9,409 pairs and 60 directions.
    """
    at = at_chosen_step(folder, settings.residual_view, "edge", "bulk", "span", "random")
    architecture, ranks = at.network.architecture, _rank_table(at)
    if not isinstance(architecture, HasAttention):
        reason = "the network has no attention heads"
        return {**{table.name: without(table.frame(), reason) for table in (BLOCK_SHARES, PURITY)}, RANKS.name: ranks}
    shares = block_shares(at.directions.vectors_KP, at.run.series.layout, architecture.attention)
    return {
        "block_shares": _share_table(at, shares),
        "purity": pd.concat([_purity_rows(at, shares, grain, settings.seed) for grain in GRAINS], ignore_index=True),
        "ranks": ranks,
    }


def _share_table(at: ChosenStep, shares: BlockShares) -> pd.DataFrame:
    where = list(np.ndindex(shares.shares_KLHM.shape[1:]))
    rows = [
        (*label, layer, head, MATRICES[matrix], share)
        for label, shares_LHM in zip(at.labels, shares.shares_KLHM, strict=True)
        for (layer, head, matrix), share in zip(where, shares_LHM.ravel(), strict=True)
    ]
    return BLOCK_SHARES.frame(rows)


def _purity_rows(at: ChosenStep, shares: BlockShares, grain: Grain, seed: int) -> pd.DataFrame:
    null_B = shares.isotropic_purity(grain, generator=numpy_generator(seed, "purity", grain))
    blocks_KB = shares.blocks(grain)
    layers, heads = shares.shares_KLHM.shape[1:3]
    names: dict[Grain, list[tuple[int, int, str]]] = {
        "head": [(layer, head, "") for layer in range(layers) for head in range(heads)],
        "head_matrix": [(i, j, name) for i in range(layers) for j in range(heads) for name in MATRICES],
        "matrix": [(-1, -1, name) for name in MATRICES],
    }
    table = pd.DataFrame(at.labels, columns=["step", "kind", "direction"])
    table["grain"] = grain
    table["blocks"] = blocks_KB.shape[1]
    table["purity"] = shares.purity(grain)
    table[["layer", "head", "matrix"]] = [names[grain][place] for place in blocks_KB.argmax(axis=1)]
    table["null_mean"] = null_B.mean()
    table["null_high"] = np.quantile(null_B, 0.95)
    table["p"] = [empirical_p(purity, null_B) for purity in table["purity"]]
    return table[list(PURITY.columns)]


def _rank_table(at: ChosenStep) -> pd.DataFrame:
    own = grouping(at.run.task, at.run.task.structure)
    parts = []
    for rows, response_KND in each_response(at.network, at.directions, "residual"):
        for center in (False, True):
            ranks = response_ranks(host(response_KND), center=center)
            peaks = peakedness(own.power(group_means(ranks.projection_KN, own)))
            part = pd.DataFrame(at.labels[rows.start : rows.stop], columns=["step", "kind", "direction"])
            parts.append(
                part.assign(
                    centered=center,
                    effective_rank=ranks.effective_rank_K,
                    basis=own.name,
                    frequency=peaks.frequency_K,
                    subspace=[own.functions.name(frequency) for frequency in peaks.frequency_K.tolist()],
                    peakedness=peaks.peakedness_K,
                )
            )
    table = pd.concat(parts, ignore_index=True).sort_values("centered", kind="stable", ignore_index=True)
    for column, p in (("effective_rank", "p_rank"), ("peakedness", "p_peakedness")):
        nulls = {center: part[column] for center, part in table[table["kind"] == "random"].groupby("centered")}
        table[p] = [
            np.nan if kind == "random" else two_sided_p(value, nulls[center])
            for kind, center, value in zip(table["kind"], table["centered"], table[column], strict=True)
        ]
    return table


_BLOCK = {
    "layer": Column("0-based; −1 where blocks do not tell it apart"),
    "head": Column("0-based; −1 where blocks do not tell it apart"),
    "matrix": Column("query, key, value or output; empty where blocks do not tell it apart"),
}

BLOCK_SHARES = Table(
    "block_shares",
    "direction (edge, bulk, span, random) and block of the attention",
    {**OF_DIRECTION, **_BLOCK, "share": Column("of ‖v‖² in the block", "share")},
)
PURITY = Table(
    "purity",
    "direction and grain of blocks",
    {
        **OF_DIRECTION,
        "grain": Column("head, head_matrix or matrix"),
        "blocks": Column("their number"),
        "purity": Column("of ‖v‖² in the block that holds most", "share"),
        **_BLOCK,
        "null_mean": Column("of isotropic directions", "share"),
        "null_high": Column("95 % point of isotropic directions", "share"),
        "p": Column("one-sided, that large for an isotropic direction"),
    },
)
RANKS = Table(
    "ranks",
    "direction, for the response as it is (published) and without its mean over inputs",
    {
        **OF_DIRECTION,
        "centered": Column("whether the mean over inputs is removed"),
        "effective_rank": Column("exp of the entropy of the response's squared singular values", "dimensions"),
        "basis": BASIS,
        "frequency": Column("ω of the peak of the projection on the first right singular vector"),
        "subspace": SUBSPACE,
        "peakedness": Column("largest over mean power of that projection's spectrum", "ratio"),
        "p_rank": Column("two-sided, among the random directions; missing for these"),
        "p_peakedness": Column("two-sided, among the random directions; missing for these"),
    },
)

REPRESENTATION = Analysis(
    "representation",
    analyze_representation,
    (BLOCK_SHARES, PURITY, RANKS),
    settings=DIRECTION_SETTINGS,
    joined=("purity", "ranks"),
)
