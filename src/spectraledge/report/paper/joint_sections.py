"""Table 4 and §7: what a² + b² uses of simple tasks, when it is learned beside or after them, and what heads share."""

from spectraledge.claims.design import ARMS, COMPOSITE, CONDITIONS, GROKKING, PARTS, heads, learned
from spectraledge.claims.paper_claims import OPEN_CLAIMS, REUSE_CLAIMS, SHARED_CLAIMS
from spectraledge.claims.published import published_number
from spectraledge.claims.summaries import LEVEL
from spectraledge.pages.document import Column, Table
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_strips import KINDS, Points, Strip, StripFigure, kind_points
from spectraledge.report.over_seeds.effect_tables import (
    EffectRow,
    EffectTable,
    Source,
    interval,
    mean_numbers,
    mean_words,
    worded,
)
from spectraledge.report.words import NONE, ratio, whole
from spectraledge.tasks import OPERATIONS, basis_formula, part_names

_RANDOM = "null: random directions"
_ALONE = learned(COMPOSITE)
_WAYS = {_ALONE: "a² + b² alone, own domain", **{name: arm.words for name, arm in ARMS.items()}}
"""Conditions whose functions of a + b and a·b are compared, in words."""

_PUBLISHED_OF = {_ALONE: "a² + b² alone", "beside-both": "tri-task"}
_SHARING = {name: arm for name, arm in {"dual": CONDITIONS["dual"], **ARMS}.items() if heads(arm) > 1}


def _known(quantity: str, of: str) -> str:
    return published_number("Table 4", quantity, _PUBLISHED_OF[of]) if of in _PUBLISHED_OF else ""


def _formula(part: str) -> str:
    return OPERATIONS[part].formula if part in OPERATIONS else part


def _steps(source: Source) -> Table | None:
    """Steps that a² + b² takes in every arm, beside those that it takes alone."""
    effects, rows, numbers = source.effects, [], []
    for name, arm in ARMS.items():
        mean, over = effects.summary("steps", name), effects.summary("steps", name, against="alone")
        if not mean.seeds:
            continue
        steps, never = effects.of("steps", name), effects.of("last-where-never", name)["value"].notna()
        each = ", ".join(
            f"{seed}: {'not by ' if unreached else ''}{whole(step)}"
            for seed, step, unreached in zip(steps["seed"], steps["value"], never, strict=True)
        )
        known = published_number("§2", "steps until the tri-task groks", "") if name == "beside-both" else ""
        compared = f"{ratio(over.value)} ({interval(over.low, over.high, ratio)})" if over.seeds else NONE
        reached = f"{int((~never).sum())} of {len(never)}"
        shown = f"{'at least ' if never.any() else ''}{mean_words(mean, whole)}"
        rows.append((arm.words, reached, each, shown, "1" if name == "alone" else compared, known or NONE))
        numbers.append(
            {"arm": arm.words, "by seed": each, "never": int(never.sum())}
            | mean_numbers(mean, "steps", name, "steps")
            | {"against": "alone", "over": over.value, "over_low": over.low, "over_high": over.high, "published": known}
        )
    columns = (
        Column("arm"),
        Column("generalised", "number"),
        Column("step by seed"),
        Column(f"mean ({LEVEL:.0%} interval over seeds)", "number"),
        Column("over alone, same seed", "number"),
        Column("published"),
    )
    note = (
        "Geometric means. A seed that did not reach it counts with the last step evaluated, so that its mean is too "
        "small, and its ratio to an arm that did closer to 1 than it is. “After” counts from its own start, without "
        "the steps of the run before it. Null: a² + b² alone on the same domain, ratio 1."
    )
    title = "Steps until test accuracy on a² + b² reaches 0.95"
    return worded("table-4-steps", title, columns, rows, numbers, note=note) if rows else None


# fmt: off
_STEPS_BY_ARM = StripFigure(
    "steps-by-arm", "Steps until a² + b² generalises, by arm and seed",
    (Strip("", "training step at which test accuracy on a² + b² reached 0.95 (log)",
           tuple(Points(arm.words, mark, effect, name) for name, arm in ARMS.items()
                 for mark, effect in (("edge", "step-reached"), ("random", "last-where-never"))),
           log=True),),
    "One point per seed. Hollow: not reached by the last step taken, where they stand.",
    "arms would not differ by more than seeds of one arm do.",
    {"edge": "reached", "random": "not within its budget"},
    across=1,
)
_INCLUDED = StripFigure(
    "inclusion", "How much of what moves a² + b² lies in what moves the other heads",
    (Strip("", "inclusion I of the functions of a² + b² in those of the other heads",
           tuple(Points(arm.words, mark, f"inclusion-{COMPOSITE}:edge-{null}", name, mark != "edge")
                 for name, arm in ARMS.items() if heads(arm) > 1
                 for mark, null in (("edge", "random"), ("span", "span"), ("random", "random"))),
           percent=True),),
    "One point per seed; draws of random directions averaged within it. 100%: all of it; random functions of the same "
    "ranks have under a hundredth.",
    "the edge would include as much as random directions of the same network.",
    {"edge": "edge", "span": "mixtures in the window", "random": "random directions"},
    across=1,
)
_INCLUSION = EffectTable(
    "table-4-inclusion", "Inclusion I: how much of one head’s functions lie in those of the other heads",
    ("arm", "functions of", "in those of"),
    tuple(EffectRow((arm.words, _formula(target), " and ".join(_formula(part) for part in parts if part != target)),
                    f"inclusion-{target}:edge-random", name, others=(f"inclusion-{target}:edge-chance",))
          for name, arm in ARMS.items() for parts in [part_names(arm.tasks[0])]
          for target in parts if len(parts) > 1),
    _RANDOM,
    "Functions that the edge moves at a head, as many as hold half of the energy. Null: the same for random directions "
    "of the same network. Chance: random functions of the same ranks.",
    others=("chance of random functions",),
)
_FUNCTIONS = EffectTable(
    "table-4", "Functions of a + b and of a·b in the edge of a² + b²", ("arm", "statistic", "read at", "basis"),
    tuple(EffectRow((words, statistic, place, basis_formula(basis)), f"{effect}-{readout}-{basis}:edge-random", name,
                    _known("F on a + b", name) if (effect, readout, basis) == ("f", "residual", "sum") else "")
          for name, words in _WAYS.items()
          for effect, statistic in (("share", "energy share"), ("f", "F of ‖R‖² (published)"))
          for readout, place in (("residual", "trunk"), (COMPOSITE, "head of a² + b²"))
          for basis in PARTS.values()),
    _RANDOM,
    "Mean over v1 to v3 within a seed, whole joint domain, exact derivative; means of F are geometric. White noise has "
    "an F of {noise} on average.",
)
_SYNERGY = EffectTable(
    "table-4-synergy", "Do waves of both kinds predict the edge better together?", ("statistic", "pairs", "arm"),
    tuple(EffectRow((statistic, pairs, words), f"{effect}-{held_out}", name,
                    _known("synergy", name) if (effect, held_out) == ("synergy", "none") else "")
          for effect, statistic in (("interaction", "interaction, mean over v1 to v3"),
                                    ("synergy", "synergy of v1 (published)"))
          for held_out, pairs in (("rows", "rows and columns held out"), ("none", "in sample"))
          for name, words in _WAYS.items()),
    "null: random features",
    "R² of both less the larger of each alone (synergy, as published), and less their sum (interaction). A response "
    "that merely adds the two has synergy, but no interaction.",
)
REUSE = ClaimSection(
    "table-4", "Table 4. Reuse: a² + b² alone, beside and after other tasks",
    "Does a trunk that has a + b and a·b make a² + b² use them? Asked three ways: is it learned sooner, do its "
    "functions lie in theirs (inclusion I), and does its edge move functions of a + b (the published metric)?",
    (_STEPS_BY_ARM, _INCLUDED, _steps, _INCLUSION, _FUNCTIONS, _SYNERGY),
    (*REUSE_CLAIMS, *OPEN_CLAIMS),
    "Arms share the domain, the split, the batches and the first weights of the trunk within a seed; “with” stops on "
    "a² + b² alone, “after” starts from the trunk of a finished run.",
)

_SHARED = EffectTable(
    "section-7-sharedness", "Sharedness of directions between the heads of one trunk",
    ("heads", "directions", "floor, 1/T"),
    tuple(EffectRow((arm.words, kind, f"{1 / heads(arm):.2f}"), f"sharedness:{kind}-random", name,
                    published_number("§7", "sharedness", of))
          for name, arm in _SHARING.items() for kind, of in (("edge", "above"), ("bulk", "below"))),
    _RANDOM, "1: a direction changes the losses of all T heads by the same energy; 1/T: those of one alone.",
)
_DOMINANCE = EffectTable(
    "section-7-dominance", "Diagonal dominance of the correlations between directions’ uses", ("task", "directions"),
    tuple(EffectRow((OPERATIONS[task].formula, kind), f"dominance:{kind}-random", learned(task))
          for task in GROKKING for kind in ("edge", "bulk")),
    _RANDOM, "Xu 2026 names the quantity and gives no values.",
)
_SHAREDNESS = StripFigure(
    "sharedness", "Sharedness of directions between heads",
    tuple(Strip(arm.words, "sharedness S", kind_points("sharedness", name), reference=1 / heads(arm))
          for name, arm in _SHARING.items()),
    "One point per seed, mean over directions of a kind. Dotted: the floor, one over the number of heads.",
    "edge, bulk and random directions would have the same sharedness.",
    KINDS, across=2,
)
COUSAGE = ClaimSection(
    "section-7", "§7. Co-usage: do tasks share the edge?",
    "Which directions change the losses of several tasks alike (sharedness S_k), and which are used apart from their "
    "neighbours (diagonal dominance)?",
    (_SHAREDNESS, _SHARED, _DOMINANCE),
    SHARED_CLAIMS,
)
# fmt: on
