"""Which of a run's directions its examples use together, and which of them its heads share."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.analyses.representation import at_chosen_step
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.controls import diagonal_dominance, sharedness, two_sided_p, usage, usage_correlations
from spectraledge.errors import InputError
from spectraledge.observed.labelled_directions import LabelledDirections
from spectraledge.observed.network import Network
from spectraledge.observed.observation import each_response
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.tasks import part_names

Float = NDArray[np.float64]

GROUPS: dict[str, tuple[str, ...]] = {"window": ("edge", "bulk"), "random": ("random",)}
"""Directions that are correlated with each other: those of the window in order of eigenvalue, and random ones."""


def analyze_cousage(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Co-usage of the directions of a run at its chosen step, over its whole domain, through each of its heads.

    Args:
        folder: A run folder that this package wrote.
        settings: How the run is analysed.

    Returns:
        The tables of `cousage_tables`.

    Cost: about 5 s on one core for 9,409 pairs and 40 directions.
    """
    at = at_chosen_step(folder, settings, "edge", "bulk", "random")
    runs = [RecordedRun.open(folder, part=part) for part in part_names(at.run.config.task)]
    networks = {run.task.name: Network.at(run, at.window.step, dtype=at.network.dtype) for run in runs}
    return cousage_tables(at.window, at.directions, networks)


def cousage_tables(
    window: Window, directions: LabelledDirections, networks: Mapping[str, Network]
) -> dict[str, pd.DataFrame]:
    """Co-usage of a window's directions through each head of one trunk.

    Definition: Xu 2026, §7 and App. A; see `controls.usage`. Every statistic stands beside the same of random
    directions. Examples are all pairs of the domain, each once.

    Args:
        window: The window.
        directions: Its directions (edge, bulk) and random ones.
        networks: The network by head; they differ in the head and in the right answers only.

    Returns:
        Tables by name.

        - usage: one row per head and direction: step, head, kind (edge, bulk, random), direction, eigenvalue (missing
          for random ones), slope (mean a_k: the loss's derivative), energy (mean a_k²), dominance (d_k),
          effective_weight (eigenvalue · d_k), p (of d_k, two-sided among the random directions; missing for these).
        - usage_correlations: one row per head and pair: step, head, group (window, random), first, second (numbers of
          the directions), correlation (M_ij).
        - sharedness: one row per direction: step, kind, direction, heads (their number), sharedness (S_k), floor (one
          over the number of heads; 1 with one head, and then S_k is 1), p (two-sided among the random directions;
          missing for these).

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
    columns = ["step", "head", "group", "first", "second", "correlation"]
    return {
        "usage": pd.concat(tables, ignore_index=True),
        "usage_correlations": pd.DataFrame(pairs, columns=columns),
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
                labels_N = network.labels_N.numpy()
                rows_of_head.append(usage(network.still["logits"].numpy(), logits_NC[None], labels_N)[0])
    return np.array(found)


def _p_values(directions: LabelledDirections, values_K: Float) -> list[float]:
    """Two-sided rank of each value among those of the random directions; missing for these, and where one is."""
    null_B = values_K[directions.places("random")]
    return [
        np.nan if kind == "random" or np.isnan([value, *null_B]).any() else two_sided_p(value, null_B)
        for kind, value in zip(directions.kinds, values_K, strict=True)
    ]
