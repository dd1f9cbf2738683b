"""The report of a study run by run: what was found, its figures, its claims and all that was measured."""

from importlib.metadata import version

import pandas as pd

from spectraledge.pages.document import Block, Cards, Page, Section, Terms
from spectraledge.report.course_figure import change_table, course_figure
from spectraledge.report.curves import eigenvalue_figure, training_figure
from spectraledge.report.declared import declared_figures
from spectraledge.report.lanes import own_basis_figure, right_basis_figure
from spectraledge.report.measurements import measurements
from spectraledge.report.method_words import definitions
from spectraledge.report.opening import opening
from spectraledge.report.pictures import wave_figure
from spectraledge.report.run_names import titles
from spectraledge.report.run_tables import claim_tables, comparison_table, declared_claims, files, run_table, settings
from spectraledge.report.score_page import score_sections
from spectraledge.report.selected import frequency_figure, selection_figure
from spectraledge.report.text import (
    absent,
    absent_note,
    answer_table,
    caution,
    headline,
    run_cards,
    score_words,
    seed_note,
)
from spectraledge.report.words import modes_window
from spectraledge.studies.results import StudyResult


def compose_by_run(study: StudyResult, claims: pd.DataFrame) -> Page:
    """Compose the report of what `evaluate_runs` found; runs without a spectrum and modes are in its score alone."""
    scored, study = study, study.having("spectrum", "modes", "waves", "characters")
    return Page(
        study=study.config.name,
        hash=study.config.hash,
        title="Which functions of the input are the weights moving along?",
        question="For each task: do the weight updates select the task’s own functions, and do controls not?",
        headline=headline(study, claims) if study.runs else _by_score(scored) or headline(study, claims),
        warning=absent_note(study),
        sections=(
            *score_sections(scored),
            _found(study, claims),
            *(_figures(study) if study.runs else ()),
            *([_claims(study, claims)] if len(claims) else []),
            *(_more_figures(study) if study.runs else ()),
            _published(study),
            *_measured(study),
            _runs(study),
            _methods(study),
        ),
        version=version("spectraledge"),
        claims=declared_claims(claims),
        stage=opening(scored),
        files=files(study, claims),
    )


def _by_score(study: StudyResult) -> str:
    """Say what a run's score says, while nothing else is measured of any."""
    return next((f"{titles(study)[run.run_id]}: {words}" for run in study.runs if (words := score_words(run))), "")


def _found(study: StudyResult, claims: pd.DataFrame) -> Section:
    blocks: list[Block] = []
    answers = answer_table(study, claims)
    if answers:
        blocks += [
            "The answer is the selection ratio S of the task’s own functions: how much larger their share is in the "
            "response to the updates than in the response to isotropic updates of the same network. 1 is no selection; "
            "“selected” means that its 95% interval lies above 1, beyond chance over the runs, and that the share is "
            "more than noise has.",
            answers,
        ]
    if study.runs:
        blocks.append(
            "In the findings on the edge below, the first number is the second largest among v1 to "
            f"v{study.config.analysis.edge}, so that one lucky direction is not enough; the null is the same statistic "
            f"for directions without a role. {seed_note(study)}"
        )
    if words := caution(study):
        blocks.append(words)
    blocks += absent(study)
    if study.runs:
        blocks.append(Cards(run_cards(study, claims)))
    lead = (
        f"A network’s weights are recorded while it trains. The last {study.config.analysis.window} updates span a few "
        "directions; the largest are called the edge. Moving the weights a little along a direction changes the "
        "network’s answer to every input, and that change is a function of the input. The question is which function, "
        "and whether directions without any special role do the same."
    )
    return Section("found", "What was found", (lead,), tuple(blocks), short="Findings")


def _figures(study: StudyResult) -> tuple[Section, ...]:
    changes = change_table(study)
    edge, selected = (own_basis_figure(study),), (selection_figure(study), frequency_figure(study))
    course: tuple[Block, ...] = (course_figure(study), *([changes] if changes.groups else []))
    return (
        Section("edge", "The edge against directions without a role", blocks=edge, short="Edge against nulls"),
        Section("selected", "What the updates select", blocks=selected, short="Selection"),
        Section("over-training", "Over training", blocks=course, short="Over training"),
    )


def _claims(study: StudyResult, claims: pd.DataFrame) -> Section:
    lead = (
        "Each claim was declared before it was evaluated. “Value” is the second largest of the edge directions’ "
        "values, unless the claim says otherwise; “null” is the same statistic for directions without a role. Edge and "
        f"nulls come from the same {modes_window(study)}, at the step given in the table of runs. Open a claim for its "
        "statistic, null and rule."
    )
    return Section("claims", "Claims", (lead,), tuple(claim_tables(study, claims)), short="Claims")


def _more_figures(study: StudyResult) -> tuple[Section, ...]:
    return (
        Section("curves", "Training", blocks=(training_figure(study),), short="Training"),
        Section("spectrum", "The spectrum over time", blocks=(eigenvalue_figure(study),), short="Eigenvalues"),
        Section("right-basis", "The wrong and the right basis", blocks=(right_basis_figure(study),), short="Bases"),
        Section("wave", "The wave itself", blocks=(wave_figure(study),), short="Waves"),
    )


def _published(study: StudyResult) -> Section:
    table = comparison_table(study)
    lead = (
        "Published: Xu 2026, seed 42, after grokking. Ours: F of ‖R‖² by the published method (finite difference, test "
        f"pairs) and by the exact derivative over all pairs (jvp), {modes_window(study)}. “Random F”: median and 5–95% "
        "of random directions in parameter space, for the same statistic. Frequencies ω are those of one trained "
        "network; another network that has learned the same task may use others."
        if table
        else "No finished run of this study is of the kind whose values are published (modulus 97, weight decay 1, "
        "generalised)."
    )
    return Section(
        "published", "Beside the published values", (lead,), (table,) if table else (), short="Published values"
    )


def _measured(study: StudyResult) -> tuple[Section, ...]:
    blocks: tuple[Block, ...] = (*declared_figures(study), *measurements(study))
    return (Section("measured", "Measurements", blocks=blocks, short="Measurements"),) if blocks else ()


def _runs(study: StudyResult) -> Section:
    block: Block = run_table(study) if study.runs else "No run has finished."
    return Section("runs", "The runs", blocks=(block,), short="Runs")


def _methods(study: StudyResult) -> Section:
    blocks = (Terms("", definitions(study)), Terms("Settings and environment", settings(study)))
    return Section("methods", "Methods and environment", blocks=blocks, short="Methods")
