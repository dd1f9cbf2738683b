"""`spectraledge train`."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from spectraledge.cli.options import Json, Out, Seed, progress_console, remark, show, use_threads
from spectraledge.tasks import task_from_source
from spectraledge.training import Progress as TrainingProgress
from spectraledge.training import RunConfig, train_in_folder


def train(
    task: Annotated[
        str,
        typer.Argument(
            help="add, sub, mul, div, square_sum, quadratic, cubic; a table of answers (table.csv, table.npy); "
            "or a Python function (module.py:function).",
            show_default=False,
        ),
    ],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    modulus: Annotated[int, typer.Option(help="Number of residues.")] = 97,
    protocol: Annotated[
        Literal["default", "paper"], typer.Option(help="Random streams: named ones, or the author's.")
    ] = "default",
    steps: Annotated[int, typer.Option(help="Step budget.")] = 20_000,
    every: Annotated[int, typer.Option(help="Steps between evaluations and snapshots.")] = 100,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 1.0,
    learning_rate: Annotated[float, typer.Option(help="Of AdamW.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(help="Pairs per step.")] = 512,
    train_fraction: Annotated[float, typer.Option(help="Share of the pairs that trains.")] = 0.5,
    width: Annotated[int, typer.Option(help="Width of the residual stream.")] = 128,
    depth: Annotated[int, typer.Option(help="Layers.")] = 2,
    heads: Annotated[int, typer.Option(help="Attention heads.")] = 4,
    hidden: Annotated[int, typer.Option(help="Width of the feed-forward layers.")] = 256,
    device: Annotated[str, typer.Option(help="Where to train: cpu, cuda, cuda:1, ...")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads; results are bit-identical at equal threads.")] = 1,
) -> None:
    """Train one network on one task, recording a snapshot at every interval; a killed run goes on where it stopped."""
    use_threads(threads)
    chosen = task_from_source(task, modulus=modulus)
    config = RunConfig.for_task(
        chosen,
        model={"width": width, "depth": depth, "heads": heads, "hidden": hidden},
        protocol=protocol,
        seed=seed,
        steps=steps,
        every=every,
        weight_decay=weight_decay,
        learning_rate=learning_rate,
        batch_size=batch_size,
        train_fraction=train_fraction,
    )
    folder = out or Path("runs") / config.run_id
    remark(f"{chosen.formula} mod {chosen.modulus}, {len(chosen)} pairs, into {folder}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("test accuracy {task.fields[accuracy]:.3f}  {task.fields[speed]:.0f} steps/s  at most"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=progress_console) as bar:
        shown = bar.add_task(chosen.name, total=steps, accuracy=0.0, speed=0.0)

        def update(progress: TrainingProgress) -> None:
            evaluation = progress.evaluation
            bar.update(
                shown,
                completed=evaluation.step,
                accuracy=evaluation.test_accuracy,
                speed=progress.steps_per_second,
            )

        manifest = train_in_folder(folder, config, chosen, device=device, on_progress=update)
    show(
        {
            "folder": str(folder),
            "status": manifest.status,
            "stopped": manifest.stopped,
            "step": manifest.step,
            "grokked_step": manifest.grokked_step,
            "test_accuracy": manifest.test_accuracy,
            "wall_seconds": round(manifest.wall_seconds, 2),
        },
        as_json=as_json,
    )
