"""`spectraledge centroids`: how far directions of the weights move what answers depend on in their inputs."""

from pathlib import Path
from typing import Annotated

import typer

from spectraledge.analyses.centroids import CENTROIDS, PROBING_CENTROIDS, centroid_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import Center, Json, Out, Params, Seed, Step, Threads, Window, show, use_threads
from spectraledge.errors import InputError
from spectraledge.studies.belonging import check_place


def centroids(
    folder: Annotated[Path, typer.Argument(help="A run folder written by `spectraledge train` or a study.")],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many leading directions of each window are probed.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of directions at random.")] = 20,
    params: Params = None,
    threads: Threads = None,
) -> None:
    """Probe how far the edge of updates, and of gradients, moves the centroids of inputs, beside permuted answers."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params
    )
    if out is None:
        check_place(folder, PROBING_CENTROIDS, settings)
    table = measure(folder, PROBING_CENTROIDS, settings, into=out)[CENTROIDS.name]
    if table.empty:
        raise InputError(
            f"{folder} has a network without vectors for its tokens, so that its inputs have no centroids: train one "
            "that has embeddings, a transformer or an mlp with inputs=embedded"
        )
    found = centroid_sentence(table)
    if not as_json:
        grouped = table.groupby(["form", "size", "kind", "window"], sort=False)["ratio"]
        ends = grouped.quantile(0.05), grouped.quantile(0.95)
        means = grouped.mean().to_frame("R").assign(directions=grouped.size(), low=ends[0], high=ends[1])
        typer.echo(means.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4g}"))
        typer.echo("\n" + found)
    path = {CENTROIDS.name: str((out or folder) / f"{CENTROIDS.name}.parquet")}
    show({**path, **({"found": found} if as_json else {})}, as_json=as_json)
