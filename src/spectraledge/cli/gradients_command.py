"""`spectraledge gradients` and `spectraledge curvature`: what updates come from, and what they run through."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from spectraledge.analyses.curvature import CURVATURE, DEFECTS, LEADERS, curvature_sentence
from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS, EDGES, SELECTED, gradient_sentence
from spectraledge.cli.one_analysis import Told, edge_command, printed


def _of_gradients(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    selected, edges = tables[SELECTED.name], tables[EDGES.name]
    last = selected[selected["step"] == selected["step"].max()].merge(edges, on=["step", "source", "part", "draw"])
    columns = ["ratio", "energy_share", "next_edge", "k_star", "with_updates"]
    means = last.groupby(["source", "part", "functions"], sort=False)[columns].mean().reset_index()
    return [printed(means, digits=3)], gradient_sentence(selected)


def _of_curvature(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    leaders = tables[LEADERS.name]
    of_edge = leaders[(leaders["direction"] == 0) & (leaders["step"] == leaders["step"].max())]
    shown = of_edge[["vector", "number", "value", "overlap", "span", "span_high", "random_high"]]
    return [printed(shown, digits=3)], curvature_sentence(tables[DEFECTS.name], leaders)


gradients = edge_command(
    "gradients",
    COMPARING_GRADIENTS,
    _of_gradients,
    "Read windows of gradients, of Adam's memory and of parts of updates as the window of updates is read.",
    edge="How many leading directions of each window are its edge.",
    nulls="Isotropic directions.",
    stride=True,
)
curvature = edge_command(
    "curvature",
    CURVATURE,
    _of_curvature,
    "Follow the commutator defect over a run, and hold the edge against the directions along which the loss bends.",
    edge="How many leading directions of updates are their edge.",
    nulls="Draws of directions in the window's span.",
    step="Measure this snapshot alone. Default: the course of the run.",
    stride=True,
)
