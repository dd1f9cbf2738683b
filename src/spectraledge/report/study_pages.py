"""The reports of the studies `causes`, `networks`, `groups` and `landscape`.

Of each part of one: title and first words, by the section of its claims.
"""

from spectraledge.claims.cause_claims import CAUSE_CLAIMS, CHANGES
from spectraledge.claims.group_claims import GROUP_CLAIMS, GROUP_EFFECTS, NAMES
from spectraledge.claims.landscape_claims import CONDITION, CONTROLS, LANDSCAPE_CLAIMS, LANDSCAPE_EFFECTS, SIGNS
from spectraledge.claims.network_claims import CONTROLS as NETWORK_CONTROLS
from spectraledge.claims.network_claims import NETWORK_CLAIMS
from spectraledge.pages.document import Section, Terms
from spectraledge.report.over_seeds.claim_section import claim_sections, ratio_sections
from spectraledge.report.over_seeds.effect_strips import Points, Strip, StripFigure
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.seed_page import SeedPage, counted_verdicts
from spectraledge.report.score_page import first_scores
from spectraledge.report.words import counted, percent, ratio

_CAUSES = {
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

_CHANGED = Terms("What is done to every step", tuple(CHANGES.items()))

compose_causes = SeedPage(
    "What makes the difference?",
    ratio_sections(_CAUSES, CAUSE_CLAIMS),
    more=lambda study: (Section("runs", "Runs", blocks=(_CHANGED,), short="Runs"),),
).compose

_NETWORKS = {
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

_CONTROLLED = Terms(
    "What is different in a control", tuple((name, words) for name, (words, _, _) in NETWORK_CONTROLS.items())
)

compose_networks = SeedPage(
    "Other networks, other optimizers",
    ratio_sections(_NETWORKS, NETWORK_CLAIMS),
    more=lambda study: (Section("runs", "Runs", blocks=(_CONTROLLED,), short="Runs"),),
).compose

_GROUPS = {
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

_USED = tuple(
    (GROUP_EFFECTS[f"used:{name}"], f"group-{group}-learned") for group, names in NAMES.items() for name in names
)
"""How often a representation is used."""

compose_groups = SeedPage(
    "What does a network learn of a group?",
    claim_sections(_GROUPS, GROUP_CLAIMS, more={"representations": _USED}),
    more=first_scores,
).compose

_LANDSCAPE = {
    "timing": (
        "Does it tell in advance?",
        "Two plain gradient steps on two batches lead elsewhere in the other order; the commutator defect is by how "
        "much, over the lengths of both. Its published alarm needs no control. Beside it stand alarms whose "
        "thresholds come from controls of other seeds, trained at the same weight decay on permuted answers or on a "
        "tenth of the pairs: of the defect, of the gradient and the curvature that it is a quotient of, and of what "
        "needs neither.",
    ),
    "curvature": (
        "Does the loss bend along the edge?",
        "Shares of the leading directions of the loss's curvature in the edge of the window of updates, beside as many "
        "other directions, mean over about six snapshots of a run.",
    ),
    "gradients": (
        "Do gradients select the task's functions?",
        "Windows of updates, of their parts and of gradients on one batch at the same snapshots, where the network "
        "generalises. The selection ratio is the share of a window's response in the task's own functions over that of "
        "isotropic directions. Gradients for permuted answers share everything but the answers.",
    ),
}

_ALARMS = {"rule": "the published alarm sounds", **{name: words for name, (_, words) in SIGNS.items()}}
_STRIPS = StripFigure(
    "alarm-leads",
    "When each alarm comes, before the network generalises",
    (
        Strip(
            "",
            "steps before test accuracy .95 (published alarm: .5)",
            tuple(Points(words, "group-0", f"alarm:{name}", CONDITION) for name, words in _ALARMS.items()),
            reference=0.0,
        ),
    ),
    "One point per run. To the right of the line the alarm comes before; one that never does counts as coming at the "
    "run's end.",
    "points would lie at or left of the line, or no further right than those of test accuracy.",
    {"group-0": "a + b"},
    across=1,
)


def _headline(source: Source) -> str:
    """What was found, in numbers; verdicts counted where it was not measured."""
    effects = source.effects
    lead, gradient = (effects.summary(name, CONDITION) for name in ("alarm:rule", "select:update:gradient"))
    false = [effects.summary("false:rule", of) for of in CONTROLS]
    if not (lead.seeds and gradient.seeds and all(one.seeds for one in false)):
        return counted_verdicts(source)
    when = f"{abs(lead.measured):,.0f} steps {'before' if lead.measured > 0 else 'after'}"
    permuted, few = (percent(one.measured) for one in false)
    return (
        f"Over {counted(lead.seeds, 'seed')}: the published alarm on the commutator defect sounds {when} the network "
        f"answers half of the pairs that it never saw, and in {permuted} of runs on permuted answers and {few} of "
        f"those on too few pairs, which never do. Where the network generalises, a window of updates moves the task's "
        f"own functions {ratio(gradient.measured)} times as much as isotropic directions do, a window of gradients "
        f"{ratio(gradient.measured_null)} times."
    )


_ALARMED = (
    *((effect, CONDITION) for name, effect in LANDSCAPE_EFFECTS.items() if name.startswith("alarm:")),
    *((effect, of) for of in CONTROLS for name, effect in LANDSCAPE_EFFECTS.items() if name.startswith("false:")),
)

compose_landscape = SeedPage(
    "What do gradients and curvature tell?",
    claim_sections(_LANDSCAPE, LANDSCAPE_CLAIMS, more={"timing": _ALARMED}, before={"timing": (_STRIPS,)}),
    answer=_headline,
).compose
