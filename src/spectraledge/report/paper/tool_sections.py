"""Tables 3 and 5, and §5: what waves predict of the edge, what it is in a few numbers, and what tools see of it."""

from spectraledge.claims.design import GROKKING, learned
from spectraledge.claims.direction_effects import FEATURES
from spectraledge.claims.published import VALUES, published_number
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Section
from spectraledge.report.names import basis_label
from spectraledge.report.paper.effect_strips import KINDS, Points, Strip, kind_points, strip_figure
from spectraledge.report.paper.effect_tables import EffectRow, effect_table
from spectraledge.report.paper.paper_section import paper_section
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import OPERATIONS

_PROBED = ("add", "mul", "square_sum")
_HELD_OUT = {
    "rows": "rows and columns held out",
    "output": "answers held out",
    "none": "in sample (published)",
}


def _published_r2(task: str, features: str, held_out: str) -> str:
    quantity = "R² of both and cross" if features == "cross" else f"R² of {features}"
    of = "a² + b²" if task == "square_sum" else task
    return published_number("Table 3", quantity, of) if held_out == "none" else ""


def composition_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """Table 3 with its figure."""
    table = effect_table(
        verdicts.effects,
        "table-3",
        "R² of ridge regressions from waves to the response of v1 to v3",
        ("task", "pairs", "features"),
        [
            EffectRow(
                (OPERATIONS[task].formula, words, features),
                f"r2-{features}-{held_out}:edge-features",
                learned(task),
                _published_r2(task, features, held_out),
            )
            for task in _PROBED
            for held_out, words in _HELD_OUT.items()
            for features in FEATURES
        ],
        null="null: random features",
        note="Mean over v1 to v3 within a seed. Null: as many random features, on the same pairs. Held out: of the "
        "response’s leading read-out directions; R² below 0 predicts worse than the mean. In sample, many features fit "
        "noise.",
    )
    drawing = strip_figure(
        verdicts.effects,
        "composition",
        "What waves predict of the edge’s response, held out and in sample",
        [
            Strip(
                OPERATIONS[task].formula,
                axis,
                tuple(
                    Points(features, mark, f"r2-{features}-{held_out}:edge-features", learned(task), null=null)
                    for features in FEATURES
                    for mark, null in (("edge", False), ("random", True))
                ),
                reference=0.0,
            )
            for held_out, axis in (("rows", "R², held-out rows and columns"), ("none", "R² in sample (published)"))
            for task in _PROBED
        ],
        caption="One point per seed, mean over v1 to v3. Upper row: pairs whose row and column were not fitted. Lower "
        "row: in sample, as published.",
        nothing="red points would lie on grey ones, and at or below 0 in the upper row.",
        entries={"edge": "waves", "random": "as many random features"},
        across=3,
    )
    return paper_section(
        "table-3",
        "Table 3. Composition: which waves make up the response",
        "How much of the edge’s response do waves of a + b, waves of log a + log b, both, and their products predict "
        "on pairs that were not fitted, beyond as many random features?",
        (drawing, table),
        note="With answers held out, waves of a task’s own variable can look up nothing, so R² near 0 there is expected "
        "of addition and multiplication.",
    )


def overview_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """Table 5: one block of rows per task."""
    rows = []
    for task in GROKKING:
        name, of = "a² + b²" if task == "square_sum" else task, learned(task)
        known = [
            v.of.removeprefix(f"{name}, ") for v in VALUES if v.section == "Table 5" and v.of.startswith(f"{name}, ")
        ]
        what = OPERATIONS[task].formula + (f" (published: {known[0]})" if known else "")
        basis = basis_label(OPERATIONS[task].structure)
        rows += [
            EffectRow((what, "selection ratio S", basis), "selection", of),
            EffectRow((what, "largest energy share of v1 to v3", basis), "largest-share:edge-random", of),
            EffectRow(
                (what, "largest F of v1 to v3 (published)", basis),
                "largest-f:edge-random",
                of,
                published_number("Table 5", "largest F", task),
            ),
        ]
        if task == "square_sum":
            waves = "a + b, log a + log b"
            in_sample = published_number("Table 5", "R²", name)
            rows += [
                EffectRow((what, "R² of waves and products, held out", waves), "r2-cross-rows:edge-features", of),
                EffectRow((what, "R² in sample (published)", waves), "r2-cross-none:edge-features", of, in_sample),
            ]
    table = effect_table(
        verdicts.effects,
        "table-5",
        "The edge of each task, weight decay 1",
        ("task", "statistic", "basis"),
        rows,
        null="null",
        note="Null: of S no selection, 1; of the largest of three edge directions the largest of three random ones; of "
        "R² as many random features. Means of S and F are geometric.",
    )
    return paper_section(
        "table-5",
        "Table 5. The edge of each task",
        "One line per statistic: the selection ratio of the task’s own functions, the best of three edge directions "
        "beside the best of three random ones, and what waves and their products predict of a² + b².",
        (table,),
    )


_GRAINS = {
    "head": "(layer, head) blocks",
    "head_matrix": "(layer, head, Q/K/V/O) blocks",
    "matrix": "Q/K/V/O",
}
_RANKS = {"effective_rank": "effective rank", "peakedness": "Fourier peakedness"}
_RESPONSES = {"whole": "as it is", "centered": "without its mean"}


def _published_rank(column: str, task: str, response: str) -> str:
    if response == "centered" or (column == "peakedness" and task != "add"):
        return ""
    return published_number(
        "§5", "Fourier peakedness" if column == "peakedness" else "effective rank of the response", ""
    )


def tools_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """§5: heads, ranks and sparse features, each beside random directions."""
    effects, formulas = verdicts.effects, {task: OPERATIONS[task].formula for task in GROKKING}
    heads = effect_table(
        effects,
        "section-5-heads",
        "Largest share of an edge direction in one block",
        ("task", "blocks"),
        [
            EffectRow(
                (formula, words),
                f"purity-{grain}:edge-random",
                learned(task),
                published_number("§5", "head purity", "") if grain == "head" else "",
            )
            for task, formula in formulas.items()
            for grain, words in _GRAINS.items()
        ],
        null="null: isotropic directions",
        note="Geometric means. The largest of n shares is above 1/n for any direction.",
    )
    ranks = effect_table(
        effects,
        "section-5-ranks",
        "Ranks of the response along edge directions",
        ("statistic", "task", "response"),
        [
            EffectRow(
                (words, formula, said),
                f"{column}-{response}:edge-random",
                learned(task),
                _published_rank(column, task, response),
            )
            for column, words in _RANKS.items()
            for task, formula in formulas.items()
            for response, said in _RESPONSES.items()
        ],
        null="null: random directions",
        note="Geometric means. Peakedness: largest over mean power of the projection on the first right singular vector, "
        "in the task’s own basis.",
    )
    overlap = effect_table(
        effects,
        "section-5-features",
        "Overlap of the sparse features that two directions move (Jaccard index)",
        ("task", "directions"),
        [
            EffectRow(
                (formula, words),
                f"features:{kind}-random",
                learned(task),
                published_number("§5", "Jaccard of TopK features", task) if kind == "edge" else "",
                (f"features:{kind}-tilted",),
            )
            for kind, words in (("edge", "pairs of v1 to v3"), ("bulk", "pairs of the bulk"))
            for task, formula in formulas.items()
        ],
        null="null: orthogonal random pairs",
        others=("pairs at 45° (published null)",),
        note="TopK autoencoder, 512 features, 32 active; the 20 features that a direction moves most.",
    )
    drawing = strip_figure(
        effects,
        "representation-tools",
        "What representation-level tools make of edge, bulk and random directions",
        [
            Strip(
                words,
                words,
                tuple(kind_points(effect, "learned-runs")),
            )
            for effect, words in (
                ("purity-head", "largest share in one (layer, head)"),
                ("effective_rank-whole", "effective rank of the response"),
                ("features", "Jaccard index of sparse features"),
            )
        ],
        caption="One point per run that generalised with weight decay 1, mean over its directions, or pairs of them, of a "
        "kind.",
        nothing="the three rows of a panel would lie one above the other.",
        entries=KINDS,
        across=3,
    )
    return paper_section(
        "section-5",
        "§5. What representation-level tools see",
        "Do heads, ranks of activations or sparse features single out the edge, beyond what they make of random "
        "directions?",
        (drawing, heads, ranks, overlap),
        note="A tool fails on the edge only if it gives no more for the edge than for its null.",
    )
