"""A page of claims over seeds whose effects are ratios, part by part."""

from collections.abc import Mapping, Sequence

import pandas as pd

from spectraledge.claims.verdicts import SeedClaim, Verdicts
from spectraledge.report.declared import declared_figures
from spectraledge.report.document import Block, Column, Page, Rows, Section, Table, Terms
from spectraledge.report.over_seeds.effect_tables import interval
from spectraledge.report.over_seeds.seed_page import seed_page
from spectraledge.report.words import ratio
from spectraledge.studies.results import StudyResult


def ratio_page(
    study: StudyResult,
    verdicts: Verdicts,
    claims: Sequence[SeedClaim],
    leads: Mapping[str, tuple[str, str]],
    runs: Terms,
    *,
    title: str,
) -> Page:
    """Compose the report of claims whose effects are ratios.

    Args:
        study: The finished runs.
        verdicts: What was measured in them.
        claims: The claims.
        leads: Title and first words of each part, by the section of its claims.
        runs: What the runs are.
        title: Of the page.

    Returns:
        The report.
    """
    parts = (
        _part(study, verdicts, key, lead, [claim for claim in claims if claim.section == key])
        for key, lead in leads.items()
    )
    return seed_page(
        study,
        verdicts,
        (*parts, Section("runs", "Runs", blocks=(runs,), short="Runs")),
        title=title,
        targets={claim.id: claim.section for claim in claims},
    )


def _part(
    study: StudyResult, verdicts: Verdicts, key: str, words: tuple[str, str], claims: Sequence[SeedClaim]
) -> Section:
    title, lead = words
    measured = {claim.effect.id: (claim.effect, claim.of) for claim in claims}
    rows, numbers = [], []
    for name, (effect, condition) in measured.items():
        found = verdicts.effects.summary(name, condition)
        if found.seeds:
            spread = interval(found.low, found.high, ratio)
            rows.append((effect.words, effect.null, ratio(found.value), spread, str(found.seeds)))
            numbers.append((name, found.measured, found.measured_null, found.value, found.low, found.high, found.seeds))
    columns = (
        Column("measured"),
        Column("beside"),
        Column("ratio", "number"),
        Column("95% interval over seeds", "number"),
        Column("seeds", "number"),
    )
    blocks: list[Block] = []
    if rows:
        table = Table(
            f"{key}-table",
            title,
            columns,
            (Rows.of("", rows),),
            "1 is no difference.",
            numbers=pd.DataFrame(numbers, columns=["effect", "measured", "beside", "ratio", "low", "high", "seeds"]),
        )
        blocks.append(table)
    blocks += [figure for figure in declared_figures(study) if figure.key == key]
    return Section(key, title, (lead,), tuple(blocks), tuple(claim.id for claim in claims), title)
