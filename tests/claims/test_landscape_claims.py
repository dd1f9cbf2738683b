"""Claims on gradients and curvature: planted leads, bends and selections are found, and nothing where none is."""

import numpy as np
import pandas as pd
import pytest

from planted_landscape import GROKS, HALF, RISES, SEEDS, STEPS, planted
from spectraledge.claims.landscape_claims import (
    CONDITION,
    CONTROLS,
    LANDSCAPE_CLAIMS,
    LANDSCAPE_EFFECTS,
    evaluate_landscape,
    rule_step,
)


def found(runs):
    return evaluate_landscape(runs).claims.set_index("claim")


def test_where_nothing_is_planted_nothing_replicates() -> None:
    claims = found(planted())
    true = {"rule-is-silent-on-permuted-answers", "rule-is-silent-on-few-pairs", "edge-bends"}
    assert set(claims.index[claims["verdict"] == "replicates"]) == true
    assert not (claims["verdict"] == "not measured").any()
    # An alarm that never comes counts as at the end.
    assert claims.loc["defect-leads", "measured"] == GROKS - STEPS[-1]
    assert claims.loc["rule-leads", "measured"] == HALF - STEPS[-1]


def test_planted_leads_are_found() -> None:
    claims = found(planted(rises=("defect",)))
    rises = np.mean([RISES[place % len(RISES)] for place in range(len(SEEDS))])
    # The published alarm sounds at once, the others at the second snapshot in a row.
    assert claims.loc["rule-leads", "measured"] == HALF - rises
    assert claims.loc["defect-leads", "measured"] == GROKS - (rises + 100)
    for name in ("rule-leads", "defect-leads", "defect-leads-weights", "defect-leads-curvature"):
        assert claims.loc[name, "verdict"] == "replicates"
    # Test accuracy leaves its band with .6, one snapshot before .95.
    assert claims.loc["defect-leads-accuracy", "value"] == HALF - rises
    assert claims.loc["curvature-leads", "measured"] == GROKS - STEPS[-1]


def test_what_rises_in_controls_as_well_tells_nothing_in_advance() -> None:
    verdicts = evaluate_landscape(planted(rises=("defect",), controls_rise=True))
    claims = verdicts.claims.set_index("claim")
    assert claims.loc["rule-leads", "verdict"] == "replicates"
    for name in ("rule-is-silent-on-permuted-answers", "rule-is-silent-on-few-pairs"):
        assert claims.loc[name, "verdict"] == "does not"
        assert claims.loc[name, "measured"] == 1
    assert claims.loc["defect-leads", "measured"] == GROKS - STEPS[-1]
    for control in CONTROLS:
        assert verdicts.effects.summary("false:rule", control).seeds == len(SEEDS)


def test_planted_shares_and_selections_are_found() -> None:
    claims = found(planted(shares={"hessian": 0.3}, ratios={"gradient": 0.5, "permuted": 0.25, "decay": 3.0}))
    assert claims.loc["edge-bends-beyond-the-span", "verdict"] == "replicates"
    assert claims.loc["edge-bends-beyond-the-span", "value"] == pytest.approx(3, rel=0.01)
    assert claims.loc["edge-bends", "value"] == pytest.approx(30, rel=0.01)
    assert claims.loc["edge-is-of-the-commutator", "verdict"] == "does not"
    assert claims.loc["gradients-select", "verdict"] == "does not"
    assert claims.loc["gradients-select-for-the-answers", "value"] == pytest.approx(2, rel=0.02)
    assert claims.loc["updates-select-beyond-gradients", "value"] == pytest.approx(2, rel=0.02)
    assert claims.loc["decay-selects-beyond-the-optimizer", "verdict"] == "replicates"
    assert claims.loc["edges-agree", "value"] == pytest.approx(1, rel=0.02)


def test_the_rule_is_the_published_one() -> None:
    def table(*values):
        return pd.DataFrame({"step": 100 * np.arange(len(values)), "defect": values})

    assert np.isnan(rule_step(table(1.0, 2.0, 3.0, 20.0)))  # twenty is not above twenty
    assert rule_step(table(1.0, 2.0, 3.0, 20.1)) == 300
    assert np.isnan(rule_step(table(3.0, 4.0, 5.0, 39.0)))  # above twenty, and not ten times the median
    assert rule_step(table(3.0, 4.0, 5.0, 39.0, 41.0)) == 400


def test_leads_need_controls_of_two_seeds() -> None:
    runs = [run for run in planted(rises=("defect",)) if run.grokked or run.config.seed == 42]
    claims = found(runs)
    assert claims.loc["defect-leads", "verdict"] == "not measured"
    assert claims.loc["rule-leads", "verdict"] == "replicates"


def test_a_study_without_runs_measures_nothing() -> None:
    assert (found(())["verdict"] == "not measured").all()
    assert {claim.of for claim in LANDSCAPE_CLAIMS} == {CONDITION, *CONTROLS}
    assert {claim.effect.id for claim in LANDSCAPE_CLAIMS} <= set(LANDSCAPE_EFFECTS)
