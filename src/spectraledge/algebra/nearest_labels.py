"""Labels under which a table is nearly a group's: wrong entries outvoted, labels improved, or all of them tried."""

import itertools
from collections.abc import Iterator

import numpy as np
import scipy

from spectraledge.algebra.finite_groups import Group
from spectraledge.algebra.isomorphism import automorphisms
from spectraledge.algebra.isotopes import Labels, group_labels
from spectraledge.arrays import Bools, Ints
from spectraledge.streams import numpy_generator

_VOTES = 48
"""Quadrangles that vote on an entry (our choice)."""

_ROUNDS = 8
"""Rounds of votes after which a table is given up (our choice)."""


def repaired(table_MM: Ints, answers: int) -> tuple[Ints, Labels] | None:
    """The group that a table was up to names before some of its entries went wrong or missing, with the labels.

    Definition: quadrangles. In a group's table T(a', b') = T(c', d'), T(a', b) = T(c', d) and T(a, b') = T(c, d') imply
    T(a, b) = T(c, d) (Frolov 1890). Each entry becomes what most of its quadrangles with random a', b', c' say, round
    by round until the whole table is a group's.

    Args:
        table_MM: Entry (a, b), in 0..answers − 1, −1 where it is missing.
        answers: Number of different answers, K; the M most frequent are kept.

    Returns:
        See `group_labels`; None if the rounds end in no group's table.

    Cost: O(M³) a round, of small constant.
    """
    order = len(table_MM)
    counts_K = np.bincount(table_MM[table_MM >= 0], minlength=answers)
    common = np.argsort(-counts_K, kind="stable")[:order]
    if len(common) < order:
        return None
    place_K = np.full(answers + 1, -1)
    place_K[common] = np.arange(order)
    current_MM = place_K[table_MM]
    generator = numpy_generator(0, "quadrangles")
    for _ in range(_ROUNDS):
        current_MM = _voted(current_MM, generator)
        if (found := group_labels(current_MM)) is not None:
            place_K[common] = found[1].answers_K
            return found[0], Labels(found[1].rows_M, found[1].columns_M, place_K[:-1])
    return None


def _voted(table_MM: Ints, generator: np.random.Generator) -> Ints:
    order = len(table_MM)
    # Places beyond the last catch what is missing: entry −1 of any line, and line −1, are missing again.
    padded_MM = np.full((order + 1, order + 1), -1)
    padded_MM[:order, :order] = table_MM
    rows, columns = np.nonzero(table_MM >= 0)
    column_of_MK, row_of_MK = np.full((2, order + 1, order + 1), -1)
    column_of_MK[rows, table_MM[rows, columns]] = columns
    row_of_MK[columns, table_MM[rows, columns]] = rows
    voted_MM = np.empty_like(table_MM)
    places_M, elements_M = np.arange(order) * (order + 1), np.arange(order)
    # Where a corner may be chosen, it is one that is known: with half of the entries missing few others would be left.
    known_columns, known_rows = _Known(table_MM >= 0), _Known((table_MM >= 0).T)
    rows_with = _Known((column_of_MK[:-1, :-1] >= 0).T)
    for a in range(order):
        a_prime = known_rows.drawn(elements_M, generator)
        b_prime = known_columns.drawn(np.full(order, a), generator)
        answers_VM = table_MM[a_prime, elements_M]
        c_prime = rows_with.drawn(answers_VM, generator)
        d_prime = column_of_MK[c_prime, table_MM[a_prime, b_prime]]
        d = column_of_MK[c_prime, answers_VM]
        c = row_of_MK[d_prime, table_MM[a, b_prime]]
        said_VM = np.concatenate([padded_MM[c, d], table_MM[a : a + 1]])
        # What is missing is counted in a place of its own, behind all answers.
        counts_MK = np.bincount((places_M + said_VM % (order + 1)).ravel(), minlength=order * (order + 1))
        voted_MM[a] = counts_MK.reshape(order, -1)[:, :order].argmax(axis=1)
    return voted_MM


class _Known:
    """Places in each line of a table, of which random ones are drawn."""

    def __init__(self, inside_XY: Bools) -> None:
        self.counts_X = inside_XY.sum(axis=1)
        self.places_XY = np.argsort(~inside_XY, axis=1, kind="stable")

    def drawn(self, lines: Ints, generator: np.random.Generator) -> Ints:
        """A place for each vote and line; any place of a line that has none."""
        chance = generator.random((_VOTES, lines.shape[-1]))
        places: Ints = self.places_XY[lines, (chance * self.counts_X[lines]).astype(np.int64)]
        return places


def improved(group: Group, table_MM: Ints, labels: Labels) -> tuple[int, Labels]:
    """Better labels for a table, by changing those of rows, of columns and of answers in turn, each as well as can be.

    Law: the number of entries that agree never falls, and stays only where no change of one kind gains.

    Args:
        group: The group.
        table_MM: Entry (a, b), −1 where it is missing.
        labels: Where to begin.

    Returns:
        How many entries agree, and the labels.

    Cost: O(M³) a turn, in practice O(M²).
    """
    known_a, known_b = np.nonzero(table_MM >= 0)
    answers_N = table_MM[known_a, known_b]
    rows, columns, answers = labels.rows_M, labels.columns_M, labels.answers_K
    inverses_M, best, before = group.inverses_M, int(labels.agrees(group, table_MM).sum()), -1
    while best > before:
        before = best
        said_N = answers[answers_N]
        here_N = said_N >= 0
        wanted_N = group.table_MM[said_N, inverses_M[columns[known_b]]]
        rows, _ = _assigned(known_a[here_N], wanted_N[here_N], (len(rows), len(group)))
        wanted_N = group.table_MM[inverses_M[rows[known_a]], said_N]
        columns, _ = _assigned(known_b[here_N], wanted_N[here_N], (len(columns), len(group)))
        products_N = group.table_MM[rows[known_a], columns[known_b]]
        answers, best = _assigned(answers_N, products_N, (len(answers), len(group)))
    return best, Labels(rows, columns, answers)


def _assigned(places_N: Ints, elements_N: Ints, shape: tuple[int, int]) -> tuple[Ints, int]:
    """Give places elements, each to one, so that as many of the listed pairs as can be are kept; and how many are."""
    counts = np.bincount(places_N * shape[1] + elements_N, minlength=shape[0] * shape[1]).reshape(shape)
    chosen, given = scipy.optimize.linear_sum_assignment(counts, maximize=True)
    found = np.full(shape[0], -1)
    found[chosen] = given
    return found, int(counts[chosen, given].sum())


def random_labels(order: int, answers: int, generator: np.random.Generator) -> Labels:
    """Labels at random, one element each.

    Args:
        order: Number of rows, columns and elements.
        answers: Number of answers; those beyond the order have no element.
        generator: Where randomness comes from.

    Returns:
        The labels.
    """
    answers_K = np.full(answers, -1)
    count = min(order, answers)
    answers_K[generator.permutation(answers)[:count]] = generator.permutation(order)[:count]
    return Labels(generator.permutation(order), generator.permutation(order), answers_K)


def best_labels(group: Group, table_MM: Ints, answers: int) -> tuple[int, Labels]:
    """The labels with which a small table agrees with a group in the most entries, out of all there are.

    One row and one column may be the identity, and rows need to be tried but once up to automorphisms; for given rows
    and columns the answers are an assignment.

    Args:
        group: The group.
        table_MM: Entry (a, b), −1 where it is missing.
        answers: Number of different answers, K.

    Returns:
        How many entries agree, and the labels.

    Cost: O((M − 1)!²·M²/A) for A automorphisms: up to M = 7.
    """
    order = len(group)
    tail = np.array(list(itertools.permutations(np.delete(np.arange(order), group.identity))), dtype=np.int64)
    maps_QM = np.insert(tail.reshape(len(tail), order - 1), 0, group.identity, axis=1)
    known_a, known_b = np.nonzero(table_MM >= 0)
    answers_N = table_MM[known_a, known_b]
    best, labels = -1, Labels(maps_QM[0], maps_QM[0], np.full(answers, -1))
    numbers_Q = np.arange(len(maps_QM))[:, None] * order * answers
    for rows_M in _up_to_automorphisms(group, maps_QM):
        products_QN = group.table_MM[rows_M[known_a], maps_QM[:, known_b]]
        counts_QMK = np.bincount(
            (numbers_Q + products_QN * answers + answers_N).ravel(), minlength=len(maps_QM) * order * answers
        ).reshape(-1, order, answers)
        bound_Q = np.minimum(counts_QMK.max(axis=2).sum(axis=1), counts_QMK.max(axis=1).sum(axis=1))
        for number in np.argsort(-bound_Q, kind="stable").tolist():
            if bound_Q[number] <= best:
                break
            given, chosen = scipy.optimize.linear_sum_assignment(counts_QMK[number], maximize=True)
            if (kept := int(counts_QMK[number][given, chosen].sum())) > best:
                answers_K = np.full(answers, -1)
                answers_K[chosen] = given
                best, labels = kept, Labels(rows_M, maps_QM[number], answers_K)
    return best, labels


def _up_to_automorphisms(group: Group, maps_QM: Ints) -> Iterator[Ints]:
    """One map of each class {α∘map} under the automorphisms α."""
    automorphisms_AM = automorphisms(group)
    seen: set[bytes] = set()
    for map_M in maps_QM:
        if map_M.tobytes() not in seen:
            seen.update(moved.tobytes() for moved in automorphisms_AM[:, map_M])
            yield map_M
