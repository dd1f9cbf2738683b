"""Which features of a sparse autoencoder a run's directions move, and how far they share them."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import DIRECTION_SETTINGS, STEP, Analysis, Column, Table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.controls import (
    MOVED,
    Autoencoder,
    chance_jaccard,
    jaccard,
    moved_features,
    pair_p,
    tilted,
    train_autoencoder,
)
from spectraledge.observed.labelled_directions import ChosenStep, at_chosen_step
from spectraledge.observed.network import DIFFERENCE_SIZE
from spectraledge.observed.observation import each_response
from spectraledge.statistics import empirical_p
from spectraledge.streams import torch_generator

DICTIONARY = 512
"""Features of the autoencoder (Xu 2026, §5)."""

ACTIVE = 32
"""Features that may be active at once (Xu 2026, §5)."""

EPOCHS = 300
"""Passes over the inputs (Xu 2026, §5)."""


def analyze_autoencoder(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Jaccard indices of the features that a run's directions move in a sparse autoencoder of its residual stream.

    A move adds to the residual its exact response times ε = 0.005 of the norm of the watched parameters, the size of
    the author's differences (Xu 2026, scripts). Random directions are orthogonal to the window's and to each other.

    Returns:
        `OVERLAPS` and `FIT` by name.

    Cost: about half a minute on one core for 9,409 pairs, most of it for training.
    """
    at = at_chosen_step(folder, settings.residual_view, "edge", "bulk", "random")
    residual_ND = at.network.residual_ND
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
    residual_ND = at.network.residual_ND
    random = at.directions.places("random")
    moved, random_shifts = [], []
    orthogonal = replace(at.directions, vectors_KP=_orthonormal(at.directions.vectors_KP))
    for rows, response_KND in each_response(at.network, orthogonal, "residual"):
        shift_KND = size * response_KND
        moved.append(moved_features(trained, residual_ND, shift_KND))
        random_shifts += [shift_ND for row, shift_ND in zip(rows, shift_KND, strict=True) if row in random]
    moved.append(moved_features(trained, residual_ND, tilted(torch.stack(random_shifts))))
    return jaccard(np.concatenate(moved))


def _overlap_table(at: ChosenStep, index_KK: Float) -> pd.DataFrame:
    step, kinds, numbers = at.window.step, at.directions.kinds, at.directions.numbers
    random = at.directions.places("random")
    tilted_B = [float(index_KK[row, len(kinds) + place]) for place, row in enumerate(random)]
    rows: list[tuple[object, ...]] = []
    for kind in ("edge", "bulk", "random"):
        for first, second in combinations(at.directions.places(kind), 2):
            index, p, p_tilted = float(index_KK[first, second]), np.nan, np.nan
            if kind != "random":
                p, p_tilted = pair_p(index_KK, (first, second), random), empirical_p(index, tilted_B)
            rows.append((step, kind, numbers[first], numbers[second], index, p, p_tilted))
    for place, index in enumerate(tilted_B):
        rows.append((step, "tilted", place + 1, (place + 1) % len(random) + 1, index, np.nan, np.nan))
    return OVERLAPS.frame(rows)


def _orthonormal(vectors_KP: Tensor) -> Tensor:
    """Make every direction orthogonal to those before it; the window's, which are so already, stay."""
    orthonormal, triangle = torch.linalg.qr(vectors_KP.T)
    rows: Tensor = (orthonormal * triangle.diagonal().sign()).T
    return rows


OVERLAPS = Table(
    "autoencoder",
    "pair of directions of one kind",
    {
        "step": STEP,
        "kind": Column("edge, bulk, random, or tilted: the published null, a random direction and one at 45° to it"),
        "first": Column("number within the kind"),
        "second": Column("number within the kind; of a tilted pair the direction that the first is mixed with"),
        "jaccard": Column("of the features that the two move most", "index"),
        "p": Column("two-sided, among orthogonal random pairs; missing for null pairs"),
        "p_tilted": Column("published: one-sided, that large for a pair at 45°; missing for null pairs"),
    },
)
FIT = Table(
    "autoencoder_fit",
    "run",
    {
        "step": STEP,
        "features": Column("of the autoencoder"),
        "active": Column("features that may be active at once"),
        "epochs": Column("passes over the inputs"),
        "explained": Column("of the residual stream's variance", "share"),
        "alive": Column("features that are ever active"),
        "chance": Column("expected index of random sets of all features", "index"),
        "chance_alive": Column("expected index of random sets of those alive", "index"),
    },
)

AUTOENCODER = Analysis(
    "autoencoder",
    analyze_autoencoder,
    (OVERLAPS, FIT),
    settings=DIRECTION_SETTINGS,
    joined=("autoencoder", "autoencoder_fit"),
)
