"""A section of the paper's report: what was measured of one part of Xu 2026, and the claims about it."""

from collections.abc import Iterable, Sequence

from spectraledge.claims.verdicts import SeedClaim
from spectraledge.report.document import Block, Section

NOT_MEASURED = "Not measured in this study."


def paper_section(
    key: str,
    title: str,
    lead: str,
    blocks: Iterable[Block | None],
    *,
    claims: Sequence[SeedClaim] = (),
    note: str = "",
) -> Section:
    """Make a section; one without tables and figures says that it was not measured.

    Args:
        key: Its anchor.
        title: Where Xu 2026 has it, and what it is about.
        lead: What is asked, and how.
        blocks: Its figures and tables; None for what was not measured.
        claims: The claims that are its own.
        note: What limits it.

    Returns:
        The section.
    """
    there = tuple(block for block in blocks if block is not None)
    words = (lead,) if there else (NOT_MEASURED,)
    names = tuple(claim.id for claim in claims)
    return Section(key, title, words, (*there, *([note] if note and there else [])), names, title.partition(". ")[0])
