"""Verdicts on planted effects, the errors they make, and claims that cannot be measured."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import assume, given
from hypothesis import strategies as st

from spectraledge.claims.effects import EFFECT_COLUMNS, Effect
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.verdicts import SeedClaim, judge, verdict
from spectraledge.statistics import discrimination, mean_estimate
from spectraledge.streams import numpy_generator

LEARNED = "add-decay-learned"


def a_claim(scale="difference", side="above", *, margin=None, name="planted", **fields):
    effect = Effect(name, "a value", "ratio", "ratio" if scale == "area" else scale, "its null", lambda _: None, margin)
    area = {"separates": True, "of": "generalised", "against": "not-generalised"} if scale == "area" else {}
    return SeedClaim(name, "§0", "sound", "It is so.", effect, **{"of": LEARNED, "side": side, **area, **fields})


def effects(values, nulls=0.0, seeds=None):
    seeds = range(len(values)) if seeds is None else seeds
    return pd.DataFrame({"seed": list(seeds), "value": values, "null": nulls, "learned": True})


def measured(**tables):
    """Effects by name, as if all their runs were of addition with weight decay."""
    rows = [
        table.assign(effect_id=name, run=range(len(table)), task="add", weight_decay=1.0, after="")
        for name, table in tables.items()
        if len(table)
    ]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=EFFECT_COLUMNS)


def judged(claim, table):
    found = judge([claim], MeasuredEffects({claim.effect.id: claim.effect}, measured(planted=table)))
    return found.claims.iloc[0], found.by_seed


def judged_together(claims, **tables):
    return judge(claims, MeasuredEffects({claim.effect.id: claim.effect for claim in claims}, measured(**tables)))


@pytest.mark.parametrize(
    ("side", "margin", "values", "expected"),
    [
        ("above", None, [1.0, 1.1, 0.9, 1.05], "replicates"),
        ("above", None, [-1.0, -1.1, -0.9, -1.05], "does not"),
        ("above", None, [1.0, -1.1, 0.9, -1.05], "inconclusive"),
        ("above", 2.0, [1.0, 1.1, 0.9, 1.05], "does not"),
        ("above", 0.5, [1.0, 1.1, 0.9, 1.05], "replicates"),
        ("below", None, [-1.0, -1.1, -0.9, -1.05], "replicates"),
        ("below", 0.5, [1.0, 1.1, 0.9, 1.05], "does not"),
        ("below", 0.5, [0.1, -0.1, 0.05, 0.0], "does not"),
        ("equal", 0.5, [0.1, -0.1, 0.05, 0.0], "replicates"),
        ("equal", 0.5, [1.0, 1.1, 0.9, 1.05], "does not"),
        ("equal", 0.5, [-1.0, -1.1, -0.9, -1.05], "does not"),
        ("equal", 0.5, [0.4, 0.6, 0.5, 0.45], "inconclusive"),
    ],
)
def test_planted_effects_get_their_verdict(side, margin, values, expected):
    assert judged(a_claim(side=side, margin=margin), effects(values))[0]["verdict"] == expected


@given(
    rng=st.integers(0, 9_999).map(np.random.default_rng),
    count=st.integers(2, 9),
    side=st.sampled_from(["above", "below"]),
)
def test_difference_is_a_paired_t_test(rng, count, side):
    values, nulls = rng.normal(1, 1, count), rng.normal(0, 1, count)
    row, table = judged(a_claim(side=side), effects(values, nulls))
    alternative = {"above": "greater", "below": "less"}[side]
    test = scipy.stats.ttest_1samp(values - nulls, 0.0, alternative=alternative)
    ends = scipy.stats.ttest_rel(values, nulls).confidence_interval(0.95)
    np.testing.assert_allclose([row["p"], row["q"]], test.pvalue, rtol=1e-8)
    np.testing.assert_allclose([row["low"], row["high"]], ends, rtol=1e-8)
    np.testing.assert_allclose([row["measured"], row["measured_null"]], [values.mean(), nulls.mean()], rtol=1e-12)
    np.testing.assert_allclose(table["effect"], values - nulls, rtol=0)
    assert (row["seeds"], row["limit"]) == (count, 0.0)


def test_ratio_is_a_difference_of_logarithms():
    values, nulls = np.array([2.0, 3.0, 2.5, 4.0]), np.array([1.0, 1.2, 0.8, 1.5])
    row, _ = judged(a_claim("ratio", margin=1.25), effects(values, nulls))
    plain, _ = judged(a_claim(margin=math.log(1.25)), effects(np.log(values), np.log(nulls)))
    np.testing.assert_allclose(
        row[["value", "low", "high"]].astype(float), np.exp(plain[["value", "low", "high"]].astype(float))
    )
    np.testing.assert_allclose(row["measured"] / row["measured_null"], row["value"], rtol=1e-12)
    assert (row["p"], row["verdict"]) == (plain["p"], plain["verdict"])
    assert row["limit"] == 1.0


def test_equivalence_of_ratios_is_within_a_factor():
    claim = a_claim("ratio", "equal", margin=1.25)
    assert judged(claim, effects([1.0, 1.1, 0.95, 1.02], 1.0))[0]["verdict"] == "replicates"
    assert judged(claim, effects([1.5, 1.6, 1.45, 1.52], 1.0))[0]["verdict"] == "does not"
    test = scipy.stats.ttest_1samp(np.log([1.0, 1.1, 0.95, 1.02]), math.log(1.25), alternative="less")
    np.testing.assert_allclose(judged(claim, effects([1.0, 1.1, 0.95, 1.02], 1.0))[0]["p"], test.pvalue, rtol=1e-8)


@pytest.mark.parametrize(
    ("happens", "expected"),
    [([1] * 10, "replicates"), ([0] * 10, "does not"), ([1] * 3, "inconclusive"), ([1, 1, 0, 1, 0, 1], "inconclusive")],
)
def test_rates_are_exact(happens, expected):
    row, table = judged(a_claim("rate"), effects(happens, 0.5))
    test = scipy.stats.binomtest(sum(happens), len(happens), 0.5, alternative="greater")
    ends = scipy.stats.binomtest(sum(happens), len(happens)).proportion_ci()
    np.testing.assert_allclose([row["p"], row["low"], row["high"]], [test.pvalue, ends.low, ends.high], rtol=1e-9)
    assert (row["verdict"], row["value"], list(table["effect"])) == (expected, np.mean(happens), happens)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("scale", ["difference", "ratio", "rate", "area"])
def test_fewer_than_three_seeds_conclude_nothing(seeds, scale):
    if scale == "area":
        table = pd.DataFrame({"seed": [0, 0, 1, 1][: 2 * seeds], "value": [2.0, 1.0, 3.0, 0.5][: 2 * seeds]})
        table["learned"] = [True, False] * seeds
        table["null"] = np.nan
    else:
        table = effects([1.0, 1.0 if scale == "rate" else 1.001][:seeds], 0.5)
    row, found = judged(a_claim(scale), table)
    assert (row["verdict"], row["seeds"], len(found)) == ("inconclusive", seeds, seeds)
    assert np.isfinite(row["value"])


def runs_of_seeds(rng, seeds, shift):
    rows = [(seed, rng.normal(shift * first), bool(first)) for seed in range(seeds) for first in (1, 1, 0, 0, 0)]
    return pd.DataFrame(rows, columns=["seed", "value", "learned"]).assign(null=np.nan)


@pytest.mark.parametrize(("shift", "expected"), [(5, "replicates"), (-5, "does not"), (0.2, "inconclusive")])
def test_areas_tell_groups_of_runs_apart(shift, expected):
    table = runs_of_seeds(np.random.default_rng(3), 8, shift)
    row, found = judged(a_claim("area"), table)
    first, second = table[table["learned"]], table[~table["learned"]]
    area = discrimination(
        first["value"],
        second["value"],
        seeds=(first["seed"], second["seed"]),
        alternative="greater",
        generator=numpy_generator(0, "area", "planted"),
    )
    assert (row["value"], row["low"], row["high"], row["p"]) == (area.area, area.low, area.high, area.p)
    assert (row["verdict"], row["seeds"]) == (expected, 8)
    assert row["measured"] == first["value"].median()
    assert row["measured_null"] == second["value"].median()
    # Every seed has as many runs of each group, but pairs across seeds are compared too.
    within = [
        np.mean([x > y for x in one.loc[one["learned"], "value"] for y in one.loc[~one["learned"], "value"]])
        for _, one in table.groupby("seed")
    ]
    np.testing.assert_allclose(found["effect"], within)
    assert set(found["null"]) == {0.5}


def test_seeds_without_both_groups_are_left_out_of_areas():
    table = runs_of_seeds(np.random.default_rng(4), 5, 3)
    row, found = judged(a_claim("area"), table[~((table["seed"] == 2) & table["learned"])])
    assert (row["seeds"], row["left_out"], list(found["seed"])) == (4, 1, [0, 1, 3, 4])


def test_what_has_no_effect_in_a_seed_is_counted_not_hidden():
    row, table = judged(a_claim("ratio"), effects([2.0, np.nan, 0.0, 2.2, 1.9], [1.0, 1.0, 1.0, 1.0, 0.0]))
    assert (row["seeds"], row["left_out"], list(table["seed"])) == (2, 3, [0, 3])
    row, table = judged(a_claim(), effects([np.nan], 0.0))
    assert (row["verdict"], row["left_out"], len(table)) == ("not measured", 1, 0)


def test_values_without_spread_conclude_nothing():
    row, _ = judged(a_claim(), effects([1.0, 1.0, 1.0]))
    assert (row["verdict"], row["p"], row["low"], row["high"]) == ("inconclusive", 1.0, -math.inf, math.inf)


def test_what_is_not_measured_stays_in_the_table():
    claims = [a_claim("area", name="other", published="12/12"), a_claim()]
    found = judged_together(claims, planted=effects([1.0, 1.1, 0.9, 1.05]))
    assert list(found.claims["claim"]) == ["other", "planted"]
    assert list(found.claims["verdict"]) == ["not measured", "replicates"]
    assert list(found.claims["published"]) == ["12/12", ""]
    assert math.isnan(found.claims.loc[0, "p"])
    assert set(found.by_seed["claim"]) == {"planted"}
    none = judged_together(claims[:1])
    assert len(none.by_seed) == 0
    assert "effect" in none.by_seed


def test_q_adjusts_for_all_claims():
    one = effects([1.0, 1.4, 0.6, 2.1])
    alone, _ = judged(a_claim(), one)
    others = {f"noise{k}": effects(np.random.default_rng(k).normal(size=4)) for k in range(8)}
    found = judged_together([a_claim(), *(a_claim(name=name) for name in others)], planted=one, **others).claims
    np.testing.assert_allclose(found["q"], scipy.stats.false_discovery_control(found["p"]))
    assert alone["verdict"] == "replicates"
    assert found.loc[0, "verdict"] == "inconclusive"


@pytest.mark.parametrize(("side", "shift"), [("above", 0.0), ("below", 0.0), ("equal", 0.8), ("equal", -0.8)])
def test_claims_without_effect_rarely_replicate(side, shift):
    claim = a_claim(side=side, margin=0.8 if side == "equal" else None)
    found = [mean_estimate(shift + values) for values in np.random.default_rng(7).normal(size=(2_000, 5))]
    verdicts = [verdict(claim, value=one.value, low=one.low, high=one.high, q=0.0, seeds=5) for one in found]
    assert 0 < verdicts.count("replicates") <= 0.025 * 2_000 + 4 * math.sqrt(0.025 * 2_000)


@given(
    side=st.sampled_from(["above", "below", "equal"]),
    scale=st.sampled_from(["difference", "ratio"]),
    value=st.floats(0.02, 4),
    width=st.floats(0, 0.9),
    more=st.floats(0, 0.9),
    q=st.floats(0, 0.1),
)
def test_a_wider_interval_never_turns_a_conclusion_over(side, scale, value, width, more, q):
    claim = a_claim(scale, side, margin=1.5)
    assume(scale == "ratio" or side != "below")

    def of(width):
        return verdict(claim, value=value, low=value - width, high=value + width, q=q, seeds=5)

    assert {of(width), of(width + more)} != {"replicates", "does not"}
    assert verdict(claim, value=value, low=value, high=value, q=q, seeds=2) == "inconclusive"


@pytest.mark.parametrize(
    ("claim", "rule"),
    [
        (
            a_claim(),
            "replicates if the 95% interval over seeds lies above 0 and q ≤ 0.05; does not if it lies below; "
            "else, and with fewer than 3 seeds, inconclusive",
        ),
        (
            a_claim("ratio", "below", margin=1.25),
            "replicates if the 95% interval over seeds lies below 1, the effect below 0.8, and q ≤ 0.05; does not if "
            "it lies above or within 0.8 to 1.25; else, and with fewer than 3 seeds, inconclusive",
        ),
        (
            a_claim("difference", "equal", margin=0.02),
            "replicates if the 95% interval over seeds lies within -0.02 to 0.02 and q ≤ 0.05; does not if it lies "
            "outside; else, and with fewer than 3 seeds, inconclusive",
        ),
    ],
)
def test_the_rule_says_what_decides(claim, rule):
    assert claim.rule == rule


@pytest.mark.parametrize(
    "fields",
    [
        {"side": "equal"},
        {"scale": "area", "side": "below"},
        {"scale": "area", "against": ""},
    ],
)
def test_declarations_that_cannot_be_decided_are_refused(fields):
    with pytest.raises(AssertionError, match="planted"):
        a_claim(**fields)
