"""`spectraledge gradients` and `spectraledge curvature`: what updates come from, and what they run through."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.curvature import CURVATURE, DEFECTS, LEADERS, curvature_sentence
from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS, EDGES, SELECTED, gradient_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import Center, Json, Out, Params, Seed, Step, Stride, Threads, Window, show, use_threads
from spectraledge.studies.belonging import check_place


def gradients(
    folder: Annotated[Path, typer.Argument(help="A run folder written by `spectraledge train` or a study.")],
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
    threads: Threads = None,
) -> None:
    """Read windows of gradients, of Adam's memory and of parts of updates as the window of updates is read."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, stride=stride, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params
    )
    tables = _measured(folder, COMPARING_GRADIENTS, settings, out)
    selected, edges = tables[SELECTED.name], tables[EDGES.name]
    last = selected[selected["step"] == selected["step"].max()].merge(edges, on=["step", "source", "part", "draw"])
    columns = ["ratio", "energy_share", "next_edge", "k_star", "with_updates"]
    means = last.groupby(["source", "part", "functions"], sort=False)[columns].mean().reset_index()
    _show(tables, means, gradient_sentence(selected), out or folder, as_json)


def curvature(
    folder: Annotated[Path, typer.Argument(help="A run folder written by `spectraledge train` or a study.")],
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
    threads: Threads = None,
) -> None:
    """Follow the commutator defect over a run, and hold the edge against the directions along which the loss bends."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, stride=stride, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params
    )
    tables = _measured(folder, CURVATURE, settings, out)
    leaders = tables[LEADERS.name]
    of_edge = leaders[(leaders["direction"] == 0) & (leaders["step"] == leaders["step"].max())]
    shown = of_edge[["vector", "number", "value", "overlap", "span", "span_high", "random_high"]]
    _show(tables, shown, curvature_sentence(tables[DEFECTS.name], leaders), out or folder, as_json)


def _measured(folder: Path, analysis: Analysis, settings: AnalysisConfig, out: Path | None) -> dict[str, pd.DataFrame]:
    if out is None:
        check_place(folder, analysis, settings)
    return measure(folder, analysis, settings, into=out)


def _show(tables: Iterable[str], shown: pd.DataFrame, found: str, place: Path, as_json: bool) -> None:
    if not as_json:
        typer.echo(shown.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
        typer.echo("\n" + found)
    paths = {name: str(place / f"{name}.parquet") for name in tables}
    show({**paths, **({"found": found} if as_json else {})}, as_json=as_json)
