"""`spectraledge study run|status|report`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from spectraledge.cli.options import Json, NoSeed, Out, Seed, progress_console, remark, show
from spectraledge.files import read_table, write_json
from spectraledge.report import write_report
from spectraledge.studies import RECIPES, RunStatus, StudyResult, load_study, recipe, run_study, study_status

study = typer.Typer(
    help="Train, analyse and report a whole study.", no_args_is_help=True, pretty_exceptions_enable=False
)

_Folder = Annotated[Path, typer.Argument(help="The study's folder.")]
_DEFAULT = Path("studies") / "quick"


@study.command(epilog="Example:  spectraledge study run quick --out studies/quick")
def run(
    name: Annotated[str, typer.Argument(help=f"Recipe: {', '.join(RECIPES)}.")] = "quick",
    out: Out = None,
    seed: Seed = 42,
    as_json: Json = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time. Default: one per core.")] = None,
) -> None:
    """Train every run of a study, analyse it, and write the report; what is done already is not done again."""
    config = recipe(name, seed=seed)
    folder = out or Path("studies") / (name if seed == 42 else f"{name}-seed{seed}")
    page = folder / "report.html"
    remark(f"study {name}: {len(config.runs)} runs, into {folder}")
    with _StudyBars() as bars:
        before = study_status(folder) if (folder / "study.json").is_file() else []
        result = run_study(config, folder, jobs=jobs, on_progress=bars.update)
    finished_before = bool(before) and all(status.state in ("done", "failed") for status in before)
    if not (finished_before and page.is_file()):
        remark("writing the report")
        write_report(_reported(result), _claims(folder))
    for run_id, error in result.failed.items():
        remark(f"failed: {run_id}: {error}")
    show(
        {
            "report": str(page.resolve()),
            "runs_done": sum(run.run_id not in result.failed for run in result.runs),
            "runs_failed": sorted(result.failed),
            "claims": str((folder / "claims.parquet").resolve()),
        },
        as_json=as_json,
    )


@study.command(epilog="Example:  spectraledge study status studies/quick --json")
def status(folder: _Folder = _DEFAULT, out: Out = None, seed: NoSeed = 42, as_json: Json = False) -> None:
    """Show where every run stands, from any terminal, while the study runs or after; --out also writes status.json."""
    statuses = study_status(folder)
    if out:
        write_json(out / "status.json", [asdict(status) for status in statuses])
    if as_json:
        show({"folder": str(folder), "runs": [asdict(status) for status in statuses]}, as_json=True)
        return
    table = Table(title=str(folder))
    table.add_column("run", no_wrap=True)
    for column in ("state", "step", "test accuracy", "steps/s", "error"):
        table.add_column(column)
    for s in statuses:
        accuracy, speed = f"{s.test_accuracy:.3f}", f"{s.steps_per_second:.0f}"
        table.add_row(s.run_id, s.state, f"{s.step}/{s.budget}", accuracy, speed, s.error)
    Console().print(table)


@study.command(epilog="Example:  spectraledge study report studies/quick")
def report(folder: _Folder = _DEFAULT, out: Out = None, seed: NoSeed = 42, as_json: Json = False) -> None:
    """Write the report again from a study's tables, into its folder or another; runs that are not done are named."""
    result = load_study(folder)
    page = write_report(_reported(result), _claims(folder), out=out)
    show(
        {
            "report": str(page.resolve()),
            "runs_done": sum(run.run_id not in result.failed for run in result.runs),
            "missing": list(result.missing),
        },
        as_json=as_json,
    )


def _reported(result: StudyResult) -> StudyResult:
    """What the report can show: runs with a spectrum and modes."""
    return result.having("spectrum", "modes", "waves", "characters")


def _claims(folder: Path) -> pd.DataFrame:
    path = folder / "claims.parquet"
    return read_table(path) if path.is_file() else pd.DataFrame()


class _StudyBars:
    """One progress bar per run, fed with statuses."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            console=progress_console,
        )
        self._bars: dict[str, int] = {}

    def __enter__(self) -> "_StudyBars":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, statuses: list[RunStatus]) -> None:
        """Show where every run stands."""
        for s in statuses:
            if s.run_id not in self._bars:
                self._bars[s.run_id] = self._progress.add_task(s.run_id, total=s.budget, detail="")
            bar = self._progress.tasks[self._bars[s.run_id]].id
            self._progress.update(bar, completed=s.step, total=_total(s), detail=_detail(s))


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
