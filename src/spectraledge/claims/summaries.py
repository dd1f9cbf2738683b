"""Effects over seeds: what runs of a condition show, with intervals; the one place where claims and tables get them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan
from typing import Literal

import numpy as np
import pandas as pd
from numpy.random import Generator

from spectraledge.arrays import Bools, Ints
from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Effect, Scale
from spectraledge.statistics import discrimination, mean_estimate, rate_estimate

LEVEL = 0.95
"""Coverage of intervals over seeds."""

NO_EFFECT: dict[str, float] = {"difference": 0.0, "ratio": 1.0, "rate": 0.5, "area": 0.5}
"""Effect of each scale where there is none."""

Within = Literal["mean", "all", "none"]
"""What a seed's runs of a condition say together: their mean, geometric for ratios; or whether something happens in all
of them, or in none."""

SEED_COLUMNS = ["seed", "value", "null", "effect"]


@dataclass(frozen=True)
class Summary:
    """What seeds say of an effect.

    Attributes:
        seeds: Seeds with a finite effect.
        left_out: Seeds without.
        measured: Mean over seeds of the value; geometric for ratios; for areas the median of the first group of runs.
        measured_low: Lower end of its interval; missing for a single seed.
        measured_high: Upper end.
        measured_null: The same as `measured` of the null, or of the second group.
        value: The effect, on its scale; missing where there is no null.
        low: Lower end of its interval.
        high: Upper end.
        p_above: p-value against an effect of none or less.
        p_below: p-value against an effect of none or more.
    """

    seeds: int = 0
    left_out: int = 0
    measured: float = nan
    measured_low: float = nan
    measured_high: float = nan
    measured_null: float = nan
    value: float = nan
    low: float = nan
    high: float = nan
    p_above: float = nan
    p_below: float = nan


@dataclass(frozen=True)
class Extent:
    """How many runs of a condition have an effect and learned their task, and its ends in them."""

    runs: int
    learned: int
    lowest: float
    highest: float


@dataclass(frozen=True)
class MeasuredEffects:
    """The effects of a study by id, a row for each in every run (see `measure`), and how they are summarised."""

    declared: Mapping[str, Effect]
    rows: pd.DataFrame

    @cached_property
    def _by_effect(self) -> dict[object, Ints]:
        """Places of the rows of every effect."""
        return {name: np.sort(places) for name, places in self.rows.groupby("effect_id", sort=False).indices.items()}

    @cached_property
    def _held(self) -> dict[str, Bools]:
        """Which rows are of the runs of conditions that were asked for."""
        return {}

    @cached_property
    def _known(self) -> dict[tuple[str, ...], pd.DataFrame]:
        # Claims, tables and figures ask for the same rows; whoever does leaves them as they are.
        return {}

    def of(self, effect: str, condition: str) -> pd.DataFrame:
        """Return the rows of an effect in the runs of a condition."""
        assert effect in self.declared, f"{effect} is no declared effect"
        known = self._known
        if (key := (effect, condition)) not in known:
            chosen = CONDITIONS[condition]
            if condition not in self._held:
                self._held[condition] = chosen.holds(self.rows)
            places = self._by_effect.get(effect, np.zeros(0, np.int64))
            known[key] = chosen.whole_seeds(self.rows.take(places[self._held[condition][places]]))
        return known[key]

    def by_seed(self, effect: str, of: str, *, against: str = "", within: Within = "mean") -> pd.DataFrame:
        """An effect in every seed, beside a condition's values as nulls: seed, value, null, effect; NaN without."""
        scale, known = self.declared[effect].scale, self._known
        if (key := (effect, of, against, within)) in known:
            return known[key]
        table = _within(self.of(effect, of), scale, within)
        if against:
            nulls = _within(self.of(effect, against), scale, within)["value"]
            table = table.assign(null=nulls).dropna(subset=["value", "null"])
        known[key] = _effects(table.reset_index(), scale, self._has_null(effect, against))
        return known[key]

    def summary(self, effect: str, of: str, *, against: str = "", within: Within = "mean") -> Summary:
        """Summarise an effect over seeds."""
        table = self.by_seed(effect, of, against=against, within=within)
        return summarise(table, self.declared[effect].scale, compared=self._has_null(effect, against))

    def extent(self, effect: str, of: str) -> Extent:
        """Tell between which values an effect lies in the runs of a condition."""
        rows = self.of(effect, of)
        values = rows["value"]
        return Extent(len(rows), int(rows["learned"].sum()), float(values.min()), float(values.max()))

    def separation(self, effect: str, of: str, against: str, generator: Generator) -> tuple[Summary, pd.DataFrame]:
        """How well values tell runs from others (see `discrimination`), over seeds that have both, and within each."""
        groups = [self.of(effect, group) for group in (of, against)]
        finite = [rows[np.isfinite(rows["value"].to_numpy(np.float64))] for rows in groups]
        both = set(finite[0]["seed"]) & set(finite[1]["seed"])
        left_out = len(set(groups[0]["seed"]) | set(groups[1]["seed"])) - len(both)
        if not both:
            return Summary(left_out=left_out), pd.DataFrame(columns=SEED_COLUMNS)
        first, second = (rows[rows["seed"].isin(both)] for rows in finite)
        by_seed = [
            (seed, _area(part["value"], second.loc[second["seed"] == seed, "value"]))
            for seed, part in first.groupby("seed")
        ]
        table = pd.DataFrame([(seed, area, NO_EFFECT["area"], area) for seed, area in by_seed], columns=SEED_COLUMNS)
        medians = (float(rows["value"].median()) for rows in (first, second))
        found = Summary(
            len(both),
            left_out,
            next(medians),
            measured_null=next(medians),
            value=_area(first["value"], second["value"]),
        )
        if len(both) < 2:
            return found, table
        seeds = (first["seed"], second["seed"])
        area = discrimination(
            first["value"], second["value"], seeds=seeds, level=LEVEL, alternative="greater", generator=generator
        )
        return replace(found, low=area.low, high=area.high, p_above=area.p), table

    def _has_null(self, effect: str, against: str) -> bool:
        return bool(against or self.declared[effect].null)


def summarise(table: pd.DataFrame, scale: Scale, *, compared: bool = True) -> Summary:
    """Summarise rows of value, null and effect, one per seed: Student's t, of logarithms for ratios, or exact rates."""
    logarithmic = scale == "ratio"
    with np.errstate(divide="ignore", invalid="ignore"):
        # On the logarithmic scale a ratio of 0 is as far away as one without a null.
        scored = table["effect" if compared else "value"].to_numpy(np.float64)
        scored = np.log(scored) if logarithmic else scored
    kept = np.isfinite(scored)
    count, left_out = int(kept.sum()), int((~kept).sum())
    if not count:
        return Summary(left_out=left_out)
    scored = scored[kept]
    values, nulls = (table.loc[kept, name].to_numpy(np.float64) for name in ("value", "null"))
    measured, null = (_mean(values, logarithmic), _mean(nulls, logarithmic))
    if scale == "rate":
        rate = rate_estimate(int(scored.sum()), count, null=NO_EFFECT[scale], level=LEVEL)
        of_rate = (rate.value, rate.low, rate.high)
        return Summary(count, left_out, *of_rate, null, *of_rate, rate.p_above, rate.p_below)
    ends = _ends(values, logarithmic)
    if not compared:
        return Summary(count, left_out, measured, *ends)
    value = float(np.exp(scored.mean()) if logarithmic else scored.mean())
    found = Summary(count, left_out, measured, *ends, null, value)
    if count < 2:
        return found
    mean = mean_estimate(scored, level=LEVEL)
    low, high = (float(np.exp(end) if logarithmic else end) for end in (mean.low, mean.high))
    return replace(found, low=low, high=high, p_above=mean.p_above, p_below=mean.p_below)


def _mean(values: np.ndarray, logarithmic: bool) -> float:
    if logarithmic and (values > 0).all():
        return float(np.exp(np.log(values).mean()))
    return float(values.mean())


def _ends(values: np.ndarray, logarithmic: bool) -> tuple[float, float]:
    if len(values) < 2 or (logarithmic and not (values > 0).all()):
        return nan, nan
    mean = mean_estimate(np.log(values) if logarithmic else values, level=LEVEL)
    low, high = (np.exp(end) if logarithmic else end for end in (mean.low, mean.high))
    return float(low), float(high)


def _within(rows: pd.DataFrame, scale: Scale, within: Within) -> pd.DataFrame:
    """What each seed says, by seed: value and null."""
    if within != "mean":
        happens = rows.assign(value=rows["value"] == (within == "all")).groupby("seed")["value"].all()
        return pd.DataFrame({"value": happens.astype(np.float64), "null": NO_EFFECT["rate"]})
    if rows["seed"].is_unique:
        return rows[["seed", "value", "null"]].set_index("seed").sort_index()
    if scale != "ratio":
        return rows.groupby("seed")[["value", "null"]].agg(_whole_mean)
    # A statistic of 0 has no logarithm: its seed is left out, and counted as such.
    logarithms = rows[["value", "null"]].where(lambda values: values > 0).apply(np.log)
    return logarithms.groupby(rows["seed"]).agg(_whole_mean).apply(np.exp)


def _whole_mean(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def _effects(table: pd.DataFrame, scale: Scale, compared: bool) -> pd.DataFrame:
    values, nulls = (table[name].to_numpy(np.float64) for name in ("value", "null"))
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = {"difference": values - nulls, "ratio": values / nulls, "rate": values}[scale]
    return table.assign(effect=effect if compared else nan)[SEED_COLUMNS]


def _area(first: pd.Series, second: pd.Series) -> float:
    one, other = first.to_numpy()[:, None], second.to_numpy()
    return float(((one > other) + 0.5 * (one == other)).mean())
