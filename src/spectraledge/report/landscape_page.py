"""The report of a study of gradients and curvature: whether they tell in advance, and what they see of the answers."""

from spectraledge.claims.landscape_claims import CONDITION, CONTROLS, LANDSCAPE_CLAIMS, LANDSCAPE_EFFECTS, SIGNS
from spectraledge.report.over_seeds.claim_section import claim_sections
from spectraledge.report.over_seeds.effect_strips import Points, Strip, StripFigure
from spectraledge.report.over_seeds.effect_tables import Source
from spectraledge.report.over_seeds.seed_page import SeedPage, counted_verdicts
from spectraledge.report.words import counted, percent, ratio

_LEADS = {
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
"""Title and first words of each part, by the section of its claims."""

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
    claim_sections(_LEADS, LANDSCAPE_CLAIMS, more={"timing": _ALARMED}, before={"timing": (_STRIPS,)}),
    answer=_headline,
).compose
"""Composes the report; see `SeedPage.compose`."""
