"""Claims on the score: planted leads, growth and carriers are found, and nothing where nothing is planted."""

import numpy as np
import pytest

from planted_score import ACCURACY_RISES, EDGE, GROKS, INTERVALS, MEAN, RISES, SPAN, planted_runs
from spectraledge.claims.carrier_curves import carrier_curves, directions_needed, whole_growth
from spectraledge.claims.score_claims import SCORE_CLAIMS, evaluate_score
from spectraledge.claims.score_effects import SCORE_EFFECTS, measure_score


@pytest.fixture(scope="module")
def runs():
    return planted_runs()


@pytest.fixture(scope="module")
def claims(runs):
    return evaluate_score(runs).claims.set_index("claim")


def test_planted_leads_are_found(claims):
    # The second snapshot in a row is the alarm.
    assert claims.loc["leads-add", "measured"] == GROKS - (np.mean(RISES) + 100)
    for name in ("leads-accuracy", "strongest-leads-accuracy", "leads-loss", "leads-weights"):
        assert claims.loc[name, "value"] == ACCURACY_RISES - np.mean(RISES)
        assert claims.loc[name, "verdict"] == "replicates"


def test_what_carries_the_growth(claims):
    assert claims.loc["edge-carries-before-mul", "verdict"] == "replicates"
    np.testing.assert_allclose(claims.loc["edge-carries-before-mul", "value"], INTERVALS * (EDGE - SPAN), rtol=0.1)
    np.testing.assert_allclose(claims.loc["mean-carries-own", "measured"], INTERVALS * MEAN, rtol=0.05)
    assert claims.loc["edge-carries-half-before", "verdict"] == "does not"
    assert claims.loc["gradients-carry-own", "verdict"] == "does not"
    assert claims.loc["window-carries-half-own", "verdict"] == "replicates"
    assert claims.loc["decay-shrinks", "verdict"] == "replicates"
    assert claims.loc["first-order", "verdict"] == "replicates"
    np.testing.assert_allclose(claims.loc["mean-grows", "value"], (0.7 - 0.28) / 0.98, rtol=0.1)


def test_few_lines_are_counted(claims):
    # Of .90 over ten lines two hold .82.
    np.testing.assert_allclose(claims.loc["few-lines", "measured_null"], 9)
    np.testing.assert_allclose(claims.loc["few-lines", "measured"], 2)


def test_an_alarm_that_never_comes_counts_as_the_end(runs):
    flat = [run.with_tables(score=run.table("score").assign(share=0.01)) for run in runs]
    effects = measure_score(flat)
    np.testing.assert_allclose(effects.of("onset-own", "learned-runs")["value"], GROKS - 1_500)
    assert set(effects.of("false-own", "untaught")["value"]) == {0.0}


def test_controls_alarm_where_planted(runs):
    risen = []
    for run in runs:
        table = run.table("score")
        raised = table["share"] + 0.2 * (table["step"] >= 1000) * (run.config.seed == 42) * (not run.grokked)
        risen.append(run.with_tables(score=table.assign(share=raised)))
    rows = measure_score(risen).of("false-own", "untaught")
    assert set(rows.loc[rows["seed"] == 42, "value"]) == {1.0}


def test_without_controls_nothing_is_dated(runs):
    effects = measure_score([run for run in runs if run.grokked])
    assert effects.of("onset-own", "learned-runs").empty
    assert len(effects.of("own-share", "learned-runs"))


def test_every_effect_of_a_claim_is_measured(claims):
    assert len(SCORE_CLAIMS) == len(claims)
    assert not (claims["verdict"] == "not measured").any()
    assert {claim.effect.id for claim in SCORE_CLAIMS} <= set(SCORE_EFFECTS)


def test_no_run_gives_no_verdict():
    assert set(evaluate_score([]).claims["verdict"]) == {"not measured"}


def test_curves_are_means_over_seeds(runs):
    curves = carrier_curves(runs).set_index(["window", "kind", "k"])
    assert curves.loc[("own", "edge", 3), "seeds"] == 4
    low, grown, high = curves.loc[("own", "edge", 3), ["low", "growth", "high"]]
    assert low < grown < high
    np.testing.assert_allclose(grown, INTERVALS * EDGE, rtol=0.05)
    assert carrier_curves([run for run in runs if not run.grokked]).empty


def test_what_all_parameters_make_it_grow_by(runs):
    learned = [run for run in runs if run.grokked]
    np.testing.assert_allclose(np.mean([whole_growth(run) for run in learned]), INTERVALS * 0.98, rtol=0.05)
    assert np.isnan(whole_growth(next(run for run in runs if not run.grokked)))


def test_how_many_directions_half_takes(runs):
    found = directions_needed(runs, share=0.45)
    assert set(found["k"]) == {5}
    assert len(found) == 2 * 12
    assert directions_needed(runs, share=0.9)["k"].isna().all()
