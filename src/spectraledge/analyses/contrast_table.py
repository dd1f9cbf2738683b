"""The same responses read elsewhere: behind the final LayerNorm, at the logits, head by head, on either half."""

import numpy as np
import pandas as pd
import torch

from spectraledge.analyses.analysis import BASIS, DIRECTION, KIND, STEP, Column, StepTable, without
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.devices import host
from spectraledge.models import HasAttention
from spectraledge.modes import Basis, grouping_basis, shares
from spectraledge.modes.basis import Response
from spectraledge.observed.observation import Observation

HEAD_NULLS = 3
"""Random directions that are read head by head (our choice: each costs as much as five read at the residual)."""


def contrast_table(seen: Observation, settings: AnalysisConfig) -> pd.DataFrame:
    """Energy share of the task's own functions along the edge and random directions, at other read-outs and inputs.

    On a half of the grid grouping is no orthogonal projection: functions of other variables leak into the own one. The
    correction for chance is that of noise only, so compare halves with each other, not with the whole.

    Returns:
        See `CONTRASTS`; of the read-outs those that the network has, of the halves those of which not every pair is a
        group of its own.
    """
    own, architecture = seen.bases[seen.own], seen.network.architecture
    rows: list[tuple[object, ...]] = []

    def add(where: tuple[object, ...], what: tuple[object, ...], response_ND: Response, share: float) -> None:
        values_ND = host(response_ND)
        energy = float(np.square(values_ND).sum() / len(values_ND))
        rows.append((seen.step, *where, *what, seen.own, share, energy))

    halves = {
        inputs: (kept_N, grouping_basis(group))
        for inputs, kept_N in (("train", ~seen.run.test_N), ("test", seen.run.test_N))
        if not (group := seen.own_grouping.restricted(kept_N)).separates
    }
    for row, response_ND in seen.kept.items():
        kind, number = seen.directions.kinds[row], seen.directions.numbers[row]
        vector_1P = seen.directions.vectors_KP[row : row + 1]
        # From the residual's response the later ones follow, not the other way round.
        for readout in architecture.readouts if seen.readout == "residual" else (seen.readout,):
            later_ND: Response = response_ND
            if readout != seen.readout:
                later_ND = seen.network.later(torch.from_numpy(response_ND), vector_1P, readout)
            add((readout, -1, -1, "all"), (kind, number), later_ND, _share(later_ND, own))
        for inputs, (kept_N, basis) in halves.items():
            half_ND = response_ND[kept_N]
            add((seen.readout, -1, -1, inputs), (kind, number), half_ND, _share(half_ND, basis))
    has_heads = isinstance(architecture, HasAttention)
    for kind, count in (("edge", None), ("random", HEAD_NULLS)) if has_heads else ():
        places = seen.directions.places(kind)[:count]
        heads = seen.network.head_responses(seen.directions.vectors_KP[places])
        for layer, of_layer in enumerate(heads):
            for head, head_KND in enumerate(of_layer):
                for row, head_ND in zip(places, head_KND, strict=True):
                    what = kind, seen.directions.numbers[row]
                    add(("head", layer, head, "all"), what, head_ND, _share(head_ND, own))
    table = CONTRASTS.frame(rows)
    return table if has_heads else without(table, "the network has no attention heads")


def _share(response_ND: Response, basis: Basis) -> float:
    return float(shares(basis.energies(response_ND[None]), basis).corrected(*basis.subspaces[1:-1])[0])


CONTRASTS = StepTable(
    "contrasts",
    "direction (edge, random), read-out and set of inputs",
    {
        "step": STEP,
        "readout": Column("residual, normed, logits or head"),
        "layer": Column("0-based; −1 where it is no head"),
        "head": Column("0-based; −1 where it is no head"),
        "inputs": Column("all, train or test; a half only of the observed read-out"),
        "kind": KIND,
        "direction": DIRECTION,
        "basis": BASIS,
        "energy_share": Column("in the task's own functions, corrected for chance", "share"),
        "energy": Column("of the response per input, mean included", "squared read-out per squared weight"),
    },
    make=contrast_table,
)
