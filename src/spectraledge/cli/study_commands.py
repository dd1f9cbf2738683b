"""`spectraledge study run|status|verify|report`."""

import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import Progress, TextColumn
from rich.table import Table

from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.cli.options import (
    MOST_THREADS,
    Json,
    NoSeed,
    Out,
    Repair,
    progress_bars,
    remark,
    remark_page,
    show,
)
from spectraledge.devices import usable_device
from spectraledge.errors import InputError
from spectraledge.files import write_json
from spectraledge.report import write_opening, write_report, write_results
from spectraledge.report.interim import InterimReport, is_interim
from spectraledge.studies import (
    RECIPES,
    Backend,
    BackendName,
    Budget,
    Estimate,
    Keep,
    RunStatus,
    StudyResult,
    busy,
    changed_files,
    damages_of,
    estimate_study,
    first_seeds,
    is_run,
    load_study,
    pool,
    read_study_config,
    recipe,
    run_faults,
    run_study,
    study_status,
    time_steps,
    unlisted_runs,
)
from spectraledge.studies.pooling import keeps_effects_alone
from spectraledge.studies.results import STUDY_FILE

study = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

_Folder = Annotated[Path, typer.Argument(help="The study's folder.")]
_DEFAULT = Path("studies") / "quick"
_OVER = ("done", "failed")
"""States of runs of which nothing is left to do."""


@study.command(epilog="Example:  spectraledge study run quick --out studies/quick")
def run(
    name: Annotated[
        str, typer.Argument(help=f"Recipe: {', '.join(RECIPES)}, or one of yours as my_study.py:recipe.")
    ] = "quick",
    out: Out = None,
    seed: Annotated[int, typer.Option(min=0, help="Root seed of every random stream, for a study of one seed.")] = 42,
    as_json: Json = False,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="In its place: this many seeds, the first of 42, 137, 2024, 1, 2, 3, ...")
    ] = None,
    skip: Annotated[
        int, typer.Option(min=0, help="Leave out the first so many of --seeds: they are run elsewhere; see `report`.")
    ] = 0,
    budget: Annotated[
        Budget,
        typer.Option(
            help="Small takes seconds and shows nothing; matched trains controls as long as runs that generalise take; "
            "published takes the author's step budgets."
        ),
    ] = "matched",
    keep: Annotated[
        Keep | None,
        typer.Option(
            help="Snapshots that stay once a run is analysed: all, or the windows that matter and one in ten. "
            "Default: the recipe's choice; quick keeps all."
        ),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: one per core.")] = None,
    threads: Annotated[
        int, typer.Option(min=1, max=MOST_THREADS, help="Threads of each run; results are equal at equal threads.")
    ] = 1,
    repair: Repair = False,
    device: Annotated[
        str,
        typer.Option(
            help="Where runs are analysed: cpu, cuda, cuda:1, ..., each job on that device beside the others; they are "
            "trained on the CPU. Tables are the same but for rounding."
        ),
    ] = "cpu",
    backend: Annotated[BackendName, typer.Option(help="Where runs are done; see docs/clusters.md.")] = "processes",
    address: Annotated[str, typer.Option(help="Of the dask scheduler, or of the ray cluster.")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of submitit, such as cluster=local, partition=gpu or time=240; may be repeated."),
    ] = None,
) -> None:
    """Train every run of a study, analyse it, and write the report; what is done already is not done again."""
    if seeds and seed != 42:
        raise InputError(
            f"--seeds {seeds} takes the first {seeds} of a fixed list, --seed {seed} is one: give only one"
        )
    if skip >= (seeds or 1):
        raise InputError(f"--skip {skip} leaves no seed of {seeds or 1}: skip fewer than --seeds")
    every = first_seeds(seeds) if seeds else (seed,)
    config = recipe(name, seeds=every, budget=budget)
    config = config.of(run for run in config.runs if run.seed not in every[:skip])
    if backend == "processes":
        usable_device(device)
    analysis = config.analysis.model_copy(update={"device": device})
    config = config.model_copy(update={"keep": keep or config.keep, "analysis": analysis})
    parts = [config.name, *([f"seed{seed}"] if seed != 42 else []), *([f"from{skip + 1}"] if skip else [])]
    parts += ["small"] if budget == "small" else []
    folder = out or Path("studies") / "-".join(parts)
    place = Backend(backend, jobs, threads, address, _options(option or []))
    page = folder / "report.html"
    finished_before = (
        (folder / STUDY_FILE).is_file()
        and read_study_config(folder).hash == config.hash
        and all(one.state in _OVER for one in study_status(folder))
        and not any(damages_of(config, folder, run, quick=not repair) for run in config.runs)
    )
    remark(f"study {name}: {len(config.runs)} runs, into {folder}")
    if not finished_before:
        speeds = time_steps(config, folder)
        left = estimate_study(config, folder, jobs=place.workers, speeds=speeds)
        remark(estimate_text(left, jobs=place.workers, timed=bool(speeds), free=_free(folder)))
    interim = InterimReport(lambda progress: _write_interim(folder, progress), _say_not_written)
    with progress_bars(TextColumn("{task.fields[detail]}"), width=24) as bars:

        def update(statuses: list[RunStatus]) -> None:
            _show(bars, statuses)
            begun = sum(one.scored or one.state in _OVER for one in statuses)
            if any(one.state not in _OVER for one in statuses):
                interim.update(begun, len(statuses))

        result = run_study(config, folder, backend=place, repair=repair, on_progress=update)
    interim.wait()
    if not (result.damaged or (finished_before and page.is_file() and not is_interim(page))):
        remark("writing the report")
        _write_report(result)
    for run_id, error in result.failed.items():
        remark(f"failed: {run_id}: {error}")
    show(
        {
            "report": str(page.resolve()),
            "runs_done": _done(result),
            "runs_failed": sorted(result.failed),
            "claims": str((folder / "claims.parquet").resolve()),
        },
        as_json=as_json,
    )
    remark_page(folder)
    result.refuse_damaged()
    if result.crashed:
        remark(f"{len(result.crashed)} jobs broke down: what is known of it is in {folder / 'jobs'}; run it again")
        raise typer.Exit(1)


@study.command(epilog="Example:  spectraledge study status studies/quick --json")
def status(folder: _Folder = _DEFAULT, out: Out = None, seed: NoSeed = 42, as_json: Json = False) -> None:
    """Show where every run stands, from any terminal, while the study runs or after; --out also writes status.json."""
    statuses = study_status(folder)
    config = read_study_config(folder)
    at_work = sum(busy(folder, run) for run in config.runs)
    left = estimate_study(config, folder, jobs=max(at_work, 1))
    if out:
        write_json(out / "status.json", [asdict(status) for status in statuses])
    if as_json:
        runs = [asdict(status) for status in statuses]
        show({"folder": str(folder), "runs": runs, "at_work": at_work, "left": asdict(left)}, as_json=True)
        return
    table = Table(title=str(folder))
    table.add_column("run", overflow="fold")
    for column in ("state", "step", "test accuracy", "steps/s", "error"):
        table.add_column(column, no_wrap=column != "error")
    for s in statuses:
        accuracy, speed = f"{s.test_accuracy:.3f}", f"{s.steps_per_second:.0f}"
        table.add_row(s.run_id, s.state, f"{s.step}/{s.budget}", accuracy, speed, s.error)
    Console().print(table)
    counts = Counter(s.state for s in statuses)
    remark(", ".join(f"{number} {state}" for state, number in counts.items()) + f"; {at_work} at work now")
    if left.runs:
        remark(estimate_text(left, jobs=max(at_work, 1)))


@study.command(epilog="Example:  spectraledge study verify studies/quick")
def verify(folder: _Folder = _DEFAULT, out: Out = None, seed: NoSeed = 42, as_json: Json = False) -> None:
    """Compare every file of a study, or of one run, with what was written; --out also writes verify.json."""
    changed = run_faults(folder) if is_run(folder) else changed_files(folder)
    if unlisted := unlisted_runs(folder):
        remark(f"recorded by an earlier version, which took no fingerprints of snapshots: {', '.join(unlisted)}")
    result = {"folder": str(folder), "changed": changed}
    if out:
        write_json(out / "verify.json", result)
    show(result, as_json=as_json)
    if result["changed"]:
        raise InputError(f"{len(result['changed'])} files of {folder} are not those that were written")


@study.command(epilog="Example:  spectraledge study report studies/quick")
def report(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            help="The study's folder, studies/quick if none is given. Several are taken together: other seeds of the "
            "same recipe (see --skip), or what --markdown wrote of them."
        ),
    ] = None,
    out: Out = None,
    seed: NoSeed = 42,
    as_json: Json = False,
    markdown: Annotated[
        bool,
        typer.Option(
            "--markdown",
            help="Only what a repository keeps: report.md, card.md, claims and tables as CSV, PNG figures.",
        ),
    ] = False,
    sound: Annotated[
        Path | None, typer.Option(help="Also write the run that the report opens with as sound, a .wav file.")
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Also write the report's opening as a looping picture, a .webp file.")
    ] = None,
) -> None:
    """Write the report again from a study's tables, into its folder or another; runs that are not done are named."""
    for path, suffix in ((sound, ".wav"), (clip, ".webp")):
        if path and path.suffix != suffix:
            raise InputError(f"a {suffix} file is written, got {path}: give a name that ends so")
    given = folders or [_DEFAULT]
    if len(given) > 1 or keeps_effects_alone(given[0]):
        if out is None:
            raise InputError("a report of effects, or of several folders, belongs to none: say where with --out")
        result, verdicts = pool(given)
    else:
        result, verdicts = load_study(given[0]), None
    result.refuse_damaged()
    if sound or clip:
        write_opening(result, sound_to=sound, clip_to=clip)
    if markdown:
        page = write_results(result, verdicts or _verdicts(result), given[0] if out is None else out)
    elif verdicts:
        page = write_report(result, verdicts, out=out)
    else:
        page = _write_report(result, out)
    show(
        {
            "report": str(page.resolve()),
            "runs_done": _done(result),
            **(_pooled(verdicts.effects.rows) if verdicts else {}),
            "missing": list(result.missing),
            **{name: str(path.resolve()) for name, path in (("sound", sound), ("clip", clip)) if path},
        },
        as_json=as_json,
    )


def _done(result: StudyResult) -> int:
    return sum(run.run_id not in result.failed for run in result.runs)


def _pooled(rows: pd.DataFrame) -> dict[str, object]:
    return {"effects": len(rows), "runs_measured": rows["run"].nunique(), "seeds": sorted(set(rows["seed"].tolist()))}


def _options(given: list[str]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair:
            raise InputError(f"--option takes name=value, such as partition=gpu, got {pair!r}")
    return dict(pair.split("=", 1) for pair in given)


def _free(folder: Path) -> int:
    """Return the bytes free where a folder is or will be."""
    return shutil.disk_usage(next(place for place in folder.resolve().parents if place.is_dir())).free


def estimate_text(left: Estimate, *, jobs: int, timed: bool = False, free: int | None = None) -> str:
    """Say in a line what is left of a study."""
    source = "timed now" if timed else "as recorded"
    hours = f"{_hours(left.wall_seconds)} at {jobs} at a time" + (f" ({source})" if left.steps else "")
    # Runs that generalise stop before their budget; nobody knows by how much before one has.
    most = "at most" if timed else "about"
    text = f"to do: {left.runs} runs, up to {left.steps:,} steps, {most} {hours}"
    if left.untimed:
        text += f"; not in the time: training of {left.untimed} runs, whose speed is not known yet"
    if left.unmeasured:
        text += f"; not in the time: {', '.join(left.unmeasured)}, which no run has had yet"
    text += f"; snapshots take {left.snapshot_bytes / 1e9:.2g} GB in the end"
    if free is not None:
        text += f", {free / 1e9:.3g} GB are free"
    return text


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"


def _write_report(result: StudyResult, out: Path | None = None, progress: str = "") -> Path:
    return write_report(result, QUESTIONS[result.config.questions](result.runs), out=out, progress=progress)


def _write_interim(folder: Path, progress: str) -> None:
    result = load_study(folder, unfinished=True)
    if not result.damaged:
        page = _write_report(result, progress=progress)
        remark(f"{progress.partition(':')[0]} are in {page}")


def _say_not_written(error: Exception) -> None:
    remark(f"the report of the runs that are done was not written, and the study goes on: {error}")


def _verdicts(result: StudyResult) -> Verdicts:
    answers = QUESTIONS[result.config.questions](result.runs)
    if not isinstance(answers, Verdicts):
        raise InputError(
            f"--markdown is for studies with claims over seeds, {result.config.name} has claims on runs: leave it out"
        )
    return answers


def _show(bars: Progress, statuses: list[RunStatus]) -> None:
    """Show where every run stands, on a bar of its own."""
    known = {task.description: task.id for task in bars.tasks}
    for s in statuses:
        bar = known[s.run_id] if s.run_id in known else bars.add_task(s.run_id, total=s.budget, detail="")
        bars.update(bar, completed=s.step, total=_total(s), detail=_detail(s))


def _total(status: RunStatus) -> int:
    return status.step if status.state in ("analysing", "done") else status.budget


def _detail(status: RunStatus) -> str:
    if status.state != "training":
        return status.state if status.state != "done" else f"done, test accuracy {status.test_accuracy:.3f}"
    if not status.steps_per_second:
        return "starting"
    left = int((status.budget - status.step) / status.steps_per_second)
    return (
        f"test accuracy {status.test_accuracy:.3f}  {status.steps_per_second:.0f} steps/s  "
        f"at most {left // 60}:{left % 60:02d} left"
    )
