"""Results at a glance, by kind: a sentence, a picture and the rows to read first."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_findings import own_sentence, selected, whole_rows
from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.pages.document import Figure, Glance
from spectraledge.report.curves import training_figure
from spectraledge.report.modes_glance import modes_glance, selection_rows_table
from spectraledge.report.over_seeds.claim_table import claim_table
from spectraledge.report.over_seeds.claim_table import headline as headline_over_seeds
from spectraledge.report.score_figure import Scored, score_figure
from spectraledge.report.selected import selection_figure
from spectraledge.report.text import absent_note, answer_table, headline, score_words
from spectraledge.report.training_glance import score_glance, spectrum_glance, tracked_glance, tracker_glance
from spectraledge.report.words import step_word
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import StudyConfig

_RUNS = 5
"""Runs of a study that are drawn."""


def glance(kind: str, result: Any) -> Glance:
    """Take a result at a glance."""
    return KINDS[kind](result)


def _of_run(run: RunResult) -> Glance:
    if words := score_words(run):
        found = [words]
        figure = score_figure([Scored.of(run, run.title)], run.structure)
    else:
        reached = run.manifest.grokked_step
        when = f"reached .95 at {step_word(reached)}" if reached is not None else "never reached .95"
        found = [f"{run.title}: test accuracy {when}."]
        alone = StudyConfig(name="run", runs=(run.config,))
        figure = training_figure(StudyResult(alone, Path(), (run,), {}, ()))
    figure = replace(figure, across=1)
    rows = run.selection if run.selection.empty else whole_rows(run.selection, run.structure)
    if rows.empty:
        return Glance(tuple(found), figure)
    table = selection_rows_table(selected(rows).loc[rows.index])
    found.append(own_sentence(run.selection, run.structure))
    return Glance(tuple(found), figure, table, "all of them in .selection")


def _of_study(study: StudyResult) -> Glance:
    answers = QUESTIONS[study.config.questions](study.runs)
    if isinstance(answers, Verdicts):
        first, table = headline_over_seeds(study, answers.claims), None
        if len(answers.claims):
            table = claim_table(answers.claims, {})
    else:
        first, table = headline(study, answers), answer_table(study, answers)
    found = tuple(sentence for sentence in (first, absent_note(study)) if sentence)
    return Glance(found, _of_first_runs(study), table, "all of them in the report")


def _of_first_runs(study: StudyResult) -> Figure | None:
    draw, measured = selection_figure, study.having("selection")
    if not measured.runs:
        draw, measured = training_figure, study
    if not measured.runs:
        return None
    figure = draw(replace(measured, runs=measured.runs[:_RUNS]))
    more = len(measured.runs) - _RUNS
    return figure if more <= 0 else replace(figure, title=f"{figure.title}: the first {_RUNS} runs of {_RUNS + more}")


KINDS: dict[str, Callable[[Any], Glance]] = {
    "modes": modes_glance,
    "spectrum": lambda tables: spectrum_glance(tables.spectrum, tables.edge),
    "tracker": tracker_glance,
    "tracked": tracked_glance,
    "score": lambda watched: score_glance(watched.score),
    "run": _of_run,
    "study": _of_study,
}
"""How each kind of result is taken at a glance."""
