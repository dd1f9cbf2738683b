"""The report of a study of causes: what was changed, and what difference it made."""

from spectraledge.claims.cause_claims import CAUSE_CLAIMS, CHANGES
from spectraledge.report.document import Section, Terms
from spectraledge.report.over_seeds.ratio_sections import ratio_sections
from spectraledge.report.over_seeds.seed_page import SeedPage

_LEADS = {
    "interventions": (
        "Is a direction needed?",
        "Runs of one seed share weights, split and batches; in each something is done to every step. Rows are steps to "
        "a test accuracy of .95 over those of the run of the same seed in which nothing is changed, or in which the "
        "same is done to directions at random. A run that never gets there counts with its last step; two that do not "
        "are left out. Runs with frozen attention (remove:all) and their two claims were added when the others of "
        "three seeds had been read.",
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
        "comparison. These claims were written when seed 42 had been measured.",
    ),
}
"""Title and first words of each part, by the section of its claims."""

_RUNS = Terms("What is done to every step", tuple(CHANGES.items()))

compose_causes = SeedPage(
    "What makes the difference?",
    ratio_sections(_LEADS, CAUSE_CLAIMS),
    more=lambda study: (Section("runs", "Runs", blocks=(_RUNS,), short="Runs"),),
).compose
"""Composes the report; see `SeedPage.compose`."""
