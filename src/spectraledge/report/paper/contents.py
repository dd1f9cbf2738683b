"""The report of a study of the whole paper as a page of the document model."""

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Column, Page, Rows, Section, Table
from spectraledge.report.opening import opening
from spectraledge.report.over_seeds.claim_section import ClaimSection, targets_of
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.seed_page import seed_page
from spectraledge.report.over_seeds.seed_sections import methods_section
from spectraledge.report.paper.basis_sections import BASIS, MULTIPLICATION, SQUARES, SUBTRACTION
from spectraledge.report.paper.deviations import deviations
from spectraledge.report.paper.joint_sections import COUSAGE, REUSE
from spectraledge.report.paper.tool_sections import COMPOSITION, OVERVIEW, TOOLS
from spectraledge.report.paper.training_sections import DECOMPOSITIONS, EDGE, LEARNING
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
    sections = (*(one.section(source) for one in SECTIONS), methods_section(study), _deviations(study))
    return seed_page(
        study,
        verdicts,
        sections,
        title="What of “Spectral Edge Dynamics” replicates?",
        targets=targets_of(SECTIONS),
        stage=opening(study),
    )


def _deviations(study: StudyResult) -> Section:
    differences = Rows.of("", ((one.published, one.ours, one.reason) for one in deviations(study)))
    columns = (Column("the paper"), Column("here"), Column("why"))
    table = Table("deviation-table", "What is done otherwise, and why", columns, (differences,))
    return Section("deviations", "Deviations from the paper", blocks=(table,), short="Deviations")
