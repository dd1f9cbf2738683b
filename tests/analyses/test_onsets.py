"""Onsets: planted courses against the thresholds of controls, and who may be a control."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recorded_runs import train_small
from spectraledge import InputError, RunConfig
from spectraledge.analyses.growth import CARRIERS
from spectraledge.analyses.lead_times import first_alarms, lead_times
from spectraledge.analyses.onsets import ONSETS, check_control, onset_table, score_alarm_runs
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.score import score_run
from spectraledge.analyses.score_findings import carried, carried_sentence, own_course, score_sentence
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.files import read_table
from spectraledge.trajectory import Manifest

STEPS = list(range(0, 1000, 100))
LEVEL = 0.01


def course(
    seed: int,
    *,
    rises: int | None = None,
    frequency: int = 2,
    readouts: tuple[str, ...] = ("logits", "residual"),
    halves: tuple[str, ...] = ("all", "train", "test"),
) -> pd.DataFrame:
    """A score of three frequencies around a level; one of them rises from a step on."""
    rng = np.random.default_rng(seed)
    rows = []
    for readout in readouts:
        for half in halves:
            for step in STEPS:
                for place in (1, 2, 3):
                    share = LEVEL * (1 + 0.2 * rng.random())
                    if rises is not None and place == frequency and step >= rises and half != "train":
                        share += 0.3
                    rows.append((step, readout, "sum", f"frequency {place}", share, LEVEL, half))
                rows.append((step, readout, "sum", "rest", 0.5, 0.9, half))
                rows.append((step, readout, "product", "frequency 1", 0.5, 0.1, half))
    return pd.DataFrame(rows, columns=["step", "readout", "basis", "subspace", "share", "chance", "half"])


def onsets(score: pd.DataFrame, controls: list[pd.DataFrame], **other: object) -> pd.DataFrame:
    return onset_table(score, controls, basis="sum", grokked_step=900, **other).set_index(
        ["readout", "half", "subspace"]
    )


def test_a_planted_rise_is_dated() -> None:
    found = onsets(course(0, rises=400), [course(seed) for seed in range(1, 20)])
    for readout in ("logits", "residual"):
        for subspace in ("frequency", "frequency 2"):
            # The second snapshot in a row.
            assert found.loc[(readout, "test", subspace), "onset"] == 500
            assert found.loc[(readout, "test", subspace), "lead"] == 400
        assert np.isnan(found.loc[(readout, "train", "frequency 2"), "onset"])
        assert np.isnan(found.loc[(readout, "test", "frequency 1"), "onset"])
    assert found["controls"].eq(19).all()
    np.testing.assert_allclose(found["rate"], 1 / 20)
    metrics = pd.DataFrame({"step": STEPS, "test_accuracy": np.where(np.array(STEPS) >= 900, 1.0, 0.0)})
    words = score_sentence("sum", course(0, rises=400), metrics, found.reset_index())
    assert "left what 19 controls reach (a false alarm has a chance of at most 0.05) at step 500, 400 steps" in words
    few = onsets(course(0, rises=400), [course(1), course(2)]).reset_index()
    assert "against 2 controls a false alarm has a chance of up to 0.33" in score_sentence(
        "sum", course(0, rises=400), metrics, few
    )


def test_thresholds_are_what_controls_reach() -> None:
    controls = [course(seed) for seed in range(1, 5)]
    found = onsets(course(0), controls)

    def peak(control: pd.DataFrame, *, single: bool) -> float:
        rows = control.query("readout == 'logits' and half == 'test' and basis == 'sum' and subspace != 'rest'")
        grouped = rows.groupby("step")["share"]
        chance = LEVEL if single else 3 * LEVEL
        values = ((grouped.max() if single else grouped.sum()).to_numpy() - chance) / (1 - chance)
        return float(np.minimum(values[1:], values[:-1]).max())

    assert found.loc[("logits", "test", "frequency"), "threshold"] == pytest.approx(
        max(peak(control, single=False) for control in controls)
    )
    assert found.loc[("logits", "test", "frequency 3"), "threshold"] == pytest.approx(
        max(peak(control, single=True) for control in controls)
    )
    np.testing.assert_allclose(found["rate"], 1 / 5)


def test_controls_of_the_same_kind_alarm_as_rarely_as_stated() -> None:
    alarms = 0
    for trial in range(40):
        seeds = range(100 * trial, 100 * trial + 20)
        first, *others = (course(seed, readouts=("logits",), halves=("test",)) for seed in seeds)
        found = onsets(first, others).reset_index()
        alarms += bool(found.query("subspace != 'frequency'")["onset"].notna().any())
    # At a rate of 1/20, more than 7 of 40 have a chance of 1 in 1,400.
    assert alarms <= 7


def test_a_control_without_the_basis_is_refused() -> None:
    with pytest.raises(InputError, match="no score in basis 'sum'"):
        onsets(course(0), [course(1).query("basis == 'product'")])
    with pytest.raises(InputError, match="no score of logits on test pairs"):
        onsets(course(0), [course(1).query("half != 'test'")])


def test_who_may_be_a_control(tmp_path: Path) -> None:
    settings = {"steps": 20, "every": 10, "batch_size": 8}
    run = train_small(tmp_path / "run", "add", 7, **settings)
    permuted = train_small(tmp_path / "permuted", "permuted_add", 7, seed=5, **settings)
    few = train_small(tmp_path / "few", "add", 7, train_fraction=0.2, **settings)
    other = train_small(tmp_path / "other", "permuted_add", 7, weight_decay=0.0, **settings)
    own, *others = (RunConfig.of_run(folder) for folder in (run, permuted, few, other))
    for one in others[:2]:
        check_control(own, one, grokked=False)
    with pytest.raises(InputError, match=r"differs from .* in weight_decay"):
        check_control(own, others[2], grokked=False)
    with pytest.raises(InputError, match="as many pairs"):
        check_control(own, own, grokked=False)
    with pytest.raises(InputError, match="it is no control"):
        check_control(own, others[0], grokked=True)
    metrics = read_table(run / "metrics.parquet")
    score, control = (score_run(one, AnalysisConfig(bases=("sum",)))["score"] for one in (run, permuted))
    assert set(score["half"]) == {"all", "train", "test"}
    dated = onset_table(score, [control], basis="sum", grokked_step=None)
    assert list(dated.columns) == list(ONSETS.columns)
    assert dated["lead"].isna().all()
    np.testing.assert_allclose(dated["rate"], 0.5)
    assert "never reached .95" in score_sentence("sum", score, metrics, dated)
    assert "--control" in score_sentence("sum", score, metrics, ONSETS.frame())


def test_leads_come_from_the_tables_of_alarms(run: Path) -> None:
    config, manifest, metrics = RunConfig.of_run(run), Manifest.read(run), read_table(run / "metrics.parquet")
    runs = []
    for seed in range(12):
        learned = seed % 2 == 0
        dated = manifest.model_copy(update={"grokked_step": 900 if learned else None})
        score = course(seed, rises=300 if learned else None)
        of_seed = config.model_copy(update={"seed": seed // 2})
        runs.append(RunResult(of_seed, dated, metrics, "sum", "a + b", 1, {"score": score}))
    found = score_alarm_runs(runs, "sum")
    assert len(found) == 12
    assert len(score_alarm_runs([replace(one, structure="product") for one in runs], "sum")) == 6
    assert not score_alarm_runs([one.with_tables(score=one.table("score")[:0]) for one in runs], "sum")
    table = lead_times(first_alarms(found)).set_index(["quantity", "change"])
    assert table.loc[("score_test", "high"), "lead"] == 500
    assert table.loc[("strongest_test", "high"), "before"] == 1
    assert table.loc[("weight_norm", "high"), "before"] < 1
    assert {"test_accuracy", "test_loss"} <= set(table.index.get_level_values(0))


def test_own_functions_are_summed() -> None:
    score = course(0)
    rows = score.query("basis == 'sum' and half == 'train' and readout == 'residual' and subspace != 'rest'")
    found = own_course(score, "sum", half="train", readout="residual")
    np.testing.assert_allclose(found["share"], rows.groupby("step")["share"].sum())
    np.testing.assert_allclose(found["chance"], 3 * LEVEL)


def test_what_is_carried_is_summed_over_intervals_with_both_windows() -> None:
    rows = [
        (100, "own", "all", 9, 5.0),
        (100, "own", "edge", 1, 5.0),
        *((step, "own", "all", 9, 1.0) for step in (200, 300)),
        *((step, "own", "edge", k, value) for step in (200, 300) for k, value in ((1, 0.2), (2, 0.4), (3, 0.8))),
        *((step, "before", "edge", k, value) for step in (200, 300) for k, value in ((1, -0.1), (2, 0.1), (3, 0.2))),
        (300, "before", "edge", 4, 3.0),
    ]
    carriers = CARRIERS.frame((*row, np.nan, np.nan, np.nan) for row in rows)
    found = carried(carriers).set_index(["window", "kind", "k"])
    assert found.loc[("own", "all", 9), "growth"] == 2
    assert found.loc[("own", "edge", 3), "share"] == pytest.approx(0.8)
    assert found.loc[("before", "edge", 1), "share"] == pytest.approx(-0.1)
    assert ("before", "edge", 4) not in found.index
    sentence = carried_sentence(carriers, edge=3)
    assert "the watched weights carried +2.000" in sentence
    assert "of its own window +1.600 (half takes 3)" in sentence
    assert "+0.400 (all 3 do not hold half)" in sentence
    assert carried_sentence(CARRIERS.frame(), edge=3) == ""
