"""Labels for tables that are nearly groups': wrong entries outvoted, labels improved, and all of them tried."""

import itertools

import numpy as np
import pytest
from group_support import LOOP, damaged, isotope, table_of

from spectraledge.algebra import check_group, named_group
from spectraledge.algebra.nearest_labels import _Known, best_labels, improved, random_labels, repaired


@pytest.mark.parametrize("name", ["C9", "C2xC4", "Q8", "D5", "S4", "Aff5", "C3xS3"])
def test_wrong_and_missing_entries_are_outvoted(name):
    table = isotope(table_of(name), 3)
    order = len(table)
    spoiled = damaged(table, order // 2, 1)
    spoiled.flat[np.random.default_rng(2).choice(table.size, order // 3, replace=False)] = -1
    group, labels = repaired(spoiled, order)
    check_group(group)
    np.testing.assert_array_equal(group[np.ix_(labels.rows_M, labels.columns_M)], labels.answers_K[table])


@pytest.mark.parametrize("name", ["S4", "C2xC12", "C59"])
def test_half_of_the_entries_may_be_missing(name):
    table = isotope(table_of(name), 3)
    spoiled = np.where(np.random.default_rng(5).random(table.shape) < 0.5, table, -1)
    group, labels = repaired(spoiled, len(table))
    check_group(group)
    np.testing.assert_array_equal(group[np.ix_(labels.rows_M, labels.columns_M)], labels.answers_K[table])


def test_places_are_drawn_among_the_known_ones_each_as_often():
    inside = np.random.default_rng(0).random((6, 9)) < 0.4
    inside[2] = False
    lines = np.tile(np.arange(6), 500)
    drawn = _Known(inside).drawn(lines, np.random.default_rng(1))
    for line in (0, 1, 3, 4, 5):
        counts = np.bincount(drawn[:, lines == line].ravel(), minlength=9)
        assert (counts[~inside[line]] == 0).all()
        np.testing.assert_allclose(counts[inside[line]], counts.sum() / inside[line].sum(), rtol=0.05)


def test_answers_that_no_element_has_are_outvoted():
    table = isotope(table_of("S4"), 4)
    spoiled = table.copy()
    spoiled[3, 5], spoiled[7, 7] = 24, 25
    group, labels = repaired(spoiled, 26)
    np.testing.assert_array_equal(group[np.ix_(labels.rows_M, labels.columns_M)], labels.answers_K[table])
    assert labels.answers_K[24:].tolist() == [-1, -1]


def test_a_table_with_nothing_of_a_group_is_not_repaired():
    noise = np.random.default_rng(0).integers(0, 12, (12, 12))
    assert repaired(noise, 12) is None
    assert repaired(np.zeros((4, 4), dtype=int), 1) is None


@pytest.mark.parametrize("name", ["C7", "S3", "Q8", "D6"])
def test_improving_labels_never_loses_and_counts_what_agrees(name):
    group = named_group(name)
    generator = np.random.default_rng(5)
    for answers in (len(group) - 2, len(group), len(group) + 3):
        table = generator.integers(-1, answers, (len(group), len(group)))
        before = random_labels(len(group), answers, generator)
        kept, after = improved(group, table, before)
        assert kept == after.agrees(group, table).sum() >= before.agrees(group, table).sum()
        for kind in (after.rows_M, after.columns_M, after.answers_K[after.answers_K >= 0]):
            assert len(set(kind.tolist())) == len(kind)
        assert (after.rows_M >= 0).all()
        assert (after.columns_M >= 0).all()


def test_names_swapped_in_one_kind_are_put_right():
    group = named_group("C9")
    start = random_labels(9, 9, np.random.default_rng(0))
    table = np.argsort(start.answers_K)[group.table_MM[np.ix_(start.rows_M, start.columns_M)]]
    start.rows_M[[2, 5]] = start.rows_M[[5, 2]]
    assert improved(group, table, start)[0] == 81


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["C3", "C4", "C2xC2"])
def test_the_best_labels_are_the_best_of_all_names(name, seed):
    group = named_group(name)
    order = len(group)
    generator = np.random.default_rng([seed, order])
    table = generator.integers(-1, order + seed % 2, (order, order))
    answers = max(int(table.max()) + 1, order)
    most = 0
    for rows, columns in itertools.product(itertools.permutations(range(order)), repeat=2):
        moved = group.table_MM[np.ix_(rows, columns)]
        for named in itertools.permutations(range(answers), order):
            most = max(most, int((np.array(named)[moved] == table).sum()))
    found, labels = best_labels(group, table, answers)
    assert found == most == labels.agrees(group, table).sum()


def test_the_loop_of_order_five_is_as_near_to_the_group_as_all_names_say():
    found, labels = best_labels(named_group("C5"), LOOP, 5)
    assert found == labels.agrees(named_group("C5"), LOOP).sum()
    rows = np.array(list(itertools.permutations(range(5))))
    moved = named_group("C5").table_MM[rows[:, None, :, None], rows[None, :24, None, :]]
    assert found == max(int((names[moved] == LOOP).sum(axis=(2, 3)).max()) for names in rows)
