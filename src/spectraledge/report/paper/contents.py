"""The report of a study of the whole paper as a page of the document model."""

from importlib.metadata import version

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Absent, Column, Page, Rows, Section, Table, Terms
from spectraledge.report.opening import opening
from spectraledge.report.paper.basis_sections import BASIS, MULTIPLICATION, SQUARES, SUBTRACTION
from spectraledge.report.paper.claim_table import claim_table, declared, headline
from spectraledge.report.paper.deviations import deviations
from spectraledge.report.paper.effect_tables import Source
from spectraledge.report.paper.joint_sections import COUSAGE, REUSE
from spectraledge.report.paper.methods import environment_rows, method_rows, study_command
from spectraledge.report.paper.paper_section import NOT_MEASURED, PaperSection
from spectraledge.report.paper.tool_sections import COMPOSITION, OVERVIEW, TOOLS
from spectraledge.report.paper.training_sections import DECOMPOSITIONS, EDGE, LEARNING
from spectraledge.report.words import counted
from spectraledge.studies.results import StudyResult

SECTIONS: tuple[PaperSection, ...] = (
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
        sections=(_claims(verdicts), *(one.section(source) for one in SECTIONS), *_about(study)),
        version=version("spectraledge"),
        warning=_lacking(study),
        command=study_command(study),
        claims=declared(verdicts.claims),
        stage=opening(study),
        files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed},
    )


def _claims(verdicts: Verdicts) -> Section:
    if verdicts.claims.empty:
        return Section("claims", "Claims", (NOT_MEASURED,), short="Claims")
    lead = (
        "Every claim was declared with its statistic, null and rule before it was evaluated; published numbers decide "
        "nothing. The seed is the unit. “Replicates” needs the 95% interval over seeds beyond no effect, and q ≤ 0.05 "
        "over all claims; “does not” needs the interval on the other side, or inside what would not matter."
    )
    targets = {claim.id: section.key for section in SECTIONS for claim in section.claims}
    return Section("claims", "Claims", (lead,), (claim_table(verdicts.claims, targets),), short="Claims")


def _about(study: StudyResult) -> tuple[Section, ...]:
    differences = Rows.of("", ((one.published, one.ours, one.reason) for one in deviations(study)))
    columns = (Column("the paper"), Column("here"), Column("why"))
    failed = [(run, f"failed: {message}") for run, message in study.failed.items()]
    absent = (*failed, *((run, "did not finish") for run in study.missing))
    environment = environment_rows(study)
    return (
        Section(
            "methods",
            "Methods",
            ("Made from the configurations of the runs.",),
            (Terms("", tuple(method_rows(study))),),
            short="Methods",
        ),
        Section(
            "deviations",
            "Deviations from the paper",
            blocks=(Table("deviation-table", "What is done otherwise, and why", columns, (differences,)),),
            short="Deviations",
        ),
        Section(
            "absent",
            "Failed and missing runs",
            blocks=(Absent(absent) if absent else "None: every run finished.",),
            short="Failed and missing",
        ),
        Section(
            "environment",
            "Environment",
            blocks=(Terms("", tuple(environment)) if environment else "No run has finished.",),
            short="Environment",
        ),
    )


def _lacking(study: StudyResult) -> str:
    lacking = [
        f"{counted(len(names), 'run')} {what}"
        for names, what in ((study.failed, "failed"), (study.missing, "did not finish"))
        if names
    ]
    return f"Of {counted(len(study.config.runs), 'run')}, {' and '.join(lacking)}: named below." if lacking else ""
