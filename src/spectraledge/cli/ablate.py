"""`spectraledge ablate`: what a trained network loses when moves of its run are taken back."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spectraledge.analyses.ablation import ABLATED_FUNCTIONS, ABLATING, ABLATION, ablation_sentence
from spectraledge.cli.one_analysis import Told, edge_command, printed


def _told(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    shown = [(ABLATION.name, ["kind", "amount"]), (ABLATED_FUNCTIONS.name, ["subspace", "what", "kind"])]
    return [_printed(tables[name], by) for name, by in shown], ablation_sentence(tables[ABLATION.name])


def _printed(table: pd.DataFrame, by: list[str]) -> str:
    """Means over draws, and the 5 % and 95 % quantiles of the test loss."""
    columns = ["removed", "test_accuracy", "test_loss", "own_share"]
    grouped = table.groupby(by, sort=False)
    means = grouped[columns].mean()
    means["draws"] = grouped.size()
    means["loss 5 %"], means["loss 95 %"] = (grouped["test_loss"].quantile(end) for end in (0.05, 0.95))
    return printed(means.reset_index(), missing="")


ablate = edge_command(
    "ablate",
    ABLATING,
    _told,
    "Take back what a run moved its weights by along some directions, and leave out single functions.",
    edge="How many directions count as edge; the rest are bulk.",
    nulls="Draws of random directions, and permutations of functions.",
)
