"""`spectraledge example language-model`."""

from pathlib import Path
from typing import Annotated

import typer

from spectraledge.cli.options import Json, Seed, Threads, progress_bars, show, use_threads
from spectraledge.examples import LanguageConfig, run_language_model

example = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@example.callback()
def _root() -> None:
    pass


@example.command(name="language-model", epilog="Example:  spectraledge example language-model --small --out runs/lm")
def language_model(
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("runs") / "language-model",
    seed: Seed = 42,
    as_json: Json = False,
    small: Annotated[
        bool, typer.Option("--small", help="A size that takes seconds; it learns little, but everything runs.")
    ] = False,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser (1,600).")] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Steps from checkpoint to checkpoint (5).")] = None,
    layers: Annotated[int | None, typer.Option(min=2, help="Layers of the network (4).")] = None,
    width: Annotated[int | None, typer.Option(min=4, help="Width of its residual stream (160).")] = None,
    heads: Annotated[int | None, typer.Option(min=1, help="Attention heads (4).")] = None,
    context: Annotated[int | None, typer.Option(min=8, help="Bytes of context (128).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Stretches of text per step (16).")] = None,
    window: Annotated[int | None, typer.Option(min=3, help="Updates per window (20; Xu 2026).")] = None,
    threads: Threads = None,
) -> None:
    """Train a small GPT on the source of Python's standard library, and find what its updates move.

    Needs Transformers: pip install spectraledge[transformers].
    """
    use_threads(threads)
    make = LanguageConfig.small if small else LanguageConfig.checked
    sizes = {"layers": layers, "width": width, "heads": heads, "context": context, "batch": batch, "window": window}
    config = make(seed=seed, steps=steps, every=every, **sizes)
    with progress_bars(transient=True) as bar:
        task = bar.add_task("", total=None)
        found = run_language_model(
            config,
            out,
            on_progress=lambda what, done, of: bar.update(task, description=what, completed=done, total=of),
        )
    tables = {name: str(out / f"{name}.parquet") for name in found.tables}
    if as_json:
        show({"report": str(found.report), "tables": tables, "found": found.sentences}, as_json=True)
    else:
        for words in found.sentences.values():
            typer.echo(words)
        typer.echo(f"report: {found.report}")
