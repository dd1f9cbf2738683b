"""What representation-level tools see of a run's directions at its chosen step, each beside random directions."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.analyses.left_out import without
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.controls import (
    GRAINS,
    MATRICES,
    MOVED,
    Autoencoder,
    BlockShares,
    Grain,
    block_shares,
    chance_jaccard,
    jaccard,
    moved_features,
    pair_p,
    peakedness,
    response_ranks,
    tilted,
    train_autoencoder,
    two_sided_p,
)
from spectraledge.models import HasAttention
from spectraledge.modes.measures import group_means
from spectraledge.observed.labelled_directions import LabelledDirections, collect_directions
from spectraledge.observed.network import DIFFERENCE_SIZE, Network
from spectraledge.observed.observation import each_response
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.statistics import empirical_p
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.tasks import grouping

Float = NDArray[np.float64]

DICTIONARY = 512
"""Features of the autoencoder (Xu 2026, §5)."""

ACTIVE = 32
"""Features that may be active at once (Xu 2026, §5)."""

EPOCHS = 300
"""Passes over the inputs (Xu 2026, §5)."""

_SHARES = ["step", "kind", "direction", "layer", "head", "matrix", "share"]

_PURITY = ["step", "kind", "direction", "grain", "blocks", "purity", "layer", "head", "matrix"]
_PURITY += ["null_mean", "null_high", "p"]


class ChosenStep(NamedTuple):
    """A run at its chosen step.

    Attributes:
        run: The run.
        window: The window of updates that ends there.
        network: The network there, in single precision: the statistics here agree with those of double to 1e-4.
        directions: Its directions and random ones.
    """

    run: RecordedRun
    window: Window
    network: Network
    directions: LabelledDirections

    @property
    def labels(self) -> list[tuple[int, str, int]]:
        """Step, kind and number of every direction."""
        kinds, numbers = self.directions.kinds, self.directions.numbers
        return [(self.window.step, kind, number) for kind, number in zip(kinds, numbers, strict=True)]


def at_chosen_step(folder: Path, settings: AnalysisConfig, *kinds: str) -> ChosenStep:
    """Read a run at its chosen step.

    Args:
        folder: A run folder that this package wrote.
        settings: How the run is analysed.
        kinds: Kinds of directions, see `directions.KINDS`.

    Returns:
        The run, its window, network and directions.
    """
    run = RecordedRun.open(folder)
    step = run.chosen_step()
    window = run.window(step, window=settings.window, center=settings.center_modes)
    network = Network.at(run, step, dtype=torch.float32)
    directions = collect_directions(
        run, window, network, edge=settings.edge, nulls=settings.nulls, seed=settings.seed, kinds=kinds
    )
    return ChosenStep(run, window, network, directions)


def analyze_representation(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Head purity and response ranks of a run's directions, and of random ones in their span and at large.

    Args:
        folder: A run folder that this package wrote; of a network with attention its matrices are watched.
        settings: How the run is analysed; the read-out is the residual stream always (Xu 2026, §5).

    Returns:
        Tables by name, one row per direction of kind edge, bulk, span or random, all with step, kind, direction.

        - block_shares: and per block: layer, head (0-based), matrix (query, key, value, output), share of ‖v‖².
        - purity: and per grain (see `controls.Grain`): grain, blocks (their number), purity (largest share), layer,
          head, matrix (of that block; −1 or "" where the grain does not tell them apart), null_mean, null_high (of
          isotropic directions, mean and 95 % point), p (one-sided, that large for an isotropic direction). Neither has
          rows where the network has no attention heads.
        - ranks: twice, for the response as it is (published) and without its mean over inputs: centered,
          effective_rank, basis (the task's own grouping), frequency, peakedness (of the projection on the first right
          singular vector), p_rank, p_peakedness (two-sided, among the random directions; missing for these).

    Cost: about 5 s on one core for 9,409 pairs and 60 directions.
    """
    at = at_chosen_step(folder, settings, "edge", "bulk", "span", "random")
    architecture, ranks = at.network.architecture, _rank_table(at)
    if not isinstance(architecture, HasAttention):
        tables = {"block_shares": pd.DataFrame(columns=_SHARES), "purity": pd.DataFrame(columns=_PURITY)}
        reason = "the network has no attention heads"
        return {**{name: without(table, reason) for name, table in tables.items()}, "ranks": ranks}
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
    return pd.DataFrame(rows, columns=_SHARES)


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
    return table[_PURITY]


def _rank_table(at: ChosenStep) -> pd.DataFrame:
    own = grouping(at.run.task, at.run.task.structure)
    parts = []
    for rows, response_KND in each_response(at.network, at.directions, "residual"):
        for center in (False, True):
            ranks = response_ranks(response_KND, center=center)
            peaks = peakedness(group_means(ranks.projection_KN, own))
            part = pd.DataFrame(at.labels[rows.start : rows.stop], columns=["step", "kind", "direction"])
            parts.append(
                part.assign(
                    centered=center,
                    effective_rank=ranks.effective_rank_K,
                    basis=own.name,
                    frequency=peaks.frequency_K,
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


def analyze_autoencoder(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Jaccard indices of the features that a run's directions move in a sparse autoencoder of its residual stream.

    A move adds to the residual its exact response times ε = 0.005 of the norm of the watched parameters, the size of
    the author's differences (Xu 2026, scripts). Random directions are orthogonal to the window's and to each other.

    Args:
        folder: A run folder that this package wrote.
        settings: How the run is analysed.

    Returns:
        Tables by name.

        - autoencoder: one row per pair of directions of one kind: step, kind (edge, bulk, random, tilted: the published
          null at 45°), first, second (numbers within the kind; of a tilted pair the random direction, and that which
          it is mixed with), jaccard, p (two-sided, see `pair_p`), p_tilted (published: one-sided, that large for a pair
          at 45°); both missing for the null pairs.
        - autoencoder_fit: one row: step, features, active, epochs, explained (share of the residual's variance), alive
          (features ever active), chance, chance_alive (expected index of random sets of all features, and of those).

    Cost: about half a minute on one core for 9,409 pairs, most of it for training.
    """
    at = at_chosen_step(folder, settings, "edge", "bulk", "random")
    residual_ND = at.network.still["residual"]
    generator = torch_generator(settings.seed, "autoencoder")
    trained = train_autoencoder(residual_ND, features=DICTIONARY, active=ACTIVE, epochs=EPOCHS, generator=generator)
    alive = int((trained.encode(residual_ND) > 0).any(0).sum())
    fit = {
        "step": at.window.step,
        "features": DICTIONARY,
        "active": ACTIVE,
        "epochs": EPOCHS,
        "explained": trained.explained(residual_ND),
        "alive": alive,
        "chance": chance_jaccard(DICTIONARY, min(MOVED, DICTIONARY)),
        "chance_alive": chance_jaccard(alive, min(MOVED, alive)),
    }
    return {"autoencoder": _overlap_table(at, _overlaps(at, trained)), "autoencoder_fit": pd.DataFrame([fit])}


def _overlaps(at: ChosenStep, trained: Autoencoder) -> Float:
    """Jaccard indices of what every direction moves and, behind these, what the moves at 45° to random ones move."""
    size = DIFFERENCE_SIZE * float(at.network.weights_P.norm())
    residual_ND = at.network.still["residual"]
    random = at.directions.places("random")
    moved, random_shifts = [], []
    orthogonal = replace(at.directions, vectors_KP=_orthonormal(at.directions.vectors_KP))
    for rows, response_KND in each_response(at.network, orthogonal, "residual"):
        shift_KND = size * torch.from_numpy(response_KND)
        moved.append(moved_features(trained, residual_ND, shift_KND))
        random_shifts += [shift_ND for row, shift_ND in zip(rows, shift_KND, strict=True) if row in random]
    moved.append(moved_features(trained, residual_ND, tilted(torch.stack(random_shifts))))
    return jaccard(np.concatenate(moved))


def _overlap_table(at: ChosenStep, index_KK: Float) -> pd.DataFrame:
    kinds, numbers = at.directions.kinds, at.directions.numbers
    random = at.directions.places("random")
    tilted_B = [float(index_KK[row, len(kinds) + place]) for place, row in enumerate(random)]
    rows: list[tuple[object, ...]] = []
    for kind in ("edge", "bulk", "random"):
        for first, second in combinations(at.directions.places(kind), 2):
            index, p, p_tilted = float(index_KK[first, second]), np.nan, np.nan
            if kind != "random":
                p, p_tilted = pair_p(index_KK, (first, second), random), empirical_p(index, tilted_B)
            rows.append((kind, numbers[first], numbers[second], index, p, p_tilted))
    for place, index in enumerate(tilted_B):
        rows.append(("tilted", place + 1, (place + 1) % len(random) + 1, index, np.nan, np.nan))
    table = pd.DataFrame(rows, columns=["kind", "first", "second", "jaccard", "p", "p_tilted"])
    table.insert(0, "step", at.window.step)
    return table


def _orthonormal(vectors_KP: Tensor) -> Tensor:
    """Make every direction orthogonal to those before it; the window's, which are so already, stay."""
    orthonormal, triangle = torch.linalg.qr(vectors_KP.T)
    rows: Tensor = (orthonormal * triangle.diagonal().sign()).T
    return rows
