"""`spectraledge report`: a page of whatever was written."""

from pathlib import Path
from typing import Annotated

import typer

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.questions import evaluate_runs
from spectraledge.cli.options import REPORTED, Device, Json, Out, Seed, Threads, Window, remark, show, use_threads
from spectraledge.cli.study_commands import report as report_study
from spectraledge.errors import InputError
from spectraledge.report import write_report
from spectraledge.report.spectrum_page import write_spectrum_page
from spectraledge.report.text import headline
from spectraledge.studies.results import STUDY_FILE
from spectraledge.studies.several_runs import several_runs
from spectraledge.trajectory import Manifest

_ANALYSES = ("score", "spectrum", "step")


def report(
    places: Annotated[
        list[Path],
        typer.Argument(
            help="A study; run folders, which stand side by side on one page; or what `analyze` or a tracker wrote."
        ),
    ],
    out: Out = None,
    seed: Seed = REPORTED["seed"],
    as_json: Json = False,
    window: Window = REPORTED["window"],
    nulls: Annotated[int, typer.Option(min=2, help="Null directions of each kind.")] = REPORTED["nulls"],
    device: Device = "cpu",
    threads: Threads = None,
) -> None:
    """Write a page of what was recorded; a run is first analysed where that is not done at these settings."""
    use_threads(threads)
    runs = all(Manifest.present(place) for place in places)
    if not runs and {"seed": seed, "window": window, "nulls": nulls} != REPORTED:
        raise InputError(f"{places[0]} is measured already: leave out --seed, --window and --nulls, which are for runs")
    if (places[0] / STUDY_FILE).is_file():
        report_study(list(places), out=out, as_json=as_json)
        return
    if runs:
        settings = AnalysisConfig.checked(analyses=_ANALYSES, window=window, nulls=nulls, seed=seed, device=device)
        result = several_runs(places, settings, on_analysis=lambda place, name: remark(f"{place}: {name}"))
        for run, error in result.failed.items():
            remark(f"{run}: {error}")
        shown = result.having("spectrum", "modes", "waves", "characters")
        if not shown.runs:
            raise InputError(f"none of these runs could be analysed: {'; '.join(result.failed.values())}")
        claims = evaluate_runs(shown.runs)
        page, found = write_report(shown, claims, out=out or places[0]), headline(shown, claims)
    elif len(places) == 1 and (places[0] / "spectrum.parquet").is_file():
        page, found = write_spectrum_page(places[0], out or places[0])
    else:
        strange = next((place for place in places if not Manifest.present(place)), places[0])
        raise InputError(
            f"{strange} is no run folder, and no study or output of `analyze` or a tracker that is given alone: give "
            "runs together, or one of the others"
        )
    if not as_json:
        typer.echo(found)
    show({"report": str(page.resolve()), **({"found": found} if as_json else {})}, as_json=as_json)
