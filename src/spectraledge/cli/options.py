"""Options that several commands share, and how results are printed."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn

from spectraledge.devices import usable_device

RunFolder = Annotated[Path, typer.Argument(help="A run folder written by `spectraledge train` or a study.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder to write to.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Root seed of every random stream.")]
NoSeed = Annotated[
    int, typer.Option("--seed", min=0, help="Accepted like everywhere; nothing that this command does is random.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout; progress stays on stderr.")]
Window = Annotated[int, typer.Option("--window", help="Updates per window (Xu 2026: 20).")]
LAST_STEP = "Snapshot to look at. Default: the last with test accuracy above .95, else the last."
Step = Annotated[int | None, typer.Option("--step", help=LAST_STEP)]
Stride = Annotated[int | None, typer.Option("--stride", min=1, help="Measure every so many snapshots.")]
Center = Annotated[
    bool, typer.Option("--center/--no-center", help="Remove a window's mean update before its directions.")
]
Params = Annotated[
    list[str] | None,
    typer.Option("--params", help="Name pattern of the tensors to watch, such as '\\*attn\\*weight'; may be repeated."),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="Where the weights lie in a file, such as 'model' or 'checkpoint/model'. Default: all of it; in .bin, "
        ".pt, .pth and .ckpt files at the top, or under model_state_dict, state_dict, model or module.",
    ),
]
StepPattern = Annotated[
    str | None,
    typer.Option(
        "--step",
        metavar="REGEX",
        help="Regular expression whose first group is the step, such as 'stage1-step(\\d+)', for names that follow no "
        "one pattern; names that it does not find are left out.",
    ),
]
MOST_THREADS = 256

Threads = Annotated[
    int | None, typer.Option("--threads", min=1, max=MOST_THREADS, help="Threads of PyTorch. Default: its own choice.")
]
TrainingThreads = Annotated[
    int,
    typer.Option("--threads", min=1, max=MOST_THREADS, help="Threads; results are bit-identical at equal threads."),
]
TrainingDevice = Annotated[str, typer.Option("--device", help="Where to train: cpu, cuda, cuda:1, ...")]


def _usable(device: str) -> str:
    usable_device(device)
    return device


Device = Annotated[
    str,
    typer.Option(
        "--device",
        callback=_usable,
        help="Where networks compute: cpu, cuda, cuda:1, ...; tables are the same but for rounding.",
    ),
]

Repair = Annotated[
    bool, typer.Option("--repair", help="Make again what is not what was written; every file is read for that.")
]

progress_console = Console(stderr=True)
"""Where progress and remarks go, so that stdout stays machine-readable."""


Verbose = Annotated[bool, typer.Option("--verbose", help="List what is else only counted.")]

_LISTED = 12
"""Names that are listed without being asked for."""


def use_threads(threads: int | None) -> None:
    """Set PyTorch's number of threads, if one was chosen."""
    if threads:
        torch.set_num_threads(threads)


def progress_bars(*more: ProgressColumn, width: int = 40, transient: bool = False) -> Progress:
    """Bars for people, each with its description and counts, on stderr."""
    columns = TextColumn("{task.description}"), BarColumn(width), MofNCompleteColumn(), *more
    return Progress(*columns, console=progress_console, transient=transient)


def remark(text: str) -> None:
    """Print a line for people, on stderr."""
    progress_console.print(text, highlight=False, markup=False, soft_wrap=True)


def remark_names(what: str, names: Sequence[str], *, verbose: bool) -> None:
    """Say names; many of them are counted unless they are asked for."""
    if names:
        few = verbose or len(names) <= _LISTED
        remark(f"{what}: {', '.join(names)}" if few else f"{what}; --verbose lists them")


def remark_strangers(names: Sequence[str]) -> None:
    """Say which names beside a series are no part of it."""
    if names:
        shown = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        remark(f"no part of the series: {shown}")


REPORTED = {"seed": 42, "window": 20, "nulls": 20}
"""Root seed, updates per window (Xu 2026) and null directions with which `report` measures runs where not told."""


def remark_page(*places: Path, **settings: int) -> None:
    """Say which command writes the page of what was made."""
    other = [f"--{name}={value}" for name, value in settings.items() if value != REPORTED[name]]
    remark(f"its page: spectraledge report {shlex.join([*map(str, places), *other])}")


def steps_changed(account: Mapping[str, Any]) -> str:
    """Say what an intervention has done: see `Manifest.interventions`."""
    return (
        f"{account['what']}: {account['acted']} steps changed, {account['idle']} before there were directions; "
        f"{account['share']:.2%} of the squared length lay in {account['rank']} of {account['parameters']} dimensions"
    )


def show(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result on stdout: as JSON, or one line per field."""
    if as_json:
        typer.echo(json.dumps(result, indent=2, default=str))
        return
    width = max(len(name) for name in result)
    for name, value in result.items():
        typer.echo(f"{name.replace('_', ' '):<{width}}  {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)
