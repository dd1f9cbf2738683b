"""Claims, declared as data before they are evaluated, and their evaluation on a study's runs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.published import DLOG_GAIN, GROKKED_WITHIN
from spectraledge.statistics import at_least, empirical_p, false_discovery_rate

ALPHA = 0.05
"""Rate of false findings that verdicts allow within one claim's family of runs."""


@dataclass(frozen=True)
class Claim:
    """Something that is either found in a run or not.

    Attributes:
        id: Short name.
        section: Where Xu 2026 makes it, or "ours".
        statement: The claim in a sentence.
        statistic: What is measured.
        null: What it is compared with.
        rule: When it counts as found.
    """

    id: str
    section: str
    statement: str
    statistic: str
    null: str
    rule: str


_TWO = "at least two edge directions stand above the null: binomial tail of (1 + b)/(1 + B) of the second largest"
_RULE = f"q ≤ {ALPHA}, Benjamini–Hochberg over the study's runs"

GENERALISES = Claim(
    "generalises",
    "§2",
    "The network generalises within its step budget.",
    "first step with test accuracy of at least 0.95",
    "none",
    "such a step exists",
)
SELECTS_OWN = Claim(
    "selects-own-functions",
    "ours (Conjecture 1 as a number)",
    "Training selects the task's own functions: the window's updates move them more than isotropic updates would.",
    "selection ratio S of all functions of the task's own variable together, with its 95% interval; 1 is no selection",
    "isotropic directions: Student's t on log S",
    f"the interval lies above 1, the updates' share exceeds that of noise, and {_RULE}",
)
OWN_VARIABLE = Claim(
    "own-variable",
    "§3, with a sound statistic",
    "The edge moves functions of the task's own variable, more than directions at random do.",
    "share of the vector response's energy that is a function of the own variable, corrected for chance; " + _TWO,
    "random directions in the window's span and in parameter space; the larger p counts",
    _RULE,
)
EDGE_OVER_BULK = Claim(
    "edge-over-bulk",
    "§6.4 (negative for subtraction)",
    "The edge moves functions of the task's own variable more than the bulk of the same window does.",
    "share of the vector response's energy that is a function of the own variable, corrected for chance; " + _TWO,
    "bulk directions of the same window",
    _RULE,
)
ONE_WAVE = Claim(
    "one-wave",
    "ours",
    "Projected on one residual direction, the edge's response is one plane wave over the inputs.",
    "share of the picture's energy in its largest 2-D character; " + _TWO,
    "random directions in the window's span and in parameter space; the larger p counts",
    _RULE,
)
RIGHT_BASIS = Claim(
    "right-basis",
    "§6.3",
    "Multiplication's modes are simple in discrete logarithms, not under the raw product, and the edge's most of all.",
    "peak share F of ‖R‖² under discrete logarithms over F under the raw product; " + _TWO,
    "random directions in the window's span and in parameter space; the larger p counts",
    _RULE,
)

CLAIMS = (GENERALISES, SELECTS_OWN, OWN_VARIABLE, EDGE_OVER_BULK, ONE_WAVE, RIGHT_BASIS)
"""Every claim, in the order of reports."""


@dataclass(frozen=True)
class _Finding:
    """A claim's numbers on one run; `p` is missing where the claim needs none, the interval where it has none."""

    value: float
    null_median: float = np.nan
    null_high: float = np.nan
    p: float = np.nan
    low: float = np.nan
    high: float = np.nan
    published: str = ""


def evaluate_claims(runs: Runs) -> pd.DataFrame:
    """Evaluate every claim on every run that it applies to.

    Args:
        runs: The finished runs.

    Returns:
        One row per claim and run: the claim's own fields; run, task, weight_decay, seed, generalised (whether the run
        did); value, null_median, null_high (95th percentile of the null with the larger p), p, low, high (95 % interval
        of the value, where it has one), published, q, verdict.
    """
    rows = []
    for claim in CLAIMS:
        findings = [(run, found) for run in runs if (found := _EVALUATE[claim.id](run)) is not None]
        q_values = false_discovery_rate([found.p for _, found in findings])
        for (run, found), q in zip(findings, q_values, strict=True):
            positive = _HOLDS.get(claim.id, _significant)(found, q)
            rows.append(
                {
                    **asdict(claim),
                    "run": run.run_id,
                    "task": run.config.task,
                    "weight_decay": run.config.weight_decay,
                    "seed": run.config.seed,
                    "generalised": run.grokked,
                    **asdict(found),
                    "q": q,
                    "verdict": "found" if positive else "not found",
                }
            )
    return pd.DataFrame(rows).rename(columns={"id": "claim"})


def _generalises(run: RunResult) -> _Finding:
    step = run.manifest.grokked_step
    published = f"within {GROKKED_WITHIN:,} steps" if run.config.task in ("add", "sub", "mul") else "never"
    if run.config.weight_decay == 0:
        published = "never"
    return _Finding(float("nan") if step is None else float(step), published=published)


def _selects_own(run: RunResult) -> _Finding | None:
    table = run.selection
    if table.empty:
        return None
    own = table[(table["basis"] == run.structure) & (table["subspace"] == WHOLE)].iloc[0]
    # Twice as much of what is less than noise has is no function of the task yet.
    p = own["p"] if own["window_share"] > own["chance"] else 1.0
    return _Finding(own["ratio"], 1.0, p=p, low=own["low"], high=own["high"])


def _own_variable(run: RunResult) -> _Finding:
    return _above(_by_kind(_exact(run, run.structure), "energy_share"), ("span", "random"))


def _edge_over_bulk(run: RunResult) -> _Finding:
    published = "no separation" if run.config.task == "sub" else ""
    return _above(_by_kind(_exact(run, run.structure), "energy_share"), ("bulk",), published)


def _one_wave(run: RunResult) -> _Finding:
    return _above(_by_kind(run.characters, "character_share"), ("span", "random"))


def _right_basis(run: RunResult) -> _Finding | None:
    if run.config.task != "mul":
        return None
    right, wrong = _exact(run, "dlog_sum"), _exact(run, "product")
    gains = right.assign(gain=right["concentration"].to_numpy() / wrong["concentration"].to_numpy())
    return _above(_by_kind(gains, "gain"), ("span", "random"), f"{DLOG_GAIN} (v1)")


_EVALUATE: dict[str, Callable[[RunResult], _Finding | None]] = {
    GENERALISES.id: _generalises,
    SELECTS_OWN.id: _selects_own,
    OWN_VARIABLE.id: _own_variable,
    EDGE_OVER_BULK.id: _edge_over_bulk,
    ONE_WAVE.id: _one_wave,
    RIGHT_BASIS.id: _right_basis,
}


def _significant(found: _Finding, q: float) -> bool:
    return q <= ALPHA


_HOLDS: dict[str, Callable[[_Finding, float], bool]] = {
    GENERALISES.id: lambda found, q: bool(np.isfinite(found.value)),
    SELECTS_OWN.id: lambda found, q: q <= ALPHA and found.low > 1,
}
"""When a claim is found, where that is more than a small q."""


def _exact(run: RunResult, basis: str) -> pd.DataFrame:
    modes = run.modes
    return modes[(modes["method"] == "jvp") & (modes["basis"] == basis)]


def _by_kind(table: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    return {str(kind): part[column].to_numpy() for kind, part in table.groupby("kind")}


def _above(values: dict[str, np.ndarray], nulls: tuple[str, ...], published: str = "") -> _Finding:
    edge = np.sort(values["edge"])
    nulls = tuple(null for null in nulls if null in values)
    if len(edge) < 2 or not nulls:
        # A window as small as the edge leaves no bulk.
        return _Finding(float("nan"), p=1.0, published=published)
    second = float(edge[-2])
    p_of = {null: at_least(2, len(edge), empirical_p(second, values[null])) for null in nulls}
    hardest = max(p_of, key=lambda null: (p_of[null], float(np.median(values[null]))))
    null = values[hardest]
    return _Finding(second, float(np.median(null)), float(np.quantile(null, 0.95)), p_of[hardest], published=published)
