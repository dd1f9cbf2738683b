"""The report of a study of groups: what networks compute of them, in what order, and whether it is cosets."""

from spectraledge.claims.group_claims import GROUP_CLAIMS, GROUP_EFFECTS, NAMES
from spectraledge.report.over_seeds.claim_section import claim_sections
from spectraledge.report.over_seeds.seed_page import SeedPage
from spectraledge.report.score_page import first_scores

_LEADS = {
    "learning": (
        "Is it learned?",
        "Whether test accuracy reaches .95, on S4 and S5, and on tables of the size of S4 that follow no group: its "
        "own answers dealt out to other pairs, a random Latin square, and one with an identity.",
    ),
    "representations": (
        "Which representations?",
        "Functions of the product split exactly by irreducible representation, and so does the energy of the logits on "
        "pairs that were never trained. Beside each share what logits dealt out at random have.",
    ),
    "edge": (
        "What do the last updates move?",
        "The response to the window's updates, in the same subspaces, beside isotropic directions of the same network.",
    ),
    "cosets": (
        "Cosets or representations?",
        "A neuron, as a function of one input, may be constant on cosets of a subgroup. How much of that its "
        "representations make alone is measured on functions of the same rank and energy in each of them, turned at "
        "random. D12 and Dic6 have one table of characters, and only D12 has functions of cosets in its faithful "
        "representations. That pair, and the claim on steps to learn, were chosen after runs of seed 42.",
    ),
}
"""Title and first words of each part, by the section of its claims."""

_USED = tuple(
    (GROUP_EFFECTS[f"used:{name}"], f"group-{group}-learned") for group, names in NAMES.items() for name in names
)
"""How often a representation is used."""

compose_groups = SeedPage(
    "What does a network learn of a group?",
    claim_sections(_LEADS, GROUP_CLAIMS, more={"representations": _USED}),
    more=first_scores,
).compose
"""Composes the report; see `SeedPage.compose`."""
