"""`spectraledge gradients`: windows of gradients beside those of updates."""

from pathlib import Path
from typing import Annotated

import typer

from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS, EDGES, SELECTED, gradient_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import Center, Json, Out, Params, Seed, Step, Stride, Threads, Window, show, use_threads
from spectraledge.studies.belonging import check_place

_KEYS = ["source", "part", "functions"]


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
    if out is None:
        check_place(folder, COMPARING_GRADIENTS, settings)
    tables = measure(folder, COMPARING_GRADIENTS, settings, into=out)
    selected, edges = tables[SELECTED.name], tables[EDGES.name]
    found = gradient_sentence(selected)
    if not as_json:
        last = selected[selected["step"] == selected["step"].max()].merge(edges, on=["step", "source", "part", "draw"])
        columns = ["ratio", "energy_share", "next_edge", "k_star", "with_updates"]
        means = last.groupby(_KEYS, sort=False)[columns].mean().reset_index()
        typer.echo(means.to_string(index=False, float_format=lambda value: f"{value:.3g}"))
        typer.echo("\n" + found)
    paths = {name: str((out or folder) / f"{name}.parquet") for name in tables}
    show({**paths, **({"found": found} if as_json else {})}, as_json=as_json)
