"""What every report of claims over seeds is: the claims, what was measured, and how it was made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Page, Section
from spectraledge.report.opening import opening
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.claim_table import declared, headline
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.methods import study_command
from spectraledge.report.over_seeds.seed_sections import absent_section, claims_section, environment_section
from spectraledge.report.text import absent_note
from spectraledge.studies.results import StudyResult


def counted_verdicts(source: Source) -> str:
    """How many claims replicate, as `headline` says it."""
    return headline(source.study, source.verdicts.claims)


@dataclass(frozen=True)
class SeedPage:
    """The report of a study, declared.

    Attributes:
        title: The question.
        parts: What was measured, in order.
        more: Makes the sections between these and how the study was made.
        answer: What was found, in a sentence.
        files: Makes tables that can be taken from the report beside the claims, by name.
    """

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
                claims_section(verdicts, {claim.id: part.key for part in self.parts for claim in part.claims}),
                *(part.section(source) for part in self.parts),
                *self.more(study),
                absent_section(study),
                environment_section(study),
            ),
            version=version("spectraledge"),
            warning=absent_note(study),
            command=study_command(study),
            claims=declared(verdicts.claims),
            stage=opening(study),
            files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed, **self.files(study)},
        )
