"""Every number of the paper's report is an effect's own: tables and claims cannot say different things of one thing."""

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from paper_support import planted
from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import Unit
from spectraledge.claims.paper_claims import evaluate_study
from spectraledge.claims.paper_effects import PAPER_EFFECTS
from spectraledge.report.paper.contents import compose

SEEDS = 3
NEVER = 4_000


@pytest.fixture(scope="module")
def study():
    return planted(holds=False, seeds=SEEDS)


@pytest.fixture(scope="module")
def verdicts(study):
    return evaluate_study(study.runs)


@pytest.fixture(scope="module")
def tables(study, verdicts):
    return {table.key: table.numbers for table in compose(study, verdicts).tables if table.numbers is not None}


@pytest.fixture(scope="module")
def rows(tables):
    """Every row of every table but the one that shows claims themselves."""
    return [
        {"table": key, **row} for key, t in tables.items() if key != "table-1-areas" for row in t.to_dict("records")
    ]


def test_rows_are_of_declared_effects_in_declared_conditions_with_their_unit(rows):
    assert len(rows) > 200
    for row in rows:
        assert row["unit"] == PAPER_EFFECTS[row["effect_id"]].unit, row
        assert row["of"] in CONDITIONS


def test_a_number_that_a_claim_has_too_is_the_claims_own(rows, verdicts):
    claims = verdicts.claims[verdicts.claims["scale"] != "area"].to_dict("records")
    shared = {
        "value": [(row, claim) for row in rows for claim in claims if same(row, claim)],
        "null": [(row, claim) for row in rows for claim in claims if same(row, claim) and not claim["against"]],
    }
    assert len({claim["claim"] for _, claim in shared["value"]}) > 35
    for column, measured in (("value", "measured"), ("null", "measured_null")):
        for row, claim in shared[column]:
            if column == "value" or row["effect_id"] == claim["effect_id"]:
                assert row[column] == pytest.approx(claim[measured], rel=1e-12), (row, claim["claim"])
            assert row["seeds"] == claim["seeds"], (row, claim["claim"])


def same(row, claim):
    """Whether a row and a claim are of one statistic of the same directions in the same runs, whatever the null."""
    statistic, _, pair = claim["effect_id"].partition(":")
    other, _, shown = row["effect_id"].partition(":")
    return (statistic, pair.partition("-")[0], claim["of"]) == (other, shown.partition("-")[0], row["of"])


def test_ratios_of_arms_are_the_claims_own(tables, verdicts):
    arms = tables["table-4-steps"].set_index("of")
    claims = verdicts.claims.query("effect_id == 'steps' and against == 'alone'").set_index("of")
    assert sorted(claims.index) == ["after-both", "beside-add", "beside-mul"]
    shown = arms.loc[claims.index, ["over", "over_low", "over_high", "value"]]
    np.testing.assert_allclose(shown, claims[["value", "low", "high", "measured"]], rtol=1e-12)


def test_areas_are_the_claims_own(tables, verdicts):
    areas = verdicts.claims[verdicts.claims["scale"] == "area"]
    columns = ["claim", "value", "low", "high", "measured", "measured_null", "seeds"]
    shown = tables["table-1-areas"][columns].sort_values("claim", ignore_index=True)
    pd.testing.assert_frame_equal(shown, areas[columns].sort_values("claim", ignore_index=True))


def test_units_are_units():
    """A unit says what a number is a number of; what is no peak of a spectrum is no F."""
    for effect in PAPER_EFFECTS.values():
        assert effect.unit in get_args(Unit)
        assert (effect.unit == "F") == effect.words.startswith("F, ") or effect.words.startswith("F of ‖R‖²"), effect.id
        assert (effect.unit == "R²") == effect.words.startswith("R² "), effect.id
        index = any(word in effect.words for word in ("Jaccard", "sharedness", "dominance"))
        assert (effect.unit == "index") == index, effect.id
        assert (effect.unit == "rate") == (effect.scale == "rate"), effect.id


def test_no_two_effects_are_one():
    words = [(effect.words, effect.null) for effect in PAPER_EFFECTS.values()]
    assert len(set(words)) == len(words)
