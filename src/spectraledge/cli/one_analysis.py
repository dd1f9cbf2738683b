"""What commands that carry analyses of a run out have in common: options, where tables go, how a person is told."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.left_out import reasons
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import measure
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
    remark,
    show,
    use_threads,
)
from spectraledge.studies.belonging import check_place

Told = tuple[Sequence[str], str]
"""Tables for people, as they are printed, and what was found, in a sentence."""


def edge_command(
    name: str,
    analysis: Analysis,
    tell: Callable[[Path, Mapping[str, pd.DataFrame]], Told],
    words: str,
    *,
    edge: str,
    nulls: str,
    step: str = LAST_STEP,
    stride: bool = False,
) -> Callable[..., None]:
    """Make the command that carries an analysis of a run's edge out; words are its help and that of its options.

    Args:
        name: The command's.
        analysis: The analysis.
        tell: Says what the tables of a run folder hold; it may refuse them.
        words: What the command does.
        edge: What the option --edge is.
        nulls: What the option --nulls is.
        step: What the option --step is.
        stride: Whether it has the option --stride.

    Returns:
        The command's function.
    """

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
    command.__name__, command.__doc__ = name, words
    return command


def measured(
    folder: Path, analyses: Iterable[Analysis], settings: AnalysisConfig, out: Path | None
) -> dict[str, pd.DataFrame]:
    """Carry analyses out, write their tables, and say what they leave out.

    Args:
        folder: The run folder.
        analyses: The analyses.
        settings: Their settings.
        out: Folder to write to. None: the run's own, unless a study's tables of other settings are there.

    Returns:
        The tables by name.

    Raises:
        InputError: if the run cannot be analysed so, or the tables of its study would be written over.
    """
    if out is None:
        for analysis in analyses:
            check_place(folder, analysis, settings)
    tables: dict[str, pd.DataFrame] = {}
    for analysis in analyses:
        tables |= measure(folder, analysis, settings, into=out)
    for reason in reasons(tables):
        remark(f"left out {reason}")
    return tables


def printed(table: pd.DataFrame, *, digits: int = 4, missing: str = "NaN") -> str:
    """Write a table for people, numbers with so many digits."""

    def form(value: Any) -> str:
        return f"{value:.{digits}g}"

    return table.to_string(index=False, float_format=form, na_rep=missing)
