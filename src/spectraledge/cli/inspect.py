"""`spectraledge analyze` and `spectraledge modes`: looking at runs that exist."""

import time
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from spectraledge.analyses.course import COURSE
from spectraledge.analyses.selection_findings import own_sentence, whole_rows
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import EDGE, EIGENVALUES, SPECTRUM, analyze_folder
from spectraledge.analyses.stamps import keep
from spectraledge.analyses.step import STEP
from spectraledge.cli.measuring import measured
from spectraledge.cli.options import (
    Device,
    Json,
    Key,
    Out,
    Params,
    RunFolder,
    Seed,
    Step,
    StepPattern,
    Threads,
    Verbose,
    Window,
    remark,
    remark_names,
    remark_page,
    remark_strangers,
    show,
    use_threads,
)
from spectraledge.devices import room_on
from spectraledge.errors import InputError
from spectraledge.files import write_table
from spectraledge.models import READOUTS
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.studies.belonging import check_place
from spectraledge.tasks import GROUPINGS, left_out
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest, Spacing, describe_intervals, find_series, in_hub_cache

_ROWS = 10
"""Bases that are printed without being asked for."""

_SELECTS = ["basis", "ratio", "low", "high", "p"]


def analyze(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Snapshots: a folder of files or folders with the step in each name; a quoted glob; or a repository "
            "in Hugging Face's cache. The last two need --out."
        ),
    ],
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    params: Params = None,
    window: Window = 20,
    surrogates: Annotated[
        int, typer.Option(min=0, help="Surrogates per window for its noise floor (39 are usual); 0 leaves it out.")
    ] = 0,
    block: Annotated[
        int | None, typer.Option(min=1, help="Parameters to read at a time, where a window does not fit in memory.")
    ] = None,
    center: Annotated[
        bool, typer.Option("--center/--no-center", help="Remove each window's mean update first (Xu 2026, §2.3: no).")
    ] = False,
    spacing: Annotated[
        Spacing,
        typer.Option(help="Where intervals differ: keep updates, divide them by √(interval/median), or refuse."),
    ] = "keep",
    key: Key = None,
    step: StepPattern = None,
    device: Device = "cpu",
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Compute the spectrum of every window of any folder of snapshots; writes spectrum.parquet and edge.parquet."""
    use_threads(threads)
    series = find_series(folder, step=step)
    intervals = describe_intervals([snapshot.step for snapshot in series.distinct()])
    if out is None and (in_hub_cache(folder) or not folder.is_dir()):
        raise InputError(f"no place in {folder} to write to: choose a folder with --out")
    recorded = Manifest.present(folder)
    settings = AnalysisConfig()
    if recorded:
        settings = AnalysisConfig.checked(
            window=window, center_spectrum=center, surrogates=surrogates, seed=seed, params=params, device=device
        )
        if out is None:
            if block or key or step or spacing != "keep":
                raise InputError(
                    f"{folder} is a recorded run, whose own tables are made without --block, --spacing, --key and "
                    "--step: leave these out, or choose a folder with --out"
                )
            check_place(folder, SPECTRUM, settings)
    began = time.monotonic()
    with room_on(device):
        tables = analyze_folder(
            folder,
            patterns=params or (RunConfig.of_run(folder).watched if recorded else ["*"]),
            window=window,
            center=center,
            surrogates=surrogates,
            seed=seed,
            block=block,
            spacing=spacing,
            key=key,
            step=step,
            device=device,
        )
    remark_strangers(series.strangers)
    if intervals:
        treated = "scaled to the median" if spacing == "scale" else "kept; --spacing scale makes them comparable"
        remark(f"snapshots are unevenly spaced, their intervals are {intervals}; updates are {treated}")
    matched = tables.selection.matched
    left_out = {**dict.fromkeys(tables.selection.others, "no pattern matches"), **tables.selection.left_out}
    remark_names(f"watched {len(matched)} tensors, {tables.parameters:,} parameters", matched, verbose=verbose)
    for reason in dict.fromkeys(left_out.values()):
        names = [name for name, why in left_out.items() if why == reason]
        remark_names(f"left out {len(names)} tensors ({reason})", names, verbose=verbose)
    coarse = int((tables.spectrum.groupby("step")["eigenvalue"].max() == 0).sum())
    if coarse:
        remark(
            f"in {coarse} of {len(tables.edge)} windows all eigenvalues are 0: the weights stand still, or move by no "
            "more than the rounding of their stored types can explain (give files of more digits, or farther apart)"
        )
    after = tables.spectrum.merge(tables.edge.assign(k=tables.edge["k_star"] + 1)[["step", "k"]])
    if cut := int((after["eigenvalue"] == 0).sum()):
        remark(
            f"in {cut} of {len(tables.edge)} windows k* is the last eigenvalue that can be told from rounding, and the "
            "drop behind it is none that was measured"
        )
    place = out or folder
    made = {EIGENVALUES.name: tables.spectrum, EDGE.name: tables.edge}
    if recorded:
        keep(folder, SPECTRUM, settings, made, into=out, seconds=time.monotonic() - began)
    else:
        for name, table in made.items():
            write_table(place / f"{name}.parquet", table)
    last = tables.edge.iloc[-1]
    show(
        {
            "spectrum": str(place / "spectrum.parquet"),
            "edge": str(place / "edge.parquet"),
            "window": window,
            "center": center,
            "parameters": tables.parameters,
            "matched": list(matched) if as_json else len(matched),
            "left_out": left_out if as_json else len(left_out),
            "windows": len(tables.edge),
            "last_step": int(last["step"]),
            "last_k_star": None if pd.isna(last["k_star"]) else int(last["k_star"]),
            "last_g23": float(last["g23"]) if pd.notna(last["g23"]) else None,
            "last_trace": float(last["trace"]),
            **({"last_above_floor": int(last["above_floor"])} if surrogates else {}),
        },
        as_json=as_json,
    )
    if recorded and out is None:
        remark_page(folder, window=window, seed=seed)
    else:
        remark_page(place)


def modes(
    folder: RunFolder,
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    step: Step = None,
    window: Window = 20,
    center: Annotated[
        bool,
        typer.Option(
            "--center/--no-center", help="Remove the window's mean update (Xu 2026, functional scripts: yes)."
        ),
    ] = True,
    edge: Annotated[int, typer.Option(min=1, help="How many directions count as edge; the rest are bulk.")] = 3,
    nulls: Annotated[int, typer.Option(min=2, help="Directions of each kind of null.")] = 20,
    readout: Annotated[
        str, typer.Option(help=f"What responds: {', '.join(READOUTS)}. Default: the residual stream (Xu 2026, §2.4).")
    ] = "residual",
    stride: Annotated[
        int | None,
        typer.Option(
            min=1, help="Also follow the key numbers over training, every so many snapshots; writes course.parquet."
        ),
    ] = None,
    basis: Annotated[
        list[str] | None,
        typer.Option(
            help=f"{', '.join(GROUPINGS)}; may be repeated. Default: those of "
            f"{', '.join(name for name, rule in GROUPINGS.items() if rule.usual)} that apply, and the task's own."
        ),
    ] = None,
    params: Params = None,
    device: Device = "cpu",
    threads: Threads = None,
    verbose: Verbose = False,
) -> None:
    """Measure which functions training selects: what the top directions of a run do to every input, beside nulls."""
    use_threads(threads)
    settings = AnalysisConfig.checked(
        step=step,
        window=window,
        center_modes=center,
        edge=edge,
        nulls=nulls,
        readout=readout,
        bases=basis,
        seed=seed,
        params=params,
        stride=stride,
        device=device,
    )
    task = RecordedRun.open(folder).task
    skipped = {} if basis else left_out(task)
    if verbose:
        for name, why in skipped.items():
            remark(f"not read in basis {name}: {why}")
    elif skipped:
        remark(f"not read in {len(skipped)} bases that do not apply, --verbose says why: {', '.join(skipped)}")
    chosen = (STEP, COURSE) if stride else (STEP,)
    tables = measured(folder, chosen, settings, out)
    place = out or folder
    exact = tables["modes"].query("method == 'jvp'")
    found = own_sentence(tables["selection"], task.structure)
    selects = whole_rows(tables["selection"], task.structure)
    summary = exact.groupby(["basis", "kind"], sort=False)[["energy_share", "concentration"]].median().reset_index()
    if not as_json:
        typer.echo(found)
        Console().print(_selection_table(selects if verbose else selects.head(_ROWS), of=len(selects)))
    if verbose and not as_json:
        Console().print(_summary_table(summary))
    files = {name: str(place / f"{name}.parquet") for name in tables}
    numbers = {"medians": summary.to_dict("records"), "selects": selects[_SELECTS].to_dict("records")}
    show(
        {
            **({"found": found, **files} if as_json else files if verbose else {"tables": place}),
            "step": int(exact["step"].iloc[0]),
            "window": window,
            "center": center,
            **(numbers if as_json else {}),
        },
        as_json=as_json,
    )
    remark_page(folder, window=window, nulls=nulls, seed=seed)


def _summary_table(summary: pd.DataFrame) -> Table:
    table = Table(title="Medians over directions, whole domain, exact responses")
    for column in ("basis", "directions", "energy share", "F of ‖R‖²"):
        table.add_column(column, justify="left" if column in ("basis", "directions") else "right")
    for basis, kind, share, concentration in summary.itertuples(index=False):
        table.add_row(basis, kind, f"{share:.3f}", f"{concentration:.3f}")
    return table


def _selection_table(selects: pd.DataFrame, *, of: int) -> Table:
    more = f"; {of - len(selects)} more with --verbose" if of > len(selects) else ""
    table = Table(title=f"How much more the updates move functions of each variable than isotropic ones would{more}")
    for column in ("basis", "selection ratio", "95% interval", "p", "updates", "isotropic"):
        table.add_column(column, justify="left" if column == "basis" else "right")
    for row in selects.to_dict("records"):
        table.add_row(
            row["basis"],
            f"{row['ratio']:.2f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            f"{row['p']:.2g}",
            f"{row['window_share']:.1%}",
            f"{row['random_share']:.1%}",
        )
    return table
