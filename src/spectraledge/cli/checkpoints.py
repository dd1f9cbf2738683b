"""`spectraledge checkpoints list|verify`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from spectraledge.cli.options import (
    Json,
    Key,
    NoSeed,
    Out,
    Params,
    Seed,
    StepPattern,
    progress_bars,
    remark,
    remark_strangers,
    show,
)
from spectraledge.files import write_json
from spectraledge.trajectory import Contents, contents, describe_intervals, find_series, verify_series

checkpoints = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_Source = Annotated[
    Path,
    typer.Argument(
        help="A folder of files or folders with a step in each name, a quoted glob, or a repository in Hugging Face's "
        "cache (models--org--name)."
    ),
]


@checkpoints.command(name="list", epilog="Example:  spectraledge checkpoints list runs/gpt2")
def list_checkpoints(
    source: _Source,
    out: Out = None,
    seed: NoSeed = 42,
    as_json: Json = False,
    key: Key = None,
    step: StepPattern = None,
) -> None:
    """List a series: step, files, size, tensors, types and parameters of every checkpoint; reads headers alone."""
    series = find_series(source, step=step)
    found = [contents(snapshot, key=key) for snapshot in series.distinct()]
    remark_strangers(series.strangers)
    rows = [
        {
            "step": one.snapshot.step,
            "path": str(one.snapshot.path),
            "files": list(one.files),
            "bytes": one.bytes,
            "tensors": len(one.tensors),
            "dtypes": list(one.dtypes),
            "parameters": one.parameters,
            "left_out": dict(one.left_out),
        }
        for one in found
    ]
    if out:
        write_json(out / "checkpoints.json", rows)
    intervals = describe_intervals([one.snapshot.step for one in found])
    if intervals:
        remark(f"unevenly spaced: intervals are {intervals}")
    if as_json:
        show({"checkpoints": rows}, as_json=True)
    else:
        Console().print(_table(found))


@checkpoints.command(epilog="Example:  spectraledge checkpoints verify 'runs/gpt2/step_*' --params '\\*attn\\*weight'")
def verify(
    source: _Source,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    params: Params = None,
    key: Key = None,
    step: StepPattern = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look at names, links and sizes alone; no weights are read.")
    ] = False,
) -> None:
    """Find missing, duplicated, reordered, foreign, broken and not finite checkpoints; exit code 1 if there are any."""
    with progress_bars(transient=True) as bar:
        task = bar.add_task("reading checkpoints", total=None)
        found = verify_series(
            source,
            params or ["*"],
            key=key,
            step=step,
            quick=quick,
            seed=seed,
            on_progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
    remark_strangers(found.strangers)
    if found.unread:
        remark(f"not read, because they are no plain numbers: {', '.join(found.unread)}")
    result = {
        "checkpoints": len(found.snapshots),
        "left_out": list(found.strangers),
        "tensors": len(found.tensors),
        "unread": list(found.unread),
        "findings": [asdict(finding) for finding in found.findings],
    }
    if out:
        write_json(out / "verification.json", result)
    if as_json:
        show(result, as_json=True)
    else:
        for finding in found.findings:
            typer.echo(f"{finding.kind}: {finding.text}")
        looked = "nothing read" if quick else f"{len(found.tensors)} tensors"
        typer.echo(
            f"{len(found.snapshots)} checkpoints, {looked}: "
            f"{len(found.findings) or 'no'} finding{'s' if len(found.findings) != 1 else ''}"
        )
    if found.findings:
        raise typer.Exit(1)


def _table(found: list[Contents]) -> Table:
    table = Table()
    for column in ("step", "file", "MB", "tensors", "dtype", "parameters"):
        table.add_column(column, justify="left" if column in ("file", "dtype") else "right", overflow="fold")
    for one in found:
        first, path = one.files[0], one.snapshot.path
        file = first if path.name == first else f"{path.name}/{first}"
        table.add_row(
            str(one.snapshot.step),
            file + (f" and {len(one.files) - 1} more" if len(one.files) > 1 else ""),
            f"{one.bytes / 1e6:,.1f}",
            str(len(one.tensors)),
            ", ".join(one.dtypes),
            f"{one.parameters:,}",
        )
    return table
