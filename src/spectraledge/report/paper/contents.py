"""The report of a study of the whole paper as data: made once, written as a page and as Markdown."""

from dataclasses import dataclass
from importlib.metadata import version

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.paper.basis_sections import (
    basis_section,
    multiplication_section,
    squares_section,
    subtraction_section,
)
from spectraledge.report.paper.deviations import Deviation, deviations
from spectraledge.report.paper.joint_sections import cousage_section, reuse_section
from spectraledge.report.paper.methods import environment_rows, method_rows
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.tool_sections import composition_section, overview_section, tools_section
from spectraledge.report.paper.training_sections import decomposition_section, edge_section, learning_section
from spectraledge.report.paper.verdict_words import ClaimGroup, claim_groups, headline
from spectraledge.report.words import counted
from spectraledge.studies.results import StudyResult

FIGURES, TABLES = "figures", "tables"
"""Folders beside the report that hold its figures and the numbers behind its tables."""

CLAIMS, CLAIMS_BY_SEED = "claims", "claims-by-seed"
"""File names of the verdicts' tables, without their ending."""

NOT_MEASURED = "Not measured in this study."

_SECTIONS = (
    learning_section,
    edge_section,
    decomposition_section,
    basis_section,
    multiplication_section,
    subtraction_section,
    squares_section,
    composition_section,
    reuse_section,
    overview_section,
    tools_section,
    cousage_section,
)


@dataclass(frozen=True)
class Report:
    """Everything that a report says.

    Attributes:
        name: The study.
        hash: Hash of its configuration.
        headline: Its result in a sentence.
        absent: How many runs are not in it; "" if all are.
        claims: Claims with their verdicts, by section of the paper.
        verdicts: The same as numbers.
        sections: What was measured, in the order of the paper.
        methods: Terms and words, from the configurations.
        deviations: What is done otherwise than in the paper.
        failed: Message by run that failed.
        missing: Runs that did not finish.
        environment: Terms and words.
        version: Of this package.
    """

    name: str
    hash: str
    headline: str
    absent: str
    claims: tuple[ClaimGroup, ...]
    verdicts: Verdicts
    sections: tuple[Section, ...]
    methods: tuple[tuple[str, str], ...]
    deviations: tuple[Deviation, ...]
    failed: dict[str, str]
    missing: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    version: str

    @property
    def drawings(self) -> list[Drawing]:
        """All figures, in order."""
        return [drawing for section in self.sections for drawing in section.drawings]

    @property
    def tables(self) -> list[Table]:
        """All tables, in order."""
        return [table for section in self.sections for table in section.tables]

    def number(self, drawing: Drawing) -> int:
        """Return a figure's place in the report, from 1."""
        return [one.key for one in self.drawings].index(drawing.key) + 1


def compose(study: StudyResult, verdicts: Verdicts) -> Report:
    """Compose the report.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        verdicts: What their seeds say of the claims.

    Returns:
        The report.
    """
    sections = tuple(make(study, verdicts) for make in _SECTIONS)
    return Report(
        name=study.config.name,
        hash=study.config.hash,
        headline=headline(study, verdicts.claims),
        absent=_absent(study),
        claims=tuple(claim_groups(verdicts.claims, sections)),
        verdicts=verdicts,
        sections=sections,
        methods=tuple(method_rows(study)),
        deviations=deviations(study),
        failed=study.failed,
        missing=study.missing,
        environment=tuple(environment_rows(study)),
        version=version("spectraledge"),
    )


def _absent(study: StudyResult) -> str:
    lacking = [
        f"{counted(len(names), 'run')} {what}"
        for names, what in ((study.failed, "failed"), (study.missing, "did not finish"))
        if names
    ]
    return f"Of {counted(len(study.config.runs), 'run')}, {' and '.join(lacking)}: named below." if lacking else ""
