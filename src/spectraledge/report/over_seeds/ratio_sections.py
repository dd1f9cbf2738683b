"""Sections of claims over seeds whose effects are ratios."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from spectraledge.claims.verdicts import SeedClaim
from spectraledge.report.declared import declared_figures
from spectraledge.report.document import Column, Figure, Rows, Table
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_tables import Source, interval
from spectraledge.report.words import ratio


def ratio_sections(leads: Mapping[str, tuple[str, str]], claims: Iterable[SeedClaim]) -> tuple[ClaimSection, ...]:
    """Declare sections with one table each, the ratios of their claims, and the figure of that name if there is one."""
    found = []
    for key, (title, lead) in leads.items():
        own = tuple(claim for claim in claims if claim.section == key)
        found.append(ClaimSection(key, title, lead, (_Ratios(key, title, own), _Drawn(key)), own))
    return tuple(found)


@dataclass(frozen=True)
class _Drawn:
    """The figure of a table of a run that says itself how it is drawn."""

    key: str

    def __call__(self, source: Source) -> Figure | None:
        return next((figure for figure in declared_figures(source.study) if figure.key == self.key), None)


@dataclass(frozen=True)
class _Ratios:
    """The table of the effects of claims."""

    key: str
    title: str
    claims: tuple[SeedClaim, ...]

    def __call__(self, source: Source) -> Table | None:
        measured = {claim.effect.id: (claim.effect, claim.of) for claim in self.claims}
        rows, numbers = [], []
        for name, (effect, condition) in measured.items():
            found = source.effects.summary(name, condition)
            if found.seeds:
                spread = interval(found.low, found.high, ratio)
                rows.append((effect.words, effect.null, ratio(found.value), spread, str(found.seeds)))
                ends = found.low, found.high, found.seeds
                numbers.append((name, found.measured, found.measured_null, found.value, *ends))
        columns = (
            Column("measured"),
            Column("beside"),
            Column("ratio", "number"),
            Column("95% interval over seeds", "number"),
            Column("seeds", "number"),
        )
        if not rows:
            return None
        return Table(
            f"{self.key}-table",
            self.title,
            columns,
            (Rows.of("", rows),),
            "1 is no difference.",
            numbers=pd.DataFrame(numbers, columns=["effect", "measured", "beside", "ratio", "low", "high", "seeds"]),
        )
