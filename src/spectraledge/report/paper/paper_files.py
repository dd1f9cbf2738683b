"""Files of the report of a study of the whole paper."""

from pathlib import Path

from spectraledge.claims.verdicts import Verdicts
from spectraledge.files import write_bytes
from spectraledge.report.paper.card import card
from spectraledge.report.paper.contents import compose
from spectraledge.report.publishing import write_page_and_text, write_text
from spectraledge.studies.results import StudyResult

CARD = "card.md"


def write_paper_report(study: StudyResult, verdicts: Verdicts, *, out: Path | None = None) -> Path:
    """Write the report of a study of the whole paper, and what `write_results` writes.

    Args:
        study: The finished runs; any table may be missing.
        verdicts: What was measured in them, and what their seeds say of the claims.
        out: Folder to write into. Default: the study's own.

    Returns:
        Path of the page.
    """
    folder = study.folder if out is None else out
    page = compose(study, verdicts)
    write_bytes(folder / CARD, card(page, study).encode())
    return write_page_and_text(page, folder)


def write_results(study: StudyResult, verdicts: Verdicts, out: Path) -> Path:
    """Write the part of the report that is small enough for a repository: no page, figures as PNG, tables as CSV.

    Args:
        study: The finished runs.
        verdicts: What was measured in them, and what their seeds say of the claims.
        out: Folder to write into.

    Returns:
        Path of `report.md`.
    """
    page = compose(study, verdicts)
    write_bytes(out / CARD, card(page, study).encode())
    return write_text(page, out)
