"""What is said of the functions that a watched model computes."""

import pandas as pd
import pytest

from spectraledge.analyses.score import SCORE
from spectraledge.analyses.score_findings import WatchedCourse


def score(*bases: str, shares: tuple[tuple[float, ...], ...] = ((0.1, 0.2, 0.7), (0.6, 0.3, 0.1))) -> pd.DataFrame:
    """Two functions and the rest, at steps 0 and 10; by chance they have 40%, 5% and 55%."""
    return SCORE.frame(
        (10 * place, "function", basis, name, share, chance, "all")
        for place, at in enumerate(shares)
        for basis in bases
        for name, share, chance in zip(("wide", "narrow", "rest"), at, (0.4, 0.05, 0.55), strict=True)
    )


def test_functions_are_ordered_by_how_far_above_chance_they_end() -> None:
    course = WatchedCourse.of(score("lines"))
    # 0.3 − 0.05 is more than 0.6 − 0.4.
    assert course.shares.columns.tolist() == ["narrow", "wide"]
    assert course.shares.loc[10].tolist() == [0.3, 0.6]
    assert course.chance.tolist() == [0.05, 0.4]
    assert course.sentence == (
        "At step 10, narrow of lines holds 30.0% of what the model computes on these inputs, 20.0% at step 0 (values "
        "dealt to them at random: 5.0%); of 2 kinds of functions it is the furthest above chance."
    )


def test_several_bases_name_themselves() -> None:
    course = WatchedCourse.of(score("lines", "areas"))
    assert course.shares.columns.tolist()[:2] == ["narrow of lines", "narrow of areas"]
    assert "narrow of lines holds 30.0%" in course.sentence


@pytest.mark.parametrize("rows", [score("lines").iloc[:0], score("lines").query("subspace == 'rest'")])
def test_without_functions_nothing_is_said(rows: pd.DataFrame) -> None:
    assert WatchedCourse.of(rows).empty
    assert WatchedCourse.of(rows).sentence == "No function that the model computes has been read so far."


def test_steps_at_which_the_function_was_not_finite_are_left_out() -> None:
    nan = float("nan")
    course = WatchedCourse.of(score("lines", shares=((0.1, 0.2, 0.7), (nan, nan, nan))))
    assert course.shares.index.tolist() == [0]
    assert course.sentence.startswith("At step 0, narrow of lines holds 20.0% of what the model computes on these")
