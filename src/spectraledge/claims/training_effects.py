"""Effects of a run as a whole: when it generalises, what its window of updates looks like, when it changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.design import CHANGE_MARGIN, COMPOSITE, SELECTION_MARGIN, STEEP, STEPS_MARGIN, TASKS
from spectraledge.claims.effects import OWN, Effect, Read, Reading, RunReader, Scale, Unit
from spectraledge.claims.published import GROKKED_WITHIN
from spectraledge.training.metrics_tables import PARTS_FILE

GROKKED = 0.95
"""Test accuracy that counts as generalising (Xu 2026, §2)."""

MATCHED = "read at the first step with test accuracy .95, of other runs at the median of those steps in their seed"
_UPDATES = "updates of the same lengths at right angles"


def grokked_step(run: RunResult) -> float:
    """First step at which a run has learned its task, of several a² + b²; NaN if it never has."""
    parts = run.table(Path(PARTS_FILE).stem)
    if len(parts) and COMPOSITE in set(parts["part"]):
        there = parts[(parts["part"] == COMPOSITE) & (parts["test_accuracy"] >= GROKKED)]
        return float(there["step"].min()) if len(there) else np.nan
    return np.nan if run.manifest.grokked_step is None else float(run.manifest.grokked_step)


def steps_to_learn(run: RunResult) -> float:
    """First step at which a run has learned its task, else its last one: ratios are then closer to 1 than they are."""
    step = grokked_step(run)
    return float(run.manifest.step) if np.isnan(step) else step


Sign = tuple[str, str]
"""What alarms: quantity and change of a detector."""


def alarm_leads(table: str, first: Sign, second: Sign | None = None, **where: object) -> Read:
    """Steps by which an alarm precedes generalisation, beside another's; one that never comes is at the run's end."""

    def lead(reader: RunReader, sign: Sign) -> float:
        row = reader.rows(table, quantity=sign[0], change=sign[1], **where).iloc[0]
        alarm = reader.run.manifest.step if pd.isna(row["alarm_step"]) else row["alarm_step"]
        return float(row["grokked_step"] - alarm)

    def read(reader: RunReader) -> Reading | None:
        if not reader.run.grokked or not reader.has(table, **where):
            return None
        return Reading(lead(reader, first), lead(reader, second) if second else 0.0)

    return read


def false_alarms(table: str, sign: Sign, null: float = np.nan) -> Read:
    """Read the share of a control's rows in a table of first alarms that have one."""

    def read(reader: RunReader) -> Reading | None:
        rows = reader.rows(table, quantity=sign[0], change=sign[1])
        return None if reader.run.grokked or rows.empty else Reading(float(rows["alarm_step"].notna().mean()), null)

    return read


def _last_where_never(reader: RunReader) -> Reading:
    return Reading(float(reader.run.manifest.step) if np.isnan(grokked_step(reader.run)) else np.nan)


def _steps(reader: RunReader) -> Reading:
    return Reading(steps_to_learn(reader.run))


def _happens(happens: Callable[[RunResult], bool]) -> Read:
    return lambda reader: Reading(float(happens(reader.run)), 0.5)


def _in_time(run: RunResult) -> bool:
    return run.manifest.grokked_step is not None and run.manifest.grokked_step <= GROKKED_WITHIN


def own_selection(reader: RunReader) -> Reading | None:
    """Selection ratio of all own functions together; 1 is no selection."""
    table = reader.rows("selection", basis=OWN, subspace=WHOLE)
    return Reading(float(table["ratio"].iloc[0]), 1.0) if len(table) else None


def read_at(run: RunResult, runs: Runs) -> float:
    """Step at which single-task runs are compared: the first with accuracy .95, else its median in the seed, or NaN."""
    if run.manifest.grokked_step is not None:
        return float(run.manifest.grokked_step)
    seed = run.config.seed
    singles = (one for one in runs if one.config.task in TASKS and one.config.seed == seed)
    steps = [one.manifest.grokked_step for one in singles if one.manifest.grokked_step is not None]
    return float(np.median(steps)) if steps else np.nan


def _matched(**where: object) -> Read:
    def read(reader: RunReader) -> Reading | None:
        table, at = reader.rows("declines", **where), read_at(reader.run, reader.runs)
        if table.empty or np.isnan(at):
            return None
        row = table.iloc[int((table["step"] - at).abs().to_numpy().argmin())]
        return Reading(float(row["value"]), float(row.get("null", np.nan)))

    return read


PUBLISHED_DECLINE: dict[str, Any] = {"quantity": "g23", "definition": "since_peak", "window": 10, "centered": False}
"""Decline of g_23 by the scripts: the largest value so far over the value here, uncentred windows of 10 updates."""


def _steep(reader: RunReader) -> Reading | None:
    found = _matched(**PUBLISHED_DECLINE)(reader)
    return None if found is None else Reading(float(found.value > STEEP), 0.5)


def _decline(id_: str, words: str, null: str, unit: Unit = "ratio", **where: Any) -> Effect:
    scale: Scale = "difference" if unit == "count" else "ratio"
    return Effect(id_, f"{words}; {MATCHED}", unit, scale, null, _matched(**where))


def _agreement(reader: RunReader) -> pd.Series | None:
    table = reader.run.table("decomposition_agreement")
    # Its first row is of the study's own window.
    return None if table.empty else table.iloc[0]


def _spread(reader: RunReader) -> Reading | None:
    row = _agreement(reader)
    return None if row is None else Reading(float(row["spread"]), float(row["null_spread"]))


def _change(name: str, null: str) -> Read:
    def read(reader: RunReader) -> Reading | None:
        row = _agreement(reader)
        if row is None:
            return None
        after = row["grokked_step"]
        return Reading(float(row[name] - after), float(row[f"{name}_null"] - after) if null else np.nan)

    return read


def _changed(name: str, words: str, null: str) -> Effect:
    return Effect(f"change-{name}", f"change of {words} after .95", "steps", "difference", null, _change(name, null))


_HALF = "one half"
_OF_PART = "on a² + b² where it is one of several tasks"

# fmt: off
TRAINING_EFFECTS: tuple[Effect, ...] = (
    Effect("groks", "whether test accuracy reaches .95 in all tasks within the budget",
           "rate", "rate", _HALF, _happens(lambda run: run.grokked)),
    Effect("groks-in-time", f"whether test accuracy reaches .95 within {GROKKED_WITHIN:,} steps",
           "rate", "rate", _HALF, _happens(_in_time)),
    Effect("step-reached", f"first step with test accuracy of .95, {_OF_PART}",
           "steps", "ratio", "", lambda reader: Reading(grokked_step(reader.run))),
    Effect("last-where-never", f"last step of a run that never has a test accuracy of .95, {_OF_PART}",
           "steps", "ratio", "", _last_where_never),
    Effect("steps", f"steps until test accuracy reaches .95, {_OF_PART}, from the run's own start; the last one where "
           "never", "steps", "ratio", "", _steps, STEPS_MARGIN),
    Effect("steps-taken", "steps taken", "steps", "difference", "",
           lambda reader: Reading(float(reader.run.manifest.step))),
    Effect("test-accuracy", "test accuracy at the end", "share", "difference", "",
           lambda reader: Reading(float(reader.run.manifest.test_accuracy))),
    Effect("selection", "selection ratio S of all functions of the task's own variable together",
           "ratio", "ratio", "isotropic directions: S = 1", own_selection, SELECTION_MARGIN),
    _decline("floor-ratio", "the largest eigenvalue of the centred window over its noise floor", "the floor: 1",
             quantity="floor_ratio", definition="value"),
    _decline("above-floor", "eigenvalues of the centred window above its noise floor", "their rate of false alarms",
             "count", quantity="above_floor", definition="value"),
    _decline("decline-share", "the decline of g_23's share of the trace, in uncentred windows of 10 updates",
             _UPDATES, **{**PUBLISHED_DECLINE, "quantity": "g23_share"}),
    _decline("decline", "the decline of g_23 from its largest value, in uncentred windows of 10 updates",
             _UPDATES, **PUBLISHED_DECLINE),
    _decline("decline-since-first", "the decline of g_23 from its first value, in uncentred windows of 20 updates",
             _UPDATES, **{**PUBLISHED_DECLINE, "definition": "since_first", "window": 20}),
    _decline("decline-weights", "the decline of the weight norm from its first value", "weight decay alone",
             quantity="weight_norm", definition="since_first"),
    Effect("steep-decline", f"whether g_23 declines more than {STEEP:g} times; {MATCHED}",
           "rate", "rate", _HALF, _steep),
    Effect("changes-spread", "steps between the first and the last change of g_23, of the path's first component and "
           "of σ_1/σ_2 of W_Q and W_K", "steps", "difference", "median of three changes anywhere in the course",
           _spread, CHANGE_MARGIN),
    _changed("updates", "g_23", _UPDATES),
    _changed("displacement", "the path's first component", "a random walk with the same steps"),
    _changed("weights", "σ_1/σ_2 of W_Q and W_K", ""),
)
# fmt: on
"""What is measured of every run."""
