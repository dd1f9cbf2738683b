"""`spectraledge fork`: branches of a recorded run that part at a step, each with one thing changed."""

import re
from typing import Annotated

import typer

from spectraledge.analyses.branches import BRANCHES, branch_groupings, branch_sentence, branch_table
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.cli.options import (
    Json,
    Out,
    Params,
    RunFolder,
    Seed,
    TrainingDevice,
    TrainingThreads,
    progress_bars,
    remark,
    show,
    steps_changed,
    use_threads,
)
from spectraledge.files import write_table
from spectraledge.interventions import Intervention
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.training import Progress as TrainingProgress
from spectraledge.training import train_in_folder
from spectraledge.training.forks import WARM_UP, branch_runs
from spectraledge.training.step_rules import OPTIMIZERS


def fork(
    folder: RunFolder,
    step: Annotated[int, typer.Option(help="Snapshot at which branches part.")],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each branch.")] = 500,
    every: Annotated[
        int | None, typer.Option(min=1, help="Steps between snapshots. Default: those of the run.")
    ] = None,
    answers: Annotated[
        list[str] | None,
        typer.Option(
            help="A branch with other answers: permuted, the own ones dealt out to other pairs (permuted:1, … other "
            "draws), or another task over the same pairs. This and the next options may be repeated."
        ),
    ] = None,
    weight_decay: Annotated[list[float] | None, typer.Option(help="A branch with this weight decay.")] = None,
    learning_rate: Annotated[list[float] | None, typer.Option(help="A branch with this learning rate.")] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            help=f"A branch with another optimizer ({', '.join(OPTIMIZERS)}), which remembers nothing at first."
        ),
    ] = None,
    train_fraction: Annotated[
        list[float] | None, typer.Option(help="A branch in which this share of the pairs trains.")
    ] = None,
    batch_order: Annotated[
        list[int] | None, typer.Option(help="A branch with the batches of this seed: how much batches alone change.")
    ] = None,
    intervene: Annotated[
        list[str] | None,
        typer.Option(metavar="ACTION:SUBSPACE[,NAME=VALUE...]", help="A branch with this intervention; as of `train`."),
    ] = None,
    warm_up: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Steps over which the optimizer's memory is filled where the run kept no state (`train "
            f"--keep-states`). Default: {WARM_UP} there, else none.",
        ),
    ] = None,
    nulls: Annotated[int, typer.Option(min=2, help="Random directions that moves are compared with.")] = 20,
    params: Params = None,
    device: TrainingDevice = "cpu",
    threads: TrainingThreads = 1,
) -> None:
    """Start branches from a snapshot of a run, each with one thing changed, and compare which functions they move."""
    use_threads(threads)
    settings = AnalysisConfig.checked(nulls=nulls, seed=seed, params=params)
    runs = branch_runs(
        folder,
        step=step,
        steps=steps,
        warm_up=warm_up,
        every=every,
        answers=answers or (),
        interventions=[Intervention.of(text) for text in intervene or ()],
        weight_decay=weight_decay or (),
        learning_rate=learning_rate or (),
        optimizer=optimizer or (),
        train_fraction=train_fraction or (),
        batch_seed=batch_order or (),
    )
    place = out or folder.with_name(f"{folder.name}-fork-{step}")
    folders = {name: place / re.sub(r"[^\w.-]+", "-", name) for name in runs}
    same = next(config for config, _ in runs.values())
    if same.fork and same.fork.warm_up:
        remark(
            f"{folder} kept no state at step {step}: the optimizer's memory is filled over {same.fork.warm_up} steps "
            "at the weights there; train with --keep-states for branches that go on exactly"
        )
    anew = [name for name, (config, _) in runs.items() if config.optimizer != same.optimizer]
    if anew and not warm_up:
        remark(
            f"{', '.join(anew)}: an optimizer other than the run's remembers no gradient at step {step}, and takes the "
            "run's learning rate; --warm-up fills its memory first"
        )
    remark(f"{len(runs)} branches of {steps} steps, into {place}")
    done = []
    with progress_bars() as bar:
        for name, (config, task) in runs.items():
            shown = bar.add_task(name, total=steps)

            def update(progress: TrainingProgress, shown: object = shown) -> None:
                bar.update(shown, completed=progress.evaluation.step - step)  # type: ignore[arg-type]

            manifest = train_in_folder(folders[name], config, task, device=device, parents=[folder], on_progress=update)
            bar.update(shown, completed=steps)
            done += [f"{name}: {steps_changed(one)}" for one in manifest.interventions]
    for line in done:
        remark(line)
    run = RecordedRun.open(folder, settings.params)
    table = branch_table(folders, branch_groupings(run, folders), settings)
    path = place / f"{BRANCHES.name}.parquet"
    write_table(path, table)
    found = branch_sentence(table, run.task.structure)
    if not as_json:
        last = table[(table["step"] == table["step"].max()) & (table["readout"] == FUNCTION)]
        ratios = last.pivot(index="branch", columns="basis", values="ratio").reindex(index=list(runs))
        typer.echo("share of the net move's response in the logits, over that of directions at random")
        typer.echo(f"{ratios.round(3).to_string()}\n")
        typer.echo(found)
    show({BRANCHES.name: str(path), "folder": str(place), **({"found": found} if as_json else {})}, as_json=as_json)
