"""§2, Table 1 and §4.2: which runs generalise, what tells them from others, and when decompositions change."""

import pandas as pd

from spectraledge.claims.design import GROKKING, GROUPS, SINGLES
from spectraledge.claims.published import GROKKED_WITHIN, published_number
from spectraledge.claims.summaries import LEVEL
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Column, Section, Table
from spectraledge.report.paper.decomposition_figure import decomposition_figure
from spectraledge.report.paper.effect_strips import Points, Strip, strip_figure
from spectraledge.report.paper.effect_tables import EffectRow, effect_table, interval, mean_numbers, mean_words, worded
from spectraledge.report.paper.paper_section import paper_section
from spectraledge.report.words import NONE, figures, hundredths, spread, whole
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import OPERATIONS


def learning_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """§2: one row per task and weight decay."""
    effects, rows, numbers = verdicts.effects, [], []
    for name, condition in SINGLES.items():
        (task,), decay = condition.tasks, condition.weight_decay
        taken, accuracy = effects.extent("steps-taken", name), effects.extent("test-accuracy", name)
        if not taken.runs:
            continue
        steps = effects.summary("steps", f"{name}-learned")
        known = f"3 of 3, within {GROKKED_WITHIN:,}" if task in GROKKING and decay else "0 of 3"
        rows.append(
            (
                OPERATIONS[task].formula,
                f"{decay:g}",
                f"{taken.learned} of {taken.runs}",
                mean_words(steps, whole) if steps.seeds else NONE,
                whole(taken.lowest) if taken.lowest == taken.highest else spread(taken.lowest, taken.highest, whole),
                spread(accuracy.lowest, accuracy.highest, "{:.3f}".format),
                known,
            )
        )
        numbers.append(
            {"task": OPERATIONS[task].formula, "weight_decay": decay, "runs": taken.runs}
            | mean_numbers(steps, "steps", f"{name}-learned", "steps")
            | {"fewest_steps": taken.lowest, "most_steps": taken.highest}
            | {"lowest_accuracy": accuracy.lowest, "highest_accuracy": accuracy.highest, "published": known}
        )
    columns = (
        Column("task"),
        Column("weight decay"),
        Column("generalised", "number"),
        Column(f"step (mean, {LEVEL:.0%} interval over seeds)", "number"),
        Column("steps taken", "number"),
        Column("test accuracy at the end", "number"),
        Column("published"),
    )
    note = (
        "Steps: geometric means over the seeds that generalised. Null: chance is a test accuracy of one over the number "
        "of classes. The paper’s controls trained up to 200,000 steps, and one of them had an event at step 41,700."
    )
    title = "Runs that generalise, by task and weight decay"
    table = worded("section-2", title, columns, rows, numbers, note=note) if rows else None
    return paper_section(
        "section-2",
        "§2. Which runs generalise",
        "Single tasks; test accuracy of at least 0.95 at an evaluation counts. Runs that do not reach it stop at "
        "their budget: what they would do later is not known.",
        (table,),
    )


_QUANTITIES = {
    "selection": "selection ratio S of the own functions",
    "above-floor": "eigenvalues above the noise floor",
    "floor-ratio": "largest eigenvalue over its noise floor",
    "decline-share": "decline of g₂₃ / trace since its peak, W = 10",
    "decline": "decline of g₂₃ since its peak, W = 10 (published script)",
    "decline-since-first": "decline of g₂₃ since the first window, W = 20 (published text)",
    "decline-weights": "decline of the weight norm",
}

_PUBLISHED_GROUPS = dict(
    zip(GROUPS, ("grokking runs", "grokking tasks without", "other tasks", "other tasks without"), strict=True)
)
"""How what the published values of Table 1 are of begins."""

_PANELS = {
    "selection": ("selection ratio S", 1.0),
    "floor-ratio": ("largest over its floor", 1.0),
    "decline": ("decline of g₂₃ (published)", None),
    "decline-share": ("decline of g₂₃/trace", None),
}


def edge_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """Table 1: quantities by group of runs, and how well each tells the groups apart."""
    effects = verdicts.effects

    def row(effect: str, group: str) -> EffectRow:
        extent = effects.extent(effect, group)
        shown = spread(extent.lowest, extent.highest, figures)
        labels = (_QUANTITIES[effect], GROUPS[group].words, f"{extent.learned} of {extent.runs}", shown)
        return EffectRow(
            labels, effect, group, _published(group) if effect in ("decline", "decline-since-first") else ""
        )

    table = effect_table(
        effects,
        "table-1",
        "Quantities at like steps, by group of runs",
        ("quantity", "runs", "generalised", "lowest to highest run"),
        [row(effect, group) for effect in _QUANTITIES for group in GROUPS],
        null="null",
        note="Means over the seeds that have all runs of a group, geometric for ratios and declines; runs of one seed "
        "are averaged first. Null: of S no selection, 1; of eigenvalues above the floor their rate of false alarms; of "
        "g₂₃ and the trace updates of the same lengths at right angles; of the weight norm weight decay alone. W is the "
        "study's window where it is not named.",
    )
    short = {group: one.words.replace(", weight decay ", ",\nweight decay ") for group, one in GROUPS.items()}
    drawing = strip_figure(
        effects,
        "edge-across-conditions",
        "What tells runs that generalise from runs that do not",
        [
            Strip(
                words,
                f"{words} (log)",
                tuple(
                    Points(short[group], mark, effect, group, null=null)
                    for place, group in enumerate(GROUPS)
                    for mark, null in ((f"group-{place}", False), ("null", True))
                ),
                log=True,
                reference=reference,
            )
            for effect, (words, reference) in _PANELS.items()
        ],
        caption="One point per run at the step at which it is read, by group of runs. a and b: sound quantities. c: the "
        "published decline of g₂₃. d: the same without its unit. Upright bars: each run's own null.",
        nothing="the four rows of a panel would lie one above the other, on their nulls.",
        entries={f"group-{place}": group.words for place, group in enumerate(GROUPS.values())}
        | {"null": "null of the same run"},
        across=2,
    )
    return paper_section(
        "table-1",
        "Table 1. The spectral edge across conditions",
        "Does anything about the window of updates tell runs that generalise from runs that do not? Sound "
        "quantities first, the published decline of g₂₃ below. Read at the step at which test accuracy first reached "
        "0.95, in other runs at the median of those steps in their seed; one snapshot interval for all.",
        (drawing, _areas(verdicts.claims), table),
        note="g₂₃ has the unit of squared updates: it shrinks wherever updates shrink, so a decline says nothing by "
        "itself. Compare it with its null and with runs that never generalise.",
    )


def _published(group: str) -> str:
    of = _PUBLISHED_GROUPS[group]
    runs = published_number("Table 1", "runs that decline", of)
    return f"{published_number('Table 1', 'decline of g_23', of)}, {runs} runs"


def _areas(claims: pd.DataFrame) -> Table | None:
    found = claims[(claims["scale"] == "area") & (claims["seeds"] > 0)] if len(claims) else claims
    found = found.sort_values("method", key=lambda kinds: kinds != "sound", kind="stable") if len(found) else found
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
    numbers = (f"area under the ROC curve ({LEVEL:.0%} interval)", "seeds", "null", "medians: generalised and not")
    columns = (Column("quantity"), Column("statistic"), *(Column(name, "number") for name in numbers))
    note = (
        "Area: the probability that a run that generalised has the larger value; runs of one seed count as related. An "
        "area of 1 means that the groups do not overlap."
    )
    title = "How well each quantity tells runs that generalise from runs that do not"
    return worded("table-1-areas", title, columns, rows, found, note=note) if rows else None


_CHANGES = {
    "change-updates": "change of g₂₃ after 0.95 (steps)",
    "change-displacement": "change of the first component's share after 0.95 (steps)",
    "change-weights": "change of σ₁/σ₂ after 0.95 (steps)",
}


def decomposition_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """The three decompositions of one run that grokked and of a control, and how well changes agree in all runs."""
    learned = {"learned": "grokking tasks, weight decay 1, learned"}
    groups = learned | {name: group.words for name, group in GROUPS.items() if name != "grokking-decay"}
    spread_words = "first to last of the three changes (steps)"
    table = effect_table(
        verdicts.effects,
        "decompositions",
        "When the three decompositions change",
        ("quantity", "runs"),
        [
            *(EffectRow((spread_words, words), "changes-spread", group) for group, words in groups.items()),
            *(EffectRow((words, learned["learned"]), effect, "learned") for effect, words in _CHANGES.items()),
        ],
        null="null: changes anywhere",
        note="One change of level per series; windows of the study's own size. Spread: last less first of the three. Its "
        "null: three independent changes, each anywhere in its own series. The steps after 0.95 exist only where test "
        "accuracy reached it; their null is when the null of the same run changes (updates of the same lengths at right "
        "angles; a random walk with the same steps).",
    )
    return paper_section(
        "decompositions",
        "§4.2. Three decompositions of training",
        "The Gram matrix of updates, principal components of the path since the first weights, and the singular "
        "values of W_Q and W_K: do they change at the same time, and in controls not?",
        (decomposition_figure(study), table),
        note="A series that drifts changes best near its middle, so changes agree about as well where nothing happens; "
        "and a random walk with the same steps has a large first component too.",
    )
