"""Every claim of the `paper` study, declared before any run is read, and their verdicts over its seeds.

A claim says: section of Xu 2026, id, what is claimed; the effect, the runs that it is about, and where it lies.
"""

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.design import COMPOSITE, CONTROLS, GROKKING, PARTS, STEEP, learned
from spectraledge.claims.effects import NULLS
from spectraledge.claims.paper_effects import PAPER_EFFECTS, measure_paper
from spectraledge.claims.published import GROKKED_WITHIN, published, published_modes
from spectraledge.claims.summaries import Within
from spectraledge.claims.verdicts import Method, SeedClaim, Side, Verdicts, judge
from spectraledge.tasks import OPERATIONS

_AS_PUBLISHED: Method = "published"


def _claim(
    section: str,
    id_: str,
    statement: str,
    effect: str,
    of: str,
    side: Side = "above",
    *,
    against: str = "",
    within: Within = "mean",
    known: str = "",
    method: Method = "sound",
) -> SeedClaim:
    measured = PAPER_EFFECTS[effect]
    return SeedClaim(id_, section, method, statement, measured, of, side, against, within=within, published=known)


def _separates(id_: str, what: str, effect: str, method: Method = "sound", known: str = "") -> SeedClaim:
    statement = f"{what[0].upper()}{what[1:]} tells runs that grok from runs that do not."
    measured, of, others = PAPER_EFFECTS[effect], "generalised", "not-generalised"
    return SeedClaim(id_, "Table 1", method, statement, measured, of, "above", others, separates=True, published=known)


_FORMULA = {task: operation.formula for task, operation in OPERATIONS.items()}
_STEEP = published("Table 1", "runs that decline")
_DECLINE = published("Table 1", "decline of g_23")

# fmt: off
LEARNING_CLAIMS: tuple[SeedClaim, ...] = (
    *(_claim("§2", f"groks-{task}", f"{_FORMULA[task]} generalises within {GROKKED_WITHIN:,} steps at weight decay 1.",
             "groks-in-time", f"{task}-decay", known="3 of 3 seeds") for task in GROKKING),
    _claim("§2", "never-without-decay", "Without weight decay no task generalises.",
           "groks", "no-decay", within="none", known="0 of 18 runs"),
    _claim("§2", "never-quadratic-cubic", "a² + ab + b² and a³ + ab do not generalise.",
           "groks", "others-decay", within="none", known="0 of 6 runs"),
    _claim("§2", "groks-dual", "The dual-task network generalises in all its tasks.", "groks", "dual"),
    _claim("§2", "groks-tri", "The tri-task network generalises in all its tasks.",
           "groks", "beside-both", known=published("§2", "steps until the tri-task groks")),
)
"""§2."""

EDGE_CLAIMS: tuple[SeedClaim, ...] = (
    _separates("selection-separates", PAPER_EFFECTS["selection"].words, "selection"),
    _separates("own-share-separates", "share of the edge's response in functions of the own variable",
               "share:edge-random"),
    _separates("floor-separates", "the largest eigenvalue of the centred window over its noise floor", "floor-ratio"),
    _separates("share-decline-separates", "the decline of g_23's share of the trace", "decline-share"),
    _separates("decline-separates", "the decline of g_23 from its largest value, in uncentred windows of 10 updates,",
               "decline", _AS_PUBLISHED, _DECLINE),
    _separates("decline-since-first-separates",
               "the decline of g_23 from its first value, in uncentred windows of 20 updates,",
               "decline-since-first", _AS_PUBLISHED, _DECLINE),
    _claim("Table 1", "decline-of-grokking-runs", f"g_23 declines more than {STEEP:g} times in every run that groks.",
           "steep-decline", "generalised", within="all", known=_STEEP, method=_AS_PUBLISHED),
    _claim("Table 1", "no-decline-of-others", f"g_23 declines {STEEP:g} times in no run that does not grok.",
           "steep-decline", "not-generalised", within="none", known=_STEEP, method=_AS_PUBLISHED),
)
"""Table 1."""

CHANGE_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("§4.2", "changes-agree-with-learning",
           "The three decompositions change closer together where the task is learned than where it is not.",
           "changes-spread", "learned", "below", against="others-decay", known="said to agree in time"),
    _claim("§4.2", "changes-agree", "The three decompositions change at the same time.",
           "changes-spread", "learned", "below", known="said to agree in time", method=_AS_PUBLISHED),
)
"""§4.2."""

SELECTION_CLAIMS: tuple[SeedClaim, ...] = (
    *(_claim("Conjecture 1", f"selects-{task}", f"The updates of a network that learned {_FORMULA[task]} move its own "
             "functions more than isotropic updates would.", "selection", learned(task)) for task in GROKKING),
    _claim("Conjecture 1", "selects-nothing-quadratic-cubic",
           "Runs on a² + ab + b² and a³ + ab select none of their task's own functions.",
           "selection", "others-decay", "equal"),
    _claim("Conjecture 1", "selects-nothing-without-decay",
           "Runs without weight decay select none of their task's own functions.", "selection", "no-decay", "equal"),
)
"""The first conjecture."""


def _own_shares(section: str, task: str) -> tuple[SeedClaim, ...]:
    variable = _FORMULA[task] + (" (the Gaussian norm)" if task == "square_sum" else "")
    known = {("sub", "bulk"): "no separation"}
    return tuple(
        _claim(section, f"own-share-{task}-{null}", f"The edge moves functions of {variable} more than {words} do.",
               f"share:edge-{null}", learned(task), known=known.get((task, null), ""))
        for null, words in NULLS.items()
    )


_ADD, _SUB = published_modes("Table 2", "add", "sum"), published_modes("§6.4", "sub", "difference")
_MUL = f"{published('§6.3', 'F under dlog over F raw')}; {published_modes('§6.3', 'mul', 'product')}"
_LOSS = published("§6.3", "F under dlog over F in its own basis")
_SQUARES = published("§6.5", "F in any of five bases")

ADDITION_CLAIMS: tuple[SeedClaim, ...] = (
    *_own_shares("Table 2", "add"),
    _claim("Table 2", "add-f-random", "The edge of addition is simpler in a + b than directions at random.",
           "f:edge-random", learned("add"), known=_ADD, method=_AS_PUBLISHED),
    _claim("Table 2", "add-f-bulk", "The edge of addition is simpler in a + b than the bulk.",
           "f:edge-bulk", learned("add"), known=_ADD, method=_AS_PUBLISHED),
    _claim("Table 2", "add-one-mode",
           "The edge of addition is one additive mode: its directions peak at one frequency.",
           "one-frequency:edge-random", learned("add"), known=_ADD, method=_AS_PUBLISHED),
)
"""Table 2."""

MULTIPLICATION_CLAIMS: tuple[SeedClaim, ...] = (
    *_own_shares("§6.3", "mul"),
    _claim("§6.3", "mul-dlog-gain-random",
           "Discrete logarithms simplify multiplication's edge more than directions at random.",
           "dlog-gain-product:edge-random", learned("mul"), known=_MUL, method=_AS_PUBLISHED),
    _claim("§6.3", "mul-dlog-gain",
           "Multiplication's edge is simpler in discrete logarithms than under the raw product.",
           "dlog-gain-product:edge-none", learned("mul"), known=_MUL, method=_AS_PUBLISHED),
    _claim("§6.3", "add-share-under-dlog", "Functions of dlog a + dlog b are not what addition's edge moves.",
           "share-dlog:edge-own", learned("add"), "below", known=_LOSS),
    _claim("§6.3", "add-f-under-dlog", "Addition's edge is less simple in discrete logarithms than in a + b.",
           "dlog-gain-sum:edge-none", learned("add"), "below", known=_LOSS, method=_AS_PUBLISHED),
)
"""§6.3."""

SUBTRACTION_CLAIMS: tuple[SeedClaim, ...] = (
    *_own_shares("§6.4", "sub"),
    _claim("§6.4", "sub-no-separation", "Subtraction's edge is no simpler in a − b than its bulk.",
           "f:edge-bulk", learned("sub"), "equal", known=_SUB, method=_AS_PUBLISHED),
)
"""§6.4."""

SQUARES_CLAIMS: tuple[SeedClaim, ...] = (
    *_own_shares("§6.5", "square_sum"),
    *(_claim("§6.5", f"square-sum-no-basis-{null}", f"In no basis is the edge of a² + b² simpler than {NULLS[null]}.",
             f"f-any-basis:edge-{null}", learned(COMPOSITE), "equal", known=_SQUARES, method=_AS_PUBLISHED)
      for null in ("random", "bulk")),
    _claim("§6.5", "square-sum-no-character",
           "The edge of a² + b² is no simpler in the 2-D Fourier transform than directions at random.",
           "plane-wave:edge-random", learned(COMPOSITE), "equal", known=_SQUARES, method=_AS_PUBLISHED),
)
"""§6.5."""

_CROSS = ("Products of additive and multiplicative waves predict the edge's response of a² + b² beyond their sums, "
          "more than")
_CROSSED = f"{published('Table 3', 'R² of both')}; with cross terms {published('Table 3', 'R² of both and cross')}"

PROBE_CLAIMS: tuple[SeedClaim, ...] = (
    *(_claim("Table 3", f"{features}-waves-explain-{task}", f"{features.capitalize()} waves predict the edge's "
             f"response of {_FORMULA[task]} on pairs not seen, more than that of isotropic directions.",
             f"r2-{features}-rows:edge-random", learned(task),
             known=f"in sample, {published('Table 3', f'R² of {features}')}")
      for task, features in (("add", "additive"), ("mul", "multiplicative"))),
    _claim("Table 3", "cross-terms-features", f"{_CROSS} as many random features do.",
           "cross-rows:edge-features", learned(COMPOSITE), known=_CROSSED),
    _claim("Table 3", "cross-terms-random", f"{_CROSS} that of isotropic directions.",
           "cross-rows:edge-random", learned(COMPOSITE), known=_CROSSED),
    _claim("Table 3", "cross-terms-in-sample", f"{_CROSS} as many random features do.",
           "cross-none:edge-features", learned(COMPOSITE), known=_CROSSED, method=_AS_PUBLISHED),
)
"""Table 3."""

_RANK, _PURITY = published("§5", "effective rank of the response"), published("§5", "head purity")

TOOL_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("§5", "rank-without-mean",
           "The edge's responses have the effective rank of isotropic directions' responses.",
           "effective_rank-centered:edge-random", "learned", "equal", known=_RANK),
    _claim("§5", "rank",
           "The edge's responses have the effective rank of isotropic directions' responses, means included.",
           "effective_rank-whole:edge-random", "learned", "equal", known=_RANK, method=_AS_PUBLISHED),
    _claim("§5", "purity-of-heads", "No direction of the edge is purer in one head than isotropic directions.",
           "purity-head:edge-random", "learned", "equal", known=_PURITY, method=_AS_PUBLISHED),
    _claim("§5", "purity-of-matrices",
           "No direction of the edge is purer in one matrix of a head than isotropic directions.",
           "purity-head_matrix:edge-random", "learned", "equal", known=_PURITY, method=_AS_PUBLISHED),
    _claim("§5", "features-like-random",
           "The edge's directions share as many features of a TopK autoencoder as directions at random do.",
           "features:edge-random", "learned", "equal", known=published("§5", "Jaccard of TopK features"),
           method=_AS_PUBLISHED),
)
"""§5."""

_JOINT = {"dual": "dual", "tri": "beside-both"}

SHARED_CLAIMS: tuple[SeedClaim, ...] = tuple(
    _claim("§7", f"sharedness-{name}-{null}",
           f"Examples of all tasks of a {name}-task network use the edge alike, more than {NULLS[null]}.",
           f"sharedness:edge-{null}", of, known=published("§7", "sharedness"),
           method=_AS_PUBLISHED if null == "bulk" else "sound")
    for name, of in _JOINT.items() for null in ("random", "bulk")
)
"""§7."""

_TRI, _MODE, _SYNERGY = "beside-both-learned", published("Table 4", "F on a + b"), published("Table 4", "synergy")
_INCLUDED = ("The functions that the edge moves at the head of a² + b² lie in those that it moves at the heads of a + "
             "b and a·b, more than")

REUSE_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("Table 4", "reuse-selection",
           "Beside addition and multiplication, a² + b² selects functions of a + b more than alone.",
           f"selection-{COMPOSITE}-sum", _TRI, against="alone-learned", known=_MODE),
    _claim("Table 4", "reuse-share", "The tri-task edge moves functions of a + b at the head of a² + b², more than "
           "isotropic directions do.", f"share-{COMPOSITE}-sum:edge-random", _TRI, known=_MODE),
    _claim("Table 4", "reuse-f", "F on a + b is larger in the tri-task network than in one that learned a² + b² alone.",
           "f-residual-sum:edge-random", _TRI, against=learned(COMPOSITE), known=_MODE, method=_AS_PUBLISHED),
    _claim("Table 4", "interaction", "Additive and multiplicative waves interact in the tri-task response more than in "
           "that of a² + b² alone.", "net-interaction", _TRI, against="alone", known=_SYNERGY),
    _claim("Table 4", "synergy",
           "The synergy of additive and multiplicative waves is larger in the tri-task network than alone.",
           "synergy-none", _TRI, against=learned(COMPOSITE), known=_SYNERGY, method=_AS_PUBLISHED),
    _claim("Conjecture 2", "inclusion-random", f"{_INCLUDED} where isotropic directions move both.",
           f"inclusion-{COMPOSITE}:edge-random", _TRI),
    _claim("Conjecture 2", "inclusion-other-seeds", f"{_INCLUDED} in those of networks that share nothing with it.",
           f"inclusion-{COMPOSITE}:edge-seeds", _TRI),
)
"""Table 4, and the second conjecture."""


def _open(id_: str, statement: str, effect: str, of: str, against: str) -> SeedClaim:
    side: Side = "below" if effect == "steps" else "above"
    return _claim("§8", id_, statement, effect, of, side, against=against, known="left open")


def _beside(part: str) -> list[SeedClaim]:
    variable, beside = _FORMULA[part], f"beside-{part}"
    selected = f"selection-{COMPOSITE}-{PARTS[part]}"
    helps = f"a² + b² is learned sooner beside {variable} than"
    found = [_open(f"{part}-helps", f"{helps} alone.", "steps", beside, "alone")]
    for control, words in CONTROLS.items():
        other = f"beside-{control}"
        found.append(_open(f"{part}-helps-more-than-{control}", f"{helps} beside {words}.", "steps", beside, other))
        # Beside permuted answers it has not generalised at any seed, so what it uses there cannot be asked.
        if not control.startswith("permuted"):
            found.append(_open(f"{part}-is-used-more-than-{control}",
                               f"a² + b² selects functions of {variable} more beside {variable} than beside {words}.",
                               selected, f"{beside}-learned", f"{other}-learned"))
    return found


OPEN_CLAIMS: tuple[SeedClaim, ...] = (
    *_beside("add"),
    *_beside("mul"),
    _open("learned-first",
          "a² + b² is learned sooner from the trunk of a network that learned a + b and a·b than from scratch.",
          "steps", "after-both", "alone"),
    _open("learned-first-more-than-permuted", "a² + b² is learned sooner from the trunk of a network that learned a + "
          "b and a·b than from that of one that memorised permuted answers.", "steps", "after-both", "after-permuted"),
    _open("learned-first-is-used", "From the trunk of a network that learned a + b and a·b, a² + b² selects functions "
          "of a + b more than from scratch.", f"selection-{COMPOSITE}-sum", "after-both-learned", "alone-learned"),
)
"""The questions that §8 leaves open."""
# fmt: on

PAPER_CLAIMS: tuple[SeedClaim, ...] = (
    *LEARNING_CLAIMS,
    *EDGE_CLAIMS,
    *CHANGE_CLAIMS,
    *SELECTION_CLAIMS,
    *ADDITION_CLAIMS,
    *MULTIPLICATION_CLAIMS,
    *SUBTRACTION_CLAIMS,
    *SQUARES_CLAIMS,
    *PROBE_CLAIMS,
    *TOOL_CLAIMS,
    *SHARED_CLAIMS,
    *REUSE_CLAIMS,
    *OPEN_CLAIMS,
)
"""Every claim; where there are several statistics for one question, the sound ones first."""


def evaluate_study(runs: Runs) -> Verdicts:
    """Measure every effect of the paper in a study's runs, and evaluate every claim over its seeds.

    Claims about what a learned task's edge does are of runs that reached a test accuracy of .95; claims about runs that
    do not are of those conditions whatever they reached.

    Args:
        runs: The finished runs, whatever was measured of them.

    Returns:
        The verdicts; claims whose runs or tables are missing are "not measured".

    Cost: some seconds for a hundred runs.
    """
    return judge(PAPER_CLAIMS, measure_paper(runs))
