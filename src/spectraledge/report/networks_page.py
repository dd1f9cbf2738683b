"""The report of a study of other networks and optimizers."""

from spectraledge.claims.network_claims import CONTROLS, NETWORK_CLAIMS
from spectraledge.report.document import Section, Terms
from spectraledge.report.over_seeds.ratio_sections import ratio_sections
from spectraledge.report.over_seeds.seed_page import SeedPage

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

_RUNS = Terms("What is different in a control", tuple((name, words) for name, (words, _, _) in CONTROLS.items()))

compose_networks = SeedPage(
    "Other networks, other optimizers",
    ratio_sections(_LEADS, NETWORK_CLAIMS),
    more=lambda study: (Section("runs", "Runs", blocks=(_RUNS,), short="Runs"),),
).compose
"""Composes the report; see `SeedPage.compose`."""
