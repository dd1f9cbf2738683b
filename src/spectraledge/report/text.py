"""What was found, in plain words, computed from the claims and the tables."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.report.data import bases, basis_label, quantiles, readings, selected_frequencies, titles
from spectraledge.report.words import (
    concentration_range,
    counted,
    decimal,
    listing,
    modes_window,
    percent,
    probability,
    ratio,
    spread,
    statistic,
    step_word,
)
from spectraledge.studies.results import StudyResult

SELECTS = "selects-own-functions"

LEADING_CLAIMS = (SELECTS, "own-variable")
"""The claim that the summary leads with: the first of these that was evaluated."""

_TOP = 3

_COMPARED = ("edge", "shuffled")

_PLAIN = {
    SELECTS: "The updates select functions of {own}: they move them more than isotropic updates would.",
    "own-variable": "The edge moves functions of {own} more than random directions do.",
    "edge-over-bulk": "The edge moves functions of {own} more than the bulk of the same window does.",
    "one-wave": "Seen along one residual direction, the edge's response is one plane wave, beyond what random "
    "directions show.",
    "right-basis": "F gains more from discrete logarithms at the edge than for random directions.",
}


@dataclass(frozen=True)
class Finding:
    """One claim on one run, in words.

    Attributes:
        found: Whether it was found.
        verdict: "found" or "not found".
        sentence: The claim.
        numbers: Its numbers, beside its null's.
    """

    found: bool
    verdict: str
    sentence: str
    numbers: str


@dataclass(frozen=True)
class RunText:
    """What was found in one run.

    Attributes:
        title: The run.
        outcome: How training ended.
        measured: At which step and in which window the modes were measured.
        findings: Its claims.
        concentration: What the published statistic says of it.
        frequencies: Which single frequencies are selected; "" where that was not measured.
    """

    title: str
    outcome: str
    measured: str
    findings: tuple[Finding, ...]
    concentration: str
    frequencies: str


def headline(study: StudyResult, claims: pd.DataFrame) -> str:
    """The study's main result in one sentence."""
    if not study.runs:
        return "No run of this study has finished, so there is nothing to report yet."
    if claims.empty:
        return f"{counted(len(study.runs), 'run')} finished; no claim has been evaluated yet."
    claim = leading_claim(claims)
    leading = claims[claims["claim"] == claim]
    parts = []
    for generalised, which in ((True, "that generalised"), (False, "that did not generalise")):
        part = leading[leading["generalised"].astype(bool) == generalised]
        if len(part):
            parts.append(f"in {int((part['verdict'] == 'found').sum())} of the {counted(len(part), 'run')} {which}")
    if not parts:
        return f"{counted(len(study.runs), 'run')} finished; the leading claim was evaluated on none of them."
    if claim == SELECTS:
        return f"The weight updates select the task's own functions {listing(parts)}."
    return (
        "The largest directions of the weight updates move functions of the task's own variable more than random "
        f"directions do {listing(parts)}."
    )


def leading_claim(claims: pd.DataFrame) -> str:
    """Id of the claim that the summary leads with."""
    return next((claim for claim in LEADING_CLAIMS if (claims["claim"] == claim).any()), LEADING_CLAIMS[-1])


@dataclass(frozen=True)
class Answer:
    """Whether one run selects its own functions."""

    run: str
    own: str
    generalised: str
    ratio: str
    interval: str
    p: str
    verdict: str


def answers(study: StudyResult, claims: pd.DataFrame) -> list[Answer]:
    """The question at the top, answered run by run; none where selection was not measured."""
    rows = {row["run"]: row for row in claims.to_dict("records") if row["claim"] == SELECTS}
    named = titles(study)
    return [
        Answer(
            run=named[run.run_id],
            own=basis_label(run.structure),
            generalised="no" if run.manifest.grokked_step is None else f"at {step_word(run.manifest.grokked_step)}",
            ratio=ratio(rows[run.run_id]["value"]),
            interval=spread(rows[run.run_id]["low"], rows[run.run_id]["high"], ratio),
            p=probability(rows[run.run_id]["p"]),
            verdict=str(rows[run.run_id]["verdict"]),
        )
        for run in study.runs
        if run.run_id in rows
    ]


def absent_note(study: StudyResult) -> str:
    """How many runs are not in the report; "" if all are."""
    parts = []
    if study.failed:
        parts.append(f"{counted(len(study.failed), 'run')} failed")
    if study.missing:
        parts.append(f"{counted(len(study.missing), 'run')} did not finish yet")
    return f"Of {counted(len(study.config.runs), 'run')}, {listing(parts)}: named below." if parts else ""


def seed_note(study: StudyResult) -> str:
    """How far the verdicts reach."""
    if not study.runs:
        return ""
    seeds = sorted({run.config.seed for run in study.runs})
    if len(seeds) == 1:
        return (
            f"Every run has one seed ({seeds[0]}), so a verdict is about this run, not about the task: "
            "there is no interval over seeds."
        )
    return f"Runs have {counted(len(seeds), 'seed')}; verdicts are per run, and no interval over seeds is drawn here."


def caution(study: StudyResult) -> str:
    """What selection does not say: how the edge compares with gradients that no task guided."""
    above, of = 0, 0
    for run in study.runs:
        own = {kind: readings(run, kind=kind, basis=run.structure, method="jvp")["energy_share"] for kind in _COMPARED}
        edge, shuffled = own.values()
        if run.grokked and len(edge) > 1 and len(shuffled):
            of += 1
            above += int(edge.nlargest(2).iloc[-1] > shuffled.max())
    if not of:
        return ""
    return (
        "Selected means: more than isotropic updates of the same network. It does not mean that only this task's loss "
        "could do it, because once a network has learned a task its own functions are easy to move: two edge "
        f"directions move them more than every gradient for shuffled answers does in {above} of the "
        f"{counted(of, 'run')} that generalised."
    )


def run_texts(study: StudyResult, claims: pd.DataFrame) -> list[RunText]:
    """What was found, run by run."""
    named = titles(study)
    return [
        RunText(
            title=named[run.run_id],
            outcome=_outcome(run),
            measured=f"Modes measured at {step_word(run.modes_step)}, {modes_window(study)}; claims use the exact "
            f"derivative (jvp) over all input pairs.",
            findings=tuple(
                _finding(run, row)
                for row in claims.to_dict("records")
                if row["run"] == run.run_id and row["claim"] != "generalises"
            ),
            concentration=_concentration(run),
            frequencies=_frequencies(run),
        )
        for run in study.runs
    ]


def _outcome(run: RunResult) -> str:
    last = f"at its last step, {run.manifest.step:,}, it was {percent(run.manifest.test_accuracy)}"
    if run.manifest.grokked_step is None:
        return f"Did not generalise: test accuracy never reached 95%; {last}."
    return f"Generalised: test accuracy first reached 95% at {step_word(run.manifest.grokked_step)}; {last}."


def _finding(run: RunResult, row: Mapping[Hashable, object]) -> Finding:
    claim = str(row["claim"])
    plain = _PLAIN.get(claim, str(row["statement"])).format(own=basis_label(run.structure))
    verdict = str(row["verdict"])
    if claim == SELECTS:
        value, low, high, p, q = (float(str(row[name])) for name in ("value", "low", "high", "p", "q"))
        numbers = (
            f"S = {ratio(value)}, 95% interval {spread(low, high, ratio)}; no selection: 1; "
            f"p = {probability(p)}, q = {probability(q)}"
        )
        return Finding(verdict == "found", verdict, plain, numbers)
    value, median, high, q = (float(str(row[name])) for name in ("value", "null_median", "null_high", "q"))
    numbers = (
        f"{statistic(claim, value)}; null: median {statistic(claim, median)}, 95% point {statistic(claim, high)}; "
        f"q = {probability(q)}"
    )
    return Finding(verdict == "found", verdict, plain, numbers)


def _frequencies(run: RunResult) -> str:
    if run.selection.empty:
        return ""
    table = selected_frequencies(run)
    selected = table[table["selected"]]
    which = f"Single frequencies of {basis_label(run.structure)} that the updates select"
    if selected.empty:
        return f"{which}: not found."
    top = selected.nlargest(_TOP, "ratio")[["frequency", "ratio"]].itertuples(index=False)
    most = listing([f"ω {frequency} (S = {ratio(value)})" for frequency, value in top])
    return f"{which}: {len(selected)} of {len(table)}, most of all {most}; by an interval each, not adjusted."


def _concentration(run: RunResult) -> str:
    edge = {
        basis: readings(run, kind="edge", basis=basis, method="difference")["concentration"] for basis in bases(run)
    }
    own = edge[run.structure]
    null = quantiles(readings(run, kind="random", basis=run.structure, method="difference")["concentration"])
    if null is None:
        return ""
    above = int((own > null.high).sum())
    best = max(edge, key=lambda basis: float(edge[basis].median()))
    return (
        f"The published statistic F (finite difference, test pairs) under {basis_label(run.structure)}: {_span(own)} "
        f"at the edge; random directions {concentration_range(null)}, median and 5–95%. "
        + f"Above that range: {above or 'none'} of {len(own)} edge directions."
        + (
            ""
            if best == run.structure
            else f" Its median is largest in another basis, {basis_label(best)}: {_span(edge[best])}."
        )
    )


def _span(values: pd.Series) -> str:
    return f"{decimal(float(values.min()))} to {decimal(float(values.max()))}"
