"""The report of a study of the whole paper as a page of the document model."""

from importlib.metadata import version

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Column, Page, Rows, Section, Table
from spectraledge.report.opening import opening
from spectraledge.report.over_seeds.claim_section import ClaimSection, targets_of
from spectraledge.report.over_seeds.claim_table import declared, headline
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.methods import study_command
from spectraledge.report.over_seeds.seed_sections import (
    absent_section,
    claims_section,
    environment_section,
    methods_section,
)
from spectraledge.report.paper.basis_sections import BASIS, MULTIPLICATION, SQUARES, SUBTRACTION
from spectraledge.report.paper.deviations import deviations
from spectraledge.report.paper.joint_sections import COUSAGE, REUSE
from spectraledge.report.paper.tool_sections import COMPOSITION, OVERVIEW, TOOLS
from spectraledge.report.paper.training_sections import DECOMPOSITIONS, EDGE, LEARNING
from spectraledge.report.text import absent_note
from spectraledge.studies.results import StudyResult

SECTIONS: tuple[ClaimSection, ...] = (
    LEARNING,
    EDGE,
    DECOMPOSITIONS,
    BASIS,
    MULTIPLICATION,
    SUBTRACTION,
    SQUARES,
    COMPOSITION,
    REUSE,
    OVERVIEW,
    TOOLS,
    COUSAGE,
)
"""What was measured, in the order of the paper."""


def compose(study: StudyResult, verdicts: Verdicts) -> Page:
    """Compose the report.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        verdicts: What was measured in them, and what their seeds say of the claims.

    Returns:
        The report.
    """
    source = Source(study, verdicts)
    return Page(
        study=study.config.name,
        hash=study.config.hash,
        title="What of “Spectral Edge Dynamics” replicates?",
        headline=headline(study, verdicts.claims),
        sections=(
            claims_section(verdicts, targets_of(SECTIONS)),
            *(one.section(source) for one in SECTIONS),
            methods_section(study),
            _deviations(study),
            absent_section(study),
            environment_section(study),
        ),
        version=version("spectraledge"),
        warning=absent_note(study),
        command=study_command(study),
        claims=declared(verdicts.claims),
        stage=opening(study),
        files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed},
    )


def _deviations(study: StudyResult) -> Section:
    differences = Rows.of("", ((one.published, one.ours, one.reason) for one in deviations(study)))
    columns = (Column("the paper"), Column("here"), Column("why"))
    table = Table("deviation-table", "What is done otherwise, and why", columns, (differences,))
    return Section("deviations", "Deviations from the paper", blocks=(table,), short="Deviations")
