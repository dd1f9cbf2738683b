"""The commands together, and what their failures mean to the shell: 0 done, 2 the user's mistake, 1 ours."""

import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
import typer.core

from spectraledge.errors import InputError

_COMMANDS = {
    "train": (
        "train",
        "Train one network on one task, recording a snapshot at every interval; a killed run goes on where it stopped.",
        "spectraledge train add --protocol paper --seed 42 --out runs/add",
    ),
    "analyze": (
        "inspect",
        "Compute the spectrum of every window of any folder of snapshots; writes spectrum.parquet and edge.parquet.",
        "spectraledge analyze checkpoints --params '\\*attn\\*weight' --window 20",
    ),
    "modes": (
        "inspect",
        "Measure which functions training selects: what the top directions of a run do to every input, beside nulls.",
        "spectraledge modes runs/add --basis sum --basis difference",
    ),
    "score": (
        "score_command",
        "Measure which functions a network computes over training, what makes them grow, and what carries that.",
        "spectraledge score runs/add --control runs/permuted_add",
    ),
    "ablate": (
        "edge_commands",
        "Take back what a run moved its weights by along some directions, and leave out single functions.",
        "spectraledge ablate runs/add --nulls 99",
    ),
    "centroids": (
        "edge_commands",
        "Probe how far the edge of updates, and of gradients, moves the centroids of inputs, beside permuted answers.",
        "spectraledge centroids runs/add --step 2000",
    ),
    "gradients": (
        "edge_commands",
        "Read windows of gradients, of Adam's memory and of parts of updates as the window of updates is read.",
        "spectraledge gradients runs/add --step 2000",
    ),
    "curvature": (
        "edge_commands",
        "Follow the commutator defect over a run, and hold the edge against the directions along which the loss bends.",
        "spectraledge curvature runs/add --stride 5",
    ),
    "fork": (
        "fork",
        "Start branches from a snapshot of a run, each with one thing changed, and compare which functions they move.",
        "spectraledge fork runs/add --step 1000 --answers permuted --answers sub --batch-order 1",
    ),
    "report": (
        "report_command",
        "Write a page of what was recorded; a run is first analysed where that is not done at these settings.",
        "spectraledge report runs/add runs/permuted_add --out compared",
    ),
    "discover": (
        "discover_command",
        "Find the group of a table, whatever its elements are called, or of what a trained network computes.",
        "spectraledge discover table.csv --json",
    ),
    "doctor": (
        "doctor",
        "Show versions, threads, device and what is missing, and check one spectrum against its definition.",
        "spectraledge doctor --json",
    ),
    "study": ("study_commands", "Train, analyse and report a whole study.", None),
    "checkpoints": ("checkpoints", "Look at a series of checkpoints, and for what is wrong with it.", None),
    "example": ("example", "Worked examples that train, measure and report.", None),
}
"""The module of each command, what it does in a sentence, and an example where it has no commands of its own."""

_SETTINGS: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": "markdown", "add_completion": False}


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Look for no garbage in what is imported, now and when the command ends: that is a seventh of the time."""
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Commands(Mapping[str, Any]):
    """Commands by name, imported when one is asked for: plotting, which only `study` needs, takes half a second."""

    def __getitem__(self, name: str) -> Any:
        module, words, example = _COMMANDS[name]
        with _nothing_collected():
            found = getattr(import_module(f"spectraledge.cli.{module}"), name)
        around = typer.Typer(**_SETTINGS)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name, help=words)
        else:
            around.command(help=words, epilog=f"Example:  {example}")(found)
        return typer.main.get_group(around).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Group(typer.core.TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, _Commands())

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them, which takes seconds."""
        every = self.commands
        self.commands = {name: typer.core.TyperCommand(name, help=words) for name, (_, words, _) in _COMMANDS.items()}
        try:
            super().format_help(ctx, formatter)
        finally:
            self.commands = every


app = typer.Typer(
    name="spectraledge",
    cls=_Group,
    help="Which functions of the input are the weights of a network moving along while it trains?",
    epilog="Start here:  spectraledge study run quick",
    no_args_is_help=True,
    **_SETTINGS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("spectraledge"))
        raise typer.Exit


@app.callback()
def _root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


class _Stopped(BaseException):
    """A signal that asks to stop; nothing on the way catches it for another."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stopped(number: int, _: object) -> None:
    raise _Stopped(number)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """Turn signals that ask to stop into one exception, also while the commands are being imported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stopped) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command line, turning what went wrong into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may be no text.
            stream.reconfigure(errors="backslashreplace")
    try:
        with _told_to_stop():
            _run()
    except InputError as error:
        _stop(str(error), 2)
    except BrokenPipeError:
        # Whoever reads has seen enough, as with other tools; nothing more can be said on that pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _stop(f"the system refused: {error.strerror or error}{where}; free space or choose a place you may write to", 2)
    except (_Stopped, KeyboardInterrupt) as error:
        number = error.number if isinstance(error, _Stopped) else signal.SIGINT
        _stop("stopped; what is written is whole, and the same command goes on from the last snapshot", 128 + number)


def _run() -> None:
    for argument in sys.argv[1:]:
        if not argument.isprintable() and any("\ud800" <= character <= "\udfff" for character in argument):
            raise InputError(f"{argument!r} is no text in UTF-8: rename it, or give the folder around it")
    try:
        app()
    except SystemExit as stop:
        # Where the library met it first.
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        raise
    finally:
        sys.stdout.flush()


def _stop(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
