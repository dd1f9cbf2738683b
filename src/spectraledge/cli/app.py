"""The commands together, and what their failures mean to the shell: 0 done, 2 the user's mistake, 1 ours."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from spectraledge.cli.checkpoints import checkpoints
from spectraledge.cli.doctor import doctor
from spectraledge.cli.inspect import analyze, modes
from spectraledge.cli.study import study
from spectraledge.cli.train import train
from spectraledge.errors import InputError

app = typer.Typer(
    name="spectraledge",
    help="Which functions of the input are the weights of a network moving along while it trains?",
    epilog="Start here:  spectraledge study run quick",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    add_completion=False,
)
app.add_typer(study, name="study")
app.add_typer(checkpoints, name="checkpoints")
app.command(epilog="Example:  spectraledge train add --protocol paper --seed 42 --out runs/add")(train)
app.command(epilog="Example:  spectraledge analyze checkpoints --params '\\*attn\\*weight' --window 20")(analyze)
app.command(epilog="Example:  spectraledge modes runs/add --basis sum --basis difference")(modes)
app.command(epilog="Example:  spectraledge doctor --json")(doctor)


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
