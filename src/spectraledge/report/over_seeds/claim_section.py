"""A section of a report, declared: what is asked, what answers it, its claims."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Effect
from spectraledge.claims.verdicts import SeedClaim
from spectraledge.pages.document import Column, Figure, Rows, Section, Table, number_columns
from spectraledge.report.declared import declared_figures
from spectraledge.report.over_seeds.effect_tables import EffectRow, EffectTable, Source, interval
from spectraledge.report.words import ratio

NOT_MEASURED = "Not measured in this study."

Make = Callable[[Source], Table | Figure | None]
"""What makes a table or a figure; None where what it shows was not measured."""


@dataclass(frozen=True)
class ClaimSection:
    """A section: what is asked, what makes its figures and tables, its own claims, and what limits it."""

    key: str
    title: str
    lead: str
    blocks: tuple[Make, ...]
    claims: tuple[SeedClaim, ...] = ()
    note: str = ""

    def section(self, source: Source) -> Section:
        """Make the section of a report; one without figures and tables says that it was not measured."""
        there = tuple(block for make in self.blocks if (block := make(source)) is not None)
        words = (self.lead,) if there else (NOT_MEASURED,)
        known = set(source.verdicts.claims["claim"]) if len(source.verdicts.claims) else set()
        names = tuple(claim.id for claim in self.claims if claim.id in known)
        note = (self.note,) if self.note and there else ()
        return Section(self.key, self.title, words, (*there, *note), names, self.title.partition(". ")[0])


def claim_sections(
    leads: Mapping[str, tuple[str, str]],
    claims: Iterable[SeedClaim],
    *,
    more: Mapping[str, Iterable[tuple[Effect, str]]] | None = None,
    before: Mapping[str, tuple[Make, ...]] | None = None,
) -> tuple[ClaimSection, ...]:
    """Declare sections with one table each: the effects of their claims, and more, each with the key of its condition.

    Args:
        leads: Title (of section and table) and what is asked, by the section's anchor, in order.
        claims: The claims, each of which names its section.
        more: Effects that the table of a section also has.
        before: What makes what stands above the table of a section.

    Returns:
        The sections.
    """
    found = []
    for key, (title, lead) in leads.items():
        own = tuple(claim for claim in claims if claim.section == key)
        read = dict.fromkeys((claim.effect, of) for claim in own for of in (claim.of, claim.against) if of)
        read |= dict.fromkeys((more or {}).get(key, ()))
        rows = tuple(EffectRow((effect.words, CONDITIONS[of].words), effect.id, of) for effect, of in read)
        table = EffectTable(
            f"{key}-table", title, ("measured", "runs"), rows, "null", "Means over seeds.", extents=True
        )
        found.append(ClaimSection(key, title, lead, (*(before or {}).get(key, ()), table), own))
    return tuple(found)


def ratio_sections(leads: Mapping[str, tuple[str, str]], claims: Iterable[SeedClaim]) -> tuple[ClaimSection, ...]:
    """Declare sections with one table each, the ratios of their claims, and the figure of that name if there is one."""
    found = []
    for key, (title, lead) in leads.items():
        own = tuple(claim for claim in claims if claim.section == key)
        makers = partial(_ratios, key, title, own), partial(_drawn, key)
        found.append(ClaimSection(key, title, lead, makers, own))
    return tuple(found)


def _drawn(key: str, source: Source) -> Figure | None:
    """The figure of a table of a run that says itself how it is drawn."""
    return next((figure for figure in declared_figures(source.study) if figure.key == key), None)


def _ratios(key: str, title: str, claims: Iterable[SeedClaim], source: Source) -> Table | None:
    """The table of the effects of claims."""
    measured = {claim.effect.id: (claim.effect, claim.of) for claim in claims}
    rows, numbers = [], []
    for name, (effect, condition) in measured.items():
        found = source.effects.summary(name, condition)
        if found.seeds:
            spread = interval(found.low, found.high, ratio)
            rows.append((effect.words, effect.null, ratio(found.value), spread, str(found.seeds)))
            ends = found.low, found.high, found.seeds
            numbers.append((name, found.measured, found.measured_null, found.value, *ends))
    if not rows:
        return None
    titles = ("ratio", "95% interval over seeds", "seeds")
    columns = (Column("measured"), *number_columns("beside", titles))
    named = ["effect", "measured", "beside", "ratio", "low", "high", "seeds"]
    behind = pd.DataFrame(numbers, columns=named)
    return Table(f"{key}-table", title, columns, (Rows.of("", rows),), "1 is no difference.", numbers=behind)
