"""What a table of selection says: which functions the updates select, in a sentence and in the rows to read first."""

import numpy as np
import pandas as pd

from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.statistics import false_discovery_rate
from spectraledge.tasks import basis_formula

ALPHA = 0.05
"""Expected share of false findings among functions that are called selected (our choice, as for claims)."""

_NULL = "isotropic updates of the same network would"


def selected(rows: pd.DataFrame) -> pd.DataFrame:
    """Judge kinds of functions together.

    Rule: the interval of S lies above 1, the updates' share is more than noise has, and q ≤ .05, where q adjusts p for
    all rows together (Benjamini–Hochberg).

    Returns:
        The rows with columns `q` and `selected`, those with the highest lower end of the interval first.
    """
    q = false_discovery_rate(rows["p"].to_numpy(np.float64, na_value=np.nan))
    found = (rows["low"] > 1) & (rows["window_share"] > rows["chance"]) & (q <= ALPHA)
    judged = rows.assign(q=q, selected=found.astype(bool))
    return judged.sort_values("low", ascending=False, kind="stable", na_position="last")


def finest(selection: pd.DataFrame) -> pd.DataFrame:
    """Rows of a table of selection that are not split further by others: single subspaces, and parts that are one."""
    part = selection["part"].astype(bool)
    of = pd.MultiIndex.from_frame(selection[["basis", "functions"]])
    return selection[~part | ~of.isin(of[~part])]


def leading(selection: pd.DataFrame) -> pd.DataFrame:
    """Take the rows that tell of each kind of functions once, judged together; see `finest` and `selected`."""
    return selected(finest(selection))


def selection_sentence(selection: pd.DataFrame) -> str:
    """Say which functions the updates select, where none was named before."""
    judged = leading(selection)
    chosen, first = judged[judged["selected"]], judged.iloc[0]
    of = f"{len(judged)} kinds of functions" if len(judged) > 1 else "one kind of functions"
    if np.isnan(first["low"]):
        return f"Of {of} none could be compared: isotropic updates do not reach them."
    adjusted = f", adjusted for all {len(judged)}" if len(judged) > 1 else ""
    chance = f"q = {first['q']:.2g}, the chance that isotropic updates do as much{adjusted}"
    numbers = f"S = {_interval(first)}; no selection: 1; {chance}"
    if chosen.empty:
        return f"Of {of}, the updates were found to select none; nearest to it comes {_name(first)} ({numbers})."
    most = f"most clearly {_name(first)}" if len(judged) > 1 else _name(first)
    return (
        f"Of {of}, the updates select {len(chosen)}, {most}: they move it {first['ratio']:.3g} times as much as "
        f"{_NULL} ({numbers})."
    )


def own_sentence(selection: pd.DataFrame, own: str) -> str:
    """Say whether the updates select the functions of the task's own variable, named before anything was measured.

    Returns:
        A sentence; of the rows in other bases if the own one was not measured, "" without any.
    """
    wholes = whole_rows(selection, own)
    if wholes.empty:
        return ""
    if wholes.iloc[0]["basis"] != own:
        return selection_sentence(wholes)
    row = selected(wholes.iloc[:1]).iloc[0]
    variable = basis_formula(own)
    numbers = f"S = {_interval(row)}; no selection: 1; p = {row['p']:.2g}"
    at = f"At step {row['step']:,} the updates"
    if row["selected"]:
        return (
            f"{at} select functions of {variable}: they move them {row['ratio']:.3g} times as much as {_NULL} "
            f"({numbers})."
        )
    noise = "" if row["window_share"] > row["chance"] else "; their share is no more than noise has"
    return f"{at} were not found to select functions of {variable} ({numbers}{noise})."


def whole_rows(selection: pd.DataFrame, own: str) -> pd.DataFrame:
    """Take the functions of each grouping together, the own one first, then by the lower end of the interval."""
    rows = selection[selection["subspace"] == WHOLE].sort_values("low", ascending=False, kind="stable")
    return rows.sort_values("basis", key=lambda names: names != own, kind="stable")


def _interval(row: pd.Series) -> str:
    return f"{row['ratio']:.3g}, 95% interval {row['low']:.3g} to {row['high']:.3g}"


def _name(row: pd.Series) -> str:
    return f"{row['subspace']} of {row['basis']}"
