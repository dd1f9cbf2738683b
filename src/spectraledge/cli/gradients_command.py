"""`spectraledge gradients` and `spectraledge curvature`: what updates come from, and what they run through."""

from typing import Annotated

import pandas as pd
import typer

from spectraledge.analyses.curvature import CURVATURE, DEFECTS, LEADERS, curvature_sentence
from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS, EDGES, SELECTED, gradient_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.cli.one_analysis import measured, show_found
from spectraledge.cli.options import (
    Center,
    Device,
    Json,
    Out,
    Params,
    RunFolder,
    Seed,
    Step,
    Stride,
    Threads,
    Window,
    use_threads,
)


def gradients(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    stride: Stride = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many leading directions of each window are its edge.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Isotropic directions.")] = 20,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Read windows of gradients, of Adam's memory and of parts of updates as the window of updates is read."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step,
        stride=stride,
        window=window,
        center_modes=center,
        edge=edge,
        nulls=nulls,
        seed=seed,
        params=params,
        device=device,
    )
    tables = measured(folder, COMPARING_GRADIENTS, settings, out)
    selected, edges = tables[SELECTED.name], tables[EDGES.name]
    last = selected[selected["step"] == selected["step"].max()].merge(edges, on=["step", "source", "part", "draw"])
    columns = ["ratio", "energy_share", "next_edge", "k_star", "with_updates"]
    means = last.groupby(["source", "part", "functions"], sort=False)[columns].mean().reset_index()
    show_found([_printed(means)], gradient_sentence(selected), tables, out or folder, as_json=as_json)


def curvature(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Annotated[
        int | None, typer.Option(help="Measure this snapshot alone. Default: the course of the run.")
    ] = None,
    stride: Stride = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many leading directions of updates are their edge.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of directions in the window's span.")] = 20,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Follow the commutator defect over a run, and hold the edge against the directions along which the loss bends."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step,
        stride=stride,
        window=window,
        center_modes=center,
        edge=edge,
        nulls=nulls,
        seed=seed,
        params=params,
        device=device,
    )
    tables = measured(folder, CURVATURE, settings, out)
    leaders = tables[LEADERS.name]
    of_edge = leaders[(leaders["direction"] == 0) & (leaders["step"] == leaders["step"].max())]
    shown = of_edge[["vector", "number", "value", "overlap", "span", "span_high", "random_high"]]
    found = curvature_sentence(tables[DEFECTS.name], leaders)
    show_found([_printed(shown)], found, tables, out or folder, as_json=as_json)


def _printed(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format=lambda value: f"{value:.3g}")
