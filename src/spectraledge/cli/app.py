"""The commands together, and what their failures mean to the shell: 0 done, 2 the user's mistake, 1 ours."""

import io
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, cast

import typer
import typer.core

from spectraledge.errors import InputError

_COMMANDS = {
    "train": ("train", "spectraledge train add --protocol paper --seed 42 --out runs/add"),
    "analyze": ("inspect", "spectraledge analyze checkpoints --params '\\*attn\\*weight' --window 20"),
    "modes": ("inspect", "spectraledge modes runs/add --basis sum --basis difference"),
    "score": ("score_command", "spectraledge score runs/add --control runs/permuted_add"),
    "doctor": ("doctor", "spectraledge doctor --json"),
    "study": ("study_commands", None),
    "checkpoints": ("checkpoints", None),
    "example": ("example", None),
}
"""The module of each command, and an example where it has no commands of its own."""

_SETTINGS: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": "markdown", "add_completion": False}


class _Commands(Mapping[str, Any]):
    """Commands by name, imported when one is asked for: plotting, which only `study` needs, takes half a second."""

    def __getitem__(self, name: str) -> Any:
        module, example = _COMMANDS[name]
        found = getattr(import_module(f"spectraledge.cli.{module}"), name)
        around = typer.Typer(**_SETTINGS)
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name)
        else:
            around.command(epilog=f"Example:  {example}")(found)
        return typer.main.get_group(around).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Group(typer.core.TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = cast(Any, _Commands())


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


def main() -> None:
    """Run the command line, turning what went wrong into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files may be no text.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except InputError as error:
        _stop(str(error), 2)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _stop(f"the system refused: {error.strerror or error}{where}; free space or choose a place you may write to", 2)
    except KeyboardInterrupt:
        _stop("stopped; the same command goes on from the last snapshot", 130)


def _stop(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)
