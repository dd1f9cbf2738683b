"""`spectraledge train`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import TextColumn, TimeRemainingColumn

from spectraledge.cli.options import (
    Json,
    Out,
    Repair,
    Seed,
    TrainingDevice,
    TrainingThreads,
    progress_bars,
    remark,
    remark_page,
    show,
    steps_changed,
    use_threads,
)
from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.interventions.intervention import SETTINGS, SUBSPACES
from spectraledge.tasks import OPERATIONS, task_from_source, task_title
from spectraledge.tasks.group_tasks import GROUP_OPERATIONS
from spectraledge.tasks.task import JOIN
from spectraledge.training import OPTIMIZERS, NonFiniteLossError, RunConfig, train_in_folders
from spectraledge.training import Progress as TrainingProgress
from spectraledge.trajectory import Manifest

_ON_GROUPS = ", ".join(f"group:S4:{key} or :{each.word}" for key, each in GROUP_OPERATIONS.items() if key != "ab")


def train(
    task: Annotated[
        str,
        typer.Argument(
            help=f"{', '.join(OPERATIONS)}; several with a head each (add+mul); a group by name, such as group:S5, "
            f"group:D13, group:C3xC4, with an operation behind it where it is not ab ({_ON_GROUPS}); controls of "
            "--modulus residues without a group (latin:0, loop:0); a table of answers (table.csv, table.npy); a "
            "Python function (module.py:function); or one of these with its answers permuted (permuted:group:S5).",
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
    optimizer: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(OPTIMIZERS)}, as in PyTorch; muon moves the matrices of hidden layers, and adamw "
            "the rest."
        ),
    ] = "adamw",
    weight_decay: Annotated[
        float, typer.Option(help="Decoupled; of adam and sgd a part of the gradient, as in PyTorch.")
    ] = 1.0,
    learning_rate: Annotated[float, typer.Option(help="Of the optimizer.")] = 1e-3,
    betas: Annotated[tuple[float, float], typer.Option(help="Of adamw and adam.")] = (0.9, 0.98),
    momentum: Annotated[float, typer.Option(help="Of sgd and muon.")] = 0.95,
    clip_norm: Annotated[
        float, typer.Option(help="Largest norm of a gradient; 0 to take gradients as they come.")
    ] = 1.0,
    batch_size: Annotated[int, typer.Option(help="Pairs per step; 0 for all training pairs.")] = 512,
    loss: Annotated[
        str, typer.Option(help="cross-entropy, or mse: squared distance of the centred logits from the answer's.")
    ] = "cross-entropy",
    stop_accuracy: Annotated[
        float, typer.Option(help="Test accuracy at which, three times in a row, it stops early; above 1 it never does.")
    ] = 0.98,
    train_fraction: Annotated[float, typer.Option(help="Share of the pairs that trains.")] = 0.5,
    model: Annotated[
        str,
        typer.Option(help="transformer; mlp; or a Python function that builds a torch module (module.py:function)."),
    ] = "transformer",
    width: Annotated[
        int | None, typer.Option(help="Width of the residual stream, or of an mlp's embedding. [default: 128]")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Layers. [default: 2, of an mlp 1]")] = None,
    heads: Annotated[int | None, typer.Option(help="Attention heads. [default: 4]")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of hidden layers. [default: 256]")] = None,
    inputs: Annotated[
        str | None, typer.Option(help="What an mlp reads of a token: one_hot, embedded. [default: one_hot]")
    ] = None,
    activation: Annotated[str | None, typer.Option(help="Of an mlp: relu, gelu, square. [default: relu]")] = None,
    bias: Annotated[
        bool | None, typer.Option("--bias/--no-bias", help="Whether an mlp's layers have biases. [default: bias]")
    ] = None,
    engine: Annotated[
        Literal["eager", "compiled"],
        typer.Option(
            help="Compute steps at once, or compile them first (20 to 60 s): on a GPU, and for long runs of modules of "
            "your own. Networks of this package on a CPU are compiled already and take the same steps with both."
        ),
    ] = "eager",
    runs: Annotated[
        int,
        typer.Option(min=1, help="Train this many runs as one batch, with seeds SEED, SEED + 1, ..., into OUT/RUN-ID."),
    ] = 1,
    intervene: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACTION:SUBSPACE[,NAME=VALUE...]",
            help="Change its steps; may be repeated. ACTION is keep, remove or scale; SUBSPACE one of "
            f"{', '.join(words.split(',')[0] for name, words in SUBSPACES.items() if name != 'given')}; settings are "
            f"{', '.join(SETTINGS)}. So remove:edge:3 takes the three leading directions of the last 20 updates out of "
            "every update; docs/interventions.md says what each means.",
        ),
    ] = None,
    keep_states: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep the state at every multiple of so many steps, which forks go on from; 3 snapshots' size each.",
        ),
    ] = None,
    repair: Repair = False,
    device: TrainingDevice = "cpu",
    threads: TrainingThreads = 1,
) -> None:
    """Train one network on one task, recording a snapshot at every interval; a killed run goes on where it stopped."""
    use_threads(threads)
    if task.endswith(JOIN):
        raise InputError(f"a joint task has a part behind each plus sign, got {task!r}: leave the last sign out")
    chosen = task_from_source(task, modulus=modulus)
    sizes = {
        "width": width,
        "depth": depth,
        "heads": heads,
        "hidden": hidden,
        "inputs": inputs,
        "activation": activation,
        "bias": bias,
    }
    network = {"kind": model, **{name: value for name, value in sizes.items() if value is not None}}
    if model == "mlp" and width is not None and inputs != "embedded":
        raise InputError(f"--width {width} is that of an mlp's embedding, which one_hot has not: add --inputs embedded")
    usual = RunConfig.model_fields["betas"].default
    if optimizer == "sgd" and betas != usual:
        raise InputError(f"--betas belong to adamw and adam, and to muon's adamw, got {betas} of sgd: leave them out")
    interventions = [Intervention.of(text) for text in intervene or ()]
    configs = [
        RunConfig.for_task(
            chosen,
            model=network,
            protocol=protocol,
            seed=seed + index,
            steps=steps,
            every=every,
            optimizer=optimizer,
            weight_decay=weight_decay,
            learning_rate=learning_rate,
            betas=betas,
            momentum=momentum,
            clip_norm=clip_norm,
            batch_size=batch_size,
            loss=loss,
            stop_accuracy=stop_accuracy,
            train_fraction=train_fraction,
            engine=engine,
            interventions=interventions,
        )
        for index in range(runs)
    ]
    if keep_states and keep_states % every:
        raise InputError(
            f"states are kept where snapshots are, every {every} steps, got {keep_states}: take a multiple"
        )
    folders = [out] if out and runs == 1 else [(out or Path("runs")) / config.run_id for config in configs]
    title = task_title(chosen.formula, chosen.parts[-1].structure, chosen.modulus)
    remark(f"{title}, {len(chosen)} pairs, into {', '.join(map(str, folders))}")
    said = TextColumn("test accuracy {task.fields[accuracy]:.3f}  {task.fields[speed]:.0f} steps/s  at most")
    with progress_bars(said, TimeRemainingColumn()) as bar:
        names = [f"{chosen.name}, seed {config.seed}" for config in configs]
        bars = [bar.add_task(name, total=steps, accuracy=0.0, speed=0.0) for name in names]

        def update(index: int, progress: TrainingProgress) -> None:
            evaluation = progress.evaluation
            bar.update(
                bars[index],
                completed=evaluation.step,
                accuracy=evaluation.test_accuracy,
                speed=progress.steps_per_second,
            )

        work = [(folder, config, chosen) for folder, config in zip(folders, configs, strict=True)]
        kept = range(0, steps + 1, keep_states) if keep_states else ()
        manifests = train_in_folders(work, device=device, repair=repair, keep_states=kept, on_progress=update)
    failed = [f"{folder}: {m.error}" for folder, m in zip(folders, manifests, strict=True) if m.status == "failed"]
    if len(failed) < runs:
        found = [_summary(folder, manifest) for folder, manifest in zip(folders, manifests, strict=True)]
        for shown in [{"runs": found}] if as_json and runs > 1 else found:
            show(shown, as_json=as_json)
        remark_page(*(folder for folder, m in zip(folders, manifests, strict=True) if m.status != "failed"))
    if failed:
        raise NonFiniteLossError("; ".join(failed))


def _summary(folder: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "folder": str(folder),
        "status": manifest.status,
        "stopped": manifest.stopped,
        "step": manifest.step,
        "grokked_step": manifest.grokked_step,
        "test_accuracy": manifest.test_accuracy,
        "wall_seconds": round(manifest.wall_seconds, 2),
        **({"interventions": [steps_changed(one) for one in manifest.interventions]} if manifest.interventions else {}),
    }
