"""The report of a study of scores: what its networks compute, when that appears, what makes it grow and carries it."""

import pandas as pd

from spectraledge.claims.carrier_curves import carrier_curves, directions_needed
from spectraledge.claims.design import learned
from spectraledge.claims.score_claims import CARRIER_CLAIMS, GROWTH_CLAIMS, ONSET_CLAIMS, STATE_CLAIMS, TASKS
from spectraledge.claims.score_effects import EDGE, ONSETS
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Column, Figure, Panel, Rows, Table
from spectraledge.pages.marks import DASHED, DIAMOND, DOTTED, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, INK, ORANGE, PURPLE, QUIET, VERMILLION
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_strips import Points, Strip, StripFigure
from spectraledge.report.over_seeds.effect_tables import EffectRow, EffectTable, Source
from spectraledge.report.over_seeds.seed_page import SeedPage, counted_verdicts, methods_section
from spectraledge.report.score_page import first_scores
from spectraledge.report.words import counted, figures, percent
from spectraledge.tasks import OPERATIONS

_WINDOWS = {
    "before": "of the window before the interval, which has not seen it",
    "own": "of the interval’s own window",
}
_TITLES = {"before": "Window before the interval", "own": "The interval’s own window"}
_KINDS = {
    "edge": Mark("leading directions", VERMILLION, dash=SOLID),
    "uncentred": Mark("leading directions, mean left in", ORANGE, dash=DASHED),
    "gradient": Mark("leading directions of the gradients", PURPLE, dash=SOLID),
    "bulk": Mark("directions after the edge", GREEN, dash=DASHED),
    "span": Mark("random in the window’s span", BLUE, dash=DOTTED),
    "random": Mark("isotropic", QUIET, dash=DOTTED),
    "mean": Mark("the mean update (one direction)", INK, shape=DIAMOND),
}
_PIXELS = 220
_HALVES = (0.5, 0.9)

_LEARNED = {OPERATIONS[task].formula: learned(task) for task in TASKS}
_MARKS = {f"group-{place}": name for place, name in enumerate(_LEARNED)}

# fmt: off
_STATE = EffectTable(
    "state", "What the networks compute in the end", ("quantity", "task"),
    tuple(EffectRow((words, name), effect, of)
          for effect, words in (("own-share", "share of the logits’ energy in own functions, test pairs"),
                                ("lines", "frequencies that hold nine tenths of that"),
                                ("steps-to-learn", "first step with test accuracy .95"))
          for name, of in _LEARNED.items()),
    "null", "Means over seeds. Null: of the share a permuted read-out; of the count that all frequencies held as much.",
)
_LEADS = EffectTable(
    "leads", "How long before test accuracy .95 each leaves the band of the controls", ("what", "task"),
    tuple(EffectRow((words, name), f"onset-{key}", of)
          for key, (_, words) in ONSETS.items() for name, of in _LEARNED.items()),
    "null",
    "Means over seeds. The second snapshot in a row beyond what the controls of the other half of the seeds reach; "
    "one that never comes counts as coming at the run’s end, so that its lead is negative or 0.",
)
_FALSE = EffectTable(
    "false-alarms", "How often each leaves the band in controls that did not set it", ("what", "runs"),
    tuple(EffectRow((words, "permuted answers, or a tenth of the pairs"), f"false-{key}", "untaught")
          for key, (_, words) in ONSETS.items()),
    "–",
    "Share of runs on permuted answers and on too few pairs, of seeds that set no threshold for them, whatever task "
    "they are controls of. Thresholds let one of 20 calibrating controls alarm.",
)
_LEAD_STRIPS = StripFigure(
    "onset-leads", "When the function appears, before the network generalises",
    tuple(Strip(name, "steps before test accuracy .95",
                tuple(Points(words, f"group-{place}", f"onset-{key}", of) for key, (_, words) in ONSETS.items()),
                reference=0.0)
          for place, (name, of) in enumerate(_LEARNED.items())),
    "One point per run: steps from where a quantity leaves the band of its controls to test accuracy .95. To the right "
    "of the line it comes before.",
    "points would lie at or left of the line, or not before those of test accuracy and test loss.",
    _MARKS, across=1,
)
_GROWN = EffectTable(
    "grown", "What makes the own functions grow", ("part", "runs"),
    tuple(EffectRow((words, name), effect, of)
          for effect, words in (
              ("explained", "first order, half-way, over the whole"),
              ("grown:mean-fluctuation", "the mean of the window before, beside the rest of the update"),
              ("grown:optimizer-none", "the optimizer’s steps of watched weights"),
              ("grown:decay-none", "weight decay of watched weights"),
              ("grown:embeddings-none", "the embeddings, by whatever moves them"))
          for name, of in _LEARNED.items()),
    "null",
    "Energy that the own functions gained over all measured intervals, as parts of the first order, signed: one can "
    "exceed the whole where another takes away. Means over seeds.",
)
_CARRIED = EffectTable(
    "carried", f"What {EDGE} leading directions, and others, carry of the growth", ("directions", "runs"),
    tuple(EffectRow((words, name), effect, of)
          for window, where in (("before", "the window before"), ("own", "the own window"))
          for effect, words in (
              (f"carried-{window}:edge-span", f"{EDGE} leading directions of {where}"),
              (f"carried-{window}:mean-span", f"mean update of {where}"),
              (f"carried-{window}:gradient-span", f"{EDGE} leading directions of the gradients of {where}"),
              (f"carried-{window}:whole-random", f"all directions of {where}"))
          for name, of in _LEARNED.items()),
    "null",
    "What directions make the energy of the own functions grow by, over all energy before, summed over all measured "
    "intervals; signed. Null: as many random directions of the window’s span; of the whole window isotropic ones.",
)
# fmt: on


def _curves(source: Source) -> Figure | None:
    table = carrier_curves(source.study.runs)
    if table.empty:
        return None
    panels = []
    for window, words in _WINDOWS.items():
        part = table[(table["window"] == window) & table["kind"].isin(list(_KINDS))]
        drawn = part.rename(columns={"kind": "mark", "k": "place", "growth": "value"}).assign(
            name=part["kind"].map({kind: mark.label for kind, mark in _KINDS.items()})
        )
        chart = curve_plot(
            drawn[["name", "mark", "place", "value", "low", "high"]],
            _KINDS,
            axis="growth over energy",
            words=f"Growth that the first k directions {words} carry",
            height=_PIXELS,
            across="how many directions, k",
            percent=True,
            reference=0.0,
        )
        panels.append(Panel((chart,), _TITLES[window]))
    return Figure(
        "carriers",
        "Which directions carry the growth of the network’s own functions",
        "The first k directions of a kind together: what they make the energy of the own functions grow by, over all "
        "energy before, summed over all measured intervals; signed. Means over seeds with 95% intervals.",
        "all lines would lie on those of random directions.",
        tuple(panels),
        tuple(_KINDS.values()),
        across=2,
        for_paper=True,
    )


def _needed(source: Source) -> Table | None:
    rows, numbers = [], []
    for share in _HALVES:
        table = directions_needed(source.study.runs, share=share)
        for window, part in table.groupby("window", sort=False):
            found = part["k"].dropna().astype(int)
            words = f"{figures(float(found.median()))} (median)" if len(found) else "–"
            rows.append((percent(share), _WINDOWS[str(window)], f"{len(found)} of {len(part)}", words))
        numbers.append(table.assign(share=share))
    if not rows:
        return None
    columns = (Column("of the growth"), Column("leading directions"), Column("runs in which all of them hold it"),
               Column("how many it takes there", "number"))  # fmt: skip
    note = "The smallest number from which on at least this share is carried, however many more join."
    return Table(
        "needed",
        "How many leading directions carry half and nine tenths",
        columns,
        (Rows.of("", tuple(rows)),),
        note,
        numbers=pd.concat(numbers, ignore_index=True),
    )


_SECTIONS = (
    ClaimSection(
        "state", "State. What the networks compute",
        "The logits without their mean over classes are a function of the pair; its energy divides exactly among the "
        "functions of each variable.",
        (_STATE,), STATE_CLAIMS,
    ),
    ClaimSection(
        "onset", "Onset. When it appears",
        "A quantity has begun to rise when it leaves the band of controls that are alike in all but the answers, "
        "which are permuted, or but the pairs that train, which are too few. Thresholds come from other seeds.",
        (_LEAD_STRIPS, _LEADS, _FALSE), ONSET_CLAIMS,
        "The strongest comparison is with test accuracy itself, dated in the same way. An early onset says that there "
        "is a rule in the answers, not that it will be learned: a network that only memorises half of its pairs "
        "answers others by it a little too.",
    ),
    ClaimSection(
        "growth", "Growth. What makes it grow",
        "What the energy of the own functions gains between two snapshots is split exactly: by the mean of the window "
        "before and what differs from it, and by the optimizer’s steps and weight decay.",
        (_GROWN,), GROWTH_CLAIMS,
    ),
    ClaimSection(
        "carriers", "Carriers. Which directions carry it",
        "How much of the growth in an interval lies in the leading directions of the window before it, or of its own?",
        (_curves, _CARRIED, _needed), CARRIER_CLAIMS,
        "The unit was chosen after a first evaluation, in shares of what all watched weights carry: that crosses zero, "
        "and intervals said nothing. Sides, nulls and rules are as declared before.",
    ),
)  # fmt: skip
"""What was measured, in order."""


def _headline(source: Source) -> str:
    """What was found, in numbers; verdicts counted where it was not measured."""
    effects = source.effects
    share, lead, beside, edge = (
        effects.summary(effect, "learned-runs")
        for effect in ("own-share", "onset-own", "onset-own:accuracy", "carried-before:edge-span")
    )
    whole = effects.summary("carried-before:edge-half", "learned-runs").measured_null
    if not (lead.seeds and edge.seeds):
        return counted_verdicts(source)

    def steps(value: float) -> str:
        return f"{abs(value):,.0f} steps {'before' if value > 0 else 'after'}"

    return (
        f"Over {counted(lead.seeds, 'seed')}: functions of the task’s own variable come to hold "
        f"{percent(share.measured)} of what networks say of pairs that they never saw (chance: "
        f"{percent(share.measured_null)}). They leave the band of controls {steps(lead.measured)} test accuracy "
        f"reaches 0.95, and {steps(beside.value)} test accuracy itself leaves its own. The {EDGE} leading "
        f"directions of the window before an interval make their energy grow by {percent(edge.measured)} of all energy "
        f"there, random ones of its span by {percent(edge.measured_null)}, all parameters by {percent(2 * whole)}."
    )


compose_score = SeedPage(
    "Which functions do the networks compute, when do they appear, and what carries them?",
    _SECTIONS,
    more=lambda study: (*first_scores(study), methods_section(study)),
    answer=_headline,
    files=lambda study: {"carrier-curves": carrier_curves(study.runs)},
).compose
"""Composes the report; see `SeedPage.compose`."""
