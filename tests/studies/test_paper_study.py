"""`paper`: which runs it has, and its small preset through every code path, to the report."""

import pandas as pd
import pytest

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.report import write_report, write_results
from spectraledge.studies import evaluate_study, first_seeds, load_study, paper, recipe, run_study
from spectraledge.studies.paper import COMPANIONS, CONTROLS, LEARNED


def test_it_has_every_condition_and_arm():
    seeds = first_seeds(5)
    study = recipe("paper", seeds=seeds)
    single = {
        (run.task, run.weight_decay, run.seed) for run in study.runs if run.model.answers == 1 and "+" not in run.task
    }
    assert single == {(task, decay, seed) for task in (*LEARNED, *CONTROLS) for decay in (1.0, 0.0) for seed in seeds}
    joint = [run for run in study.runs if "+" in run.task]
    assert {run.seed for run in joint} == set(seeds)
    arms = [run.task for run in joint if run.seed == 42 and not run.start]
    expected = ["add+mul", "add+mul+square_sum", "square_sum+", *(f"{task}+square_sum" for task in COMPANIONS)]
    assert arms == [*expected, "permuted_add+permuted_mul"]
    assert len({run.run_id for run in study.runs}) == len(study.runs) == 5 * (12 + 10)
    assert all((run.protocol, run.every, run.engine) == ("paper", 100, "compiled") for run in study.runs)


def test_sequential_runs_start_from_their_own_seeds_trunks():
    study = recipe("paper", seeds=first_seeds(3))
    by_hash = {run.hash: run for run in study.runs}
    started = [run for run in study.runs if run.start]
    assert len(started) == 6
    for run in started:
        before = by_hash[run.start]
        assert (before.seed, before.task in ("add+mul", "permuted_add+permuted_mul")) == (run.seed, True)


@pytest.mark.parametrize(
    ("budget", "control", "decayless", "learned"),
    [("matched", 3_600, 3_600, 20_000), ("published", 200_000, 50_000, 200_000)],
)
def test_budgets(budget, control, decayless, learned):
    steps = {(run.task, run.weight_decay): run.steps for run in recipe("paper", budget=budget).runs}
    assert (steps["cubic", 1.0], steps["cubic", 0.0], steps["add", 1.0]) == (control, decayless, learned)


def test_quick_has_no_published_budget():
    with pytest.raises(InputError, match="quick has no published budget"):
        recipe("quick", budget="published")


@pytest.fixture(scope="module")
def small_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "small"
    with pytest.MonkeyPatch.context() as patch:
        # Runs that are not to generalise end with their first full window.
        for steps in (paper._CONTROL_STEPS, paper._DECAYLESS_STEPS, paper._JOINT_STEPS, paper._MEMORISED_STEPS):
            patch.setitem(steps, "small", 200)
        run_study(recipe("paper", budget="small"), folder, jobs=1)
    return load_study(folder)


def test_every_small_run_is_trained_and_analysed(small_study):
    assert (small_study.failed, small_study.missing) == ({}, ())
    assert len(small_study.runs) == len(small_study.config.runs)
    made = {name for run in small_study.runs for name, table in run.tables.items() if len(table)}
    assert made >= {
        "modes", "selection", "probes", "declines", "decompositions", "decomposition_agreement", "purity", "ranks",
        "autoencoder", "usage", "sharedness", "reuse", "reuse_selection", "reuse_probes", "inclusion", "functions",
        "parts",
    }  # fmt: skip
    assert any(run.grokked for run in small_study.runs), "claims are about runs that generalise"


@pytest.fixture(scope="module")
def verdicts(small_study):
    return evaluate_study(small_study.runs)


def test_one_seed_supports_no_verdict(small_study, verdicts):
    claims = verdicts.claims
    assert set(claims["verdict"]) == {"inconclusive", "not measured"}
    assert (claims["verdict"] == "inconclusive").sum() > 40
    pd.testing.assert_frame_equal(read_table(small_study.folder / "claims.parquet"), claims)


@pytest.mark.usefixtures("unrastered")
def test_the_report(small_study, verdicts, tmp_path):
    text = write_report(small_study, verdicts, out=tmp_path).read_text()
    assert all(statement in text for statement in ("Table 1", "Table 4", "not measured"))


def test_what_a_repository_keeps(small_study, verdicts, tmp_path):
    write_results(small_study, verdicts, tmp_path)
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"report.md", "card.md", "claims.csv", "claims-by-seed.csv"} <= {path.name for path in kept}
    assert sum(path.stat().st_size for path in kept) < 1_000_000
