"""Table 1 as a comparison: what tells runs that grok from runs that do not, when both are read at like steps."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.errors import InputError
from spectraledge.statistics import discrimination, false_discovery_rate
from spectraledge.streams import numpy_generator

ALL = "all"
"""Name of all controls together."""

_KEY = ["quantity", "definition", "window", "centered"]


def discriminators(declined: pd.DataFrame, runs: pd.DataFrame, *, seed: int = 42) -> pd.DataFrame:
    """Tell grokking runs from each group of others by every quantity of `declines`.

    Definition: the area under the ROC curve with its interval, runs of one seed taken as related; see `discrimination`.
    Matching: a grokking run is read at its own first step with test accuracy of at least .95; any other at the median
    of those steps among the runs of its seed that grok (of all, where none does). Both at the nearest step that has
    the quantity, the earlier of two. Our choice: updates shrink with training, so that runs read at unlike steps differ
    by that alone.
    Null: an area of one half. Near 0 a quantity tells the groups apart as well as near 1, with the sign reversed.

    Args:
        declined: The tables "declines" of all runs one below the other, each with its name in the column run.
        runs: One row per run: run (its name), seed, group (of a run that never grokked: which controls it is one of),
            grokked_step (missing where it never did).
        seed: Root seed of the permutations.

    Returns:
        One row per group of controls, and for all of them together where there are several, and quantity, definition,
        window and centered: area (probability that the grokking run has the larger value), low, high (95 %), p, q
        (Benjamini–Hochberg over the quantities of one group of controls), design_effect, grokking and others (numbers
        of runs), median_grokking, median_others (of the values), apart (largest distance in steps between where a run
        was read and where it should be). Groups of fewer than two runs are left out. With a single seed, or none that
        both groups share, runs count as independent, which makes the interval too short.

    Raises:
        InputError: if a run has no row in either table, or none grokked.
    """
    unknown = set(declined["run"]) ^ set(runs["run"])
    if unknown:
        raise InputError(
            f"every run needs its declines and a row of its own, got only one of them for {sorted(unknown)}"
        )
    grokking = runs[runs["grokked_step"].notna()]
    if grokking.empty:
        raise InputError("no run reached a test accuracy of .95: there is nothing to tell from the others")
    of_seed = grokking.groupby("seed")["grokked_step"].median()
    target = runs["grokked_step"].fillna(runs["seed"].map(of_seed)).fillna(grokking["grokked_step"].median())
    table = declined.merge(runs.assign(target=target), on="run")
    table["apart"] = (table["step"] - table["target"]).abs()
    read = table.loc[table.groupby(["run", *_KEY])["apart"].idxmin()]
    ours, others = (read[read["grokked_step"].notna() == grokked] for grokked in (True, False))
    groups = {str(name): part for name, part in others.groupby("group")}
    if len(groups) > 1:
        groups[ALL] = others
    found = [pd.DataFrame(_compared(ours, part, name, seed)) for name, part in groups.items()]
    return pd.concat(
        [part.assign(q=false_discovery_rate(part["p"])) for part in found if len(part)] or [pd.DataFrame()],
        ignore_index=True,
    )


def _compared(ours: pd.DataFrame, others: pd.DataFrame, name: str, seed: int) -> Iterator[dict[str, object]]:
    of_others = dict(iter(others.groupby(_KEY)))
    for key, first in ours.groupby(_KEY):
        second = of_others.get(key)
        if second is None or min(len(first), len(second)) < 2:
            continue
        groups: list[NDArray[np.float64]] = [part["value"].to_numpy(np.float64) for part in (first, second)]
        numbers = first["seed"].to_numpy(), second["seed"].to_numpy()
        related = min(len(np.unique(part)) for part in numbers) > 1 and len(np.intersect1d(*numbers)) > 0
        labels = dict(zip(_KEY, key, strict=True))
        found = discrimination(
            *groups,
            seeds=numbers if related else None,
            generator=numpy_generator(seed, "discriminators", name, *map(str, key)),
        )
        yield {
            "controls": name,
            **labels,
            "area": found.area,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "design_effect": found.design_effect,
            "grokking": found.first,
            "others": found.second,
            "median_grokking": float(np.median(groups[0])),
            "median_others": float(np.median(groups[1])),
            "apart": float(max(first["apart"].max(), second["apart"].max())),
        }
