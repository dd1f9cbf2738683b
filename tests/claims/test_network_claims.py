"""Claims on other networks: planted spectra are told apart, and runs that must not count do not."""

import pandas as pd
import pytest

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.network_claims import CONTROLS, NETWORK_CLAIMS, evaluate_networks, second_gap
from spectraledge.streams import numpy_generator
from spectraledge.studies import recipe
from spectraledge.trajectory import Manifest

SEEDS = (42, 137, 2024, 1)


def kind(config):
    """Which run it is: "squares", a control, "adamw" or "muon"."""
    if config.optimizer != "adam":
        return config.optimizer
    if config.model.activation == "relu":
        return "relu"
    if config.task == "permuted_add":
        return "permuted"
    return "no-decay" if not config.weight_decay else "few-pairs" if config.train_fraction == 0.1 else "squares"


def planted(gaps=None, k_stars=None, steps=None, learned=("squares", "adamw", "muon"), seeds=SEEDS):
    """Results of the study as if windows had such gaps and edges, and runs had taken so many steps."""
    runs = []
    for config in recipe("networks", seeds=seeds, budget="small").runs:
        what, wobble = kind(config), 1 + 0.01 * float(numpy_generator(0, config.run_id).standard_normal())
        gap = (gaps or {}).get(what, 5.0) * wobble
        rows = [(step, k, value) for step in (40, 80, 100) for k, value in ((1, 9.0), (2, gap), (3, 1.0))]
        # What comes early, and windows without a third eigenvalue, do not count.
        rows += [(20, 2, 900.0), (20, 3, 1.0), (90, 2, 900.0), (90, 3, 0.0)]
        edge = pd.DataFrame({"step": [40, 100, 200], "k_star": [*[(k_stars or {}).get(what, 2.0) * wobble] * 2, 7.0]})
        tables = {"spectrum": pd.DataFrame(rows, columns=["step", "k", "eigenvalue"]), "edge": edge}
        taken = round((steps or {}).get(what, 1000) * wobble) if what in learned else None
        last = 200 if what == "adamw" else 120
        manifest = Manifest(
            config={}, config_hash="", step=last, grokked_step=taken, seeds={}, environment={}, test_accuracy=1.0
        )
        runs.append(RunResult(config, manifest, pd.DataFrame(), "sum", "a + b", 1, tables))
    return tuple(runs)


def found(runs):
    return evaluate_networks(runs).claims.set_index("claim")


def test_where_nothing_differs_nothing_is_found() -> None:
    claims = found(planted())
    assert set(claims["verdict"]) == {"does not"}
    assert (claims["seeds"] == len(SEEDS)).all()


def test_planted_gaps_are_found() -> None:
    claims = found(planted(gaps={"squares": 50.0, "no-decay": 1.3, "permuted": 100.0, "few-pairs": 50.0}))
    assert claims.loc["gap-with-decay", "verdict"] == "replicates"
    assert claims.loc["gap-with-decay", "value"] == pytest.approx(50 / 1.3, rel=0.03)
    assert claims.loc["gap-of-generalising-few-pairs", "verdict"] == "does not"
    assert claims.loc["gap-of-generalising-permuted", "value"] == pytest.approx(0.5, rel=0.03)


def test_planted_edges_and_steps_are_found() -> None:
    claims = found(planted(k_stars={"muon": 1.0}, steps={"muon": 2000}))
    assert claims.loc["muon-nearer-edge", "verdict"] == "replicates"
    assert claims.loc["muon-nearer-edge", "value"] == pytest.approx(0.5, rel=0.03)
    assert claims.loc["muon-sooner", "value"] == pytest.approx(2, rel=0.03)
    # A run that never learns counts with its last step.
    never = found(planted(steps={"adamw": 60}, learned=("adamw",)))
    assert never.loc["muon-sooner", "value"] == pytest.approx(2, rel=0.05)


def test_a_control_that_generalises_and_a_network_that_does_not_are_left_out() -> None:
    claims = found(planted(learned=("squares", "few-pairs", "adamw", "muon")))
    assert claims.loc["gap-of-generalising-few-pairs", "verdict"] == "not measured"
    assert claims.loc["gap-of-generalising-permuted", "seeds"] == len(SEEDS)
    none = found(planted(learned=()))
    assert set(none["verdict"]) - {"not measured"} == {"does not"}
    assert (none.loc[none["section"] == "squares", "verdict"] == "not measured").all()
    assert none.loc["muon-sooner", "verdict"] == "not measured"


def test_a_study_without_runs_measures_nothing() -> None:
    assert (found(())["verdict"] == "not measured").all()


def test_each_control_is_one_run_of_each_seed() -> None:
    runs = planted(seeds=(1, 2))
    assert sorted(kind(run.config) for run in runs) == sorted(["squares", *CONTROLS, "adamw", "muon"] * 2)
    assert second_gap(runs[0]) == pytest.approx(5.0, rel=0.1)
    assert {claim.section for claim in NETWORK_CLAIMS} == {"squares", "optimizer"}
