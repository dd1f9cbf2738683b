"""`spectraledge ablate`: what a trained network loses when moves of its run are taken back."""

from typing import Annotated

import pandas as pd
import typer

from spectraledge.analyses.ablation import ABLATED_FUNCTIONS, ABLATING, ABLATION, ablation_sentence
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


def ablate(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many directions count as edge; the rest are bulk.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of random directions, and permutations of functions.")] = 20,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Take back what a run moved its weights by along some directions, and leave out single functions."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step, window=window, center_modes=center, edge=edge, nulls=nulls, seed=seed, params=params, device=device
    )
    tables = measured(folder, ABLATING, settings, out)
    found = ablation_sentence(tables[ABLATION.name])
    shown = [(ABLATION.name, ["kind", "amount"]), (ABLATED_FUNCTIONS.name, ["subspace", "what", "kind"])]
    printed = [_printed(tables[name], by) for name, by in shown]
    show_found(printed, found, tables, out or folder, as_json=as_json)


def _printed(table: pd.DataFrame, by: list[str]) -> str:
    """Means over draws, and the 5 % and 95 % quantiles of the test loss."""
    columns = ["removed", "test_accuracy", "test_loss", "own_share"]
    grouped = table.groupby(by, sort=False)
    means = grouped[columns].mean()
    means["draws"] = grouped.size()
    means["loss 5 %"], means["loss 95 %"] = (grouped["test_loss"].quantile(end) for end in (0.05, 0.95))
    return means.reset_index().to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep="")
