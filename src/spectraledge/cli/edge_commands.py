"""Commands that carry one analysis of a run's edge out: options, where tables go, how a person is told."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from spectraledge.analyses.ablation import ABLATED_FUNCTIONS, ABLATING, ABLATION, ablation_sentence
from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.centroids import CENTROIDS, PROBING_CENTROIDS, centroid_sentence
from spectraledge.analyses.curvature import CURVATURE, DEFECTS, LEADERS, curvature_sentence
from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS, EDGES, SELECTED, gradient_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.cli.measuring import measured
from spectraledge.cli.options import (
    LAST_STEP,
    Center,
    Device,
    Json,
    Out,
    Params,
    RunFolder,
    Seed,
    Stride,
    Threads,
    Window,
    show,
    use_threads,
)
from spectraledge.errors import InputError

Told = tuple[Sequence[str], str]
"""Tables for people, as they are printed, and what was found, in a sentence."""


def _edge_command(
    name: str,
    analysis: Analysis,
    tell: Callable[[Path, Mapping[str, pd.DataFrame]], Told],
    *,
    edge: str,
    nulls: str,
    step: str = LAST_STEP,
    stride: bool = False,
) -> Callable[..., None]:
    """Make the command that carries an analysis of a run's edge out; words are the help of its options."""

    def command(
        folder: RunFolder,
        out: Out = None,
        seed: Seed = 42,
        as_json: Json = False,
        step: Annotated[int | None, typer.Option(help=step)] = None,
        stride: Stride = None,
        window: Window = 20,
        center: Center = True,
        edge: Annotated[int, typer.Option(min=2, help=edge)] = 3,
        nulls: Annotated[int, typer.Option(min=2, help=nulls)] = 20,
        params: Params = None,
        device: Device = "cpu",
        threads: Threads = None,
    ) -> None:
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
        tables = measured(folder, [analysis], settings, out)
        shown, found = tell(folder, tables)
        if not as_json:
            for table in shown:
                typer.echo(table + "\n")
            typer.echo(found)
        place = out or folder
        paths = {name: str(place / f"{name}.parquet") for name in tables}
        show({**paths, **({"found": found} if as_json else {})}, as_json=as_json)

    known = inspect.signature(command)
    offered = [one for one in known.parameters.values() if stride or one.name != "stride"]
    vars(command)["__signature__"] = known.replace(parameters=offered)
    command.__name__ = name
    return command


def _printed(table: pd.DataFrame, *, digits: int = 4, missing: str = "NaN") -> str:
    """Write a table for people, numbers with so many digits."""

    def form(value: Any) -> str:
        return f"{value:.{digits}g}"

    return table.to_string(index=False, float_format=form, na_rep=missing)


def _ablated(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    shown = [(ABLATION.name, ["kind", "amount"]), (ABLATED_FUNCTIONS.name, ["subspace", "what", "kind"])]
    # Where the task's own functions hold nothing, such as those of one answer, none is left out.
    told = [_of_draws(tables[name], by) for name, by in shown if not tables[name].empty]
    return told, ablation_sentence(tables[ABLATION.name])


def _of_draws(table: pd.DataFrame, by: list[str]) -> str:
    """Means over draws, and the 5 % and 95 % quantiles of the test loss."""
    columns = ["removed", "test_accuracy", "test_loss", "own_share"]
    grouped = table.groupby(by, sort=False)
    means = grouped[columns].mean()
    means["draws"] = grouped.size()
    means["loss 5 %"], means["loss 95 %"] = (grouped["test_loss"].quantile(end) for end in (0.05, 0.95))
    return _printed(means.reset_index(), missing="")


ablate = _edge_command(
    "ablate",
    ABLATING,
    _ablated,
    edge="How many directions count as edge; the rest are bulk.",
    nulls="Draws of random directions, and permutations of functions.",
)


def _moved(folder: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    table = tables[CENTROIDS.name]
    if table.empty:
        raise InputError(
            f"{folder} has a network without vectors for its tokens, so that its inputs have no centroids: train one "
            "that has embeddings, a transformer or an mlp with inputs=embedded"
        )
    grouped = table.groupby(["form", "size", "kind", "window"], sort=False)["ratio"]
    ends = grouped.quantile(0.05), grouped.quantile(0.95)
    means = grouped.mean().to_frame("R").assign(directions=grouped.size(), low=ends[0], high=ends[1])
    return [_printed(means.reset_index())], centroid_sentence(table)


centroids = _edge_command(
    "centroids",
    PROBING_CENTROIDS,
    _moved,
    edge="How many leading directions of each window are probed.",
    nulls="Draws of directions at random.",
)


def _of_gradients(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    selected, edges = tables[SELECTED.name], tables[EDGES.name]
    last = selected[selected["step"] == selected["step"].max()].merge(edges, on=["step", "source", "part", "draw"])
    columns = ["ratio", "energy_share", "next_edge", "k_star", "with_updates"]
    means = last.groupby(["source", "part", "functions"], sort=False)[columns].mean().reset_index()
    return [_printed(means, digits=3)], gradient_sentence(selected)


def _of_curvature(_: Path, tables: Mapping[str, pd.DataFrame]) -> Told:
    leaders = tables[LEADERS.name]
    of_edge = leaders[(leaders["direction"] == 0) & (leaders["step"] == leaders["step"].max())]
    shown = of_edge[["vector", "number", "value", "overlap", "span", "span_high", "random_high"]]
    return [_printed(shown, digits=3)], curvature_sentence(tables[DEFECTS.name], leaders)


gradients = _edge_command(
    "gradients",
    COMPARING_GRADIENTS,
    _of_gradients,
    edge="How many leading directions of each window are its edge.",
    nulls="Isotropic directions.",
    stride=True,
)
curvature = _edge_command(
    "curvature",
    CURVATURE,
    _of_curvature,
    edge="How many leading directions of updates are their edge.",
    nulls="Draws of directions in the window's span.",
    step="Measure this snapshot alone. Default: the course of the run.",
    stride=True,
)
