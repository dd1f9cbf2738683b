"""Claims on single runs: a rule on an effect's p-value within the run, adjusted over a study's runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.effects import Effect, Reading, measure
from spectraledge.claims.verdicts import ALPHA
from spectraledge.statistics import at_least, empirical_p, false_discovery_rate

SIGNIFICANT = f"q ≤ {ALPHA}, Benjamini–Hochberg over the study's runs"
"""The usual rule of a claim."""


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
    rule: str = SIGNIFICANT
    holds: Callable[[pd.Series], bool] = lambda row: bool(row["q"] <= ALPHA)
    published: Callable[[str, float], str] = lambda task, weight_decay: ""


def evaluate_claims(claims: Sequence[Claim], runs: Runs) -> pd.DataFrame:
    """Evaluate every claim on every run that it applies to.

    Args:
        claims: The claims.
        runs: The finished runs.

    Returns:
        One row per claim and run: the claim's own words; run, task, weight_decay, seed, generalised (whether the run
        did); value, null_median, null_high (95th percentile of the null with the larger p), p, low, high (95 % interval
        of the value, where it has one), published, q, verdict.
    """
    effects = measure([claim.effect for claim in claims], runs)
    rows = []
    for claim in claims:
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
    """Compare the second largest of the edge's values with those of the kind of direction whose p is largest.

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
