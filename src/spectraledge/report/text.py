"""What was found, in plain words, computed from the claims and the tables."""

from collections.abc import Hashable, Mapping

import pandas as pd

from spectraledge.analyses.onsets import ONSETS
from spectraledge.analyses.readings import above_shuffled, own_score, published_statistic, selected_frequencies
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.score_findings import score_sentence
from spectraledge.analyses.selection_tables import numbered
from spectraledge.pages.document import Absent, Card, Column, Finding, Rows, Table
from spectraledge.report.run_names import function_label, titles
from spectraledge.report.words import (
    concentration_range,
    counted,
    counted_of,
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
from spectraledge.tasks import basis_formula

SELECTS = "selects-own-functions"

LEADING_CLAIMS = (SELECTS, "own-variable")
"""The claim that the summary leads with: the first of these that was evaluated."""

_TOP = 3

_PLAIN = {
    SELECTS: "The updates select functions of {own}: they move them more than isotropic updates would.",
    "own-variable": "The edge moves functions of {own} more than random directions do.",
    "edge-over-bulk": "The edge moves functions of {own} more than the bulk of the same window does.",
    "one-wave": "Seen along one residual direction, the edge's response is one plane wave, beyond what random "
    "directions show.",
    "right-basis": "F gains more from discrete logarithms at the edge than for random directions.",
}


def score_words(run: RunResult) -> str:
    """What a run's score says of it; "" where it has none of its own answers."""
    if run.structure == "output" or run.config.model.answers > 1 or own_score(run) is None:
        return ""
    return score_sentence(run.structure, run.table("score"), run.metrics, ONSETS.frame())


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
            found = int((part["verdict"] == "found").sum())
            parts.append(f"in {counted_of(found, len(part), 'run')} {which}")
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


def answer_table(study: StudyResult, claims: pd.DataFrame) -> Table | None:
    """The question at the top, answered run by run; None where selection was not measured."""
    found = {row["run"]: row for row in claims.to_dict("records") if row["claim"] == SELECTS}
    named = titles(study)
    rows = [
        (
            named[run.run_id],
            found[run.run_id]["verdict"],
            ratio(found[run.run_id]["value"]),
            spread(found[run.run_id]["low"], found[run.run_id]["high"], ratio),
            probability(found[run.run_id]["p"]),
            "no" if run.manifest.grokked_step is None else f"at {step_word(run.manifest.grokked_step)}",
            basis_formula(run.structure),
        )
        for run in study.runs
        if run.run_id in found
    ]
    columns = (
        Column("Run"),
        Column("Selected", "verdict"),
        *(Column(title, "number") for title in ("S", "95% interval", "p")),
        Column("Generalised"),
        Column("Own variable"),
    )
    return Table("answers", "Selection in every run", columns, (Rows.of("", rows),)) if rows else None


def absent_note(study: StudyResult) -> str:
    """How many runs are not in the report; "" if all are."""
    parts = []
    if study.failed:
        parts.append(f"{counted(len(study.failed), 'run')} failed")
    if study.missing:
        parts.append(f"{counted(len(study.missing), 'run')} did not finish yet")
    return f"Of {counted(len(study.config.runs), 'run')}, {listing(parts)}: named below." if parts else ""


def absent(study: StudyResult) -> tuple[Absent, ...]:
    """Every run that is not in the report, and why; nothing if all are."""
    failed = ((run, f"failed: {message}") for run, message in study.failed.items())
    rows = (*failed, *((run, "did not finish") for run in study.missing))
    return (Absent(rows),) if rows else ()


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
    above, of = above_shuffled(study.runs)
    if not of:
        return ""
    return (
        "Selected means: more than isotropic updates of the same network. It does not mean that only this task's loss "
        "could do it, because once a network has learned a task its own functions are easy to move: two edge "
        "directions move them more than every gradient for shuffled answers does in "
        f"{counted_of(above, of, 'run')} that generalised."
    )


def run_cards(study: StudyResult, claims: pd.DataFrame) -> tuple[Card, ...]:
    """What was found, run by run: its claims, single frequencies, the published statistic, and where it was read."""
    named = titles(study)
    return tuple(
        Card(
            title=named[run.run_id],
            lead=_outcome(run),
            findings=tuple(
                _finding(run, row)
                for row in claims.to_dict("records")
                if row["run"] == run.run_id and row["claim"] != "generalises"
            ),
            notes=tuple(note for note in (_frequencies(run), _concentration(run), _measured(run, study)) if note),
        )
        for run in study.runs
    )


def _measured(run: RunResult, study: StudyResult) -> str:
    return (
        f"Modes measured at {step_word(run.modes_step)}, {modes_window(study)}; claims use the exact derivative (jvp) "
        "over all input pairs."
    )


def _outcome(run: RunResult) -> str:
    last = f"at its last step, {run.manifest.step:,}, it was {percent(run.manifest.test_accuracy)}"
    if run.manifest.grokked_step is None:
        return f"Did not generalise: test accuracy never reached 95%; {last}."
    return f"Generalised: test accuracy first reached 95% at {step_word(run.manifest.grokked_step)}; {last}."


def _finding(run: RunResult, row: Mapping[Hashable, object]) -> Finding:
    claim = str(row["claim"])
    plain = _PLAIN.get(claim, str(row["statement"])).format(own=basis_formula(run.structure))
    verdict = str(row["verdict"])
    if claim == SELECTS:
        value, low, high, p, q = (float(str(row[name])) for name in ("value", "low", "high", "p", "q"))
        numbers = (
            f"S = {ratio(value)}, 95% interval {spread(low, high, ratio)}; no selection: 1; "
            f"p = {probability(p)}, q = {probability(q)}"
        )
        return Finding(verdict, plain, numbers)
    value, median, high, q = (float(str(row[name])) for name in ("value", "null_median", "null_high", "q"))
    numbers = (
        f"{statistic(claim, value)}; null: median {statistic(claim, median)}, 95% point {statistic(claim, high)}; "
        f"q = {probability(q)}"
    )
    return Finding(verdict, plain, numbers)


def _frequencies(run: RunResult) -> str:
    if run.selection.empty:
        return ""
    table = selected_frequencies(run)
    selected = table[table["selected"]]
    kinds = "Single frequencies" if numbered(table["subspace"]) else "Single representations"
    which = f"{kinds} of {basis_formula(run.structure)} that the updates select"
    if selected.empty:
        return f"{which}: not found."
    top = selected.nlargest(_TOP, "ratio")[["subspace", "ratio"]].itertuples(index=False)
    most = listing([f"{function_label(name)} (S = {ratio(value)})" for name, value in top])
    return f"{which}: {len(selected)} of {len(table)}, most of all {most}; by an interval each, not adjusted."


def _concentration(run: RunResult) -> str:
    found = published_statistic(run)
    if found is None:
        return ""
    elsewhere = f" Its median is largest in another basis, {basis_formula(found.best)}: {_span(found.of_best)}."
    return (
        f"The published statistic F (finite difference, test pairs) under {basis_formula(run.structure)}: "
        f"{_span(found.own)} at the edge; random directions {concentration_range(found.random)}, median and 5–95%. "
        f"Above that range: {found.above or 'none'} of {found.directions} edge directions."
        + ("" if found.best == run.structure else elsewhere)
    )


def _span(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{decimal(low)} to {decimal(high)}"
