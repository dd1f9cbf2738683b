"""The paper's claims on planted studies: all hold, none does, too few seeds, or nothing was measured."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from paper_support import GROKKING, World, a_run, a_study, planted, single
from spectraledge.claims.design import CONDITIONS
from spectraledge.claims.effects import OWN, Effect, Reading, RunReader, compared_kinds, measure
from spectraledge.claims.paper_claims import PAPER_CLAIMS, evaluate_study
from spectraledge.claims.paper_effects import PAPER_EFFECTS, measure_paper
from spectraledge.claims.published import MODES, VALUES, published, published_modes
from spectraledge.claims.summaries import MeasuredEffects
from spectraledge.claims.training_effects import PUBLISHED_DECLINE

SEEDS = 8
GROK_OR_NEVER = {"never-without-decay", "never-quadratic-cubic", "groks-dual", "groks-tri"}


@pytest.fixture(scope="module")
def true_study():
    return planted(holds=True, seeds=SEEDS)


@pytest.fixture(scope="module")
def true_verdicts(true_study):
    return evaluate_study(true_study.runs)


def test_every_claim_that_holds_replicates(true_verdicts):
    claims = true_verdicts.claims
    assert claims[claims["verdict"] != "replicates"]["claim"].tolist() == []
    assert (claims["seeds"] == SEEDS).all()
    assert claims["q"].between(0, 0.05).all()


def test_no_claim_that_does_not_hold_replicates():
    claims = evaluate_study(planted(holds=False, seeds=SEEDS).runs).claims
    rest = claims[~claims["claim"].isin(GROK_OR_NEVER)]
    assert rest[rest["verdict"] != "does not"][["claim", "verdict"]].to_numpy().tolist() == []


def test_two_seeds_conclude_nothing():
    claims = evaluate_study(planted(holds=True, seeds=2).runs).claims
    assert set(claims["verdict"]) == {"inconclusive"}
    assert (claims["seeds"] == 2).all()


def test_what_was_not_measured_is_said_not_dropped(true_study):
    bare = a_study(*(dataclasses.replace(run, tables={}) for run in true_study.runs))
    found = evaluate_study(bare.runs)
    assert found.claims["claim"].tolist() == [claim.id for claim in PAPER_CLAIMS]
    of_manifests = found.claims["section"].eq("§2") | found.claims["statistic"].str.startswith("steps until")
    assert set(found.claims.loc[~of_manifests, "verdict"]) == {"not measured"}
    assert set(found.claims.loc[of_manifests, "verdict"]) == {"replicates"}
    nothing = evaluate_study(a_study().runs)
    assert set(nothing.claims["verdict"]) == {"not measured"}
    assert len(nothing.by_seed) == 0


def test_a_run_without_one_table_costs_only_its_seed(true_study):
    runs = [
        run.with_tables(modes=pd.DataFrame()) if (run.config.task, run.config.seed) == ("sub", 3) else run
        for run in true_study.runs
    ]
    claims = evaluate_study(a_study(*runs).runs).claims.set_index("claim")
    assert claims.loc[["own-share-sub-bulk", "own-share-add-bulk"], "seeds"].tolist() == [SEEDS - 1, SEEDS]
    # Another of that seed's runs still tells its groups apart.
    assert claims.loc["own-share-separates", "seeds"] == SEEDS


def test_every_seed_of_every_claim_is_in_the_second_table(true_verdicts):
    counts = true_verdicts.by_seed.groupby("claim").size()
    assert counts.to_dict() == dict.fromkeys(true_verdicts.claims["claim"], SEEDS)
    means = true_verdicts.by_seed.groupby("claim")["effect"].mean()
    claims = true_verdicts.claims.set_index("claim")
    plain = claims["scale"].isin(["difference", "rate"])
    np.testing.assert_allclose(claims.loc[plain, "value"], means[claims.index[plain]], rtol=1e-12)


@pytest.mark.parametrize(
    ("task", "decay", "claim"), [("mul", 0.0, "never-without-decay"), ("cubic", 1.0, "never-quadratic-cubic")]
)
def test_one_run_that_groks_breaks_never(task, decay, claim):
    runs = [
        a_run(t, seed, weight_decay=d)
        for seed in range(8)
        for t in (*GROKKING, "quadratic", "cubic")
        for d in (0.0, 1.0)
    ]
    whole = evaluate_study(a_study(*runs).runs).claims.set_index("claim")
    assert whole.loc[claim, ["value", "verdict"]].tolist() == [1.0, "replicates"]
    broken = [
        a_run(task, run.config.seed, weight_decay=decay, grokked_step=900)
        if (run.config.task, run.config.weight_decay) == (task, decay)
        else run
        for run in runs
    ]
    found = evaluate_study(a_study(*broken).runs).claims.set_index("claim")
    assert found.loc[claim, ["value", "verdict"]].tolist() == [0.0, "does not"]
    assert found.loc["never-quadratic-cubic" if task == "mul" else "never-without-decay", "value"] == 1.0
    # A seed without one of its runs cannot say "none".
    fewer = evaluate_study(a_study(*(run for run in runs if run.config.seed or run.config.task != task)).runs)
    assert fewer.claims.set_index("claim").loc[claim, "seeds"] == 7


def test_runs_are_read_at_like_steps():
    def table(at):
        steps = np.arange(100, 3_700, 100)
        return {"declines": pd.DataFrame({**PUBLISHED_DECLINE, "step": steps, "value": steps + at})}

    study = a_study(
        a_run("add", 1, grokked_step=2_000, tables=table(0)),
        a_run("sub", 1, grokked_step=2_640, tables=table(0)),
        a_run("cubic", 1, tables=table(0)),
        a_run("add", 1, weight_decay=0.0),
        a_run("cubic", 2, tables=table(0)),
    )
    effects = measure_paper(study.runs)
    found = pd.concat([effects.of("decline", group) for group in ("generalised", "not-generalised")])
    # 2,320 is the median of the seed's two; a seed in which nothing groks has no such step.
    assert found[["seed", "value", "learned"]].to_numpy().tolist() == [
        [1, 2_000.0, True],
        [1, 2_600.0, True],
        [1, 2_300.0, False],
    ]


def from_column(name, scale="difference"):
    """An effect that is a number of a run's table `t`, against 1."""
    return Effect(name, name, "ratio", scale, "1", lambda reader: Reading(reader.mean("t", "v"), 1.0))


def test_means_over_tasks_are_of_whole_seeds(monkeypatch):
    def run(task, seed, value):
        return a_run(task, seed, grokked_step=9, tables={"t": pd.DataFrame({"v": [value]})})

    runs = (run("add", 1, 4.0), run("sub", 1, 1.0), run("add", 2, 9.0), run("add", 3, 2.0), run("sub", 3, 0.0))
    both = dataclasses.replace(CONDITIONS["learned"], tasks=("add", "sub"))
    monkeypatch.setitem(CONDITIONS, "both", both)
    declared = {name: from_column(name, name) for name in ("difference", "ratio")}
    effects = MeasuredEffects(declared, measure(declared.values(), runs))
    assert effects.by_seed("difference", "both").to_numpy().tolist() == [[1, 2.5, 1.0, 1.5], [3, 1.0, 1.0, 0.0]]
    np.testing.assert_allclose(effects.by_seed("ratio", "both"), [[1, 2.0, 1.0, 2.0], [3, np.nan, 1.0, np.nan]])
    whole = effects.summary("ratio", "both")
    assert (whole.seeds, whole.left_out, whole.measured) == (1, 1, pytest.approx(2.0))


def test_a_number_that_is_missing_in_one_task_costs_its_seed(monkeypatch):
    tables = {"t": pd.DataFrame({"v": [4.0]})}
    runs = (
        a_run("add", 1, grokked_step=9, tables=tables),
        a_run("sub", 1, grokked_step=9, tables={"t": pd.DataFrame({"v": [np.nan]})}),
    )
    monkeypatch.setitem(CONDITIONS, "both", dataclasses.replace(CONDITIONS["learned"], tasks=("add", "sub")))
    declared = {"difference": from_column("difference")}
    found = MeasuredEffects(declared, measure(declared.values(), runs)).summary("difference", "both")
    assert (found.seeds, found.left_out) == (0, 1)


def test_only_runs_that_grok_count_where_a_claim_is_about_them():
    grokked = single(World(holds=True, seed=0), "add", 1, 1.0)
    effects = measure_paper((grokked, a_run("add", 2, tables=grokked.tables)))
    assert effects.of("share:edge-bulk", "add-decay-learned")["seed"].tolist() == [1]
    assert effects.of("share:edge-bulk", "add-decay")["seed"].tolist() == [1, 2]


def test_a_kind_is_compared_by_its_mean():
    table = pd.DataFrame({"kind": ["edge", "edge", "bulk", "random"], "basis": ["sum"] * 4, "x": [1.0, 3.0, 5.0, 7.0]})
    reader = RunReader(a_run("add", 1, tables={"t": table}), ())

    def read(name, **where):
        (effect,) = compared_kinds(
            "e", "e", "F", "ratio", None, table=name, column="x", pairs=("edge-random",), where=where
        )
        return effect.read(reader)

    assert read("t", basis=OWN) == Reading(2.0, 7.0)
    assert read("t", basis="difference") is None
    assert read("other") is None


def test_arms_are_told_apart_by_what_they_start_from(true_study):
    effects = measure_paper(true_study.runs)
    arms = {name: effects.of("steps", name) for name in ("alone", "after-both", "after-permuted")}
    assert {name: sorted(rows["seed"]) for name, rows in arms.items()} == {key: list(range(SEEDS)) for key in arms}
    assert len({run for rows in arms.values() for run in rows["run"]}) == 3 * SEEDS
    assert {name: set(rows["after"]) for name, rows in arms.items()} == {
        "alone": {""},
        "after-both": {"add+mul"},
        "after-permuted": {"permuted_add+permuted_mul"},
    }


def test_arms_that_never_learn_have_steps_but_select_nothing():
    def arm(task, seed, ratio, **run):
        ratios = pd.DataFrame({"readout": ["square_sum"], "basis": ["sum"], "ratio": [ratio]})
        return a_run(task, seed, tables={"reuse_selection": ratios}, steps=40_000, **run)

    runs = [arm("add+square_sum", seed, 1.5, grokked_step=4_000 + seed) for seed in range(3)]
    runs += [arm("maximum+square_sum", seed, 1.0 + 0.01 * seed, grokked_step=8_000) for seed in range(2)]
    claims = evaluate_study(a_study(*runs, arm("maximum+square_sum", 2, 1.0)).runs).claims.set_index("claim")
    steps = claims.loc["add-helps-more-than-maximum"]
    assert steps["seeds"] == 3
    np.testing.assert_allclose(steps["measured_null"], (8_000**2 * 40_000) ** (1 / 3))
    assert claims.loc["add-is-used-more-than-maximum", "seeds"] == 2


def test_pairs_need_both_runs_and_both_numbers():
    def run(task, seed, value):
        return a_run(task, seed, tables={"t": pd.DataFrame({"v": [value]})})

    runs = [run("square_sum+", seed, float(value)) for seed, value in ((1, 4), (3, 3), (4, 5))]
    runs += [run("add+square_sum", seed, value) for seed, value in ((1, 1.0), (2, 1.0), (4, np.nan))]
    declared = {"e": from_column("e")}
    effects = MeasuredEffects(declared, measure(declared.values(), runs))
    found = effects.by_seed("e", "beside-add", against="alone")
    assert found.to_numpy().tolist() == [[1, 1.0, 4.0, -3.0]]
    assert effects.by_seed("e", "beside-mul", against="alone").empty


def test_declarations_are_complete_and_distinct():
    claims = PAPER_CLAIMS
    assert len({claim.id for claim in claims}) == len(claims)
    assert len({(claim.statement, claim.statistic, claim.null) for claim in claims}) == len(claims)
    for claim in claims:
        assert all((claim.section, claim.statement.endswith("."), claim.statistic, claim.null))
        assert {claim.of, claim.against} <= {*CONDITIONS, ""}
        assert PAPER_EFFECTS[claim.effect.id] is claim.effect
    first = {claim.section: claim.method for claim in reversed(claims)}
    both = {section for section in first if {c.method for c in claims if c.section == section} > {"sound"}}
    assert {section: first[section] for section in both} == dict.fromkeys(both, "sound")
    assert len(both) > 5


def test_published_values_are_said_as_published():
    assert published("Table 1", "decline of g_23").startswith("grokking runs: 40 (15–110)×; grokking tasks without")
    assert published("Table 4", "synergy") == "a² + b² alone: 0.024; tri-task: 0.043"
    assert published_modes("§6.3", "mul", "dlog_sum") == "v1: F 0.32, ω 29; v2: ω 29; v3: ω 29"
    assert published_modes("§6.4", "sub", "difference").endswith("mean of the edge: F 0.16; mean of the bulk: F 0.16")
    with pytest.raises(AssertionError, match="nothing is published of hope in §9"):
        published("§9", "hope")
    with pytest.raises(AssertionError, match="no mode of cubic"):
        published_modes("§6.4", "cubic", "sum")


def test_published_ranges_are_ordered_and_distinct():
    keys = [(value.section, value.quantity, value.of) for value in VALUES]
    assert len(set(keys)) == len(keys)
    for value in VALUES:
        assert value.low <= (value.low if value.mean is None else value.mean) <= value.high
    assert len(MODES) == 15
