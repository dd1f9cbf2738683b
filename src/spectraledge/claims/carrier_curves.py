"""What directions carry of the growth of own functions, by how many of them, over the seeds of a study."""

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.analyses.score_findings import carried
from spectraledge.claims.summaries import LEVEL
from spectraledge.modes import needed
from spectraledge.statistics import mean_estimate


def carrier_curves(runs: Runs) -> pd.DataFrame:
    """Summarise what directions carry over seeds; of a seed its runs' mean counts.

    Args:
        runs: Runs of which some have carriers.

    Returns:
        A row per window, kind and k (see `CARRIERS`): window, kind, k, seeds, share (mean over seeds of the share of
        what all watched weights carry over all measured intervals), low and high (its 95 % interval; missing for a
        single seed). Without rows where nothing was measured.
    """
    columns = ["window", "kind", "k", "seeds", "share", "low", "high"]
    measured = [(run.config.seed, carried(run.table("carriers"))) for run in runs if len(run.table("carriers"))]
    if not measured:
        return pd.DataFrame(columns=columns)
    keys = ["window", "kind", "k"]
    table = pd.concat([found.assign(seed=seed) for seed, found in measured], ignore_index=True)
    by_seed = table[table["kind"] != "all"].groupby([*keys, "seed"], sort=False)["share"].mean().reset_index()
    rows = []
    for key, part in by_seed.groupby(keys, sort=False):
        share_S = part["share"].to_numpy(np.float64)
        found = mean_estimate(share_S, level=LEVEL) if len(share_S) > 1 else None
        ends = (found.low, found.high) if found else (np.nan, np.nan)
        rows.append((*key, len(share_S), float(share_S.mean()), *ends))
    return pd.DataFrame(rows, columns=columns)


def directions_needed(runs: Runs, *, share: float) -> pd.DataFrame:
    """Count how many leading directions a share of the growth takes in every run.

    Args:
        runs: Runs of which some have carriers.
        share: The share of what all watched weights carry.

    Returns:
        A row per run and window: run, task, seed, window, k (missing where the whole window does not hold it).
    """
    rows = []
    for run in runs:
        found = carried(run.table("carriers")) if len(run.table("carriers")) else pd.DataFrame(columns=["kind"])
        edge = found[found["kind"] == "edge"]
        for window, curve in edge.groupby("window", sort=False) if len(edge) else ():
            share_K = curve.sort_values("k")["share"].to_numpy(np.float64)
            rows.append((run.run_id, run.config.task, run.config.seed, window, needed(share_K, 1.0, share)))
    return pd.DataFrame(rows, columns=["run", "task", "seed", "window", "k"]).astype({"k": "Int64"})
