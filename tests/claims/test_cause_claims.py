"""Claims on causes: planted differences between runs of a seed are found, and where there is none, that is said."""

import pandas as pd
import pytest

from spectraledge.analyses.centroids import SIZES
from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.cause_claims import CAUSE_CLAIMS, CHANGES, OTHER, PERMUTED, changed_text, evaluate_causes
from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Effect, Reading, measure
from spectraledge.interventions import Intervention
from spectraledge.streams import numpy_generator
from spectraledge.studies import recipe
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

SEEDS = (42, 137, 2024, 1)


def centroids(moved, wobble):
    """A table in which kinds move centroids so far, a window of 6 and (behind "1 ") one of 1."""
    usual = dict.fromkeys(("update", "gradient", "permuted", "1 gradient", "1 permuted", "block", "random"), 1.0)
    widths = {"update": wobble, "gradient": wobble, "1 gradient": wobble}
    rows = [
        ("answer", size, name.removeprefix("1 "), 1 if name.startswith("1 ") else 6, draw, value * widths.get(name, 1))
        for name, value in (usual | (moved or {})).items()
        for draw in range(3)
        for size in SIZES
    ]
    return pd.DataFrame(rows, columns=["form", "size", "kind", "window", "draw", "moved"])


def planted(steps=None, ratios=None, losses=None, seeds=SEEDS, never=(), moved=None):
    """Results of the study as if runs had taken so many steps, and branches and ablations had come out so.

    Runs differ by a per cent, so that intervals have a width.
    """
    runs = []
    for config in recipe("causes", seeds=seeds, budget="small").runs:
        wobble = 1 + 0.01 * float(numpy_generator(0, config.run_id).standard_normal())
        texts = [str(one) for one in config.interventions]
        name = next((name for name in CHANGES if texts == [str(Intervention.of(changed_text(name, config.seed)))]), "")
        taken = None if name in never else round((steps or {}).get(name, 1000) * wobble)
        tables = {}
        if config.fork:
            what = {PERMUTED: "permuted", OTHER: "other"}.get(config.task, "own")
            what = "batches" if config.fork.batch_seed else what
            own, other = (ratios or {}).get(what, (1.0, 1.0))
            rows = [
                (step, "logits", basis, ratio * wobble)
                for step in (120, 140)
                for basis, ratio in (("sum", own if step == 140 else 9), ("difference", other))
            ]
            tables["branches"] = pd.DataFrame(rows, columns=["step", "readout", "basis", "ratio"])
        elif not name:
            edge, span, random = losses or (1.0, 1.0, 1.0)
            rows = [("edge", 0, "equal", edge * wobble), ("edge", 0, "own", 50.0)]
            rows += [("span", draw, "equal", span) for draw in range(3)] + [
                ("random", draw, "equal", random) for draw in range(3)
            ]
            tables["centroids"] = centroids(moved, wobble)
            tables["ablation"] = pd.DataFrame(rows, columns=["kind", "draw", "amount", "test_loss"])
        manifest = Manifest(
            config={}, config_hash="", step=5000, grokked_step=taken, seeds={}, environment={}, test_accuracy=1.0
        )
        runs.append(RunResult(config, manifest, pd.DataFrame(), "sum", "a + b", 1, tables))
    return tuple(runs)


def found(runs):
    return evaluate_causes(runs).claims.set_index("claim")


def test_where_nothing_differs_equality_is_found_and_nothing_else() -> None:
    claims = found(planted())
    for claim in CAUSE_CLAIMS:
        expected = "replicates" if claim.side == "equal" else "does not"
        assert claims.loc[claim.id, "verdict"] == expected, claim.id
        assert claims.loc[claim.id, "seeds"] == 4


def test_planted_steps_are_found() -> None:
    claims = found(planted(steps={"keep-gradient": 500, "keep-random": 450, "remove-edge": 2000, "remove-span": 1000}))
    assert claims.loc["gradient-window-is-enough", "verdict"] == "replicates"
    assert claims.loc["gradient-window-is-enough", "value"] == pytest.approx(0.5, rel=0.03)
    assert claims.loc["any-three-are-enough", "value"] == pytest.approx(0.45, rel=0.03)
    assert claims.loc["rank-matters-alone", "value"] == pytest.approx(500 / 450, rel=0.03)
    assert claims.loc["edge-not-needed", "verdict"] == "does not"
    assert claims.loc["edge-as-the-span", "value"] == pytest.approx(2, rel=0.03)


def test_planted_branches_are_found() -> None:
    ratios = {"own": (5.0, 1.0), "permuted": (2.0, 1.0), "other": (1.5, 6.0), "batches": (5.0, 1.0)}
    claims = found(planted(ratios=ratios))
    expected = {
        "answers-move-own-functions": 2.5,
        "own-answers-move-own-functions": 5 / 1.5,
        "other-answers-move-other-functions": 6.0,
        "batches-do-not-matter": 1.0,
    }
    for name, value in expected.items():
        assert claims.loc[name, "verdict"] == "replicates"
        assert claims.loc[name, "value"] == pytest.approx(value, rel=0.03)


def test_planted_losses_are_found() -> None:
    claims = found(planted(losses=(3.0, 3.0, 0.5)))
    assert claims.loc["edge-carried-more-than-the-span", "verdict"] == "does not"
    assert claims.loc["edge-carried-more-than-random", "verdict"] == "replicates"
    assert claims.loc["edge-carried-more-than-random", "value"] == pytest.approx(6, rel=0.02)


def test_runs_that_never_learn_count_with_their_last_step_or_not_at_all() -> None:
    claims = found(planted(never=["remove-edge"]))
    assert claims.loc["edge-not-needed", "value"] == pytest.approx(5, rel=0.02)
    none = found(planted(never=["", *CHANGES]))
    assert (
        none.loc[[claim.id for claim in CAUSE_CLAIMS if claim.section != "forks"], "verdict"] == "not measured"
    ).all()
    assert (none.loc[[claim.id for claim in CAUSE_CLAIMS if claim.section == "forks"], "seeds"] == 4).all()


def test_a_study_without_runs_measures_nothing() -> None:
    assert (found(())["verdict"] == "not measured").all()


def test_seeds_draw_their_own_directions() -> None:
    study = recipe("causes", seeds=(1, 2), budget="small")
    drawn = {
        (run.seed, one.seed) for run in study.runs for one in run.interventions if one.subspace in ("random", "span")
    }
    assert drawn == {(1, 1), (2, 2)}
    assert all(isinstance(run, RunConfig) for run in study.runs)
    assert len({run.run_id for run in study.runs}) == len(study.runs) == 2 * (1 + len(CHANGES) + 5)


def test_changed_runs_belong_to_no_condition_of_others() -> None:
    reached = Effect("reached", "whether it is read", "rate", "rate", "none", lambda reader: Reading(1.0))
    rows = measure([reached], planted(seeds=(42,)))
    assert CONDITIONS["add-decay"].holds(rows).sum() == 1
    assert rows["after"].nunique() == 1 + len(CHANGES) + 1
    titles = {run.title for run in planted(seeds=(42,))}
    assert "a + b mod 11, weight decay 1, remove:edge:3" in titles
    assert "a + b mod 11, weight decay 1, forked at step 100" in titles


def test_centroids_are_compared_with_those_of_permuted_answers() -> None:
    alike = {"update": 2.0, "gradient": 30.0, "permuted": 30.0, "1 gradient": 200.0, "1 permuted": 200.0}
    claims = found(planted(moved=alike))["verdict"]
    assert claims["edge-moves-centroids"] == claims["gradient-moves-centroids"] == "replicates"
    assert claims["answers-move-centroids"] == claims["answers-move-centroids-over-a-window"] == "does not"
    claims = found(planted(moved=alike | {"1 permuted": 100.0}))["verdict"]
    assert (claims["answers-move-centroids"], claims["answers-move-centroids-over-a-window"]) == (
        "replicates",
        "does not",
    )
