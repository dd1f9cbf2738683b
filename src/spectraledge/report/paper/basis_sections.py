"""Table 2, Figure 1 and §6.3 to §6.5: which functions the edge's directions move, in the task's basis and in others."""

from spectraledge.claims.design import COMPOSITE, GROKKING, learned
from spectraledge.claims.joint_effects import READ_BASES
from spectraledge.claims.paper_claims import ADDITION_CLAIMS, MULTIPLICATION_CLAIMS, SQUARES_CLAIMS, SUBTRACTION_CLAIMS
from spectraledge.claims.published import MODES, published_number
from spectraledge.report.over_seeds.claim_section import ClaimSection
from spectraledge.report.over_seeds.effect_strips import KINDS, Points, Strip, StripFigure, kind_points
from spectraledge.report.over_seeds.effect_tables import EffectRow, EffectTable
from spectraledge.report.paper.wave_figure import wave_of_each_task
from spectraledge.tasks import OPERATIONS, basis_formula

_FORMULA = {task: OPERATIONS[task].formula for task in GROKKING}
_OWN = {task: OPERATIONS[task].structure for task in GROKKING}
_RANDOM = "null: random directions"
_SHARE, _F = "energy share, whole domain", "F of ‖R‖², test pairs (published)"
_EDGE = "v1 to v3, mean"
_DIRECTIONS = {
    "v1": "v1",
    "v2": "v2",
    "v3": "v3",
    "edge": _EDGE,
    "bulk": "bulk, mean",
    "span": "mixtures in the window, mean",
}
_LANES = {"v1": "edge", "v2": "edge", "v3": "edge", "bulk": "bulk", "span": "span"}


def _known_mode(task: str, basis: str, directions: str) -> str:
    kind, number = ("edge", int(directions[1:])) if directions[1:].isdigit() else (directions, 0)
    for mode in MODES:
        if (mode.task, mode.basis, mode.kind, mode.direction) == (task, basis, kind, number):
            words = [] if mode.concentration is None else [f"{mode.concentration:.3g}"]
            return ", ".join([*words, *([f"ω {mode.frequency}"] if mode.frequency is not None else [])])
    return ""


def _one_by_one(task: str, effect: str, basis: str, *labels: str) -> list[EffectRow]:
    """Rows of an effect's directions one by one; published values stand beside F alone."""
    return [
        EffectRow((*labels, words), f"{effect}:{of}-random", learned(task), known if effect != "share" else "")
        for of, words in _DIRECTIONS.items()
        for known in [_known_mode(task, basis, of)]
    ]


# fmt: off
_OWN_BASIS = EffectTable(
    "table-2", "Directions in the task’s own basis, weight decay 1", ("task", "statistic", "directions"),
    tuple(row for task in GROKKING for effect, words in (("share", _SHARE), ("f", _F))
          for row in _one_by_one(task, effect, _OWN[task],
                                 f"{_FORMULA[task]}, basis {basis_formula(_OWN[task])}", words)),
    _RANDOM,
    "Of runs that generalised, at the last step with test accuracy above 0.95, {window}. Energy share: the "
    "between-group part of the vector response’s variance, corrected so that noise gives 0, exact derivative; "
    "arithmetic means. F: as published, by a finite difference; geometric means, as of all that is compared by ratios; "
    "white noise gives {noise} on average. Bulk and mixtures are averaged within a seed.",
)
_KNOWN_WAVES = {
    "add": f"F of the first component: {published_number('§6.3', 'F', 'first principal component of R_1, add')}, ω 26",
    "square_sum": f"{published_number('§6.5', 'power off the diagonal', 'a² + b²')} of the power off the diagonal",
}
_PLANE_WAVES = EffectTable(
    "figure-1", "How much of the response is one plane wave over (a, b)", ("task", "directions"),
    tuple(EffectRow((_FORMULA[task], _DIRECTIONS[of]), f"plane-wave:{of}-random", learned(task),
                    _KNOWN_WAVES.get(task, "") if of == "v1" else "")
          for of in ("v1", "edge") for task in GROKKING),
    _RANDOM,
    "The largest share of one 2-D character in the response on the residual direction along which its group means vary "
    "most; geometric means. The published numbers are of other quantities on the same pictures.",
)
_IN_OWN_BASIS = StripFigure(
    "directions-in-own-basis", "Directions of every kind in the task’s own basis",
    tuple(
        Strip(_FORMULA[task], axis,
              (*(Points(of, mark, f"{effect}:{of}-random", learned(task)) for of, mark in _LANES.items()),
               Points("random", "random", f"{effect}:edge-random", learned(task), null=True)),
              percent=effect == "share", reference=0.0 if effect == "share" else "noise")
        for effect, axis in (("share", "energy share"), ("f", "F (published)")) for task in GROKKING
    ),
    "One point per seed; bulk, mixtures of the window and random directions averaged within it. Energy share of "
    "functions of the own variable; dotted: noise. F of ‖R‖² as published; dotted: the mean of white noise.",
    "red points would lie among the hollow ones.",
    {"edge": "edge, one by one", "bulk": "bulk", "span": "mixtures in the window", "random": "random directions"},
    across=4,
)
BASIS = ClaimSection(
    "table-2", "Table 2 and Figure 1. Directions in the task’s basis",
    "Do the edge’s directions move simple functions in the task’s own basis, more than the bulk of the same window and "
    "than random directions of the same network do?",
    (_IN_OWN_BASIS, lambda source: wave_of_each_task(source.study), _OWN_BASIS, _PLANE_WAVES),
    ADDITION_CLAIMS,
    "Directions of nearly equal eigenvalue rotate into each other from seed to seed: a row of v1 is an average over "
    "whatever came first.",
)

_GAIN, _LOSS = "F under dlog over F raw", "F under dlog over F in its own basis"
_GAINS = EffectTable(
    "section-6-3-gains", "How much a basis gains over another", ("bases", "statistic", "directions"),
    tuple(
        EffectRow((words, _F, _DIRECTIONS[of]), f"dlog-gain-{wrong}:{of}-random", learned(task), known)
        for words, task, wrong, of, known in (
            ("a·b: discrete logarithms over raw products", "mul", "product", "v1",
             published_number("§6.3", _GAIN, "mul, v1")),
            ("a·b: discrete logarithms over raw products", "mul", "product", "edge",
             published_number("§6.3", _GAIN, "mul, mean")),
            ("control, a + b: discrete logarithms over sums", "add", "sum", "v1",
             published_number("§6.3", _LOSS, "add")),
            ("control, a + b: discrete logarithms over sums", "add", "sum", "edge", ""),
        )
    ),
    _RANDOM,
    "Ratios of F in the first basis to F in the second, direction by direction; geometric means. 1 is no gain. The "
    "group of products that no pair has is masked, not filled with 0.",
)
_LOST = EffectTable(
    "section-6-3-shares", "Addition’s edge under discrete logarithms", ("statistic", "directions"),
    (EffectRow(("energy share of functions of dlog a + dlog b", _EDGE), "share-dlog:edge-own", learned("add")),),
    "null: of functions of a + b", "Exact derivative, whole domain.",
)
_BOTH_BASES = EffectTable(
    "section-6-3", "Multiplication in both bases", ("basis", "statistic", "directions"),
    tuple(row for effect, basis, words in (("share", "dlog_sum", _SHARE), ("f", "dlog_sum", _F),
                                           ("f-product", "product", _F))
          for row in _one_by_one("mul", effect, basis, f"basis {basis_formula(basis)}", words)),
    _RANDOM,
    "As in Table 2. Raw products and discrete logarithms make the same groups in another order, which the energy share "
    "does not depend on: what multiplication gains by logarithms, only F can tell.",
)
_LOGARITHMS = StripFigure(
    "logarithms", "F in discrete logarithms and in the other basis",
    tuple(
        Strip(_FORMULA[task], "F of ‖R‖² (published)",
              tuple(point for basis in bases
                    for point in kind_points(f"f-{basis}", learned(task), basis_formula(basis))),
              reference="noise")
        for task, bases in (("mul", ("dlog_sum", "product")), ("add", ("sum", "dlog_sum")))
    ),
    "One point per seed, directions of a kind averaged within it; finite difference, test pairs. Dotted: the mean of "
    "white noise.",
    "the edge would gain no more than random directions do.",
    KINDS, across=2,
)
MULTIPLICATION = ClaimSection(
    "section-6-3", "§6.3. Multiplication in discrete logarithms",
    "Multiplication is addition of discrete logarithms. How much more concentrated is the edge under them than under "
    "raw products; do random directions gain as much; and does addition lose?",
    (_LOGARITHMS, _GAINS, _LOST, _BOTH_BASES),
    MULTIPLICATION_CLAIMS,
)

_SUB_F = ", ".join(f"{one.kind} {one.concentration}" for one in MODES if one.section == "§6.4" and not one.direction)
_AGAINST_BULK = EffectTable(
    "section-6-4", "Subtraction in differences, edge against bulk", ("statistic", "directions"),
    tuple(EffectRow((words, said), f"{effect}:{of}-bulk", learned("sub"),
                    _SUB_F if (effect, of) == ("f", "edge") else "")
          for effect, words in (("share", _SHARE), ("f", _F))
          for of, said in (("edge", _EDGE), ("random", "random directions, mean"))),
    "null: bulk of the same window", "Means within a seed first. Single directions stand in Table 2.",
)
SUBTRACTION = ClaimSection(
    "section-6-4", "§6.4. Subtraction: is there an edge at all?",
    "The published F does not tell edge from bulk for a − b, an honest negative. Does the energy of the vector "
    "response?",
    (_AGAINST_BULK,),
    SUBTRACTION_CLAIMS,
)

_ALONE = learned(COMPOSITE)
_IN_EVERY_BASIS = EffectTable(
    "section-6-5", "a² + b² alone, in every basis", ("statistic", "basis", "directions"),
    (
        *(EffectRow((words, basis_formula(basis), _DIRECTIONS[of]), f"{effect}-residual-{basis}:{of}-random", _ALONE,
                    published_number("§6.5", "F in any of five bases", "") if (effect, of) == ("f", "edge") else "")
          for effect, words in (("share", "energy share"), ("f", "F of ‖R‖²"))
          for of in ("edge", "bulk") for basis in READ_BASES),
        *(EffectRow(("selection ratio S", basis_formula(basis), "whole window"), f"selection-residual-{basis}", _ALONE)
          for basis in READ_BASES),
    ),
    _RANDOM,
    "On the pairs without a zero. As (a + ib)(a − ib) = a² + b², the sum of the Gaussian logarithms is the logarithm "
    "of the output. Means of F and S are geometric. Null of S: 1, no selection.",
)
_SQUARES = StripFigure(
    "squares-in-bases", "a² + b² in every basis",
    tuple(
        Strip(axis, axis, tuple(point for basis in READ_BASES
                                for point in kind_points(f"{effect}-residual-{basis}", _ALONE, basis_formula(basis))),
              percent=effect == "share", reference=0.0 if effect == "share" else "noise")
        for effect, axis in (("share", "energy share"), ("f", "F of ‖R‖² (published)"))
    ),
    "One point per seed, directions of a kind averaged within it. Dotted: what noise has.",
    "in every basis the three kinds of points would lie one above the other.",
    KINDS, across=2,
)
SQUARES = ClaimSection(
    "section-6-5", "§6.5. a² + b²: is there a basis in which the edge is simple?",
    "Outputs, sums, discrete logarithms, and the two Gaussian coordinates of a² + b² = (a + ib)(a − ib).",
    (_SQUARES, _IN_EVERY_BASIS),
    SQUARES_CLAIMS,
)
# fmt: on
