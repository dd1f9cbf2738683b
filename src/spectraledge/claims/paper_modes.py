"""Claims about the functions that the edge's directions move: Table 2, and §6.3 to §6.5."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.paper_runs import OWN, Effect, chosen, kinds_compared, mean_of, of_task
from spectraledge.claims.published import published, published_modes
from spectraledge.claims.verdicts import Declared, SeedClaim, Side
from spectraledge.tasks import OPERATIONS

SHARE_MARGIN = 0.02
"""Largest difference of energy shares that does not matter (our choice: twice the chance level of an own variable)."""

F_MARGIN = 1.25
"""Largest ratio of two F that does not matter (our choice: a quarter)."""

AGREEMENT_MARGIN = 0.1
"""Largest difference between shares of pairs that agree that does not matter (our choice)."""

SQUARE_BASES = ("output", "output_dlog", "gaussian_norm", "gaussian_angle")
"""Groupings in which a² + b² is read (Xu 2026, §6.5); the paper's fifth basis is the 2-D Fourier transform."""

NULLS = {
    "random": "isotropic directions of the same network",
    "span": "directions at random in the window's span",
    "bulk": "the window's other directions",
}
"""Kinds of directions that the edge is compared with, in words."""

_OWN_SECTION = {"add": "Table 2", "mul": "§6.3", "sub": "§6.4", "square_sum": "§6.5"}


def _own_share(task: str, null: str) -> Declared:
    known = "no separation" if (task, null) == ("sub", "bulk") else ""
    variable = OPERATIONS[task].formula + (" (the Gaussian norm)" if task == "square_sum" else "")
    claim = SeedClaim(
        f"own-share-{task}-{null}",
        _OWN_SECTION[task],
        "sound",
        f"The edge moves functions of {variable} more than {NULLS[null]} do.",
        "share of the vector response's energy in functions of the own variable, corrected for chance, mean over the "
        "edge",
        NULLS[null],
        "difference",
        "above",
        margin=SHARE_MARGIN,
        published=known,
    )
    return claim, of_task(task, kinds_compared("modes", "energy_share", null, method="jvp", basis=OWN))


def _published_f(id_: str, task: str, statement: str, null: str, side: Side, known: str) -> Declared:
    claim = SeedClaim(
        id_,
        _OWN_SECTION[task],
        "published",
        statement,
        "F, the largest share of a frequency in ‖R‖², by finite differences on test pairs, mean over the edge",
        NULLS[null],
        "ratio",
        side,
        margin=F_MARGIN,
        published=known,
    )
    return claim, of_task(task, kinds_compared("modes", "concentration", null, method="difference", basis=OWN))


def _no_basis(null: str) -> Declared:
    claim = SeedClaim(
        f"square-sum-no-basis-{null}",
        "§6.5",
        "published",
        f"In no basis is the edge of a² + b² simpler than {NULLS[null]}.",
        f"F, mean over the edge, the largest over {', '.join(SQUARE_BASES)}",
        f"the same of {NULLS[null]}",
        "ratio",
        "equal",
        margin=F_MARGIN,
        published=published("§6.5", "F in any of five bases"),
    )

    def effect(run: RunResult) -> tuple[float, float] | None:
        table = chosen(run, "reuse", readout="residual")
        table = table[table["basis"].isin(SQUARE_BASES)] if len(table) else table
        if table.empty:
            return None
        edge, other = (table[table["kind"] == kind].groupby("basis")["concentration"].mean() for kind in ("edge", null))
        return float(edge.max()), float(other.max())

    return claim, of_task("square_sum", effect)


def _one_frequency(run: RunResult) -> tuple[float, float] | None:
    table = chosen(run, "modes", method="difference", basis=OWN)
    if table.empty:
        return None

    def agreeing(kind: str) -> float:
        pairs = list(combinations(table.loc[table["kind"] == kind, "frequency"], 2))
        return float(np.mean([first == second for first, second in pairs])) if pairs else float("nan")

    return agreeing("edge"), agreeing("random")


def _gain(run: RunResult, kind: str, wrong: str) -> float:
    """Geometric mean over a kind's directions of F under discrete logarithms over F in another basis."""
    bases = (chosen(run, "modes", method="difference", kind=kind, basis=basis) for basis in ("dlog_sum", wrong))
    right_K, wrong_K = (table.set_index("direction")["concentration"] if len(table) else table for table in bases)
    if len(right_K) == 0 or len(wrong_K) == 0:
        return float("nan")
    return float(np.exp(np.log(right_K / wrong_K).mean()))


def _gain_over(kind: str) -> Effect:
    def effect(run: RunResult) -> tuple[float, float] | None:
        return _gain(run, "edge", "product"), _gain(run, kind, "product")

    return effect


def _share_under(right: str, wrong: str) -> Effect:
    def effect(run: RunResult) -> tuple[float, float] | None:
        first, second = (chosen(run, "modes", method="jvp", kind="edge", basis=basis) for basis in (right, wrong))
        if first.empty or second.empty:
            return None
        return mean_of(first, "energy_share"), mean_of(second, "energy_share")

    return effect


def _own_shares(task: str) -> Sequence[Declared]:
    return [_own_share(task, null) for null in NULLS]


_ADD, _SUB = published_modes("Table 2", "add", "sum"), published_modes("§6.4", "sub", "difference")
_MUL = f"{published('§6.3', 'F under dlog over F raw')}; {published_modes('§6.3', 'mul', 'product')}"

MODES: tuple[Declared, ...] = (
    *_own_shares("add"),
    _published_f(
        "add-f-random",
        "add",
        "The edge of addition is simpler in a + b than directions at random.",
        "random",
        "above",
        _ADD,
    ),
    _published_f("add-f-bulk", "add", "The edge of addition is simpler in a + b than the bulk.", "bulk", "above", _ADD),
    (
        SeedClaim(
            "add-one-mode",
            "Table 2",
            "published",
            "The edge of addition is one additive mode: its directions peak at one frequency.",
            "share of pairs of edge directions whose F is at the same frequency of a + b, by finite differences",
            "pairs of isotropic directions of the same network",
            "difference",
            "above",
            margin=AGREEMENT_MARGIN,
            published=_ADD,
        ),
        of_task("add", _one_frequency),
    ),
    *_own_shares("mul"),
    (
        SeedClaim(
            "mul-dlog-gain-random",
            "§6.3",
            "published",
            "Discrete logarithms simplify multiplication's edge more than directions at random.",
            "F under discrete logarithms over F under the raw product, geometric mean over the edge",
            NULLS["random"],
            "ratio",
            "above",
            margin=F_MARGIN,
            published=_MUL,
        ),
        of_task("mul", _gain_over("random")),
    ),
    (
        SeedClaim(
            "mul-dlog-gain",
            "§6.3",
            "published",
            "Multiplication's edge is simpler in discrete logarithms than under the raw product.",
            "F under discrete logarithms over F under the raw product, geometric mean over the edge",
            "equal F: a gain of 1",
            "ratio",
            "above",
            margin=F_MARGIN,
            published=_MUL,
        ),
        of_task("mul", lambda run: (_gain(run, "edge", "product"), 1.0)),
    ),
    (
        SeedClaim(
            "add-share-under-dlog",
            "§6.3",
            "sound",
            "Functions of dlog a + dlog b are not what addition's edge moves.",
            "share of the vector response's energy in functions of dlog a + dlog b, mean over the edge",
            "the same in functions of a + b",
            "difference",
            "below",
            margin=SHARE_MARGIN,
            published=published("§6.3", "F under dlog over F in its own basis"),
        ),
        of_task("add", _share_under("dlog_sum", "sum")),
    ),
    (
        SeedClaim(
            "add-f-under-dlog",
            "§6.3",
            "published",
            "Addition's edge is less simple in discrete logarithms than in a + b.",
            "F under discrete logarithms over F under a + b, geometric mean over the edge",
            "equal F",
            "ratio",
            "below",
            margin=F_MARGIN,
            published=published("§6.3", "F under dlog over F in its own basis"),
        ),
        of_task("add", lambda run: (_gain(run, "edge", "sum"), 1.0)),
    ),
    *_own_shares("sub"),
    _published_f(
        "sub-no-separation", "sub", "Subtraction's edge is no simpler in a − b than its bulk.", "bulk", "equal", _SUB
    ),
    *_own_shares("square_sum"),
    _no_basis("random"),
    _no_basis("bulk"),
    (
        SeedClaim(
            "square-sum-no-character",
            "§6.5",
            "published",
            "The edge of a² + b² is no simpler in the 2-D Fourier transform than directions at random.",
            "largest share of a 2-D character in the response on its leading residual direction, mean over the edge",
            NULLS["random"],
            "ratio",
            "equal",
            margin=F_MARGIN,
            published=published("§6.5", "F in any of five bases"),
        ),
        of_task("square_sum", kinds_compared("characters", "character_share", "random")),
    ),
)
"""Claims of Table 2 and of §6.3 to §6.5."""
