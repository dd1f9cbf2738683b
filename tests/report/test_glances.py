"""Runs and studies at a glance."""

from pathlib import Path

import pandas as pd
from report_support import make_run, make_study, rows_of, unmeasured

from spectraledge.analyses.score import SCORE
from spectraledge.report.glances import glance


def scored(structure: str) -> pd.DataFrame:
    rows = [
        (step, "logits", structure, f"frequency {k}", 0.8 / k * (step + 1) / 3001, 0.01, half)
        for step in (0, 3000)
        for k in (1, 2)
        for half in ("train", "test")
    ]
    return SCORE.frame(rows)


def test_a_run_says_what_it_learned_and_what_its_updates_select() -> None:
    run = make_run("add", effect=0.4)
    seen = glance("run", run)
    assert seen.found[0] == f"{run.title}: test accuracy reached .95 at step 2,600."
    assert seen.found[1].startswith("At step 3,000 the updates select functions of a + b: they move them ")
    assert seen.figure.key == "training"
    (group,) = seen.table.groups
    assert group.rows[0].cells[0] == "a + b"
    assert len(rows_of(group)) == run.selection.query("subspace == 'frequency'")["basis"].nunique()


def test_a_run_that_was_read_in_one_basis_names_it() -> None:
    run = make_run("add", effect=0.4)
    alone = run.with_tables(selection=run.selection.query("basis == 'sum'"))
    assert [row.cells[0] for row in glance("run", alone).table.groups[0].rows] == ["a + b"]


def test_a_run_with_a_score_is_drawn_as_that() -> None:
    run = make_run("add", effect=0.4)
    run = run.with_tables(score=scored(run.structure))
    seen = glance("run", run)
    assert seen.figure.key == "score"
    assert seen.found[0].startswith("On pairs that it never saw, functions of a + b hold ")


def test_a_run_of_which_nothing_was_measured() -> None:
    run = unmeasured(make_run("cubic"))
    seen = glance("run", run)
    assert seen.found == (f"{run.title}: test accuracy never reached .95.",)
    assert seen.table is None


def test_a_study_names_its_runs_and_what_is_lacking() -> None:
    runs = make_run("add", effect=0.4), make_run("cubic")
    study = make_study(Path(), *runs, failed=make_run("mul").config, error="loss is nan")
    seen = glance("study", study)
    assert seen.found[0].startswith("The weight updates select the task's own functions in 1 of 1 runs that ")
    assert seen.found[1] == "Of 3 runs, 1 run failed: named below."
    assert [row.cells[0] for group in seen.table.groups for row in group.rows] == [run.title for run in runs]


def test_claims_over_seeds_are_counted() -> None:
    study = make_study(Path(), make_run("add", effect=0.4))
    study = type(study)(study.config.model_copy(update={"questions": "paper"}), Path(), study.runs, {}, ())
    seen = glance("study", study)
    assert "claims replicate" in seen.found[0]
    assert seen.table.key == "claim-table"
