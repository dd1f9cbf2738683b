"""Verdicts over seeds: what a declared claim's effects, one per seed, support."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from spectraledge.analyses.run_result import Runs
from spectraledge.statistics import discrimination, equivalence_p, false_discovery_rate, mean_estimate, rate_estimate
from spectraledge.streams import numpy_generator

Float = NDArray[np.float64]
Scale = Literal["difference", "ratio", "rate", "area"]
Side = Literal["above", "below", "equal"]
Method = Literal["sound", "published"]
Verdict = Literal["replicates", "does not", "inconclusive", "not measured"]

LEVEL = 0.95
"""Coverage of intervals over seeds."""

ALPHA = 0.05
"""Expected share of false findings among the claims that replicate."""

FEWEST = 3
"""Seeds below which nothing is concluded (our choice: two give a t interval 13 standard errors long on either side)."""

NO_EFFECT: dict[Scale, float] = {"difference": 0.0, "ratio": 1.0, "rate": 0.5, "area": 0.5}
"""Effect of each scale where there is none."""

EFFECT_COLUMNS = ("claim", "seed", "value", "null", "effect")


@dataclass(frozen=True)
class SeedClaim:
    """A claim over seeds, declared before it is evaluated.

    Attributes:
        id: Short name.
        section: Where Xu 2026 makes it, or has what it answers.
        method: Whether the statistic is the published one, or one that is specific to the claim ("sound").
        statement: The claim in a sentence.
        statistic: What is measured in each seed.
        null: What it is compared with in the same seed.
        scale: What an effect is. difference: the statistic less its null. ratio: over its null, averaged in logarithms.
            rate: seeds in which something happens. area: of the ROC curve by which the statistic tells groups of runs
            apart, see `discrimination`.
        side: Where the claim says that the effect lies: above or below the limit, or equal to no effect.
        limit: The effect that must be exceeded. Default: no effect, see `NO_EFFECT`.
        margin: The largest effect that does not matter, a difference or a factor; "equal" is within it. Chosen before
            looking.
        published: What Xu 2026 reports, as text; nothing is decided from it.
    """

    id: str
    section: str
    method: Method
    statement: str
    statistic: str
    null: str
    scale: Scale
    side: Side
    limit: float | None = None
    margin: float | None = None
    published: str = ""

    def __post_init__(self) -> None:
        of_means = self.scale in ("difference", "ratio")
        assert (self.margin is None) if not of_means else (self.margin or self.side != "equal"), self.id
        assert self.limit is None or self.side != "equal", self.id
        assert self.scale != "area" or (self.side == "above" and self.limit is None), self.id

    @property
    def at(self) -> float:
        """The effect that the interval is compared with."""
        return NO_EFFECT[self.scale] if self.limit is None else self.limit

    @property
    def harmless(self) -> tuple[float, float]:
        """The least and the most that an effect may be without mattering; no effect at all where there is no margin."""
        if self.margin is None:
            return self.at, self.at
        return (1 / self.margin, self.margin) if self.scale == "ratio" else (-self.margin, self.margin)

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


Measure = Callable[[Runs], pd.DataFrame]
"""Effects of a claim in a study. One row per seed: seed, value, null; for a rate value is 1 where it happens, else 0.
For an area one row per run: seed, value, first (whether the run is of the group that should have the larger values). No
rows where what it needs was not measured."""

Declared = tuple[SeedClaim, Measure]


@dataclass(frozen=True)
class Verdicts:
    """Claims evaluated on a study.

    Attributes:
        claims: One row per claim, in the order of declaration: claim and all that it declares (`rule` in words),
            seeds (with a finite effect), left_out (seeds without), measured, measured_null (means over seeds; geometric
            for ratios; for areas medians of the two groups of runs), value (the effect on the claim's scale), low, high
            (its 95 % interval; missing for a single seed), p (one-sided, against all effects that the claim excludes),
            q (Benjamini–Hochberg over all claims), verdict.
        effects: One row per claim and seed: claim, seed, value, null, effect; for areas the one within the seed.
    """

    claims: pd.DataFrame
    effects: pd.DataFrame


@dataclass(frozen=True)
class _Found:
    """What seeds say of one claim; ends and effect on its own scale."""

    seeds: int = 0
    left_out: int = 0
    measured: float = np.nan
    measured_null: float = np.nan
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan


def judge(declared: Sequence[Declared], runs: Runs) -> Verdicts:
    """Evaluate claims over the seeds of a study.

    The seed is the unit: whatever a claim measures within one is first averaged. q adjusts for all claims together.
    Law: where no claim is true and effects of seeds are normal, a claim replicates with probability at most .025.

    Args:
        declared: The claims and how each is measured.
        runs: The finished runs.

    Returns:
        The verdicts; a claim that cannot be measured in any seed is "not measured" and stays in the table.
    """
    found, tables = [], []
    for claim, measure in declared:
        table = measure(runs)
        one, of_seeds = _areas(claim, table) if claim.scale == "area" else _means(claim, table)
        found.append(one)
        tables.append(of_seeds.assign(claim=claim.id)[list(EFFECT_COLUMNS)])
    q_values = false_discovery_rate([one.p for one in found])
    rows = [
        {
            "claim": claim.id,
            **{name: value for name, value in asdict(claim).items() if name != "id"},
            "limit": claim.at,
            "rule": claim.rule,
            **asdict(one),
            "q": q,
            "verdict": verdict(claim, value=one.value, low=one.low, high=one.high, q=float(q), seeds=one.seeds),
        }
        for (claim, _), one, q in zip(declared, found, q_values, strict=True)
    ]
    measured = [table for table in tables if len(table)]
    none = pd.DataFrame(columns=list(EFFECT_COLUMNS))
    effects = pd.concat(measured, ignore_index=True).astype({"seed": np.int64}) if measured else none
    return Verdicts(pd.DataFrame(rows), effects)


def verdict(claim: SeedClaim, *, value: float, low: float, high: float, q: float, seeds: int) -> Verdict:
    """Apply a claim's rule.

    Laws: at most one verdict fits; a wider interval around the same effect turns a conclusion into "inconclusive",
    never into the other one. An effect that is real and within the margin is none that matters.

    Args:
        claim: The claim.
        value: The effect, on the claim's scale.
        low: Lower end of its interval.
        high: Upper end.
        q: Adjusted p-value.
        seeds: Seeds with an effect.

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


def _means(claim: SeedClaim, table: pd.DataFrame) -> tuple[_Found, pd.DataFrame]:
    """Estimate a difference, ratio or rate."""
    if table.empty:
        return _Found(), pd.DataFrame(columns=list(EFFECT_COLUMNS))
    assert table["seed"].is_unique, claim.id
    values, nulls = (table[name].to_numpy(np.float64) for name in ("value", "null"))
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = {"difference": values - nulls, "ratio": values / nulls, "rate": values}[claim.scale]
        # On the logarithmic scale a ratio of 0 is as far away as one without a null.
        scored = np.log(effects) if claim.scale == "ratio" else effects
    kept = np.isfinite(scored)
    rows = table.assign(effect=effects)[kept]
    scored, back = scored[kept], np.exp if claim.scale == "ratio" else np.asarray
    count = len(scored)
    if count == 0:
        return _Found(left_out=len(table)), rows
    levels = np.array([values[kept], nulls[kept]])
    logarithmic = claim.scale == "ratio" and (levels > 0).all()
    measured, measured_null = np.exp(np.log(levels).mean(axis=1)) if logarithmic else levels.mean(axis=1)
    found = _Found(count, int((~kept).sum()), float(measured), float(measured_null), float(back(scored.mean())))
    if claim.scale == "rate":
        rate = rate_estimate(int(scored.sum()), count, null=claim.at, level=LEVEL)
        return replace(found, low=rate.low, high=rate.high, p=_on(claim.side, rate.p_above, rate.p_below)), rows
    if count < 2:
        return found, rows
    at = np.log(claim.at) if claim.scale == "ratio" else claim.at
    mean = mean_estimate(scored, null=float(at), level=LEVEL)
    p = _on(claim.side, mean.p_above, mean.p_below)
    if claim.side == "equal":
        assert claim.margin
        p = equivalence_p(scored, margin=float(np.log(claim.margin)) if claim.scale == "ratio" else claim.margin)
    return replace(found, low=float(back(mean.low)), high=float(back(mean.high)), p=p), rows


def _on(side: Side, p_above: float, p_below: float) -> float:
    return p_below if side == "below" else p_above


def _areas(claim: SeedClaim, table: pd.DataFrame) -> tuple[_Found, pd.DataFrame]:
    """Estimate an area from the seeds that have runs of both groups."""
    none = pd.DataFrame(columns=list(EFFECT_COLUMNS))
    if table.empty:
        return _Found(), none
    finite = table[np.isfinite(table["value"])]
    both = finite.groupby("seed")["first"].nunique() == 2
    kept = finite[finite["seed"].map(both)]
    count, left_out = kept["seed"].nunique(), table["seed"].nunique() - kept["seed"].nunique()
    if count == 0:
        return _Found(left_out=left_out), none
    rows = []
    for seed, part in kept.groupby("seed"):
        rows.append((seed, _area(part), NO_EFFECT["area"], _area(part)))
    effects = pd.DataFrame(rows, columns=["seed", "value", "null", "effect"])
    first, second = kept[kept["first"]], kept[~kept["first"]]
    found = _Found(count, left_out, float(first["value"].median()), float(second["value"].median()), _area(kept))
    if count < 2:
        return found, effects
    area = discrimination(
        first["value"],
        second["value"],
        seeds=(first["seed"], second["seed"]),
        level=LEVEL,
        alternative="greater",
        generator=numpy_generator(0, "area", claim.id),
    )
    return replace(found, low=area.low, high=area.high, p=area.p), effects


def _area(table: pd.DataFrame) -> float:
    first, second = (table.loc[table["first"] == group, "value"].to_numpy() for group in (True, False))
    return float(((first[:, None] > second) + 0.5 * (first[:, None] == second)).mean())
