"""`spectraledge centroids`: how far directions of the weights move what answers depend on in their inputs."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spectraledge.analyses.centroids import CENTROIDS, PROBING_CENTROIDS, centroid_sentence
from spectraledge.cli.one_analysis import Told, edge_command, printed
from spectraledge.errors import InputError


def _told(folder: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    table = tables[CENTROIDS.name]
    if table.empty:
        raise InputError(
            f"{folder} has a network without vectors for its tokens, so that its inputs have no centroids: train one "
            "that has embeddings, a transformer or an mlp with inputs=embedded"
        )
    grouped = table.groupby(["form", "size", "kind", "window"], sort=False)["ratio"]
    ends = grouped.quantile(0.05), grouped.quantile(0.95)
    means = grouped.mean().to_frame("R").assign(directions=grouped.size(), low=ends[0], high=ends[1])
    return [printed(means.reset_index())], centroid_sentence(table)


centroids = edge_command(
    "centroids",
    PROBING_CENTROIDS,
    _told,
    "Probe how far the edge of updates, and of gradients, moves the centroids of inputs, beside permuted answers.",
    edge="How many leading directions of each window are probed.",
    nulls="Draws of directions at random.",
)
