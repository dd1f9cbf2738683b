"""What is said of a selection: planted tables, judged by hand."""

import numpy as np
import pandas as pd
import pytest

from spectraledge.analyses.selection_findings import (
    ALPHA,
    finest,
    leading,
    own_sentence,
    selected,
    selection_sentence,
    whole_rows,
)
from spectraledge.tasks import basis_formula

COLUMNS = ["basis", "subspace", "part", "functions", "ratio", "low", "high", "p", "window_share", "chance"]


def table(*rows: tuple[object, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


PARITIES = table(
    ("parities", "0", False, "order 1", 0.9, 0.5, 1.6, 0.6, 0.01, 0.02),
    ("parities", "1,4", False, "order 2", 40.0, 20.0, 80.0, 1e-6, 0.5, 0.02),
    ("parities", "2,4", False, "order 2", 3.0, 1.5, 6.0, 1e-4, 0.01, 0.02),
    ("parities", "3,4", False, "order 2", 2.0, 1.1, 3.0, 0.049, 0.3, 0.02),
    ("parities", "rest", True, "the rest", 0.4, 0.3, 0.5, 0.99, 0.1, 0.9),
    ("parities", "order 2", True, "order 2", 20.0, 10.0, 40.0, 1e-7, 0.6, 0.1),
)


def test_kinds_of_functions_count_once() -> None:
    assert finest(PARITIES)["subspace"].tolist() == ["0", "1,4", "2,4", "3,4", "rest"]
    single = table(("signs", "first", True, "first", 2.0, 1.5, 2.5, 0.01, 0.5, 0.1))
    assert finest(single)["subspace"].tolist() == ["first"]


def test_selected_needs_the_interval_more_than_noise_and_q() -> None:
    judged = leading(PARITIES).set_index("subspace")
    assert judged.index.tolist() == ["1,4", "2,4", "3,4", "0", "rest"]
    # By hand: p in order times 5, 5/2, 5/3, 5/4 and 1.
    expected = {"1,4": 5e-6, "2,4": 2.5e-4, "3,4": 0.049 * 5 / 3, "0": 0.75, "rest": 0.99}
    np.testing.assert_allclose([judged.loc[name, "q"] for name in expected], list(expected.values()))
    # The second has less than noise, the third a q above the level.
    assert judged.loc["3,4", "q"] > ALPHA
    assert judged.index[judged["selected"]].tolist() == ["1,4"]


def test_missing_numbers_select_nothing() -> None:
    nothing = table(("signs", "first", True, "first", np.nan, np.nan, np.nan, np.nan, 0.0, 0.1))
    judged = selected(pd.concat([nothing, PARITIES.iloc[[1]]], ignore_index=True))
    assert judged["subspace"].tolist() == ["1,4", "first"]
    assert judged["selected"].tolist() == [True, False]
    assert selection_sentence(nothing).startswith("Of one kind of functions none could be compared")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            PARITIES,
            "Of 5 kinds of functions, the updates select 1, most clearly 1,4 of parities: they move it 40 times as "
            "much as isotropic updates of the same network would (S = 40, 95% interval 20 to 80; no selection: 1; q = "
            "5e-06, the chance that isotropic updates do as much, adjusted for all 5).",
        ),
        (
            PARITIES.iloc[[0, 4]],
            "Of 2 kinds of functions, the updates were found to select none; nearest to it comes 0 of parities (S = "
            "0.9, 95% interval 0.5 to 1.6; no selection: 1; q = 0.99, the chance that isotropic "
            "updates do as much, adjusted for all 2).",
        ),
        (
            PARITIES.iloc[[1]],
            "Of one kind of functions, the updates select 1, 1,4 of parities: they move it 40 times as much as "
            "isotropic updates of the same network would (S = 40, 95% interval 20 to 80; no selection: 1; q = 1e-06, "
            "the chance that isotropic updates do as much).",
        ),
    ],
    ids=["found", "none", "alone"],
)
def test_the_sentence_has_the_verdict_its_interval_and_its_null(rows: pd.DataFrame, words: str) -> None:
    assert selection_sentence(rows) == words


def wholes(own: tuple[float, ...]) -> pd.DataFrame:
    rows = table(
        ("difference", "frequency", True, "a − b", 1.2, 1.1, 1.3, 0.2, 0.5, 0.1),
        ("sum", "frequency", True, "a + b", *own),
        ("sum", "frequency 3", False, "a + b", *own),
        ("product", "frequency", True, "a · b", 3.0, 2.0, 4.0, 0.2, 0.5, 0.1),
    )
    return rows.assign(step=1200)


def test_the_own_functions_come_first_and_alone() -> None:
    found = wholes((1.5, 1.2, 1.9, 0.03, 0.4, 0.1))
    assert whole_rows(found, "sum")["basis"].tolist() == ["sum", "product", "difference"]
    assert own_sentence(found, "sum") == (
        "At step 1,200 the updates select functions of a + b: they move them 1.5 times as much as isotropic updates of "
        "the same network would (S = 1.5, 95% interval 1.2 to 1.9; no selection: 1; p = 0.03)."
    )
    for not_found, end in (
        ((1.5, 0.9, 1.9, 0.03, 0.4, 0.1), "p = 0.03)."),
        ((1.5, 1.2, 1.9, 0.06, 0.4, 0.1), "p = 0.06)."),
        ((1.5, 1.2, 1.9, 0.03, 0.1, 0.1), "p = 0.03; their share is no more than noise has)."),
    ):
        words = own_sentence(wholes(not_found), "sum")
        assert words.startswith("At step 1,200 the updates were not found to select functions of a + b (S = 1.5, ")
        assert words.endswith(end)


def test_without_the_own_basis_all_others_are_judged_together() -> None:
    found = wholes((1.5, 1.2, 1.9, 0.03, 0.4, 0.1))
    assert own_sentence(found, "dlog_sum").startswith("Of 3 kinds of functions, the updates were found to select none")
    assert own_sentence(found.iloc[:0], "sum") == ""


def test_a_group_by_its_name_is_written_as_everywhere() -> None:
    found = wholes((1.5, 1.2, 1.9, 0.03, 0.4, 0.1)).replace({"basis": {"sum": "group:S3"}})
    assert f"the updates select functions of {basis_formula('group:S3')}: " in own_sentence(found, "group:S3")
    assert basis_formula("group:S3") != "group:S3"
