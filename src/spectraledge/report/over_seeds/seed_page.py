"""What every report of claims over seeds is: the claims, what was measured, and how it was made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.pages.document import Page, Section, Terms
from spectraledge.report.opening import opening
from spectraledge.report.over_seeds.claim_section import NOT_MEASURED, ClaimSection
from spectraledge.report.over_seeds.claim_table import claim_table, declared, headline
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.methods import environment_rows, method_rows, study_command
from spectraledge.report.text import absent, absent_note
from spectraledge.studies.results import StudyResult


def counted_verdicts(source: Source) -> str:
    """How many claims replicate, as `headline` says it."""
    return headline(source.study, source.verdicts.claims)


def methods_section(study: StudyResult) -> Section:
    """What was done, made from configurations."""
    lead = "Made from the configurations of the runs."
    return Section("methods", "Methods", (lead,), (Terms("", tuple(method_rows(study))),), short="Methods")


@dataclass(frozen=True)
class SeedPage:
    """A study's report, declared: the question, what was measured, what stands behind it, the answer, more files."""

    title: str
    parts: tuple[ClaimSection, ...]
    more: Callable[[StudyResult], Iterable[Section]] = lambda study: ()
    answer: Callable[[Source], str] = counted_verdicts
    files: Callable[[StudyResult], Mapping[str, pd.DataFrame]] = lambda study: {}

    def compose(self, study: StudyResult, verdicts: Verdicts) -> Page:
        """Compose the report."""
        source = Source(study, verdicts)
        return Page(
            study=study.config.name,
            hash=study.config.hash,
            title=self.title,
            headline=self.answer(source),
            sections=(
                _claims(verdicts, {claim.id: part.key for part in self.parts for claim in part.claims}),
                *(part.section(source) for part in self.parts),
                *self.more(study),
                _absent(study),
                _environment(study),
            ),
            version=version("spectraledge"),
            warning=absent_note(study),
            command=study_command(study),
            claims=declared(verdicts.claims),
            stage=opening(study),
            files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed, **self.files(study)},
        )


def _claims(verdicts: Verdicts, targets: Mapping[str, str]) -> Section:
    """Every claim with its verdict."""
    if verdicts.claims.empty:
        return Section("claims", "Claims", (NOT_MEASURED,), short="Claims")
    lead = (
        "Every claim was declared with its statistic, null and rule before it was evaluated; published numbers decide "
        "nothing. The seed is the unit. “Replicates” needs the 95% interval over seeds beyond no effect, and q ≤ 0.05 "
        "over all claims; “does not” needs the interval on the other side, or inside what would not matter."
    )
    return Section("claims", "Claims", (lead,), (claim_table(verdicts.claims, targets),), short="Claims")


def _absent(study: StudyResult) -> Section:
    """Runs that are not in the report."""
    blocks = absent(study) or ("None: every run finished.",)
    return Section("absent", "Failed and missing runs", blocks=blocks, short="Failed and missing")


def _environment(study: StudyResult) -> Section:
    """Where the finished runs were made."""
    rows = tuple(environment_rows(study))
    block = Terms("", rows) if rows else "No run has finished."
    return Section("environment", "Environment", blocks=(block,), short="Environment")
