"""Verdicts over seeds: what the effects that a declared claim is about support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Effect, measure
from spectraledge.claims.summaries import LEVEL, NO_EFFECT, MeasuredEffects, Summary, Within
from spectraledge.statistics import equivalence_p, false_discovery_rate
from spectraledge.streams import numpy_generator

Side = Literal["above", "below", "equal"]
Method = Literal["sound", "published"]
Verdict = Literal["replicates", "does not", "inconclusive", "not measured"]

ALPHA = 0.05
"""Expected share of false findings among the claims that replicate."""

FEWEST = 3
"""Seeds below which nothing is concluded (our choice: two give a t interval 13 standard errors long on either side)."""


@dataclass(frozen=True)
class SeedClaim:
    """A claim over seeds, declared before it is evaluated.

    Attributes:
        id: Short name.
        section: Where Xu 2026 makes it, or has what it answers.
        method: Whether the statistic is the published one, or one that is specific to the claim ("sound").
        statement: The claim in a sentence.
        effect: What is measured, and beside what.
        of: Key of the condition whose runs it is about.
        side: Where the claim says that the effect lies: above or below no effect, or equal to it.
        against: Key of a condition whose runs of the same seed are compared with, in place of the effect's own null.
        separates: Whether the claim is that values of the first runs are larger than those of the second; the effect
            then is the area under the ROC curve, see `discrimination`.
        within: What the runs of a seed say together.
        published: What Xu 2026 reports, as text; nothing is decided from it.
    """

    id: str
    section: str
    method: Method
    statement: str
    effect: Effect
    of: str
    side: Side = "above"
    against: str = ""
    separates: bool = False
    within: Within = "mean"
    published: str = ""

    def __post_init__(self) -> None:
        assert self.side != "equal" or self.margin, f"{self.id} needs a margin"
        assert not self.separates or (self.side, bool(self.against)) == ("above", True), self.id
        assert self.against or self.effect.null, f"{self.id} has no null"

    @property
    def scale(self) -> str:
        """What an effect is: a difference, a ratio, a rate, or an area under the ROC curve."""
        return "area" if self.separates else self.effect.scale

    @property
    def margin(self) -> float | None:
        """The largest effect that does not matter; "equal" is within it."""
        return None if self.separates else self.effect.margin

    @property
    def at(self) -> float:
        """The effect that the interval is compared with."""
        return NO_EFFECT[self.scale]

    @property
    def harmless(self) -> tuple[float, float]:
        """The least and the most that an effect may be without mattering; no effect at all where there is no margin."""
        if self.margin is None:
            return self.at, self.at
        return (1 / self.margin, self.margin) if self.scale == "ratio" else (-self.margin, self.margin)

    @property
    def statistic(self) -> str:
        """What is measured, and in which runs."""
        runs = CONDITIONS[self.of].words + (f", against {CONDITIONS[self.against].words}" if self.separates else "")
        words = {"mean": "", "all": "whether so in all: ", "none": "whether so in none: "}[self.within]
        return f"{words}{self.effect.words} ({runs})"

    @property
    def null(self) -> str:
        """What it is compared with."""
        if self.separates:
            return "an area of one half"
        return f"the same: {CONDITIONS[self.against].words}" if self.against else self.effect.null

    @property
    def rule(self) -> str:
        """The decision rule in words; made from what decides, so that the two cannot differ."""
        interval, (least, most) = f"the {LEVEL:.0%} interval over seeds", self.harmless
        within = f"within {least:.3g} to {most:.3g}"
        if self.side == "equal":
            holds, fails = f"{interval} lies {within}", "it lies outside"
        else:
            other = "below" if self.side == "above" else "above"
            holds, fails = f"{interval} lies {self.side} {self.at:g}", f"it lies {other}"
            if self.margin is not None:
                holds += f", the effect {self.side} {most if self.side == 'above' else least:.3g},"
                fails += f" or {within}"
        return (
            f"replicates if {holds} and q ≤ {ALPHA:g}; does not if {fails}; else, and with fewer than {FEWEST} seeds, "
            "inconclusive"
        )


@dataclass(frozen=True)
class Verdicts:
    """Claims evaluated on a study.

    Attributes:
        claims: One row per claim, in the order of declaration: claim, section, method, statement, statistic, null,
            effect_id, of and against (conditions), unit, scale, side, limit (no effect), margin, published, rule, seeds
            (with a finite effect), left_out (seeds without), measured, measured_null (means over seeds; geometric for
            ratios; for areas medians of the two groups of runs), value (the effect on the claim's scale), low, high
            (its 95 % interval; missing for a single seed), p (one-sided, against all effects that the claim excludes),
            q (Benjamini–Hochberg over all claims), verdict.
        by_seed: One row per claim and seed: claim, seed, value, null, effect; for areas the one within the seed.
        effects: What was measured in every run; claims and tables have their numbers from here.
    """

    claims: pd.DataFrame
    by_seed: pd.DataFrame
    effects: MeasuredEffects
    asked: tuple[SeedClaim, ...]

    def joined(self, *rows: pd.DataFrame) -> "Verdicts":
        """Return what the same claims say when effects of other runs are known too.

        Args:
            *rows: Each as `effects.rows`.
        """
        # The columns of a table without rows have types of their own.
        more = [part for part in rows if len(part)]
        if not more:
            return self
        every = pd.concat([*([self.effects.rows] if len(self.effects.rows) else []), *more], ignore_index=True)
        return judge(self.asked, replace(self.effects, rows=every))


def judge(claims: Sequence[SeedClaim], effects: MeasuredEffects) -> Verdicts:
    """Evaluate claims over the seeds of a study.

    The seed is the unit: whatever a claim measures within one is first averaged. q adjusts for all claims together.
    Law: where no claim is true and effects of seeds are normal, a claim replicates with probability at most .025.

    Returns:
        The verdicts; a claim that cannot be measured in any seed is "not measured" and stays in the table.
    """
    found = [_summarised(claim, effects) for claim in claims]
    p_values = [_p(claim, one, by_seed) for claim, (one, by_seed) in zip(claims, found, strict=True)]
    rows = [
        {
            "claim": claim.id,
            **{name: getattr(claim, name) for name in ("section", "method", "statement", "statistic", "null")},
            "effect_id": claim.effect.id,
            **{name: getattr(claim, name) for name in ("of", "against")},
            "unit": claim.effect.unit,
            **{name: getattr(claim, name) for name in ("scale", "side")},
            "limit": claim.at,
            **{name: getattr(claim, name) for name in ("margin", "published", "rule")},
            **{
                name: getattr(one, name)
                for name in ("seeds", "left_out", "measured", "measured_null", "value", "low", "high")
            },
            "p": p,
            "q": q,
            "verdict": verdict(claim, value=one.value, low=one.low, high=one.high, q=float(q), seeds=one.seeds),
        }
        for claim, (one, _), p, q in zip(claims, found, p_values, false_discovery_rate(p_values), strict=True)
    ]
    tables = [
        by_seed.assign(claim=claim.id)[["claim", "seed", "value", "null", "effect"]]
        for claim, (_, by_seed) in zip(claims, found, strict=True)
        if len(by_seed)
    ]
    none = pd.DataFrame(columns=["claim", "seed", "value", "null", "effect"])
    by_seed = pd.concat(tables, ignore_index=True).astype({"seed": np.int64}) if tables else none
    return Verdicts(pd.DataFrame(rows), by_seed, effects, tuple(claims))


def evaluate(claims: Sequence[SeedClaim], effects: Mapping[str, Effect], runs: Runs) -> Verdicts:
    """Measure effects in a study's runs and judge claims on them; those whose runs are missing are "not measured"."""
    return judge(claims, MeasuredEffects(effects, measure(effects.values(), runs)))


def verdict(claim: SeedClaim, *, value: float, low: float, high: float, q: float, seeds: int) -> Verdict:
    """Apply a claim's rule to its effect, on the claim's scale, with its interval and adjusted p-value.

    Laws: at most one verdict fits; a wider interval around the same effect turns a conclusion into "inconclusive",
    never into the other one. An effect that is real and within the margin is none that matters.

    Returns:
        The verdict.
    """
    if seeds == 0:
        return "not measured"
    if seeds < FEWEST:
        return "inconclusive"
    at, (least, most) = claim.at, claim.harmless
    within = least < low and high < most
    if claim.side == "equal":
        holds, fails = within, high < least or low > most
    elif claim.side == "above":
        holds, fails = low > at and value > most, high < at or within
    else:
        holds, fails = high < at and value < least, low > at or within
    if fails:
        return "does not"
    return "replicates" if holds and q <= ALPHA else "inconclusive"


def _summarised(claim: SeedClaim, effects: MeasuredEffects) -> tuple[Summary, pd.DataFrame]:
    """What seeds say of a claim, and the effect of each seed that has a finite one."""
    name = claim.effect.id
    if claim.separates:
        return effects.separation(name, claim.of, claim.against, numpy_generator(0, "area", claim.id))
    by_seed = effects.by_seed(name, claim.of, against=claim.against, within=claim.within)
    kept = np.isfinite(by_seed["effect"].to_numpy(np.float64))
    if claim.scale == "ratio":
        kept &= by_seed["effect"].to_numpy(np.float64) > 0
    return effects.summary(name, claim.of, against=claim.against, within=claim.within), by_seed[kept]


def _p(claim: SeedClaim, found: Summary, by_seed: pd.DataFrame) -> float:
    if claim.side == "below":
        return found.p_below
    if claim.side == "above" or found.seeds < 2:
        return found.p_above
    assert claim.margin
    scored = by_seed["effect"].to_numpy(np.float64)
    if claim.scale == "ratio":
        return equivalence_p(np.log(scored), margin=float(np.log(claim.margin)))
    return equivalence_p(scored, margin=claim.margin)
