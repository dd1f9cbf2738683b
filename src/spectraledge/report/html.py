"""The report: one page that opens without a network, and every figure beside it as PNG and PDF."""

import base64
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from plotly.offline import get_plotlyjs

from spectraledge.claims.verdicts import Verdicts
from spectraledge.files import write_bytes
from spectraledge.report.charts import FigureSpec
from spectraledge.report.course import change_table, course_figure
from spectraledge.report.curves import eigenvalue_figure, training_figure
from spectraledge.report.data import pictures, titles
from spectraledge.report.figures import FORMATS, draw, encoded
from spectraledge.report.interactive import plotly_figure
from spectraledge.report.lanes import own_basis_figure, right_basis_figure
from spectraledge.report.measurements import measurements
from spectraledge.report.paper import write_paper_report
from spectraledge.report.pictures import draw_all_pictures, draw_picture, picture_null, picture_title, wave_figure
from spectraledge.report.selected import frequency_figure, selection_figure
from spectraledge.report.tables import claim_tables, comparisons, downloads, run_rows, settings
from spectraledge.report.text import absent_note, answers, caution, headline, run_texts, seed_note
from spectraledge.report.words import modes_window, spectrum_window, step_word
from spectraledge.studies.results import StudyResult

REPORT_FILE = "report.html"
FIGURES_FOLDER = "figures"
WAVES = "waves"

_SPECS = {
    "shares": own_basis_figure,
    "selection": selection_figure,
    "frequencies": frequency_figure,
    "course": course_figure,
    "training": training_figure,
    "eigenvalues": eigenvalue_figure,
    "bases": right_basis_figure,
}


@dataclass(frozen=True)
class _DrawnPicture:
    title: str
    null: str
    image: str


@dataclass(frozen=True)
class _RunPictures:
    title: str
    drawn: tuple[_DrawnPicture, ...]


def write_report(study: StudyResult, claims: pd.DataFrame | Verdicts, *, out: Path | None = None) -> Path:
    """Write a study's report: `report.html`, and `figures/*.png` and `*.pdf` beside it.

    Claims over seeds make a report by sections of the paper (see `write_paper_report`), claims on runs one by runs.

    Args:
        study: The finished runs; it may hold none.
        claims: What `evaluate_study` or `evaluate_claims` found in them; it may be empty.
        out: Folder to write into. Default: the study's own.

    Returns:
        Path of the page.
    """
    if isinstance(claims, Verdicts):
        return write_paper_report(study, claims, out=out)
    folder = study.folder if out is None else out
    specs = {key: make(study) for key, make in _SPECS.items()}
    drawn = {key: draw(spec) for key, spec in specs.items() if spec.panels}
    if study.runs:
        drawn[WAVES] = draw_all_pictures(study)
    for key, figure in drawn.items():
        for form in FORMATS:
            write_bytes(folder / FIGURES_FOLDER / f"{key}.{form}", encoded(figure, form))
            # The page is laid out: the next format need not do so again.
            figure.set_layout_engine("none")
    path = folder / REPORT_FILE
    write_bytes(path, _page(study, claims, specs).encode())
    return path


def _page(study: StudyResult, claims: pd.DataFrame, specs: dict[str, FigureSpec]) -> str:
    environment = Environment(
        loader=PackageLoader("spectraledge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        study=study,
        figures=specs,
        numbers={key: number for number, key in enumerate([*specs, WAVES], start=1)},
        charts=_charts_as_json(specs),
        plotly=get_plotlyjs(),
        headline=headline(study, claims),
        answers=answers(study, claims),
        absent_note=absent_note(study),
        seed_note=seed_note(study),
        caution=caution(study),
        texts=run_texts(study, claims),
        claims=claim_tables(study, claims),
        comparisons=comparisons(study),
        changes=change_table(study),
        measurements=measurements(study),
        wave_words=wave_figure(study),
        waves=_run_pictures(study),
        runs=run_rows(study),
        downloads=downloads(study, claims),
        settings=settings(study),
        modes_window=modes_window(study),
        spectrum_window=spectrum_window(study),
        version=version("spectraledge"),
    )


def _charts_as_json(specs: dict[str, FigureSpec]) -> str:
    figures = {
        name: json.loads(plotly_figure(chart).to_json())
        for spec in specs.values()
        for _, charts in spec.identified()
        for name, chart in charts
    }
    # In a script element only "<" could end it.
    return json.dumps(figures, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _run_pictures(study: StudyResult) -> list[_RunPictures]:
    named = titles(study)
    return [
        _RunPictures(
            f"{named[run.run_id]}, {step_word(run.modes_step)}",
            tuple(
                _DrawnPicture(picture_title(picture), picture_null(picture), _image(draw_picture(picture)))
                for picture in pictures(run)
            ),
        )
        for run in study.runs
    ]


def _image(figure: Figure) -> str:
    return "data:image/png;base64," + base64.b64encode(encoded(figure, "png")).decode()
