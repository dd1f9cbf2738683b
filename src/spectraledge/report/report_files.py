"""Which report a study has, by what its claims are about."""

from pathlib import Path

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.paper import write_paper_report
from spectraledge.report.publishing import write_page
from spectraledge.report.quick import compose_by_run
from spectraledge.studies.results import StudyResult


def write_report(study: StudyResult, claims: pd.DataFrame | Verdicts, *, out: Path | None = None) -> Path:
    """Write a study's report: `report.html`, and `figures/*.png`, `*.pdf` and `*.svg` beside it.

    Claims over seeds make a report by sections of the paper (see `write_paper_report`), claims on runs one by runs.

    Args:
        study: The finished runs; it may hold none.
        claims: What `QUESTIONS` of the study found in them; it may be empty.
        out: Folder to write into. Default: the study's own.

    Returns:
        Path of the page.
    """
    if isinstance(claims, Verdicts):
        return write_paper_report(study, claims, out=out)
    return write_page(compose_by_run(study, claims), study.folder if out is None else out)
