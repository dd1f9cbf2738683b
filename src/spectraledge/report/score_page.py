"""The page of a run's score: what the network learned, when and how one knows, and the picture of it."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from spectraledge.analyses.onsets import ONSETS, check_control, onset_table
from spectraledge.analyses.run_result import RunResult, run_title
from spectraledge.analyses.score_findings import score_sentence
from spectraledge.errors import InputError
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.pages.document import Block, Page, Section
from spectraledge.pages.publishing import write_page
from spectraledge.report.run_names import titles
from spectraledge.report.score_figure import Scored, score_figure
from spectraledge.studies.results import StudyResult
from spectraledge.trajectory import Manifest


def scored(folder: Path, score: pd.DataFrame) -> Scored:
    """Take a run that was measured."""
    run = RecordedRun.open(folder)
    title = run_title(run.config, run.task.formula, run.task.structure)
    return Scored(title, score, run.metrics, Manifest.read(folder).grokked_step)


def score_sections(study: StudyResult) -> tuple[Section, ...]:
    """Show the score of every task of a study that a run has learned, beside its controls (see `check_control`)."""
    named = titles(study)
    runs = [run for run in study.runs if len(run.table("score")) and run.config.model.answers == 1]
    blocks: list[Block] = []
    for basis in dict.fromkeys(run.structure for run in runs if run.grokked and run.structure != "output"):
        learned = [run for run in runs if run.grokked and run.structure == basis]
        controls = [run for run in runs if any(_is_control(one, run, basis) for one in learned)]
        for run in learned:
            states = [one.table("score") for one in controls if _is_control(run, one, basis)]
            score, grokked = run.table("score"), run.manifest.grokked_step
            dated = onset_table(score, states, basis=basis, grokked_step=grokked) if states else ONSETS.frame()
            blocks.append(f"{named[run.run_id]}: {score_sentence(basis, score, run.metrics, dated)}")
        drawn = [Scored.of(run, named[run.run_id]) for run in [*learned, *controls]]
        blocks.append(score_figure(drawn, basis, key=re.sub(r"[^\w-]|_", "-", f"score-{basis}")))
    lead = (
        "Before all directions: which function does the network compute? Its logits, without their mean over classes, "
        "are a function of the input pair, and their energy divides exactly among the functions of each variable.",
    )
    return (Section("score", "What the networks compute", lead, tuple(blocks), short="The function"),) if blocks else ()


def first_scores(study: StudyResult) -> tuple[Section, ...]:
    """Show the scores of the first seed that learned something: those of all would be a wall; see `score_sections`."""
    first = next((run.config.seed for run in study.runs if run.grokked), None)
    return score_sections(replace(study, runs=tuple(run for run in study.runs if run.config.seed == first)))


def _is_control(own: RunResult, other: RunResult, basis: str) -> bool:
    if other.run_id == own.run_id or basis not in set(other.table("score")["basis"]):
        return False
    try:
        check_control(own.config, other.config, grokked=other.grokked)
    except InputError:
        return False
    return True


def write_score_page(folder: Path, runs: Sequence[Scored], basis: str, sentences: Sequence[str]) -> Path:
    """Write the page of a score, `report.html`, and its picture beside it."""
    found, *more = sentences
    page = Page(
        study=runs[0].title,
        hash="",
        title="Which function does the network compute, and when does it appear?",
        headline=found,
        sections=(Section("score", "The score", blocks=(score_figure(runs, basis), *more)),),
        version=version("spectraledge"),
    )
    return write_page(page, folder)
