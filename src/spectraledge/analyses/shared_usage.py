"""Which of a run's directions its examples use together, and which of them its heads share."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from spectraledge.analyses.analysis import (
    DIRECTION,
    DIRECTION_SETTINGS,
    EIGENVALUE,
    KIND,
    OF_DIRECTION,
    STEP,
    Analysis,
    Column,
    Table,
)
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.controls import diagonal_dominance, sharedness, two_sided_p, usage, usage_correlations
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.observed.labelled_directions import LabelledDirections, at_chosen_step
from spectraledge.observed.network import Network
from spectraledge.observed.observation import each_response
from spectraledge.observed.recorded_run import RecordedRun, Window

GROUPS: dict[str, tuple[str, ...]] = {"window": ("edge", "bulk"), "random": ("random",)}
"""Directions that are correlated with each other: those of the window in order of eigenvalue, and random ones."""


def analyze_cousage(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Co-usage of the directions of a run at its chosen step, over its whole domain, through each of its heads.

    Returns:
        The tables of `cousage_tables`.

    Cost: about 5 s on one core for 9,409 pairs and 40 directions.
    """
    at = at_chosen_step(folder, settings.residual_view, "edge", "bulk", "random")
    runs = RecordedRun.parts(folder, settings.params, device=settings.device)
    networks = {run.task.name: Network.at(run, at.window.step, dtype=at.network.dtype) for run in runs}
    return cousage_tables(at.window, at.directions, networks)


def cousage_tables(
    window: Window, directions: LabelledDirections, networks: Mapping[str, Network]
) -> dict[str, pd.DataFrame]:
    """Co-usage of a window's directions through each head of one trunk.

    Definition: Xu 2026, §7 and App. A; see `controls.usage`. Every statistic stands beside the same of random
    directions. Examples are all pairs of the domain, each once.

    Returns:
        `USAGE`, `CORRELATIONS` and `SHAREDNESS` by name.

    Raises:
        InputError: if the networks do not share their trunk and inputs.
    """
    usage_OKN = _usage(directions, networks)
    step, labels = window.step, list(zip(directions.kinds, directions.numbers, strict=True))
    eigenvalues_K = np.full(len(labels), np.nan)
    eigenvalues_K[directions.places(*GROUPS["window"])] = window.directions.eigenvalues_K.numpy()
    tables, pairs = [], []
    for head, usage_KN in zip(networks, usage_OKN, strict=True):
        dominance_K = np.full(len(labels), np.nan)
        for group, kinds in GROUPS.items():
            places = directions.places(*kinds)
            correlations = usage_correlations(usage_KN[places])
            dominance_K[places] = diagonal_dominance(correlations)
            for i, j in combinations(range(len(places)), 2):
                numbers = directions.numbers[places[i]], directions.numbers[places[j]]
                pairs.append((step, head, group, *numbers, float(correlations[i, j])))
        table = pd.DataFrame(labels, columns=["kind", "direction"])
        table.insert(0, "step", step)
        table.insert(1, "head", head)
        table["eigenvalue"] = eigenvalues_K
        table["slope"] = usage_KN.mean(axis=1)
        table["energy"] = np.square(usage_KN).mean(axis=1)
        table["dominance"] = dominance_K
        table["effective_weight"] = eigenvalues_K * dominance_K
        table["p"] = _p_values(directions, dominance_K)
        tables.append(table)
    shared_K = sharedness(np.square(usage_OKN).mean(axis=2))
    shared = pd.DataFrame(labels, columns=["kind", "direction"])
    shared.insert(0, "step", step)
    shared["heads"] = len(networks)
    shared["sharedness"] = shared_K
    shared["floor"] = 1 / len(networks)
    shared["p"] = _p_values(directions, shared_K)
    return {
        "usage": pd.concat(tables, ignore_index=True),
        "usage_correlations": CORRELATIONS.frame(pairs),
        "sharedness": shared,
    }


def _usage(directions: LabelledDirections, networks: Mapping[str, Network]) -> Float:
    """Usage of every direction by every example of every head, shape (heads, K, N); the trunk responds once for all."""
    trunk, *others = networks.values()
    for other in others:
        same = all(
            name in trunk.architecture.head or other.parameters[name].equal(value)
            for name, value in trunk.parameters.items()
        )
        if not same or not other.inputs_N2.equal(trunk.inputs_N2):
            raise InputError(
                "heads that are compared must share their trunk and inputs: take them from one run and step"
            )
    found: list[list[Float]] = [[] for _ in networks]
    for rows, response_KND in each_response(trunk, directions, "residual"):
        for row, response_ND in zip(rows, response_KND, strict=True):
            vector_1P = directions.vectors_KP[row : row + 1]
            for rows_of_head, network in zip(found, networks.values(), strict=True):
                logits_NC = network.later(response_ND, vector_1P, "logits")
                still_NC, labels_N = host(network.still["logits"]), host(network.labels_N)
                rows_of_head.append(usage(still_NC, host(logits_NC[None]), labels_N, loss=network.loss)[0])
    return np.array(found)


def _p_values(directions: LabelledDirections, values_K: Float) -> list[float]:
    """Two-sided rank of each value among those of the random directions; missing for these, and where one is."""
    null_B = values_K[directions.places("random")]
    return [
        np.nan if kind == "random" or np.isnan([value, *null_B]).any() else two_sided_p(value, null_B)
        for kind, value in zip(directions.kinds, values_K, strict=True)
    ]


_HEAD = Column("the task of the head")

USAGE = Table(
    "usage",
    "head and direction (edge, bulk, random)",
    {
        "step": STEP,
        "head": _HEAD,
        "kind": KIND,
        "direction": DIRECTION,
        "eigenvalue": EIGENVALUE,
        "slope": Column("mean over examples of a_k, the loss's derivative along the direction", "loss per weight"),
        "energy": Column("mean over examples of a_k²", "loss² per weight²"),
        "dominance": Column("d_k, diagonal dominance of the correlations near k", "correlation"),
        "effective_weight": Column("eigenvalue · d_k", "weight²"),
        "p": Column("of d_k, two-sided among the random directions; missing for these"),
    },
)
CORRELATIONS = Table(
    "usage_correlations",
    "head and pair of directions",
    {
        "step": STEP,
        "head": _HEAD,
        "group": Column("window or random"),
        "first": Column("number of the direction"),
        "second": Column("number of the other direction"),
        "correlation": Column("M_ij, over examples, of their usage", "correlation"),
    },
)
SHAREDNESS = Table(
    "sharedness",
    "direction",
    {
        **OF_DIRECTION,
        "heads": Column("their number"),
        "sharedness": Column("S_k, how evenly the heads use the direction: from floor to 1", "index"),
        "floor": Column("one over the number of heads", "index"),
        "p": Column("two-sided among the random directions; missing for these"),
    },
)

COUSAGE = Analysis(
    "cousage",
    analyze_cousage,
    (USAGE, CORRELATIONS, SHAREDNESS),
    settings=DIRECTION_SETTINGS,
    joined=("usage", "sharedness"),
)
