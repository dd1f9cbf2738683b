"""`spectraledge ablate`: what a trained network loses when moves of its run are taken back."""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from spectraledge.analyses.ablation import ABLATED_FUNCTIONS, ABLATING, ABLATION, ablation_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
from spectraledge.cli.options import Center, Json, Out, Params, Seed, Step, Threads, Window, show, use_threads
from spectraledge.studies.belonging import check_place


def ablate(
    folder: Annotated[Path, typer.Argument(help="A run folder written by `spectraledge train` or a study.")],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many directions count as edge; the rest are bulk.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of random directions, and permutations of functions.")] = 20,
    params: Params = None,
    threads: Threads = None,
) -> None:
    """Take back what a run moved its weights by along some directions, and leave out single functions."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params
    )
    if out is None:
        check_place(folder, ABLATING, settings)
    tables = measure(folder, ABLATING, settings, into=out)
    found = ablation_sentence(tables[ABLATION.name])
    if not as_json:
        for name, by in ((ABLATION.name, ["kind", "amount"]), (ABLATED_FUNCTIONS.name, ["subspace", "what", "kind"])):
            typer.echo(_printed(tables[name], by) + "\n")
        typer.echo(found)
    place = out or folder
    show(
        {**{name: str(place / f"{name}.parquet") for name in tables}, **({"found": found} if as_json else {})},
        as_json=as_json,
    )


def _printed(table: pd.DataFrame, by: list[str]) -> str:
    """Means over draws, and the 5 % and 95 % quantiles of the test loss."""
    columns = ["removed", "test_accuracy", "test_loss", "own_share"]
    grouped = table.groupby(by, sort=False)
    means = grouped[columns].mean()
    means["draws"] = grouped.size()
    means["loss 5 %"], means["loss 95 %"] = (grouped["test_loss"].quantile(end) for end in (0.05, 0.95))
    return means.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="")
