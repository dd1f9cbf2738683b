"""What tells groups of runs apart, on tables of planted runs."""

import numpy as np
import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.statistics import discrimination, false_discovery_rate
from spectraledge.streams import numpy_generator
from spectraledge.studies.discriminators import ALL, discriminators

STEPS = np.arange(100, 1100, 100)


def planted() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Four seeds, each with two runs that grok and one of each of two kinds of controls.

    "size" falls with the step alone, in all runs alike; "signal" is 2 in runs that grok, 1 in others, and noise.
    """
    rng = np.random.default_rng(0)
    runs, rows = [], []
    for seed in range(4):
        for task, group, grokked in (
            ("add", "", 400.0 + 100 * seed),
            ("mul", "", 600.0 + 100 * seed),
            ("add-0", "no decay", np.nan),
            ("cubic", "no structure", np.nan),
        ):
            name = f"{task}-{seed}"
            runs.append((name, seed, group, grokked))
            signal = 1.0 + np.isfinite(grokked) + 0.1 * rng.standard_normal(len(STEPS))
            rows += [(name, "size", "value", 0, False, step, 1e4 / step) for step in STEPS]
            rows += [(name, "signal", "value", 5, True, *row) for row in zip(STEPS, signal, strict=True)]
            rows += [(name, "rare", "value", 5, True, step, float(step)) for step in STEPS[4::5]]
    columns = ["run", "quantity", "definition", "window", "centered", "step", "value"]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(runs, columns=["run", "seed", "group", "grokked_step"])


@pytest.fixture(scope="module")
def found() -> pd.DataFrame:
    return discriminators(*planted()).set_index(["controls", "quantity"])


def test_runs_are_read_at_like_steps(found: pd.DataFrame) -> None:
    # Grokking runs at 400..900, controls at the middle of their seed's, 500..800.
    size = found.loc[("no decay", "size")]
    np.testing.assert_allclose(
        size["median_grokking"], np.median(1e4 / np.array([400, 500, 600, 600, 700, 700, 800, 900]))
    )
    np.testing.assert_allclose(size["median_others"], np.median(1e4 / np.array([500, 600, 700, 800])))
    assert size["apart"] == 0
    assert size["area"] == 0.5
    assert size["p"] > 0.5
    assert found.loc[("no decay", "rare"), "apart"] == 200


def test_what_differs_is_told_apart_with_the_seeds(found: pd.DataFrame) -> None:
    declined, runs = planted()
    table = declined.merge(runs, on="run").query("quantity == 'signal'")
    middle = runs.groupby("seed")["grokked_step"].median()
    at = table["grokked_step"].fillna(table["seed"].map(middle))
    read = table[table["step"] == at]
    for name in ("no decay", "no structure", ALL):
        ours = read[read["grokked_step"].notna()]
        others = read[read["grokked_step"].isna() & ((read["group"] == name) | (name == ALL))]
        expected = discrimination(
            ours["value"],
            others["value"],
            seeds=(ours["seed"], others["seed"]),
            generator=numpy_generator(42, "discriminators", name, "signal", "value", "5", "True"),
        )
        row = found.loc[(name, "signal")]
        np.testing.assert_allclose(row[["area", "low", "high"]].astype(float), (1.0, expected.low, 1.0))
        np.testing.assert_allclose(row["p"], expected.p, atol=0.02)
        assert (row["grokking"], row["others"]) == (8, 8 if name == ALL else 4)
        np.testing.assert_allclose(found.loc[name, "q"], false_discovery_rate(found.loc[name, "p"]))


def test_a_group_of_one_run_is_left_out_and_one_seed_counts_as_independent_runs() -> None:
    declined, runs = planted()
    few = runs[runs["run"].isin(["add-0", "mul-0", "add-0-0", "add-0-1", "cubic-0"])]
    found = discriminators(declined[declined["run"].isin(few["run"])], few)
    assert set(found["controls"]) == {"no decay", ALL}
    assert (found["design_effect"] == 1.0).all()


def test_what_cannot_be_compared_is_refused() -> None:
    declined, runs = planted()
    with pytest.raises(InputError, match=r"only one of them for \['add-0', 'mul-2'\]"):
        discriminators(declined[declined["run"] != "mul-2"], runs[runs["run"] != "add-0"])
    with pytest.raises(InputError, match=r"no run reached a test accuracy of \.95"):
        discriminators(declined, runs.assign(grokked_step=np.nan))
