"""Which group a function of pairs is of, from values alone: planted groups, controls, and the law of not peeking."""

import itertools

import numpy as np
import pytest

from spectraledge import InputError
from spectraledge.algebra import PAIR_ELEMENTS, named_group, random_latin_square
from spectraledge.modes import FunctionGroup, energy_share, group_of_function
from spectraledge.modes.group_of_function import _dealt, _elements, _turned, _unseen
from spectraledge.tasks import grouping, task_from_source


def planted(table, *, noise=0.3, channels=None, seed=0):
    """A function of an operation with random values, and noise of so many times its size, on every pair."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((len(table), channels or len(table)))[table]
    return values + noise * rng.standard_normal(values.shape)


def relabelled(values, seed=1):
    rng = np.random.default_rng(seed)
    rows, columns, channels = (rng.permutation(size) for size in values.shape)
    return values[np.ix_(rows, columns, channels)]


def same_partition(one, other):
    return len(np.unique(np.stack([one.ravel(), other.ravel()]), axis=1).T) == len(np.unique(one))


@pytest.mark.parametrize(
    ("name", "operation"),
    [*((name, "ab") for name in ("Q8", "D5", "C11", "A4", "C12", "C2xC6", "S4")), ("Dic3", "ab^-1")],
)
def test_a_planted_group_is_found_with_its_elements(name, operation):
    group = named_group(name)
    table = PAIR_ELEMENTS[operation](group)
    found = group_of_function(planted(table))
    assert (found.is_found, found.discovery.group.name, found.alike) == (True, name, 5)
    assert same_partition(_elements(found.discovery), table)
    assert found.placed > 0.9
    assert found.p == 1 / 21
    assert found.null_B.max() < 0.5 < found.unseen_share
    # Noise has a variance of .09, beside 1.
    np.testing.assert_allclose([found.share, found.unseen_share], 1 / 1.09, atol=0.07)


@pytest.mark.parametrize("name", ["Q8", "D7", "C13"])
def test_names_of_rows_columns_and_channels_do_not_enter(name):
    values = planted(named_group(name).table_MM)
    found, renamed = group_of_function(values), group_of_function(relabelled(values))
    assert renamed.discovery.group.name == found.discovery.group.name == name
    assert renamed.is_found
    np.testing.assert_allclose(renamed.share, found.share)
    np.testing.assert_allclose(
        sorted(renamed.shares.share_KS[0, 1:-1]), sorted(found.shares.share_KS[0, 1:-1]), atol=1e-12
    )
    # Answers alone renamed, which nothing else depends on, change no number at all.
    answers = np.random.default_rng(3).permutation(len(values))
    np.testing.assert_allclose(group_of_function(values[..., answers]).null_B, found.null_B)


def test_a_function_of_few_frequencies_beside_functions_of_one_input_is_found():
    order, rng = 23, np.random.default_rng(0)
    angles = 2 * np.pi * np.outer(np.arange(order), [3, 7]) / order
    waves = np.hstack([np.cos(angles), np.sin(angles)]) @ rng.standard_normal((4, 12))
    alone = 2 * rng.standard_normal((2, order, 12))
    values = waves[named_group("C23").table_MM] + alone[0][:, None] + alone[1] + 0.5 * rng.standard_normal((23, 23, 12))
    found = group_of_function(values)
    # What a and b add alone is larger, so that most outputs are nearest to another element's.
    assert (found.is_forming, found.is_found, found.discovery.group.name) == (True, False, "C23")
    assert found.placed < 0.5 < 0.9 < found.placed_apart
    basis, share = found.shares.basis, found.shares.share_KS[0]
    # Frequencies have no name of their own in a group that is only known up to renaming, but there are two of them.
    assert (share[1:-1] > 3 * found.shares.chance_S[1:-1]).sum() == 2
    assert len(basis.subspaces) == 13


def noise(order, seed):
    return np.random.default_rng(seed).standard_normal((order, order, order))


def of_low_rank(order, seed):
    rng = np.random.default_rng(seed)
    return np.einsum("ar,br,rd->abd", *rng.standard_normal((2, order, 3)), rng.standard_normal((3, order)))


def untrained(order, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, order, 64))
    return np.maximum(a[:, None] + b, 0) @ rng.standard_normal((64, order))


def of_a_latin_square(order, seed):
    return planted(random_latin_square(order, np.random.default_rng(seed)), seed=seed)


def memorised(order, seed):
    return planted(np.random.default_rng(seed).permutation(np.repeat(np.arange(order), order)).reshape(order, order))


def of_a_quotient(order, seed):
    return planted(named_group(f"C{order}").table_MM % 2, channels=order, seed=seed)


@pytest.mark.parametrize("control", [noise, of_low_rank, untrained, of_a_latin_square, memorised, of_a_quotient])
@pytest.mark.parametrize("seed", range(2))
def test_controls_are_of_no_group(control, seed):
    found = group_of_function(control(12, seed))
    assert not found.is_forming
    assert max(found.placed, found.placed_apart) < 0.5


def test_what_was_memorised_is_no_evidence_on_other_pairs():
    table, rng = named_group("D7").table_MM, np.random.default_rng(0)
    values, unseen = planted(table), rng.random((14, 14)) < 0.3
    values[unseen] = rng.standard_normal(values[unseen].shape)
    found = group_of_function(values, held_out=unseen)
    assert found.discovery.group.name == "D7"
    assert not found.is_forming
    assert max(found.placed, found.placed_apart) < 0.3
    assert abs(found.unseen_share) < 0.05


def test_pairs_that_are_not_held_out_find_a_group_that_is_only_beginning_on_the_others():
    table, rng = named_group("C31").table_MM, np.random.default_rng(0)
    values, unseen = planted(table), rng.random(table.shape) < 0.45
    values[unseen] = 0.1 * values[unseen] + 0.2 * rng.standard_normal(values[unseen].shape)
    found = group_of_function(values, held_out=unseen)
    assert same_partition(_elements(found.discovery), table)
    assert (found.is_forming, found.alike, found.p) == (True, 5, 1 / 21)


def test_without_a_group_p_values_are_spread():
    p = [group_of_function(noise(5, seed), nulls=19, seed=seed).p for seed in range(12)]
    assert np.sum(np.array(p) <= 0.1) <= 4
    assert 0.3 < np.mean(p) < 0.9


def test_lines_that_hardly_vary_are_left_out_and_pairs_may_be_missing():
    table = named_group("D5").table_MM
    values = np.full((11, 11, 10), np.nan)
    values[:, 1:] = 0.05 * np.random.default_rng(1).standard_normal((11, 10, 10))
    values[1:, 1:] = planted(table)
    values[3, 4], values[7, 7] = np.nan, np.nan
    found = group_of_function(values)
    assert (found.is_found, found.discovery.group.name) == (True, "D5")
    assert found.rows_M.tolist() == found.columns_M.tolist() == list(range(1, 11))
    assert same_partition(_elements(found.discovery), table)


def test_the_share_is_that_of_the_known_basis():
    task = task_from_source("group:S3")
    values, unseen = planted(named_group("S3").table_MM, noise=0.5), np.random.default_rng(0).random((6, 6)) < 0.6
    found = group_of_function(values, held_out=unseen)
    assert same_partition(_elements(found.discovery), task.labels_N.reshape(6, 6))
    known = grouping(task, task.structure).covering(unseen.ravel())
    np.testing.assert_allclose(found.share, energy_share(values.reshape(1, 36, 6), known)[0])


def test_turning_keeps_the_singular_values_along_each_axis_and_functions_of_one_input():
    values = planted(random_latin_square(7, np.random.default_rng(0)), channels=4)
    turned = _turned(values, np.random.default_rng(5))
    for axis in range(3):
        spectra = [
            np.linalg.svd(np.moveaxis(each, axis, 0).reshape(each.shape[axis], -1), compute_uv=False)
            for each in (values, turned)
        ]
        np.testing.assert_allclose(*spectra)
    np.testing.assert_allclose(turned.mean(axis=(0, 1)), values.mean(axis=(0, 1)))
    for axis in (0, 1):
        alone = [np.linalg.norm(each.mean(axis=axis)) for each in (values, turned)]
        np.testing.assert_allclose(*alone)


def test_pairs_are_dealt_to_the_nearest_clusters_in_all():
    rng = np.random.default_rng(0)
    points, centres, lines = rng.standard_normal((8, 3)), rng.standard_normal((4, 3)), np.array([0, 1] * 4)
    dealt = _dealt(points, centres, lines)
    for line in (0, 1):
        mine = points[lines == line]
        best = min(itertools.permutations(range(4)), key=lambda order: np.square(mine - centres[list(order)]).sum())
        assert tuple(dealt[lines == line]) == best


def test_what_is_said_of_unseen_pairs_is_what_its_definition_says():
    values = planted(named_group("S3").table_MM, noise=0.8)
    part = np.random.default_rng(0).random((6, 6)) < 0.3
    discovery = group_of_function(values).discovery
    others = ~part & (np.random.default_rng(1).random((6, 6)) < 0.4)
    said = _unseen(values, ~part, part, others, discovery)
    elements, mean = _elements(discovery), values[~part].mean(axis=0)
    means = [(values - mean)[~part & (elements == g)].mean(axis=0) for g in range(6)]
    predicted = np.array([means[g] for g in elements[part]])
    there = values[part] - mean
    np.testing.assert_allclose(said.share, (there * predicted).sum() ** 2 / (there**2).sum() / (predicted**2).sum())
    # Functions of a and of b by least squares, on the seen pairs.
    a, b = np.nonzero(~part)
    design = np.hstack([np.eye(6)[a], np.eye(6)[b]])
    function, rest = np.array(means)[elements], values - mean
    for some in (others, ~part & ~others):
        scale = ((values - mean)[some] * function[some]).sum() / (function[some] ** 2).sum()
        rest[some] -= scale * function[some]
    alone = np.linalg.lstsq(design, rest[~part])[0]
    left = (values - mean - alone[:6, None] - alone[6:])[part]
    for placed, points in ((said.placed, there), (said.placed_apart, left)):
        cosines = [[point @ m / np.linalg.norm(m) for m in means] for point in points]
        assert placed == (np.argmax(cosines, axis=1) == elements[part]).sum()


@pytest.mark.parametrize(
    ("values", "settings", "part"),
    [
        (np.zeros((5, 5)), {}, "of shape (rows, columns, channels), got shape (5, 5)"),
        (np.zeros((5, 5, 0)), {}, "got shape (5, 5, 0)"),
        (np.full((5, 5, 2), np.inf), {}, "expected finite values"),
        (np.full((5, 5, 2), np.nan), {}, "does not vary over the pairs"),
        (np.ones((5, 5, 2)), {}, "does not vary over the pairs"),
        (noise(6, 0)[:5], {}, "as many rows as columns that vary, got 5 and 6"),
        (noise(6, 0), {"held_out": np.ones((5, 5), bool)}, "booleans of shape (6, 6), got bool of shape (5, 5)"),
        (noise(6, 0), {"held_out": np.ones((6, 6))}, "booleans of shape (6, 6), got float64"),
        (noise(6, 0), {"held_out": np.eye(6, dtype=bool)}, "at least 10 held-out pairs, got 6"),
        (noise(6, 0), {"nulls": 5}, "at least 19 turned functions, got 5"),
    ],
)
def test_what_cannot_be_searched_is_refused(values, settings, part):
    with pytest.raises(InputError) as refused:
        group_of_function(values, **settings)
    assert part in str(refused.value)


def test_the_result_is_the_same_each_time():
    one, other = (group_of_function(planted(named_group("S3").table_MM)) for _ in range(2))
    assert isinstance(one, FunctionGroup)
    np.testing.assert_array_equal(one.null_B, other.null_B)
