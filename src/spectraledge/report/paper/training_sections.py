"""§2, Table 1 and §4.2: which runs generalise, what tells them from others, and when decompositions change."""

from spectraledge.claims.design import GROKKING, GROUPS, SINGLES
from spectraledge.claims.paper_claims import CHANGE_CLAIMS, EDGE_CLAIMS, LEARNING_CLAIMS, SELECTION_CLAIMS
from spectraledge.claims.published import GROKKED_WITHIN, published_number
from spectraledge.claims.summaries import LEVEL
from spectraledge.pages.document import Column, Table
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_strips import Points, Strip, StripFigure
from spectraledge.report.over_seeds.effect_tables import (
    EffectRow,
    EffectTable,
    Source,
    interval,
    mean_numbers,
    mean_words,
    worded,
)
from spectraledge.report.paper.decomposition_figure import decomposition_figure
from spectraledge.report.words import NONE, figures, hundredths, spread, whole
from spectraledge.tasks import OPERATIONS


def _learned(source: Source) -> Table | None:
    """One row per task and weight decay."""
    effects, rows, numbers = source.effects, [], []
    for name, condition in SINGLES.items():
        (task,), decay = condition.tasks, condition.weight_decay
        taken, accuracy = effects.extent("steps-taken", name), effects.extent("test-accuracy", name)
        if not taken.runs:
            continue
        steps = effects.summary("steps", f"{name}-learned")
        formula = OPERATIONS[task].formula
        known = f"3 of 3, within {GROKKED_WITHIN:,}" if task in GROKKING and decay else "0 of 3"
        reached = f"{taken.learned} of {taken.runs}"
        mean = mean_words(steps, whole) if steps.seeds else NONE
        span = whole(taken.lowest) if taken.lowest == taken.highest else spread(taken.lowest, taken.highest, whole)
        accuracies = spread(accuracy.lowest, accuracy.highest, "{:.3f}".format)
        rows.append((formula, f"{decay:g}", reached, mean, span, accuracies, known))
        numbers.append(
            {"task": formula, "weight_decay": decay, "runs": taken.runs}
            | mean_numbers(steps, "steps", f"{name}-learned", "steps")
            | {"fewest_steps": taken.lowest, "most_steps": taken.highest}
            | {"lowest_accuracy": accuracy.lowest, "highest_accuracy": accuracy.highest, "published": known}
        )
    mean_title = f"step (mean, {LEVEL:.0%} interval over seeds)"
    named = ("generalised", mean_title, "steps taken", "test accuracy at the end")
    columns = (Column("task"), Column("weight decay"), *(Column(name, "number") for name in named), Column("published"))
    note = (
        "Steps: geometric means over the seeds that generalised. Null: chance is a test accuracy of one over the "
        "number of classes. The paper’s controls trained up to 200,000 steps, and one of them had an event at step "
        "41,700."
    )
    title = "Runs that generalise, by task and weight decay"
    return worded("section-2", title, columns, rows, numbers, note=note) if rows else None


def _areas(source: Source) -> Table | None:
    """Claims that a quantity tells groups of runs apart, sound statistics first."""
    claims = source.verdicts.claims
    found = claims[(claims["scale"] == "area") & (claims["seeds"] > 0)] if len(claims) else claims
    if found.empty:
        return None
    found = found.sort_values("method", key=lambda kinds: kinds != "sound", kind="stable")
    rows = [
        (
            row["statistic"].partition(";")[0].partition(" (")[0],
            "published" if row["method"] == "published" else "ours",
            f"{hundredths(row['value'])} ({interval(row['low'], row['high'], hundredths)})",
            str(row["seeds"]),
            "0.5",
            f"{figures(row['measured'])} and {figures(row['measured_null'])}",
        )
        for row in found.to_dict("records")
    ]
    named = (f"area under the ROC curve ({LEVEL:.0%} interval)", "seeds", "null", "medians: generalised and not")
    columns = (Column("quantity"), Column("statistic"), *(Column(name, "number") for name in named))
    note = (
        "Area: the probability that a run that generalised has the larger value; runs of one seed count as related. An "
        "area of 1 means that the groups do not overlap."
    )
    title = "How well each quantity tells runs that generalise from runs that do not"
    return worded("table-1-areas", title, columns, rows, found, note=note)


_PUBLISHED = {
    group: f"{published_number('Table 1', 'decline of g_23', of)}, "
    f"{published_number('Table 1', 'runs that decline', of)} runs"
    for group, of in zip(
        GROUPS, ("grokking runs", "grokking tasks without", "other tasks", "other tasks without"), strict=True
    )
}
"""What is published of each group of Table 1."""

# fmt: off
LEARNING = ClaimSection(
    "section-2", "§2. Which runs generalise",
    "Single tasks; test accuracy of at least 0.95 at an evaluation counts. Runs that do not reach it stop at their "
    "budget: what they would do later is not known.",
    (_learned,),
    LEARNING_CLAIMS,
)

_LIKE_STEPS = EffectTable(
    "table-1", "Quantities at like steps, by group of runs", ("quantity", "runs"),
    tuple(EffectRow((words, group.words), effect, name, _PUBLISHED[name] if "(published" in words else "")
          for effect, words in (
              ("selection", "selection ratio S of the own functions"),
              ("above-floor", "eigenvalues above the noise floor"),
              ("floor-ratio", "largest eigenvalue over its noise floor"),
              ("decline-share", "decline of g₂₃ / trace since its peak, W = 10"),
              ("decline", "decline of g₂₃ since its peak, W = 10 (published script)"),
              ("decline-since-first", "decline of g₂₃ since the first window, W = 20 (published text)"),
              ("decline-weights", "decline of the weight norm"))
          for name, group in GROUPS.items()),
    "null",
    "Means over the seeds that have all runs of a group, geometric for ratios and declines; runs of one seed are "
    "averaged first. Null: of S no selection, 1; of eigenvalues above the floor their rate of false alarms; of g₂₃ and "
    "the trace updates of the same lengths at right angles; of the weight norm weight decay alone. W is the study's "
    "window where it is not named.",
    extents=True,
)
_ACROSS = StripFigure(
    "edge-across-conditions", "What tells runs that generalise from runs that do not",
    tuple(
        Strip(words, f"{words} (log)",
              tuple(Points(group.words.replace(" tasks, weight", ","), mark, effect, name, null=null)
                    for place, (name, group) in enumerate(GROUPS.items())
                    for mark, null in ((f"group-{place}", False), ("null", True))),
              log=True, reference=reference)
        for effect, words, reference in (("selection", "selection ratio S", 1.0),
                                         ("floor-ratio", "largest over its floor", 1.0),
                                         ("decline", "decline of g₂₃ (published)", None),
                                         ("decline-share", "decline of g₂₃/trace", None))
    ),
    "One point per run at the step at which it is read, by group of runs. a and b: sound quantities. c: the published "
    "decline of g₂₃. d: the same without its unit. Upright bars: each run's own null.",
    "the four rows of a panel would lie one above the other, on their nulls.",
    {f"group-{place}": group.words for place, group in enumerate(GROUPS.values())} | {"null": "null of the same run"},
    across=2,
)
EDGE = ClaimSection(
    "table-1", "Table 1. The spectral edge across conditions",
    "Does anything about the window of updates tell runs that generalise from runs that do not? Sound quantities "
    "first, the published decline of g₂₃ below. Read at the step at which test accuracy first reached 0.95, in other "
    "runs at the median of those steps in their seed; one snapshot interval for all.",
    (_ACROSS, _areas, _LIKE_STEPS),
    (*EDGE_CLAIMS, *SELECTION_CLAIMS),
    "g₂₃ has the unit of squared updates: it shrinks wherever updates shrink, so a decline says nothing by itself. "
    "Compare it with its null and with runs that never generalise.",
)

_LEARNED = "grokking tasks, weight decay 1, learned"
_AGREEMENT = EffectTable(
    "decompositions", "When the three decompositions change", ("quantity", "runs"),
    (
        *(EffectRow(("first to last of the three changes (steps)", words), "changes-spread", name)
          for name, words in {"learned": _LEARNED, **{name: group.words for name, group in GROUPS.items()}}.items()
          if name != "grokking-decay"),
        *(EffectRow((words, _LEARNED), effect, "learned") for effect, words in (
            ("change-updates", "change of g₂₃ after 0.95 (steps)"),
            ("change-displacement", "change of the first component's share after 0.95 (steps)"),
            ("change-weights", "change of σ₁/σ₂ after 0.95 (steps)"))),
    ),
    "null: changes anywhere",
    "One change of level per series; windows of the study's own size. Spread: last less first of the three. Its null: "
    "three independent changes, each anywhere in its own series. The steps after 0.95 exist only where test accuracy "
    "reached it; their null is when the null of the same run changes (updates of the same lengths at right angles; a "
    "random walk with the same steps).",
)
DECOMPOSITIONS = ClaimSection(
    "decompositions", "§4.2. Three decompositions of training",
    "The Gram matrix of updates, principal components of the path since the first weights, and the singular values of "
    "W_Q and W_K: do they change at the same time, and in controls not?",
    (lambda source: decomposition_figure(source.study), _AGREEMENT),
    CHANGE_CLAIMS,
    "A series that drifts changes best near its middle, so changes agree about as well where nothing happens; and a "
    "random walk with the same steps has a large first component too.",
)
# fmt: on
