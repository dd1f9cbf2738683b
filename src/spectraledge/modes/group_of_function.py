"""Which group a function of pairs is of, from its values alone: without labels, answers or a basis."""

from dataclasses import astuple, dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike
from torch import Tensor

from spectraledge.algebra import Discovery, discover, irreducible_characters
from spectraledge.arrays import Bools, Float, Ints
from spectraledge.devices import given_array
from spectraledge.errors import InputError
from spectraledge.modes.decompositions import grouping_basis
from spectraledge.modes.element_order import part_means
from spectraledge.modes.shares import Shares, shares
from spectraledge.statistics import empirical_p
from spectraledge.streams import numpy_generator
from spectraledge.tasks import Grouping

FOLDS = 5
"""Parts of the held-out pairs, each of which one search does not see (our choice)."""

_IDLE = 0.25
"""Variance along a line over the median, below which it is none of the group's elements, as zero in a product."""

_CLUSTERED = 1500
"""Pairs that begin the clusters, at most (our choice: time grows with their square)."""

_ROUNDS = 8
"""Times that pairs are given to clusters anew, at most (our choice)."""

_ENOUGH = 0.45
"""Share of pairs from which pairs that are not held out are searched alone (our choice: fewer do not tell a group)."""

_WORK = 1 << 13
"""Of `discover`, which searches for each turned function (our choice: tables of learned groups need none of it)."""


@dataclass(frozen=True, eq=False)
class FunctionGroup:
    """The group that a function of pairs (a, b) is nearest to being of: h(a, b) = F(π(a)·τ(b)).

    Attributes:
        discovery: The group, with elements of the kept rows and columns: what `discover` says of the table of which
            pairs have one output, as a search of all pairs sees it.
        rows_M: Places of the kept rows; others hardly vary, or are not given.
        columns_M: Places of the kept columns.
        shares: How what varies over the held-out pairs divides among the group's irreducible representations.
        unseen_share: Share that the elements found without a pair predict of the function there, F being its mean over
            seen pairs, up to one scale: a squared correlation, with its sign.
        placed: Share of held-out pairs whose output is nearest, by angle, to what seen pairs with the same found
            element have, among all elements.
        placed_apart: The same without the functions of a alone and of b alone that seen pairs tell. A network that
            begins to generalise has these beside what will be its answers, so that nearly all are still wrong.
        alike: How many of the searches that did not see some of the pairs found the same group.
        null_B: `unseen_share` of turned functions, see `group_of_function`.
    """

    discovery: Discovery
    rows_M: Ints
    columns_M: Ints
    shares: Shares
    unseen_share: float
    placed: float
    placed_apart: float
    alike: int
    null_B: Float

    @property
    def share(self) -> float:
        """Share of the energy over held-out pairs, without its mean, in functions of the found element: `energy_share`.

        The search of all pairs has seen them.
        """
        return float(self.shares.corrected(*self.shares.basis.subspaces[1:-1])[0])

    @property
    def p(self) -> float:
        """p-value of `unseen_share` among turned functions."""
        return empirical_p(self.unseen_share, self.null_B)

    @property
    def is_found(self) -> bool:
        """Whether the function is the group's: it is there, and most unseen pairs are placed as they are."""
        return self.is_forming and self.placed > 0.5

    @property
    def is_forming(self) -> bool:
        """Whether the group is there, at least beside functions of a alone and of b alone.

        Most searches found it, most unseen pairs are placed with or without those, and p is at most 5 %.
        """
        return self.p <= 0.05 and max(self.placed, self.placed_apart) > 0.5 and 2 * self.alike > FOLDS


def group_of_function(
    values: ArrayLike | Tensor, *, held_out: Bools | None = None, nulls: int = 20, seed: int = 42
) -> FunctionGroup:
    """Find the group that a function of pairs is of, whatever its rows, columns and channels are called.

    Definition (ours): pairs are gathered into as many clusters of like outputs as there are rows, each with one pair in
    a row and in a column at most, beside a function of a and one of b; which pairs share a cluster is a table of an
    operation, and `discover` says which group it is. Evidence comes from pairs that a search has not seen: the held-out
    ones are dealt into `FOLDS` parts, and each is measured with what a search without it found. Pairs that are not held
    out are searched alone as well, since a network may treat them in a clearer way; the better of both tables counts.
    Null: the same search and the same measure for turned functions, h(a, b) ↦ Σ O(a, a')·P(b, b')·h(a', b') with
    orthogonal O and P at random that keep constants: their singular values over rows, columns and channels are the
    same, and so are channels. Of each the larger counts of what its own search finds and what the function's own
    elements do there. One part, in turn, is measured of each, so that the null is wider than it need be.
    Laws: permuting rows, columns or channels, or turning channels, changes nothing but names.

    Args:
        values: h, shape (M, M, channels), or (rows, columns, channels) where those beyond a square do not vary; NaN at
            pairs that may not be used.
        held_out: Pairs that may serve as evidence, shape (M, M): of a network those that it was not trained on, since
            what it memorised has the group of its labels. Default: all.
        nulls: Turned functions, at least 19, so that the p-value can reach .05.
        seed: Root seed of parts and turns.

    Returns:
        The group and the evidence.

    Raises:
        InputError: if values are no finite numbers over a square of pairs that vary, too few pairs are held out, or
            there are too few nulls.

    Cost: 6 searches, and one for each turned function; with 97 rows some 2 s each.
    """
    if nulls < 19:
        raise InputError(f"a p-value of .05 needs at least 19 turned functions, got {nulls}")
    rows_M, columns_M, values_MMD, known_MM = _square(values)
    held_MM = known_MM.copy()
    if held_out is not None:
        if held_out.shape != np.shape(values)[:2] or held_out.dtype != bool:
            raise InputError(
                f"held-out pairs are told by booleans of shape {np.shape(values)[:2]}, got {held_out.dtype} of shape "
                f"{held_out.shape}"
            )
        held_MM &= held_out[np.ix_(rows_M, columns_M)]
    if held_MM.sum() < (least := max(2 * FOLDS, len(rows_M) + 1)):
        few = known_MM.sum() <= least
        instead = f"of {known_MM.sum()} pairs in all; take an operation on more elements" if few else "hold out more"
        raise InputError(f"evidence needs at least {least} held-out pairs, got {held_MM.sum()}: {instead}")
    parts_MM = np.full(held_MM.shape, -1)
    parts_MM[held_MM] = numpy_generator(seed, "parts of pairs").permutation(int(held_MM.sum())) % FOLDS
    seen_FMM = known_MM & (parts_MM != np.arange(FOLDS)[:, None, None])
    others_MM = known_MM & ~held_MM
    whole = _best(values_MMD, others_MM, known_MM)
    found = [_best(values_MMD, others_MM, seen_MM) for seen_MM in seen_FMM]
    unseen = _Unseen()
    for part, each in enumerate(found):
        unseen += _unseen(values_MMD, seen_FMM[part], parts_MM == part, others_MM, each)
    null_B = np.zeros(nulls)
    for draw in range(nulls):
        part = draw % FOLDS
        turned_MMD = _turned(values_MMD, numpy_generator(seed, "turned", draw))
        both = _best(turned_MMD, others_MM, seen_FMM[part]), found[part]
        null_B[draw] = max(
            _unseen(turned_MMD, seen_FMM[part], parts_MM == part, others_MM, each).share for each in both
        )
    return FunctionGroup(
        whole,
        rows_M,
        columns_M,
        _divided(values_MMD, held_MM, whole),
        unseen.share,
        unseen.placed / int(held_MM.sum()),
        unseen.placed_apart / int(held_MM.sum()),
        sum(each.group.name == whole.group.name for each in found),
        null_B,
    )


def _square(values: ArrayLike | Tensor) -> tuple[Ints, Ints, Float, Bools]:
    """Rows and columns that vary, the function on them, and where it is known; elsewhere it gets no interaction."""
    given: Float = given_array(values).astype(np.float64)
    if given.ndim != 3 or not given.size or np.isinf(given).any():
        raise InputError(f"expected finite values of shape (rows, columns, channels), got shape {given.shape}")
    known: Bools = np.isfinite(given).sum(axis=2) == given.shape[2]
    if known.sum() < 2 or not np.ptp(given[known], axis=0).any():
        raise InputError("the function does not vary over the pairs: there is nothing to find")
    kept = [np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))]
    axis, order = int(len(kept[1]) > len(kept[0])), min(map(len, kept))
    lines = zip(given.swapaxes(0, axis)[kept[axis]], known.swapaxes(0, axis)[kept[axis]], strict=True)
    spread = np.array([line_XD[known_X].var(axis=0).sum() for line_XD, known_X in lines])
    by_spread = np.argsort(-spread, kind="stable")
    if (spread[by_spread[order:]] > _IDLE * np.median(spread)).any():
        raise InputError(
            f"a group's function has as many rows as columns that vary, got {len(kept[0])} and {len(kept[1])}: "
            "give the values on all pairs (a, b) of equally many elements"
        )
    kept[axis] = kept[axis][np.sort(by_spread[:order])]
    values_MMD, known_MM = given[np.ix_(*kept)], known[np.ix_(*kept)]
    additive_MMD = _additive(values_MMD, known_MM)
    return kept[0], kept[1], np.where(known_MM[..., None], values_MMD, additive_MMD), known_MM


def _additive(values_MMD: Float, seen_MM: Bools) -> Float:
    """The function of a plus function of b that is nearest on the seen pairs."""
    seen_MM1 = seen_MM[..., None]
    rest_MMD = np.where(seen_MM1, values_MMD, 0.0)
    fitted_MMD = np.zeros_like(rest_MMD)
    for turn in range(_ROUNDS):
        axis = 1 - turn % 2
        mean = rest_MMD.sum(axis=axis, keepdims=True) / np.maximum(seen_MM1.sum(axis=axis, keepdims=True), 1)
        fitted_MMD += mean
        rest_MMD -= mean * seen_MM1
    return fitted_MMD


def _best(values_MMD: Float, others_MM: Bools, seen_MM: Bools) -> Discovery:
    """The group by the pairs that are not held out, or by all seen ones, whichever its table agrees with better."""
    enough = [some_MM for some_MM in (others_MM, seen_MM) if some_MM.sum() >= _ENOUGH * some_MM.size]
    found = [(_search(values_MMD, some_MM), int(some_MM.sum())) for some_MM in enough or [seen_MM]]
    return max(found, key=lambda each: each[0].agreeing_MM.sum() / each[1])[0]


def _search(values_MMD: Float, seen_MM: Bools) -> Discovery:
    """The group of a function of which only some pairs are seen."""
    order, seen = len(values_MMD), np.nonzero(seen_MM)
    points_ND = (values_MMD - _additive(values_MMD, seen_MM))[seen]
    some = np.unique(np.linspace(0, len(points_ND) - 1, min(_CLUSTERED, len(points_ND))).round().astype(int))
    tree = scipy.cluster.hierarchy.linkage(points_ND[some], "ward")
    first_n = scipy.cluster.hierarchy.fcluster(tree, order, "maxclust").astype(np.int64) - 1
    centres_MD = part_means(points_ND[some], first_n, order)
    cluster_N = np.full(len(points_ND), -1)
    for turn in range(_ROUNDS):
        before_N, cluster_N = cluster_N, _dealt(points_ND, centres_MD, seen[turn % 2])
        if (before_N == cluster_N).all():
            break
        # What a and b add alone is told better once it is known what the pair adds.
        pair_MMD = np.zeros_like(values_MMD)
        pair_MMD[seen] = part_means(points_ND, cluster_N, order)[cluster_N]
        points_ND = (values_MMD - _additive(values_MMD - pair_MMD, seen_MM))[seen]
        centres_MD = part_means(points_ND, cluster_N, order)
    table_MM = np.full((order, order), -1)
    table_MM[seen] = cluster_N
    return discover(table_MM, work=_WORK)


def _dealt(points_ND: Float, centres_MD: Float, line_N: Ints) -> Ints:
    """The cluster of every pair: nearest in all, each at most once in every line."""
    far_NM = np.square(centres_MD).sum(axis=1) - 2 * points_ND @ centres_MD.T
    cluster_N = np.empty(len(points_ND), dtype=np.int64)
    for line in range(len(centres_MD)):
        inside = np.flatnonzero(line_N == line)
        places, cluster = scipy.optimize.linear_sum_assignment(far_NM[inside])
        cluster_N[inside[places]] = cluster
    return cluster_N


@dataclass(frozen=True)
class _Unseen:
    """What a search says of pairs that it did not see: product with what is there, energies, numbers of pairs."""

    product: float = 0.0
    said: float = 0.0
    there: float = 0.0
    placed: int = 0
    placed_apart: int = 0

    def __add__(self, other: "_Unseen") -> "_Unseen":
        return _Unseen(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def share(self) -> float:
        return float(np.sign(self.product) * self.product**2 / (self.said * self.there)) if self.said else 0.0


def _unseen(values_MMD: Float, seen_MM: Bools, part_MM: Bools, others_MM: Bools, found: Discovery) -> _Unseen:
    element_MM = _elements(found)
    centred_MMD = values_MMD - values_MMD[seen_MM].mean(axis=0)
    function_MD = part_means(centred_MMD[seen_MM], element_MM[seen_MM], len(values_MMD))
    said_MMD = function_MD[element_MM]
    rest_MMD = centred_MMD.copy()
    for some_MM in (others_MM, seen_MM & ~others_MM):
        # What was trained may have the function many times as large.
        size = float(np.square(said_MMD[some_MM]).sum())
        rest_MMD[some_MM] -= said_MMD[some_MM] * (float(np.vdot(centred_MMD[some_MM], said_MMD[some_MM])) / (size or 1))
    apart_XD = (centred_MMD - _additive(rest_MMD, seen_MM))[part_MM]
    there_XD, said_XD, elements_X = centred_MMD[part_MM], said_MMD[part_MM], element_MM[part_MM]
    ways_MD = function_MD / np.maximum(np.linalg.norm(function_MD, axis=1, keepdims=True), np.finfo(float).tiny)
    return _Unseen(
        float(np.vdot(there_XD, said_XD)),
        float(np.square(said_XD).sum()),
        float(np.square(there_XD).sum()),
        *(int(((values_XD @ ways_MD.T).argmax(axis=1) == elements_X).sum()) for values_XD in (there_XD, apart_XD)),
    )


def _elements(found: Discovery) -> Ints:
    elements_MM: Ints = found.group.table_MM[np.ix_(found.labels.rows_M, found.labels.columns_M)]
    return elements_MM


def _turned(values_MMD: Float, generator: np.random.Generator) -> Float:
    """The function with rows, and columns, mixed by an orthogonal matrix that keeps constants."""
    order = len(values_MMD)
    turns = []
    for _ in range(2):
        # The columns beyond the constant one are a basis of the rest, which is turned into another at random.
        bases = [
            np.linalg.qr(np.column_stack([np.ones(order), generator.standard_normal((order, order - 1))]))[0]
            for _ in range(2)
        ]
        turns.append(bases[0] @ bases[1].T)
    turned_MMD: Float = np.einsum("ax,by,xyd->abd", *turns, values_MMD, optimize=True)
    return turned_MMD


def _divided(values_MMD: Float, held_MM: Bools, found: Discovery) -> Shares:
    group = found.group
    elements_N = np.where(held_MM, _elements(found), -1).ravel()
    nowhere_N2 = np.full((len(elements_N), 2), -1)
    grouping = Grouping(
        group.name,
        f"π(a)·τ(b) in {group.name}",
        len(group),
        elements_N,
        nowhere_N2,
        (0, 0),
        irreducible_characters(group),
    )
    basis = grouping_basis(grouping)
    return shares(basis.energies(values_MMD.reshape(1, len(elements_N), -1)), basis)
