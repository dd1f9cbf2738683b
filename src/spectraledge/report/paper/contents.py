"""The report of a study of the whole paper as a page of the document model."""

from spectraledge.pages.document import Column, Rows, Section, Table
from spectraledge.report.over_seeds.seed_page import SeedPage, methods_section
from spectraledge.report.paper.basis_sections import BASIS, MULTIPLICATION, SQUARES, SUBTRACTION
from spectraledge.report.paper.deviations import deviations
from spectraledge.report.paper.joint_sections import COUSAGE, REUSE
from spectraledge.report.paper.tool_sections import COMPOSITION, OVERVIEW, TOOLS
from spectraledge.report.paper.training_sections import DECOMPOSITIONS, EDGE, LEARNING
from spectraledge.studies.results import StudyResult


def _deviations(study: StudyResult) -> Section:
    differences = Rows.of("", deviations(study))
    columns = (Column("the paper"), Column("here"), Column("why"))
    table = Table("deviation-table", "What is done otherwise, and why", columns, (differences,))
    return Section("deviations", "Deviations from the paper", blocks=(table,), short="Deviations")


compose = SeedPage(
    "What of “Spectral Edge Dynamics” replicates?",
    (
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
    ),
    more=lambda study: (methods_section(study), _deviations(study)),
).compose
"""Composes the report, in the order of the paper; see `SeedPage.compose`."""
