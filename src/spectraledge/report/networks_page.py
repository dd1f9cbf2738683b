"""The report of a study of other networks and optimizers."""

from spectraledge.claims.network_claims import CONTROLS, NETWORK_CLAIMS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Page, Terms
from spectraledge.report.over_seeds.ratio_page import ratio_page
from spectraledge.studies.results import StudyResult

_LEADS = {
    "squares": (
        "Generalising, or weight decay?",
        "Two layers with x², as published, beside runs of the same seed in which one thing is different. Published is "
        "the comparison with no weight decay, where runs differ in both. Those with too few pairs or permuted answers "
        "have the same weight decay and do not generalise; one that does is left out.",
    ),
    "optimizer": (
        "What does Muon change?",
        "The transformer with Muon for its hidden matrices beside AdamW for all: same first weights, split, batches, "
        "learning rate and weight decay. A run that never generalises counts with its last step.",
    ),
}
"""Title and first words of each part, by the section of its claims."""


def compose_networks(study: StudyResult, verdicts: Verdicts) -> Page:
    """Compose the report.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        verdicts: What was measured in them, and what their seeds say of the claims.

    Returns:
        The report.
    """
    terms = Terms("What is different in a control", tuple((name, words) for name, (words, _, _) in CONTROLS.items()))
    return ratio_page(study, verdicts, NETWORK_CLAIMS, _LEADS, terms, title="Other networks, other optimizers")
