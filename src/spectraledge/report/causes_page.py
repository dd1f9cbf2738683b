"""The report of a study of causes: what was changed, and what difference it made."""

from importlib.metadata import version

import pandas as pd

from spectraledge.claims.cause_claims import CAUSE_CLAIMS, CHANGES, CONDITION
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.declared import declared_figures
from spectraledge.report.document import Block, Column, Page, Rows, Section, Table, Terms
from spectraledge.report.over_seeds.claim_table import declared, headline
from spectraledge.report.over_seeds.effect_tables import interval
from spectraledge.report.over_seeds.methods import study_command
from spectraledge.report.over_seeds.seed_sections import absent_section, claims_section, environment_section
from spectraledge.report.text import absent_note
from spectraledge.report.words import ratio
from spectraledge.studies.results import StudyResult

_LEADS = {
    "interventions": (
        "Is a direction needed?",
        "Runs of one seed share weights, split and batches; in each something is done to every step. Rows are steps to "
        "a test accuracy of .95 over those of the run of the same seed in which nothing is changed, or in which the "
        "same is done to directions at random. A run that never gets there counts with its last step; two that do not "
        "are left out.",
    ),
    "forks": (
        "Is it learned, or only easy to move?",
        "Branches part at one network and differ in what they are taught. Each row is the share that functions have in "
        "the response to a branch's net move, over that of directions at random, beside the same in another branch. "
        "Network and Jacobian are the same for all, so answers and batches alone make the difference.",
    ),
    "ablation": (
        "What does the trained network lose?",
        "What the run moved its weights by along the leading directions is taken back, and as much along others. Rows "
        "are test losses over those without as much along directions at random.",
    ),
    "gradients": (
        "Do gradients see what the network learns?",
        "A centroid is the gradient of an input's logit with respect to its embeddings: what the answer depends on "
        "there. Rows are how far directions move the centroids of 1,024 pairs, squared, over how far others do. "
        "Gradients and centroids share the network's derivative, so gradients for permuted answers are the fair "
        "comparison.",
    ),
}
"""Title and first words of each part, by the section of its claims."""


def compose_causes(study: StudyResult, verdicts: Verdicts) -> Page:
    """Compose the report.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        verdicts: What was measured in them, and what their seeds say of the claims.

    Returns:
        The report.
    """
    return Page(
        study=study.config.name,
        hash=study.config.hash,
        title="What makes the difference?",
        headline=headline(study, verdicts.claims),
        sections=(
            claims_section(verdicts, {claim.id: claim.section for claim in CAUSE_CLAIMS}),
            *(_part(study, verdicts, key) for key in _LEADS),
            Section(
                "runs", "Runs", blocks=(Terms("What is done to every step", tuple(CHANGES.items())),), short="Runs"
            ),
            absent_section(study),
            environment_section(study),
        ),
        version=version("spectraledge"),
        warning=absent_note(study),
        command=study_command(study),
        claims=declared(verdicts.claims),
        files={"claims": verdicts.claims, "claims-by-seed": verdicts.by_seed},
    )


def _part(study: StudyResult, verdicts: Verdicts, key: str) -> Section:
    title, lead = _LEADS[key]
    claims = [claim for claim in CAUSE_CLAIMS if claim.section == key]
    effects = {claim.effect.id: claim.effect for claim in claims}
    rows, numbers = [], []
    for name, effect in effects.items():
        found = verdicts.effects.summary(name, CONDITION)
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
    if key == "ablation":
        blocks += [figure for figure in declared_figures(study) if figure.key == key]
    return Section(key, title, (lead,), tuple(blocks), tuple(claim.id for claim in claims), title)
