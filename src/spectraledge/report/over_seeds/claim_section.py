"""A section of a report, declared: what is asked, what answers it, its claims."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Effect
from spectraledge.claims.verdicts import SeedClaim
from spectraledge.report.document import Figure, Section, Table
from spectraledge.report.over_seeds.effect_tables import EffectRow, EffectTable, Source

NOT_MEASURED = "Not measured in this study."

Make = Callable[[Source], Table | Figure | None]
"""What makes a table or a figure; None where what it shows was not measured."""


@dataclass(frozen=True)
class ClaimSection:
    """A section.

    Attributes:
        key: Its anchor.
        title: Where Xu 2026 has it, and what it is about.
        lead: What is asked, and how.
        blocks: What makes its figures and tables.
        claims: The claims that are its own.
        note: What limits it.
    """

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
    """Declare sections with one table each: the effects of their claims.

    Args:
        leads: Title (of section and table) and what is asked, by the section's anchor, in order.
        claims: The claims, each of which names its section.
        more: Effects that the table of a section also has, each with the key of its condition.
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
