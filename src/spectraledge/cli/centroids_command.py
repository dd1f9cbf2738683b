"""`spectraledge centroids`: how far directions of the weights move what answers depend on in their inputs."""

from typing import Annotated

import typer

from spectraledge.analyses.centroids import CENTROIDS, PROBING_CENTROIDS, centroid_sentence
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
    Threads,
    Window,
    use_threads,
)
from spectraledge.errors import InputError


def centroids(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many leading directions of each window are probed.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of directions at random.")] = 20,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Probe how far the edge of updates, and of gradients, moves the centroids of inputs, beside permuted answers."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params, device=device
    )
    table = measured(folder, PROBING_CENTROIDS, settings, out)[CENTROIDS.name]
    if table.empty:
        raise InputError(
            f"{folder} has a network without vectors for its tokens, so that its inputs have no centroids: train one "
            "that has embeddings, a transformer or an mlp with inputs=embedded"
        )
    grouped = table.groupby(["form", "size", "kind", "window"], sort=False)["ratio"]
    ends = grouped.quantile(0.05), grouped.quantile(0.95)
    means = grouped.mean().to_frame("R").assign(directions=grouped.size(), low=ends[0], high=ends[1])
    printed = means.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4g}")
    show_found([printed], centroid_sentence(table), [CENTROIDS.name], out or folder, as_json=as_json)
