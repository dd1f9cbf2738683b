"""Files of the reports of claims over seeds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spectraledge.claims.verdicts import Verdicts
from spectraledge.files import write_bytes
from spectraledge.report.causes_page import compose_causes
from spectraledge.report.document import Page
from spectraledge.report.groups_page import compose_groups
from spectraledge.report.landscape_page import compose_landscape
from spectraledge.report.networks_page import compose_networks
from spectraledge.report.over_seeds.card import card
from spectraledge.report.paper import compose
from spectraledge.report.publishing import write_page_and_text, write_text
from spectraledge.report.score_study import compose_score
from spectraledge.studies.pooling import CARD_FILE, EFFECTS_FILE
from spectraledge.studies.results import StudyResult

COMPOSERS: dict[str, Callable[[StudyResult, Verdicts], Page]] = {
    "score": compose_score,
    "paper": compose,
    "causes": compose_causes,
    "landscape": compose_landscape,
    "networks": compose_networks,
    "groups": compose_groups,
}
"""What composes a report, by the study's questions."""


def write_seed_report(study: StudyResult, verdicts: Verdicts, *, out: Path | None = None, progress: str = "") -> Path:
    """Write the report of a study with claims over seeds, and what `write_results` writes."""
    folder = study.folder if out is None else out
    return write_page_and_text(replace(_composed(study, verdicts, folder), progress=progress), folder)


def write_results(study: StudyResult, verdicts: Verdicts, out: Path) -> Path:
    """Write the part of the report that is small enough for a repository: no page, figures as PNG, tables as CSV.

    What was measured in every run is beside it with all digits, so that more seeds can join; see `pool`.

    Args:
        study: The finished runs.
        verdicts: What was measured in them, and what their seeds say of the claims.
        out: Folder to write into.

    Returns:
        Path of `report.md`.
    """
    write_bytes(out / EFFECTS_FILE, verdicts.effects.rows.to_csv(index=False).encode())
    return write_text(_composed(study, verdicts, out), out)


def _composed(study: StudyResult, verdicts: Verdicts, out: Path) -> Page:
    page = COMPOSERS[study.config.questions](study, verdicts)
    write_bytes(out / CARD_FILE, card(page, study).encode())
    return page
