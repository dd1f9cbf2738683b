"""What is read from a run's tables of probes, moves, weights and contrasts: the edge beside other directions."""

from dataclasses import dataclass
from math import ceil, factorial

import numpy as np
import pandas as pd

from spectraledge.analyses.readings import Band, band
from spectraledge.analyses.run_result import RunResult

MOVE_COLUMNS = ("eigenvalue", "adam", "decay", "cross", "gradient_cosine", "clipped_cosine")


@dataclass(frozen=True)
class BestProbe:
    """The waves that predict unseen rows and columns of the edge's response best.

    Attributes:
        features: Name of the waves.
        edge: Largest R² along the edge.
        random: Largest R² along random directions.
        above_noise: Whether the edge's is above 0 and above that of random features.
    """

    features: str
    edge: float
    random: float
    above_noise: bool


@dataclass(frozen=True)
class Contrast:
    """Energy shares of the own functions somewhere, along the edge and along random directions.

    Attributes:
        where: Name of a read-out, of a half of the pairs, or "head".
        edge: Smallest and largest along the edge.
        random: Along random directions, if there are any.
        head: Layer and head, from 0, if it is one.
        heads: Of how many heads it is the largest.
    """

    where: str
    edge: tuple[float, float]
    random: Band | None
    head: tuple[int, int] = (-1, -1)
    heads: int = 0


def best_probe(run: RunResult) -> BestProbe:
    """The best probe of a run, on rows and columns that were not fitted."""
    unseen = run.probes[run.probes["held_out"] == "rows"]
    waves, noise = unseen[~unseen["random"]], unseen[unseen["random"]]
    top = waves[waves["kind"] == "edge"].nlargest(1, "r2")
    features, best = str(top["features"].iloc[0]), float(top["r2"].iloc[0])
    along_random = waves[(waves["kind"] == "random") & (waves["features"] == features)]["r2"]
    above = best > max(0.0, float(noise.loc[noise["kind"] == "edge", "r2"].max()))
    return BestProbe(features, best, float(along_random.max()), above)


def keys_of_edge_only(run: RunResult) -> list[str]:
    """Kinds of own functions that are key along an edge direction, and along no random one."""
    keys = run.keys[run.keys["key"].astype(bool)]
    edge, random = (keys[keys["kind"] == kind].sort_values("frequency")["subspace"] for kind in ("edge", "random"))
    return list(dict.fromkeys(edge[~edge.isin(random)]))


def moves(run: RunResult) -> list[tuple[str, dict[str, float]]]:
    """What moves the weights along the whole window, along each edge direction, and along the median of the others."""
    edge = int(run.modes.loc[run.modes["kind"] == "edge", "direction"].max())
    columns = list(MOVE_COLUMNS)
    names = {direction: f"v{direction}" if direction else "whole window" for direction in range(edge + 1)}
    leading = run.moves[run.moves["direction"] <= edge]
    rows = [*zip(leading["direction"].map(names), leading[columns].to_numpy(np.float64), strict=True)]
    bulk = run.moves[run.moves["direction"] > edge]
    if len(bulk):
        rows.append(("bulk, median", bulk[columns].median().to_numpy(np.float64)))
    return [(str(name), dict(zip(columns, map(float, values), strict=True))) for name, values in rows]


def agreement(run: RunResult) -> dict[tuple[str, str], tuple[float, float]]:
    """Rank correlation and p by what the weights hold and by what moves."""
    return {
        (str(row["weights"]), str(row["moving"])): (float(row["rho"]), float(row["p"]))
        for row in run.agreement.to_dict("records")
    }


def contrasts(run: RunResult) -> list[Contrast]:
    """Every read-out, either half of the pairs, and the head with the largest median along the edge."""
    table = run.contrasts
    on_all = table[table["inputs"] == "all"]
    parts = {readout: on_all[on_all["readout"] == readout] for readout in ("residual", "normed", "logits")}
    parts |= {half: table[table["inputs"] == half] for half in ("train", "test")}
    found = [Contrast(where, *_shares(part)) for where, part in parts.items() if len(part)]
    heads = {
        (int(part["layer"].iloc[0]), int(part["head"].iloc[0])): part
        for _, part in table[table["readout"] == "head"].groupby(["layer", "head"])
    }
    if heads:
        medians = {place: part.loc[part["kind"] == "edge", "energy_share"].median() for place, part in heads.items()}
        place = max(medians, key=lambda one: medians[one])
        found.append(Contrast("head", *_shares(heads[place]), place, len(heads)))
    return found


def fewest_windows(run: RunResult, alpha: float) -> tuple[int, int] | None:
    """Windows of a run's course, and windows in a block, if they are too few for any change to have p ≤ alpha."""
    windows, block = int(run.changes["points"].max()), int(run.changes["block"].max())
    return None if 1 / factorial(ceil(windows / block)) <= alpha else (windows, block)


def _shares(part: pd.DataFrame) -> tuple[tuple[float, float], Band | None]:
    edge, random = (part.loc[part["kind"] == kind, "energy_share"] for kind in ("edge", "random"))
    ends = (float(edge.min()), float(edge.max())) if len(edge) else (np.nan, np.nan)
    return ends, band(random)
