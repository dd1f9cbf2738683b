"""What directions carry of the growth of own functions, by how many of them, over the seeds of a study.

In units of the function's energy before each interval, not of what all watched weights carry: that crosses zero,
because the optimizer's steps and weight decay nearly cancel in it, and its reciprocal then has no mean.
"""

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.score_findings import carried
from spectraledge.analyses.selection_tables import of_functions
from spectraledge.claims.summaries import LEVEL
from spectraledge.modes import needed
from spectraledge.statistics import mean_estimate


def whole_growth(run: RunResult) -> float:
    """First-order growth over the intervals of `carried`, in units of the energy before; NaN without any."""
    carriers, growth = run.table("carriers"), run.table("growth")
    if carriers.empty or growth.empty:
        return float("nan")
    windows = carriers.groupby("step")["window"].nunique()
    steps = windows.index[windows == carriers["window"].nunique()]
    own = of_functions(growth[growth["basis"] == run.structure])
    rows = own[own["step"].isin(steps) & (own["split"] == "change") & (own["part"] == "first order")]
    return float(rows["growth"].sum()) if len(rows) else float("nan")


def carrier_curves(runs: Runs) -> pd.DataFrame:
    """Summarise what directions carry over seeds; of a seed its runs' mean counts.

    Returns:
        A row per window, kind and k (see `CARRIERS`): window, kind, k, seeds, growth (mean over seeds of what they
        carry over all measured intervals, in units of the function's energy), low and high (its 95 % interval; missing
        for a single seed). Without rows where nothing was measured.
    """
    columns = ["window", "kind", "k", "seeds", "growth", "low", "high"]
    measured = [(run.config.seed, carried(run.table("carriers"))) for run in runs if len(run.table("carriers"))]
    if not measured:
        return pd.DataFrame(columns=columns)
    keys = ["window", "kind", "k"]
    table = pd.concat([found.assign(seed=seed) for seed, found in measured], ignore_index=True)
    by_seed = table[table["kind"] != "all"].groupby([*keys, "seed"], sort=False)["growth"].mean().reset_index()
    rows = []
    for key, part in by_seed.groupby(keys, sort=False):
        growth_S = part["growth"].to_numpy(np.float64)
        found = mean_estimate(growth_S, level=LEVEL) if len(growth_S) > 1 else None
        ends = (found.low, found.high) if found else (np.nan, np.nan)
        rows.append((*key, len(growth_S), float(growth_S.mean()), *ends))
    return pd.DataFrame(rows, columns=columns)


def directions_needed(runs: Runs, *, share: float) -> pd.DataFrame:
    """Rows of run, task, seed, window and k: how many leading directions hold a share of `whole_growth`, if any do."""
    rows = []
    for run in runs:
        found = carried(run.table("carriers")) if len(run.table("carriers")) else pd.DataFrame(columns=["kind"])
        edge = found[found["kind"] == "edge"]
        for window, curve in edge.groupby("window", sort=False) if len(edge) else ():
            growth_K = curve.sort_values("k")["growth"].to_numpy(np.float64)
            k = needed(growth_K, whole_growth(run), share)
            rows.append((run.run_id, run.config.task, run.config.seed, window, k))
    return pd.DataFrame(rows, columns=["run", "task", "seed", "window", "k"]).astype({"k": "Int64"})
