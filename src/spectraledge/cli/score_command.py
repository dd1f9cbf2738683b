"""`spectraledge score`: which functions a recorded network computes over training."""

from pathlib import Path
from typing import Annotated

import typer

from spectraledge.analyses.onsets import ONSETS, check_control, onset_table
from spectraledge.analyses.score import GROWING, SCORING, state_of_control
from spectraledge.analyses.score_findings import carried_sentence, score_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.cli.measuring import measured
from spectraledge.cli.options import (
    Center,
    Device,
    Json,
    Out,
    Params,
    RunFolder,
    Seed,
    Threads,
    Window,
    show,
    use_threads,
)
from spectraledge.devices import room_on
from spectraledge.files import write_table
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.report.score_page import scored, write_score_page
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest


def score(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    control: Annotated[
        list[Path] | None,
        typer.Option(
            help="A run alike in everything but the answers (permuted), or but the training pairs (too few): what its "
            "functions never reach dates those of this run. May be repeated: 19 make a rate of false alarms of 5 %."
        ),
    ] = None,
    window: Window = 20,
    center: Center = True,
    edge: Annotated[int, typer.Option(min=2, help="How many directions count as edge; the rest are bulk.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Draws of random directions.")] = 20,
    stride: Annotated[
        int | None, typer.Option(min=1, help="Snapshots from one whose growth is measured to the next. Default: 4.")
    ] = None,
    basis: Annotated[list[str] | None, typer.Option(help="As of `spectraledge modes`; may be repeated.")] = None,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Measure which functions a network computes over training, what makes them grow, and what carries that."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        window=window,
        center_modes=center,
        edge=edge,
        nulls=nulls,
        stride=stride,
        seed=seed,
        bases=basis,
        params=params,
        device=device,
    )
    controls = control or []
    for other in controls:
        grokked = Manifest.read(other).grokked_step is not None
        check_control(RunConfig.of_run(folder), RunConfig.of_run(other), grokked=grokked)
    run = RecordedRun.open(folder, device=device)
    own = run.task.structure
    tables = measured(folder, (SCORING, GROWING), settings, out)
    place = out or folder
    with room_on(device):
        states = [state_of_control(other, run) for other in controls]
    onsets = ONSETS.frame()
    if states:
        onsets = onset_table(tables["score"], states, basis=own, grokked_step=Manifest.read(folder).grokked_step)
        write_table(place / f"{ONSETS.name}.parquet", onsets)
    found = score_sentence(own, tables["score"], run.metrics, onsets)
    carried = carried_sentence(tables["carriers"], edge=edge)
    runs = [scored(each, state) for each, state in zip([folder, *controls], [tables["score"], *states], strict=True)]
    page = write_score_page(place, runs, own, [found, *([carried] if carried else [])])
    if not as_json:
        for sentence in filter(None, (found, carried)):
            typer.echo(sentence)
    names = [*tables, *([ONSETS.name] if states else [])]
    show(
        {
            **{name: str(place / f"{name}.parquet") for name in names},
            "picture": str(place / "figures" / "score.png"),
            "page": str(page),
            **({"found": found, "carried": carried} if as_json else {}),
        },
        as_json=as_json,
    )
