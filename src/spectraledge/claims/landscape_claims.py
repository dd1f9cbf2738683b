"""Claims on gradients and on the curvature of the loss: what they see of the answers, and whether they tell in advance.

Every effect is read at a run that learns addition; what tells in advance is held against controls of other seeds.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from spectraledge.analyses.curvature import COMMUTATOR, DEFECTS, LEADERS
from spectraledge.analyses.gradient_windows import EDGES, SELECTED
from spectraledge.analyses.lead_times import AlarmRun, alike, first_alarms
from spectraledge.analyses.run_result import RunResult, Runs
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.design import CHANGE_MARGIN, TOOL_MARGIN
from spectraledge.claims.effects import Effect, Read, Reading, RunReader
from spectraledge.claims.published import LATER
from spectraledge.claims.training_effects import alarm_leads, false_alarms
from spectraledge.claims.verdicts import Method, SeedClaim, Side, Verdicts, evaluate

ALARMS = "landscape_alarms"
"""Table of a run: first alarms of every detector, see `first_alarms`."""

SIGNS = {
    "defect": (("defect", "high"), "the commutator defect rises"),
    "curvature": (("curvature", "high"), "the curvature along two gradients rises"),
    "gradient": (("gradient", "high"), "the gradient rises"),
    "hessian": (("hessian", "high"), "the largest eigenvalue of the Hessian rises"),
    "weights": (("weight_norm", "low"), "the weight norm falls"),
    "loss": (("test_loss", "low"), "test loss falls"),
    "accuracy": (("test_accuracy", "high"), "test accuracy rises"),
}
"""What leaves the band of controls, and in which direction: quantity and change of a detector, and words."""

CONDITION, CONTROLS = "add-decay-learned", ("permuted", "few-pairs")
"""The runs that are read, and those that set thresholds, of their weight decay."""

RULE = (10.0, 20.0)
"""The published alarm (Xu, arXiv 2602.16746, scripts): above the factor over the median of the first three values, and
the least value."""

HALF = 0.5
"""Test accuracy that its lead is counted to."""

_EDGE = AnalysisConfig().edge


def rule_step(defects: pd.DataFrame) -> float:
    """Return the first step at which the published alarm on the commutator defect sounds; NaN where it never does."""
    values, (times, least) = defects["defect"].to_numpy(np.float64), RULE
    over = values > max(times * float(np.median(values[:3])), least)
    return float(defects["step"].iloc[int(over.argmax())]) if over.any() else np.nan


def _with_alarms(runs: Runs) -> list[RunResult]:
    """Give runs their first alarms, where two seeds have controls."""
    measured = [run for run in runs if len(run.table(DEFECTS.name))]
    seen = alike([AlarmRun.of(run) for run in measured])
    controlled = {run.seed for run in seen if run.grokked_step is None}
    if len(controlled) < 2:
        return list(runs)
    alarms = first_alarms([run for run in seen if run.seed in controlled])
    of_run = {str(name): rows for name, rows in alarms.groupby("run")}
    return [run.with_tables(**{ALARMS: of_run[run.run_id]}) if run.run_id in of_run else run for run in runs]


def _rule_leads(reader: RunReader) -> Reading | None:
    """Steps from the published alarm to half of test accuracy; one that never sounds counts as at the run's end."""
    defects = reader.rows(DEFECTS.name)
    if not reader.run.grokked or defects.empty:
        return None
    metrics, step = reader.run.metrics, rule_step(defects)
    there = metrics.loc[metrics["test_accuracy"] >= HALF, "step"].min()
    return Reading(float(there - (reader.run.manifest.step if np.isnan(step) else step)), 0.0)


def _rule_sounds(reader: RunReader) -> Reading | None:
    defects = reader.rows(DEFECTS.name)
    return None if reader.run.grokked or defects.empty else Reading(float(not np.isnan(rule_step(defects))), 0.5)


def _bends(vector: str, null: str) -> Read:
    """What the edge holds of a leading vector, beside as many others: the mean over snapshots with a full window."""

    def read(reader: RunReader) -> Reading | None:
        where = {"vector": vector, "number": 1, "direction": 0}
        held, beside = (reader.mean(LEADERS.name, column, **where) for column in ("overlap", null))
        return None if np.isnan(held) or not held or not beside else Reading(held, beside)

    return read


def _selects(source: str, null: str = "") -> Read:
    """Selection ratio of the own functions in a window, the mean over draws, beside that of another."""

    def read(reader: RunReader) -> Reading | None:
        value, beside = (
            reader.mean(SELECTED.name, "ratio", source=one, part="") if one else 1.0 for one in (source, null)
        )
        return None if np.isnan(value) or np.isnan(beside) else Reading(value, beside)

    return read


def _agrees(reader: RunReader) -> Reading | None:
    cosine = reader.mean(EDGES.name, "with_updates", source="gradient", part="")
    return None if np.isnan(cosine) else Reading(cosine, _EDGE / reader.run.parameters)


def _effects() -> Iterator[Effect]:
    controls, leads = "thresholds from controls of other seeds", "steps from where {} to test accuracy .95"
    for name, (sign, words) in SIGNS.items():
        said, read = leads.format(f"{words}, beyond what controls reach,"), alarm_leads(ALARMS, sign)
        yield Effect(f"alarm:{name}", said, "steps", "difference", f"none; {controls}", read, CHANGE_MARGIN)
        said = f"controls in which {words} beyond what others reach"
        yield Effect(f"false:{name}", said, "rate", "rate", "half of them", false_alarms(ALARMS, sign, 0.5))
    for name in ("curvature", "weights", "accuracy"):
        (defect, words), (sign, others) = SIGNS["defect"], SIGNS[name]
        said, read = leads.format(words), alarm_leads(ALARMS, defect, sign)
        beside = f"the same from where {others}; both beyond what controls reach"
        yield Effect(f"alarm:defect:{name}", said, "steps", "difference", beside, read, CHANGE_MARGIN)
    rule = f"the commutator defect exceeds {RULE[0]:g} times the median of its first three values, and {RULE[1]:g}"
    said = f"steps from where {rule} to a test accuracy of one half"
    yield Effect("alarm:rule", said, "steps", "difference", "none", _rule_leads, CHANGE_MARGIN)
    yield Effect("false:rule", f"controls in which {rule}", "rate", "rate", "half of them", _rule_sounds)

    held = "share of {} in the edge of updates, mean over snapshots"
    vectors = {
        "hessian": "the direction along which the loss bends most",
        "gauss-newton": "the leading direction of the Gauss–Newton matrix",
        COMMUTATOR: "the commutator of two gradient steps",
    }
    nulls = {"span": "as many directions at random in its window's span", "random": "as many isotropic directions"}
    for vector, words in vectors.items():
        for null, beside in nulls.items():
            read = _bends(vector, null)
            yield Effect(f"bend:{vector}:{null}", held.format(words), "index", "ratio", beside, read, TOOL_MARGIN)

    moved = "selection ratio of the own functions in the window of {}"
    for source, null, words, beside in (
        ("gradient", "", "gradients on a batch", "isotropic directions"),
        ("gradient", "permuted", "gradients on a batch", "that of gradients for permuted answers"),
        ("update", "gradient", "updates", "that of gradients on a batch"),
        ("decay", "optimizer", "weight decay's part of updates", "that of the optimizer's part"),
    ):
        name = f"select:{source}:{null or 'isotropic'}"
        yield Effect(name, moved.format(words), "ratio", "ratio", beside, _selects(source, null), TOOL_MARGIN)
    words = "mean squared cosine of the edge of gradients with that of updates"
    yield Effect("edges:gradient:update", words, "index", "ratio", "edges at random", _agrees, TOOL_MARGIN)


LANDSCAPE_EFFECTS = {effect.id: effect for effect in _effects()}
"""Every effect of the `landscape` study by id."""


def _claim(id_: str, section: str, statement: str, effect: str, side: Side, of: str = CONDITION) -> SeedClaim:
    method: Method = "published" if effect.endswith(":rule") else "sound"
    published = LATER.get(effect, "")
    return SeedClaim(id_, section, method, statement, LANDSCAPE_EFFECTS[effect], of, side, published=published)


# fmt: off
LANDSCAPE_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("rule-leads", "timing",
           "The published alarm on the commutator defect sounds before test accuracy reaches one half.",
           "alarm:rule", "above"),
    _claim("rule-is-silent-on-permuted-answers", "timing",
           "The published alarm stays silent on permuted answers.", "false:rule", "below", "permuted"),
    _claim("rule-is-silent-on-few-pairs", "timing",
           "The published alarm stays silent on too few pairs.", "false:rule", "below", "few-pairs"),
    _claim("defect-leads", "timing",
           "The commutator defect leaves the band of controls before test accuracy reaches .95.",
           "alarm:defect", "above"),
    _claim("defect-leads-accuracy", "timing",
           "The commutator defect leaves its band before test accuracy leaves that of its own.",
           "alarm:defect:accuracy", "above"),
    _claim("defect-leads-weights", "timing",
           "The commutator defect leaves its band before the weight norm does.",
           "alarm:defect:weights", "above"),
    _claim("defect-leads-curvature", "timing",
           "The commutator defect leaves its band before the curvature that it is made of does.",
           "alarm:defect:curvature", "above"),
    _claim("curvature-leads", "timing",
           "The curvature along gradients leaves the band of controls before test accuracy reaches .95.",
           "alarm:curvature", "above"),
    _claim("edge-bends-beyond-the-span", "curvature",
           "The edge holds more of the direction in which the loss bends most than directions in its window's span do.",
           "bend:hessian:span", "above"),
    _claim("edge-bends", "curvature",
           "The edge holds more of the direction in which the loss bends most than isotropic directions do.",
           "bend:hessian:random", "above"),
    _claim("edge-is-of-the-gauss-newton-matrix", "curvature",
           "The edge holds more of the Gauss–Newton matrix' leading direction than directions in its window's span do.",
           "bend:gauss-newton:span", "above"),
    _claim("edge-is-of-the-commutator", "curvature",
           "The edge holds more of the commutator of two gradient steps than directions in its window's span do.",
           f"bend:{COMMUTATOR}:span", "above"),
    _claim("gradients-select", "gradients",
           "A window of gradients moves the task's own functions more than isotropic directions do.",
           "select:gradient:isotropic", "above"),
    _claim("gradients-select-for-the-answers", "gradients",
           "A window of gradients moves the task's own functions more than one for permuted answers does.",
           "select:gradient:permuted", "above"),
    _claim("updates-select-beyond-gradients", "gradients",
           "A window of updates moves the task's own functions more than one of gradients does.",
           "select:update:gradient", "above"),
    _claim("decay-selects-beyond-the-optimizer", "gradients",
           "Of the updates' parts weight decay's moves the task's own functions more than the optimizer's does.",
           "select:decay:optimizer", "above"),
    _claim("edges-agree", "gradients",
           "The edge of gradients has more in common with that of updates than directions at random would.",
           "edges:gradient:update", "above"),
)
"""Every claim; sections are those of the report. Declared before any run of the study is read; single runs of seeds 42
and 137 had been seen, with these controls or those without weight decay."""
# fmt: on


def evaluate_landscape(runs: Runs) -> Verdicts:
    """Give runs their first alarms, measure every effect on gradients and curvature, and evaluate every claim."""
    return evaluate(LANDSCAPE_CLAIMS, LANDSCAPE_EFFECTS, _with_alarms(runs))
