"""Arms of a study against tables written by hand, and subspaces that are shared as planted."""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats

from spectraledge.errors import InputError
from spectraledge.files import write_table
from spectraledge.studies.composition import arms, compare_arms, inclusion_between
from spectraledge.tasks import any_task, part_names
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest

STEPS = [0, 100, 200, 300]


def write_run(root, task, accuracies, *, seed=42, start="", functions=None):
    """A run folder with a configuration, evaluations and subspaces, and nothing else."""
    config = RunConfig.for_task(
        any_task(task, modulus=13), {"width": 8, "heads": 2, "hidden": 8}, seed=seed, steps=1000, every=100, start=start
    )
    folder = root / config.run_id
    folder.mkdir()
    Manifest(config=config.model_dump(mode="json"), config_hash=config.hash, seeds={}, environment={}).write(folder)
    steps = STEPS[: len(next(iter(accuracies.values())))]
    lowest = np.min(list(accuracies.values()), axis=0)
    write_table(folder / "metrics.parquet", pd.DataFrame({"step": steps, "test_accuracy": lowest}))
    if len(part_names(task)) > 1:
        parts = [
            pd.DataFrame({"step": steps, "part": part, "test_accuracy": values}) for part, values in accuracies.items()
        ]
        write_table(folder / "parts.parquet", pd.concat(parts))
    if functions is not None:
        write_table(folder / "functions.parquet", functions)
    return folder, config.hash


def test_first_steps_censoring_and_what_was_learned_before(tmp_path):
    dual, dual_hash = write_run(tmp_path, "add+mul", {"add": [0.1, 0.96, 0.9, 0.99], "mul": [0.1, 0.2, 0.94, 0.95]})
    later, _ = write_run(tmp_path, "square_sum+", {"square_sum": [0.1, 0.97]}, start=dual_hash)
    alone, _ = write_run(tmp_path, "square_sum+", {"square_sum": [0.1, 0.2, 0.3]})
    table = arms([later, dual, alone]).set_index(["arm", "part"])
    columns = ["censored", "steps", "before", "total", "budget"]
    expected = {
        ("add+mul", "add"): [False, 100, 0, 100, 1000],
        ("add+mul", "mul"): [False, 300, 0, 300, 1000],
        ("square_sum+ after add+mul", "square_sum"): [False, 100, 300, 400, 1000],
        ("square_sum+", "square_sum"): [True, 200, 0, 200, 1000],
    }
    assert set(table.index) == set(expected)
    for where, values in expected.items():
        assert list(table.loc[where, columns]) == values
    assert table.loc[("square_sum+", "square_sum"), "run"] == alone.name
    with pytest.raises(InputError, match=r"starts from the run with hash .{8}…, which is not among the 2 runs given"):
        arms([later, alone])


def rows(arm, steps, censored=(), *, before=0):
    return pd.DataFrame(
        {
            "arm": arm,
            "seed": range(len(steps)),
            "part": "square_sum",
            "censored": [seed in censored for seed in range(len(steps))],
            "steps": steps,
            "total": [one + before for one in steps],
        }
    )


def test_ratios_of_arms_by_seed():
    table = pd.concat([rows("alone", [1000, 2000, 4000]), rows("after", [500, 500, 4000], before=1500)])
    (found,) = compare_arms(table, part="square_sum", reference="alone").to_dict("records")
    logs = [math.log(1 / 2), math.log(1 / 4), 0.0]
    interval = scipy.stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    assert found["ratio"] == pytest.approx(math.exp(sum(logs) / 3))
    assert (found["low"], found["high"]) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert (found["smallest"], found["largest"]) == pytest.approx((0.25, 1.0))
    assert (found["faster"], found["slower"], found["seeds"], found["bound"]) == (2, 0, 3, "exact")
    assert (found["p"], found["smallest_p"]) == (0.5, 0.25)
    (total,) = compare_arms(table, part="square_sum", reference="alone", measure="total").to_dict("records")
    assert total["ratio"] == pytest.approx((2.0 * 1.0 * 5500 / 4000) ** (1 / 3))


@pytest.mark.parametrize(
    ("censored", "base_censored", "bound", "faster", "slower"),
    [
        ((0,), (), "at least", 1, 1),
        ((1,), (), "at least", 0, 1),
        ((), (0,), "at most", 1, 0),
        ((0,), (1,), "none", 1, 1),
    ],
)
def test_censored_runs_give_bounds_and_only_certain_signs(censored, base_censored, bound, faster, slower):
    table = pd.concat([rows("alone", [1000, 2000], base_censored), rows("tri", [3000, 500], censored)])
    (found,) = compare_arms(table, part="square_sum", reference="alone").to_dict("records")
    assert (found["bound"], found["faster"], found["slower"]) == (bound, faster, slower)
    assert (found["censored"], found["reference_censored"]) == (len(censored), len(base_censored))
    assert np.isnan(found["low"])
    assert np.isnan(found["high"])
    assert np.isnan(found["ratio"]) == (bound == "none")


def test_the_sign_test_holds_its_level():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(200):
        table = pd.concat([rows(arm, np.exp(rng.normal(8, 1, 8))) for arm in ("alone", "after")])
        p.append(compare_arms(table, part="square_sum", reference="alone")["p"].iloc[0])
    assert np.mean(np.array(p) <= 0.05) <= 0.05
    assert np.mean(np.array(p) <= 0.3) > 0.1


def test_arms_without_common_seeds_or_steps_are_left_out():
    other = rows("after", [100, 200]).assign(seed=[7, 8])
    table = pd.concat([rows("alone", [1000, 2000]), other, rows("begun", [0, 0], (0, 1))])
    assert not len(compare_arms(table, part="square_sum", reference="alone"))


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (rows("alone", [1]), {"measure": "hours"}, "measure is steps or total and level"),
        (rows("alone", [1]), {"level": 1.0}, "measure is steps or total and level"),
        (rows("alone", [1]), {"reference": "dual"}, "no run of arm 'dual' has a part 'square_sum': arms are alone"),
        (pd.concat([rows("alone", [1])] * 2), {}, "arm 'alone' has two runs of one seed"),
    ],
)
def test_what_cannot_be_compared_is_refused(table, options, message):
    with pytest.raises(InputError, match=message):
        compare_arms(table, part="square_sum", **{"reference": "alone", **options})


def functions_of(**spans):
    columns = {
        f"{part} {k + 1}": column.astype(np.float16) for part, span in spans.items() for k, column in enumerate(span.T)
    }
    return pd.DataFrame({"a": np.arange(128), "b": np.arange(128), **columns})


def test_inclusion_between_runs_finds_the_planted_spans(tmp_path):
    # Signs, which half precision holds exactly.
    axes = scipy.linalg.hadamard(128)[:, 1:9].astype(float)
    first = {"add": axes[:, :2], "mul": axes[:, 2:4], "square_sum": axes[:, 1:3]}
    mixed = axes[:, :2] + axes[:, 6:8]
    accuracies = {part: [0.1] for part in first}
    joint, _ = write_run(tmp_path, "add+mul+square_sum", accuracies, functions=functions_of(**first))
    other, _ = write_run(tmp_path, "add+", {"add": [0.1]}, seed=7, functions=functions_of(add=mixed))
    table = inclusion_between([joint, other])
    found = table.set_index(["run", "target", "other_run", "others"])["inclusion"]
    assert found[joint.name, "square_sum", joint.name, "add+mul"] == pytest.approx(1.0, abs=1e-9)
    assert found[joint.name, "square_sum", joint.name, "add"] == pytest.approx(0.5, abs=1e-9)
    assert found[joint.name, "add", joint.name, "mul"] == pytest.approx(0.0, abs=1e-9)
    assert found[joint.name, "add", other.name, "add"] == pytest.approx(0.5, abs=1e-9)
    assert found[other.name, "add", joint.name, "add"] == pytest.approx(0.5, abs=1e-9)
    # Each part alone, the others together, and never a part with itself in its own run.
    assert len(table) == 3 * (2 + 1) + 3 * 1 + (3 + 1)
    assert not ((table["run"] == table["other_run"]) & (table["target"] == table["others"])).any()
    assert set(table["other_seed"]) == {42, 7}
    row = table[(table["target"] == "square_sum") & (table["others"] == "add+mul")].iloc[0]
    assert (row["target_rank"], row["others_rank"], row["chance"]) == (2, 4, pytest.approx(4 / 127))


def test_runs_without_subspaces_or_of_other_domains_are_refused(tmp_path):
    bare, _ = write_run(tmp_path, "add", {"add": [0.1]})
    with pytest.raises(InputError, match=r"no functions.parquet in .*carry out the analysis of reuse"):
        inclusion_between([bare])
    ones = functions_of(add=np.eye(128)[:, :2])
    one, _ = write_run(tmp_path, "add+", {"add": [0.1]}, seed=1, functions=ones)
    two, _ = write_run(tmp_path, "add+", {"add": [0.1]}, seed=2, functions=ones.iloc[:100])
    with pytest.raises(InputError, match="different domains do not compare"):
        inclusion_between([one, two])
