"""What a table of selection says its subspaces are, written now or by a version that only named them."""

import numpy as np
import pandas as pd
import pytest

from spectraledge.algebra import cube
from spectraledge.analyses.selection_tables import described, selection_rows
from spectraledge.modes import grouping_basis, joint_basis, pair_basis, walsh_basis
from spectraledge.tasks import grouping, named_task

DESCRIPTION = ["frequency", "family", "grouping", "functions"]
TASK = named_task("mul", modulus=7)
SUM, LOGARITHMS, QUOTIENT = (grouping(TASK, name) for name in ("sum", "dlog_sum", "dlog_difference"))


def rows(basis):
    energies_KS = np.random.default_rng(0).random((5, len(basis.subspaces)))
    return selection_rows(energies_KS[:2], np.ones(2), energies_KS[2:], basis, seed=1, permutations=1)


def told(basis):
    """The description of every subspace and part, by name."""
    return {row.subspace: tuple(row[DESCRIPTION]) for _, row in rows(basis).iterrows()}


def test_a_grouping_has_frequencies_and_a_whole():
    found = told(grouping_basis(LOGARITHMS))
    own = ("grouping", "dlog_sum", "dlog a + dlog b")
    assert found == {
        **{f"frequency {frequency}": (frequency, *own) for frequency in (1, 2, 3)},
        "frequency": (0, *own),
        "rest": (0, "grouping", "", "the rest"),
    }


def test_pairs_have_axes_and_the_groupings_on_their_diagonals():
    found = told(pair_basis(QUOTIENT))
    assert found["a 2"] == (2, "pairs", "", "a alone")
    assert found["b"] == (0, "pairs", "", "b alone")
    assert found["sum 3"] == (3, "pairs", "dlog_sum", "dlog a + dlog b")
    assert found["difference"] == (0, "pairs", "dlog_difference", "dlog a − dlog b")
    assert found["rest"] == (0, "pairs", "", "the rest")


def test_later_groupings_of_a_joint_basis_are_beyond_the_earlier():
    found = told(joint_basis([SUM, LOGARITHMS, QUOTIENT]))
    assert found["sum 2"] == (2, "joint", "sum", "a + b")
    assert found["dlog_sum"] == (0, "joint", "dlog_sum", "dlog a + dlog b, beyond a + b")
    beyond = "dlog a − dlog b, beyond a + b and dlog a + dlog b"
    assert found["dlog_difference 1"] == (1, "joint", "dlog_difference", beyond)


def test_other_bases_are_told_by_their_parts():
    found = told(walsh_basis(cube(3), order=2))
    assert found["0,2"] == found["order 2"] == (0, "features", "", "order 2")


@pytest.mark.parametrize(
    "bases",
    [
        [grouping_basis(SUM), grouping_basis(QUOTIENT), pair_basis(SUM), joint_basis([SUM, LOGARITHMS])],
        [grouping_basis(LOGARITHMS).coarse, pair_basis(QUOTIENT)],
    ],
    ids=["subspaces", "parts"],
)
def test_tables_of_names_alone_say_the_same(bases):
    written = pd.concat([rows(basis) for basis in bases], ignore_index=True)
    named = written.drop(columns=DESCRIPTION)
    pd.testing.assert_frame_equal(described(named)[list(written)], written)
    pd.testing.assert_frame_equal(described(written), written)


def test_no_table_stays_none():
    assert described(pd.DataFrame()).empty
