"""Tables 3 and 5, and §5: what waves predict of the edge, what it is in a few numbers, and what tools see of it."""

from collections.abc import Iterator

from spectraledge.claims.design import GROKKING, learned
from spectraledge.claims.direction_effects import FEATURES
from spectraledge.claims.paper_claims import PROBE_CLAIMS, TOOL_CLAIMS
from spectraledge.claims.published import VALUES, published_number
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_strips import KINDS, Points, Strip, StripFigure, kind_points
from spectraledge.report.over_seeds.effect_tables import EffectRow, EffectTable
from spectraledge.tasks import OPERATIONS, basis_formula

_FORMULA = {task: OPERATIONS[task].formula for task in GROKKING}
_PROBED = ("add", "mul", "square_sum")
_HELD_OUT = {"rows": "rows and columns held out", "output": "answers held out", "none": "in sample (published)"}


def _known_r2(task: str, features: str, held_out: str) -> str:
    quantity = "R² of both and cross" if features == "cross" else f"R² of {features}"
    of = "a² + b²" if task == "square_sum" else task
    return published_number("Table 3", quantity, of) if held_out == "none" else ""


# fmt: off
_PREDICTED = EffectTable(
    "table-3", "R² of ridge regressions from waves to the response of v1 to v3", ("task", "pairs", "features"),
    tuple(EffectRow((_FORMULA[task], words, features), f"r2-{features}-{held_out}:edge-features", learned(task),
                    _known_r2(task, features, held_out))
          for task in _PROBED for held_out, words in _HELD_OUT.items() for features in FEATURES),
    "null: random features",
    "Mean over v1 to v3 within a seed. Null: as many random features, on the same pairs. Held out: of the response’s "
    "leading read-out directions; R² below 0 predicts worse than the mean. In sample, many features fit noise.",
)
_COMPOSED = StripFigure(
    "composition", "What waves predict of the edge’s response, held out and in sample",
    tuple(
        Strip(_FORMULA[task], axis,
              tuple(Points(features, mark, f"r2-{features}-{held_out}:edge-features", learned(task), null=null)
                    for features in FEATURES for mark, null in (("edge", False), ("random", True))),
              reference=0.0)
        for held_out, axis in (("rows", "R², held-out rows and columns"), ("none", "R² in sample (published)"))
        for task in _PROBED
    ),
    "One point per seed, mean over v1 to v3; pairs whose row and column were not fitted, and in sample, as published.",
    "red points would lie on grey ones, and at or below 0 where rows and columns are held out.",
    {"edge": "waves", "random": "as many random features"},
    across=3,
)
COMPOSITION = ClaimSection(
    "table-3", "Table 3. Composition: which waves make up the response",
    "How much of the edge’s response do waves of a + b, waves of log a + log b, both, and their products predict on "
    "pairs that were not fitted, beyond as many random features?",
    (_COMPOSED, _PREDICTED),
    PROBE_CLAIMS,
    "With answers held out, waves of a task’s own variable can look up nothing, so R² near 0 there is expected of "
    "addition and multiplication.",
)


def _few_numbers(task: str) -> Iterator[EffectRow]:
    name, of, waves = "a² + b²" if task == "square_sum" else task, learned(task), "a + b, log a + log b"
    known = [v.of.removeprefix(f"{name}, ") for v in VALUES if v.section == "Table 5" and v.of.startswith(f"{name}, ")]
    what = _FORMULA[task] + (f" (published: {known[0]})" if known else "")
    basis = basis_formula(OPERATIONS[task].structure)
    yield EffectRow((what, "selection ratio S", basis), "selection", of)
    yield EffectRow((what, "largest energy share of v1 to v3", basis), "largest-share:edge-random", of)
    yield EffectRow((what, "largest F of v1 to v3 (published)", basis), "largest-f:edge-random", of,
                    published_number("Table 5", "largest F", task))
    if task == "square_sum":
        yield EffectRow((what, "R² of waves and products, held out", waves), "r2-cross-rows:edge-features", of)
        yield EffectRow((what, "R² in sample (published)", waves), "r2-cross-none:edge-features", of,
                        published_number("Table 5", "R²", name))


OVERVIEW = ClaimSection(
    "table-5", "Table 5. The edge of each task",
    "One line per statistic: the selection ratio of the task’s own functions, the best of three edge directions beside "
    "the best of three random ones, and what waves and their products predict of a² + b².",
    (EffectTable(
        "table-5", "The edge of each task, weight decay 1", ("task", "statistic", "basis"),
        tuple(row for task in GROKKING for row in _few_numbers(task)),
        "null",
        "Null: of S no selection, 1; of the largest of three edge directions the largest of three random ones; of R² "
        "as many random features. Means of S and F are geometric.",
    ),),
)

_GRAINS = {"head": "(layer, head) blocks", "head_matrix": "(layer, head, Q/K/V/O) blocks", "matrix": "Q/K/V/O"}
_HEADS = EffectTable(
    "section-5-heads", "Largest share of an edge direction in one block", ("task", "blocks"),
    tuple(EffectRow((_FORMULA[task], words), f"purity-{grain}:edge-random", learned(task),
                    published_number("§5", "head purity", "") if grain == "head" else "")
          for task in GROKKING for grain, words in _GRAINS.items()),
    "null: isotropic directions", "Geometric means. The largest of n shares is above 1/n for any direction.",
)
_RANKS = EffectTable(
    "section-5-ranks", "Ranks of the response along edge directions", ("statistic", "task", "response"),
    tuple(EffectRow((words, _FORMULA[task], said), f"{column}-{response}:edge-random", learned(task),
                    published_number("§5", quantity, "") if response == "whole" and task in of else "")
          for column, words, quantity, of in (
              ("effective_rank", "effective rank", "effective rank of the response", GROKKING),
              ("peakedness", "Fourier peakedness", "Fourier peakedness", ("add",)))
          for task in GROKKING for response, said in (("whole", "as it is"), ("centered", "without its mean"))),
    "null: random directions",
    "Geometric means. Peakedness: largest over mean power of the projection on the first right singular vector, in the "
    "task’s own basis.",
)
_OVERLAP = EffectTable(
    "section-5-features", "Overlap of the sparse features that two directions move (Jaccard index)",
    ("task", "directions"),
    tuple(EffectRow((_FORMULA[task], words), f"features:{kind}-random", learned(task),
                    published_number("§5", "Jaccard of TopK features", task) if kind == "edge" else "",
                    (f"features:{kind}-tilted",))
          for kind, words in (("edge", "pairs of v1 to v3"), ("bulk", "pairs of the bulk")) for task in GROKKING),
    "null: orthogonal random pairs",
    "TopK autoencoder, 512 features, 32 active; the 20 features that a direction moves most.",
    others=("pairs at 45° (published null)",),
)
_SEEN = StripFigure(
    "representation-tools", "What representation-level tools make of edge, bulk and random directions",
    tuple(Strip(words, words, kind_points(effect, "learned-runs"))
          for effect, words in (("purity-head", "largest share in one (layer, head)"),
                                ("effective_rank-whole", "effective rank of the response"),
                                ("features", "Jaccard index of sparse features"))),
    "One point per run that generalised with weight decay 1, mean over its directions, or pairs of them, of a kind.",
    "the three rows of a panel would lie one above the other.",
    KINDS, across=3,
)
TOOLS = ClaimSection(
    "section-5", "§5. What representation-level tools see",
    "Do heads, ranks of activations or sparse features single out the edge, beyond what they make of random "
    "directions?",
    (_SEEN, _HEADS, _RANKS, _OVERLAP),
    TOOL_CLAIMS,
    "A tool fails on the edge only if it gives no more for the edge than for its null.",
)
# fmt: on
