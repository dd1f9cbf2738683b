"""Claims on single runs: a rule on an effect's p-value within the run, adjusted over a study's runs."""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.design import GROKKING
from spectraledge.claims.effects import OWN, Effect, Reading, RunReader, measure
from spectraledge.claims.published import DLOG_GAIN, GROKKED_WITHIN
from spectraledge.claims.training_effects import grokked_step
from spectraledge.claims.verdicts import ALPHA
from spectraledge.statistics import at_least, empirical_p, false_discovery_rate

_SIGNIFICANT = f"q ≤ {ALPHA}, Benjamini–Hochberg over the study's runs"
_TWO = "at least two edge directions stand above the null: binomial tail of (1 + b)/(1 + B) of the second largest"
_OWN_SHARE = "share of the vector response's energy that is a function of the own variable, corrected for chance; "
_RANDOM = "random directions in the window's span and in parameter space; the larger p counts"


@dataclass(frozen=True)
class Claim:
    """Something that is either found in a run or not, declared before any run is read.

    Attributes:
        id: Short name; its effect's too.
        section: Where Xu 2026 makes it, or "ours".
        statement: The claim in a sentence.
        effect: What is measured, and what it is compared with.
        rule: When it counts as found.
        holds: The same of a row of effects with its q.
        published: What Xu 2026 reports of a task with a weight decay; "" where it says nothing.
    """

    id: str
    section: str
    statement: str
    effect: Effect
    rule: str = _SIGNIFICANT
    holds: Callable[[pd.Series], bool] = lambda row: bool(row["q"] <= ALPHA)
    published: Callable[[str, float], str] = lambda task, weight_decay: ""


def evaluate_claims(runs: Runs) -> pd.DataFrame:
    """Evaluate every claim on every run that it applies to.

    Args:
        runs: The finished runs.

    Returns:
        One row per claim and run: the claim's own words; run, task, weight_decay, seed, generalised (whether the run
        did); value, null_median, null_high (95th percentile of the null with the larger p), p, low, high (95 % interval
        of the value, where it has one), published, q, verdict.
    """
    effects = measure([claim.effect for claim in CLAIMS], runs)
    rows = []
    for claim in CLAIMS:
        found = effects[effects["effect_id"] == claim.id]
        found = found.assign(q=false_discovery_rate(found["p"].tolist()))
        rows += [
            {
                "claim": claim.id,
                "section": claim.section,
                "statement": claim.statement,
                "statistic": claim.effect.words,
                "null": claim.effect.null,
                "rule": claim.rule,
                **row[["run", "task", "weight_decay", "seed"]],
                "generalised": row["learned"],
                "value": row["value"],
                "null_median": row["null"],
                **row[["null_high", "p", "low", "high"]],
                "published": claim.published(row["task"], row["weight_decay"]),
                "q": row["q"],
                "verdict": "found" if claim.holds(row) else "not found",
            }
            for _, row in found.iterrows()
        ]
    return pd.DataFrame(rows)


def second_largest(values: dict[str, np.ndarray], nulls: tuple[str, ...]) -> Reading:
    """Compare the second largest of the edge's values with those of other directions.

    Args:
        values: One value per direction, by kind.
        nulls: Kinds that it is compared with; the one with the larger p counts.

    Returns:
        The second largest value, that null's median and 95th percentile, and the probability that as many of the edge's
        directions would be as large by chance; 1 where there is nothing to compare.
    """
    edge = np.sort(values["edge"])
    nulls = tuple(null for null in nulls if null in values)
    if len(edge) < 2 or not nulls:
        # A window as small as the edge leaves no bulk.
        return Reading(nan, p=1.0)
    second = float(edge[-2])
    p_of = {null: at_least(2, len(edge), empirical_p(second, values[null])) for null in nulls}
    hardest = max(p_of, key=lambda null: (p_of[null], float(np.median(values[null]))))
    null = values[hardest]
    return Reading(second, float(np.median(null)), null_high=float(np.quantile(null, 0.95)), p=p_of[hardest])


def _by_kind(table: pd.DataFrame, column: str) -> dict[str, np.ndarray]:
    return {str(kind): part[column].to_numpy() for kind, part in table.groupby("kind")}


def _selects_own(reader: RunReader) -> Reading | None:
    table = reader.rows("selection", basis=OWN, subspace=WHOLE)
    if table.empty:
        return None
    own = table.iloc[0]
    # Twice as much of what is less than noise has is no function of the task yet.
    p = own["p"] if own["window_share"] > own["chance"] else 1.0
    return Reading(own["ratio"], 1.0, low=own["low"], high=own["high"], p=p)


def _own_share(*nulls: str) -> Callable[[RunReader], Reading]:
    return lambda reader: second_largest(_by_kind(reader.rows("modes", method="jvp", basis=OWN), "energy_share"), nulls)


def _one_wave(reader: RunReader) -> Reading:
    return second_largest(_by_kind(reader.run.characters, "character_share"), ("span", "random"))


def _right_basis(reader: RunReader) -> Reading | None:
    if reader.run.config.task != "mul":
        return None
    right, wrong = (reader.rows("modes", method="jvp", basis=basis) for basis in ("dlog_sum", "product"))
    gains = right.assign(gain=right["concentration"].to_numpy() / wrong["concentration"].to_numpy())
    return second_largest(_by_kind(gains, "gain"), ("span", "random"))


def _within(task: str, weight_decay: float) -> str:
    return f"within {GROKKED_WITHIN:,} steps" if task in GROKKING and weight_decay else "never"


CLAIMS = (
    Claim(
        "generalises",
        "§2",
        "The network generalises within its step budget.",
        Effect(
            "generalises",
            "first step with test accuracy of at least 0.95",
            "steps",
            "ratio",
            "none",
            lambda reader: Reading(grokked_step(reader.run)),
        ),
        "such a step exists",
        lambda row: bool(np.isfinite(row["value"])),
        _within,
    ),
    Claim(
        "selects-own-functions",
        "ours (Conjecture 1 as a number)",
        "Training selects the task's own functions: the window's updates move them more than isotropic updates would.",
        Effect(
            "selects-own-functions",
            "selection ratio S of all functions of the task's own variable together, with its 95% interval; 1 is no "
            "selection",
            "ratio",
            "ratio",
            "isotropic directions: Student's t on log S",
            _selects_own,
        ),
        f"the interval lies above 1, the updates' share exceeds that of noise, and {_SIGNIFICANT}",
        lambda row: bool(row["q"] <= ALPHA and row["low"] > 1),
    ),
    Claim(
        "own-variable",
        "§3, with a sound statistic",
        "The edge moves functions of the task's own variable, more than directions at random do.",
        Effect("own-variable", _OWN_SHARE + _TWO, "share", "difference", _RANDOM, _own_share("span", "random")),
    ),
    Claim(
        "edge-over-bulk",
        "§6.4 (negative for subtraction)",
        "The edge moves functions of the task's own variable more than the bulk of the same window does.",
        Effect(
            "edge-over-bulk",
            _OWN_SHARE + _TWO,
            "share",
            "difference",
            "bulk directions of the same window",
            _own_share("bulk"),
        ),
        published=lambda task, weight_decay: "no separation" if task == "sub" else "",
    ),
    Claim(
        "one-wave",
        "ours",
        "Projected on one residual direction, the edge's response is one plane wave over the inputs.",
        Effect(
            "one-wave",
            "share of the picture's energy in its largest 2-D character; " + _TWO,
            "share",
            "ratio",
            _RANDOM,
            _one_wave,
        ),
    ),
    Claim(
        "right-basis",
        "§6.3",
        "Multiplication's modes are simple in discrete logarithms, not under the raw product, and the edge's most of "
        "all.",
        Effect(
            "right-basis",
            "peak share F of ‖R‖² under discrete logarithms over F under the raw product; " + _TWO,
            "ratio",
            "ratio",
            _RANDOM,
            _right_basis,
        ),
        published=lambda task, weight_decay: f"{DLOG_GAIN} (v1)",
    ),
)
"""Every claim on a run, in the order of reports."""
