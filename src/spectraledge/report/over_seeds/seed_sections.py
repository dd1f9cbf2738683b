"""Sections that every report of claims over seeds has."""

from collections.abc import Mapping

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Section, Terms
from spectraledge.report.over_seeds.claim_section import NOT_MEASURED
from spectraledge.report.over_seeds.claim_table import claim_table
from spectraledge.report.over_seeds.methods import environment_rows, method_rows
from spectraledge.report.text import absent
from spectraledge.studies.results import StudyResult


def claims_section(verdicts: Verdicts, targets: Mapping[str, str]) -> Section:
    """Every claim with its verdict."""
    if verdicts.claims.empty:
        return Section("claims", "Claims", (NOT_MEASURED,), short="Claims")
    lead = (
        "Every claim was declared with its statistic, null and rule before it was evaluated; published numbers decide "
        "nothing. The seed is the unit. “Replicates” needs the 95% interval over seeds beyond no effect, and q ≤ 0.05 "
        "over all claims; “does not” needs the interval on the other side, or inside what would not matter."
    )
    return Section("claims", "Claims", (lead,), (claim_table(verdicts.claims, targets),), short="Claims")


def methods_section(study: StudyResult) -> Section:
    """What was done, made from configurations."""
    lead = "Made from the configurations of the runs."
    return Section("methods", "Methods", (lead,), (Terms("", tuple(method_rows(study))),), short="Methods")


def absent_section(study: StudyResult) -> Section:
    """Runs that are not in the report."""
    blocks = absent(study) or ("None: every run finished.",)
    return Section("absent", "Failed and missing runs", blocks=blocks, short="Failed and missing")


def environment_section(study: StudyResult) -> Section:
    """Where the finished runs were made."""
    rows = tuple(environment_rows(study))
    block = Terms("", rows) if rows else "No run has finished."
    return Section("environment", "Environment", blocks=(block,), short="Environment")
