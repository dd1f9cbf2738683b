"""Effects of the function itself: when it appears, beside what else tells of it, and which directions carry its growth.

Every effect is of a run that learned its task, and of the functions of its own variable.
"""

from collections.abc import Iterator
from math import nan

import numpy as np
import pandas as pd

from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.lead_times import first_alarms
from spectraledge.analyses.onsets import score_alarm_runs
from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.score_findings import carried, own_course
from spectraledge.analyses.selection_tables import of_functions
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.carrier_curves import whole_growth
from spectraledge.claims.design import CHANGE_MARGIN, SHARE_MARGIN
from spectraledge.claims.effects import OWN, Effect, Read, Reading, RunReader, measure
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.training_effects import alarm_leads, false_alarms, grokked_step

ALARMS = "onset_alarms"
"""Table of a run: first alarms of every detector in the basis of every learned task, see `first_alarms`."""

CARRIED = "carried"
"""Table of a run: what directions carry over all measured intervals, see `carried`."""

LINES_SHARE = 0.9
"""Share of the own functions' energy that its strongest frequencies are counted for (our choice)."""

GROWN_MARGIN = 0.05
"""Largest difference of parts of a growth that does not matter (our choice: as much as one of 20 directions)."""

EDGE = AnalysisConfig().edge
"""Directions that count as the edge."""

ONSETS = {
    "own": (("score_test", "high"), "the share of all own functions on test pairs rises"),
    "strongest": (("strongest_test", "high"), "the strongest single own function on test pairs rises"),
    "accuracy": (("test_accuracy", "high"), "test accuracy rises"),
    "loss": (("test_loss", "low"), "test loss falls"),
    "weights": (("weight_norm", "low"), "the weight norm falls"),
    "training-loss": (("train_loss", "low"), "train loss falls"),
}
"""What leaves the band of controls, and in which direction: quantity and change of a detector, and words."""

_UNSEEN = "thresholds from controls of other seeds"


def _prepared(runs: Runs) -> list[RunResult]:
    """Give every run what several effects read of it: `CARRIED`, and `ALARMS` where two seeds have controls."""
    alarms = _alarms(runs)
    found = []
    for run in runs:
        tables = {ALARMS: alarms[run.run_id]} if run.run_id in alarms else {}
        if len(run.table("carriers")):
            tables[CARRIED] = carried(run.table("carriers"))
        found.append(run.with_tables(**tables))
    return found


def _alarms(runs: Runs) -> dict[str, pd.DataFrame]:
    found = [pd.DataFrame(columns=["run"])]
    for basis in dict.fromkeys(run.structure for run in runs if run.grokked):
        seen = score_alarm_runs(runs, basis)
        controlled = {run.seed for run in seen if run.grokked_step is None}
        if len(controlled) > 1:
            alarms = first_alarms([run for run in seen if run.seed in controlled])
            found.append(alarms.assign(basis=basis))
    return {str(name): rows for name, rows in pd.concat(found[1:] or found, ignore_index=True).groupby("run")}


def _own_share(reader: RunReader) -> Reading | None:
    if not reader.has("score", basis=OWN, half="test"):
        return None
    last = own_course(reader.run.table("score"), reader.run.structure, half="test").iloc[-1]
    return Reading(float(last["share"]), float(last["chance"]))


def _lines(reader: RunReader) -> Reading | None:
    """How many frequencies hold most of what all of them hold, and how many would if all held as much."""
    rows = reader.rows("score", basis=OWN, half="test", readout=FUNCTION)
    if rows.empty:
        return None
    rows = of_functions(rows[rows["step"] == rows["step"].max()])
    share_S = np.sort(rows["share"].to_numpy(np.float64))[::-1]
    count = int(np.searchsorted(np.cumsum(share_S), LINES_SHARE * share_S.sum())) + 1
    return Reading(float(count), float(np.ceil(LINES_SHARE * len(share_S))))


def _grown(reader: RunReader, split: str, part: str) -> float:
    """What the own functions grew by over all measured intervals, by a part of the change; NaN where it is unknown."""
    rows = reader.rows("growth", basis=OWN, split=split, part=part)
    return float(of_functions(rows)["growth"].sum()) if len(rows) else nan


def _parts(split: str, part: str, other: str = "") -> Read:
    """A part's growth over that of the whole first order, beside another's or nothing."""

    def read(reader: RunReader) -> Reading | None:
        whole = _grown(reader, "change", "first order")
        if np.isnan(whole) or not whole:
            return None
        return Reading(_grown(reader, split, part) / whole, _grown(reader, split, other) / whole if other else 0.0)

    return read


def _explained(reader: RunReader) -> Reading | None:
    whole = _grown(reader, "change", "whole")
    return None if np.isnan(whole) else Reading(_grown(reader, "change", "first order") / whole, 1.0)


def _carries(window: str, kind: str, null: str, k: int | None) -> Read:
    """What the first k directions of a kind carry, beside those of another kind, or half of the whole growth."""

    def read(reader: RunReader) -> Reading | None:
        if not reader.has(CARRIED):
            return None
        found = reader.rows(CARRIED)
        curves = found[found["window"] == window].set_index(["kind", "k"])["growth"]
        count = k or int(max((place for name, place in curves.index if name == kind), default=1))
        if (kind, count) not in curves.index:
            return None
        if null == "half":
            return Reading(float(curves[kind, count]), whole_growth(reader.run) / 2)
        return Reading(float(curves[kind, count]), float(curves.get((null, count), nan)))

    return read


_WINDOWS = {"before": "the window before, which has not seen the interval", "own": "the interval's own window"}
_NULLS = {
    "span": "as many random directions of its span",
    "random": "as many isotropic directions",
    "half": "half of what all parameters make them grow by",
}
_CARRIERS = {
    "edge-span": ("edge", "span", EDGE, f"the {EDGE} leading directions"),
    "edge-random": ("edge", "random", EDGE, f"the {EDGE} leading directions"),
    "edge-half": ("edge", "half", EDGE, f"the {EDGE} leading directions"),
    "mean-span": ("mean", "span", 1, "the mean update"),
    "gradient-span": ("gradient", "span", EDGE, f"the {EDGE} leading directions of the gradients"),
    "whole-random": ("edge", "random", None, "all directions"),
    "whole-half": ("edge", "half", None, "all directions"),
}
"""Kind, null and number of directions, and words."""


# fmt: off
def _carrier_effects() -> list[Effect]:
    return [
        Effect(f"carried-{window}:{name}",
               f"growth of the own functions, in units of the energy before, by {words} of {of}",
               "share", "difference", _NULLS[null], _carries(window, kind, null, k))
        for window, of in _WINDOWS.items() for name, (kind, null, k, words) in _CARRIERS.items()
    ]


def _onset_effects() -> Iterator[Effect]:
    for name, (sign, words) in ONSETS.items():
        yield Effect(f"onset-{name}", f"steps from where {words}, beyond what controls reach, to test accuracy .95",
                     "steps", "difference", f"none; {_UNSEEN}", alarm_leads(ALARMS, sign, basis=OWN), CHANGE_MARGIN)
    for first in ("own", "strongest"):
        for second in ("accuracy", "loss", "weights"):
            (sign, words), (other, said) = ONSETS[first], ONSETS[second]
            yield Effect(f"onset-{first}:{second}", f"steps from where {words} to test accuracy .95",
                         "steps", "difference", f"the same from where {said}; both beyond what controls reach",
                         alarm_leads(ALARMS, sign, other, basis=OWN), CHANGE_MARGIN)
    for name, (sign, words) in ONSETS.items():
        yield Effect(f"false-{name}", f"share of controls in which {words} beyond what others reach", "share",
                     "difference", "", false_alarms(ALARMS, sign))
# fmt: on


_FIRST = "the change of first order"

SCORE_EFFECTS = {
    effect.id: effect
    for effect in (
        Effect("own-share", "share of the logits' energy on test pairs, at the end, in functions of the own variable",
               "share", "difference", "a permuted read-out", _own_share, SHARE_MARGIN),
        Effect("lines", f"frequencies that hold {LINES_SHARE:.0%} of the own functions' energy at the end",
               "count", "ratio", "as many as if all held as much", _lines),
        Effect("steps-to-learn", "first step with test accuracy of .95", "steps", "ratio", "",
               lambda reader: Reading(grokked_step(reader.run))),
        *_onset_effects(),
        Effect("explained", f"{_FIRST}, by the derivative half-way, over the whole growth of the own functions",
               "ratio", "ratio", "1: nothing beyond", _explained, 1.1),
        Effect("grown:mean-fluctuation", f"part of {_FIRST} that the mean of the window before makes", "share",
               "difference", "what the update differs from it by", _parts("window", "mean", "fluctuation"),
               GROWN_MARGIN),
        Effect("grown:optimizer-none", f"part of {_FIRST} that the optimizer's steps of watched weights make", "share",
               "difference", "nothing", _parts("moves", "optimizer"), GROWN_MARGIN),
        Effect("grown:decay-none", f"part of {_FIRST} that weight decay of watched weights makes", "share",
               "difference", "nothing", _parts("moves", "decay"), GROWN_MARGIN),
        Effect("grown:embeddings-none", f"part of {_FIRST} that the embeddings make", "share", "difference", "nothing",
               _parts("group", "embeddings"), GROWN_MARGIN),
        *_carrier_effects(),
    )
}  # fmt: skip
"""Everything that is measured of the function in the runs of a study."""


def measure_score(runs: Runs) -> MeasuredEffects:
    """Measure every effect of the function in every run."""
    return MeasuredEffects(SCORE_EFFECTS, measure(SCORE_EFFECTS.values(), _prepared(runs)))
