"""What every report of claims over seeds is: the claims, what was measured, and how it was made."""

from collections.abc import Iterable, Mapping
from importlib.metadata import version

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Page, Section
from spectraledge.report.over_seeds.claim_table import declared, headline
from spectraledge.report.over_seeds.methods import study_command
from spectraledge.report.over_seeds.seed_sections import absent_section, claims_section, environment_section
from spectraledge.report.stage import Stage
from spectraledge.report.text import absent_note
from spectraledge.studies.results import StudyResult


def seed_page(
    study: StudyResult,
    verdicts: Verdicts,
    sections: Iterable[Section],
    *,
    title: str,
    targets: Mapping[str, str],
    answer: str = "",
    stage: Stage | None = None,
    files: Mapping[str, pd.DataFrame] | None = None,
) -> Page:
    """Compose a report.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        verdicts: What was measured in them, and what their seeds say of the claims.
        sections: What is between the claims and how the study was made, in order.
        title: The question.
        targets: The section of each claim, by its id.
        answer: In a sentence. Default: how many claims replicate.
        stage: What the report opens with.
        files: Tables that can be taken from it beside the claims, by name.

    Returns:
        The report.
    """
    return Page(
        study=study.config.name,
        hash=study.config.hash,
        title=title,
        headline=answer or headline(study, verdicts.claims),
        sections=(
            claims_section(verdicts, targets),
            *sections,
            absent_section(study),
            environment_section(study),
        ),
        version=version("spectraledge"),
        warning=absent_note(study),
        command=study_command(study),
        claims=declared(verdicts.claims),
        stage=stage,
        files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed, **(files or {})},
    )
