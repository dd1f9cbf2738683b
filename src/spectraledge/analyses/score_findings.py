"""What the score of a run says, in a sentence."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.selection_tables import WHOLE, numbered, of_functions
from spectraledge.modes import needed
from spectraledge.tasks import grouping_rule

FALSE_ALARMS = 0.05
"""Largest chance of a false alarm at which an onset is said in words (our choice); tables have all."""

LEADING = 3
"""Kinds of functions that are named."""


@dataclass(frozen=True)
class WatchedCourse:
    """The functions that a watched model computes, those that end furthest above chance first.

    Attributes:
        shares: Shares of the read-out's energy by step (rows) and name of the functions (columns); "rest", which names
            none, is left out, and so are steps at which the read-out was not finite.
        chance: Their shares by chance, by name.
        basis: What they are functions of, where that is one basis; else "", and their names say it.
    """

    shares: pd.DataFrame
    chance: pd.Series
    basis: str

    @classmethod
    def of(cls, score: pd.DataFrame) -> "WatchedCourse":
        """Take a table `SCORE` of one read-out on one half."""
        bases = list(dict.fromkeys(score["basis"]))
        rows = of_functions(score)
        name = rows["subspace"] if len(bases) == 1 else rows["subspace"] + " of " + rows["basis"]
        rows = rows.assign(name=name)
        shares = rows.pivot(index="step", columns="name", values="share").dropna()
        chance = rows.groupby("name", sort=False)["chance"].first()
        if len(shares):
            excess = shares.iloc[-1].reindex(chance.index) - chance
            chance = chance[excess.sort_values(ascending=False, kind="stable").index]
        return cls(shares[list(chance.index)], chance, bases[0] if len(bases) == 1 else "")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see: no step, or no function."""
        return self.shares.empty

    @property
    def sentence(self) -> str:
        """What the model computes at the last step."""
        if self.empty:
            return "No function that the model computes has been read so far."
        steps, name = self.shares.index, str(self.shares.columns[0])
        of, course = f" of {self.basis}" if self.basis else "", self.shares[name]
        since = f", {course.iloc[0]:.1%} at step {steps[0]:,}" if len(steps) > 1 else ""
        return (
            f"At step {steps[-1]:,}, {name}{of} holds {course.iloc[-1]:.1%} of what the model computes on these inputs"
            f"{since} (values dealt to them at random: {self.chance[name]:.1%}); of {len(self.chance)} kinds of "
            "functions it is the furthest above chance."
        )


def own_course(score: pd.DataFrame, basis: str, *, half: str, readout: str = FUNCTION) -> pd.DataFrame:
    """Share of the energy in all frequencies of a basis, and its chance, at every snapshot."""
    rows = score[(score["basis"] == basis) & (score["half"] == half) & (score["readout"] == readout)]
    return of_functions(rows).groupby("step")[["share", "chance"]].sum()


def carried(carriers: pd.DataFrame) -> pd.DataFrame:
    """Sum what directions carry over all measured intervals in which both windows are full, signed.

    Returns:
        A row per window, kind and k that all those intervals have: growth, and share of what all watched parameters
        carry.
    """
    full = carriers.groupby("step")["window"].transform("nunique") == carriers["window"].nunique()
    rows = carriers[full]
    steps = rows["step"].nunique()
    found = rows.groupby(["window", "kind", "k"], sort=False)["growth"].agg(["sum", "size"]).reset_index()
    whole = float(rows.loc[rows["kind"] == "all", "growth"].sum())
    everywhere = found[found["size"] == steps]
    return (
        everywhere.drop(columns="size")
        .rename(columns={"sum": "growth"})
        .assign(share=lambda table: table["growth"] / (whole or np.nan))
    )


def carried_sentence(carriers: pd.DataFrame, *, edge: int) -> str:
    """Say how much of the growth the leading directions carry; "" where no interval was measured."""
    summed = carried(carriers)
    whole = summed.loc[summed["kind"] == "all", "growth"]
    if whole.empty:
        return ""
    parts = []
    for window, words in (("before", "of the window before, which has not seen it,"), ("own", "of its own window")):
        curve = summed[(summed["window"] == window) & (summed["kind"] == "edge")].set_index("k")["growth"]
        if edge in curve.index:
            half = needed(curve.to_numpy(np.float64), float(whole.iloc[0]), 0.5)
            enough = f"half takes {half}" if half else f"all {len(curve)} do not hold half"
            parts.append(f"the {edge} leading directions {words} {curve[edge]:+.3f} ({enough})")
    return (
        f"Over the measured intervals the watched weights carried {float(whole.iloc[0]):+.3f} of growth in these "
        f"functions, in units of the function's energy: {'; '.join(parts)}."
    )


def score_sentence(own: str, score: pd.DataFrame, metrics: pd.DataFrame, onsets: pd.DataFrame) -> str:
    """Say what a network learned, when, and how one knows; `onsets` has no rows where no controls were given."""
    course = own_course(score, own, half="test")
    last = int(course.index[-1])
    good = metrics.loc[metrics["test_accuracy"] >= 0.95, "step"]
    rows = score[(score["basis"] == own) & (score["half"] == "test") & (score["readout"] == FUNCTION)]
    there = of_functions(rows[rows["step"] == last]).nlargest(LEADING, "share")["subspace"]
    names = ", ".join(name.removeprefix(f"{WHOLE} ") for name in there)
    names = f"frequencies {names}" if numbered(there) else names
    first = (
        f"On pairs that it never saw, functions of {grouping_rule(own).formula} hold {course['share'][last]:.1%} of "
        f"what the network computes at step {last:,} (chance {course['chance'][last]:.1%}; most in "
        f"{names}), and test accuracy "
    )
    first += f"reached .95 at step {int(good.min()):,}." if len(good) else "never reached .95."
    dated = onsets[(onsets["half"] == "test") & (onsets["readout"] == FUNCTION) & (onsets["subspace"] == WHOLE)]
    if dated.empty:
        return f"{first} When that began is not dated: give runs on permuted answers with --control."
    found = dated.iloc[0]
    count, rate = int(found["controls"]), float(found["rate"])
    if rate > FALSE_ALARMS:
        given = f"{count} controls" if count > 1 else "one control"
        return (
            f"{first} When that began is not dated: against {given} a false alarm has a chance of up to {rate:.2g}; "
            f"{round(1 / FALSE_ALARMS) - 1} controls make it {FALSE_ALARMS:g}."
        )
    beyond = f"what {count} controls reach (a false alarm has a chance of at most {rate:.2g})"
    if np.isnan(found["onset"]):
        return f"{first} Their share never left {beyond}."
    ahead = "" if np.isnan(found["lead"]) else f", {int(found['lead']):,} steps before test accuracy reached .95"
    return f"{first} Their share left {beyond} at step {int(found['onset']):,}{ahead}."
