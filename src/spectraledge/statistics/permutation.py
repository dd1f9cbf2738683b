"""Rank agreement, tested by permutations: the same statistic after the pairing that carries the effect is shuffled."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import scipy
from numpy.typing import ArrayLike

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.statistics.p_values import empirical_p

Alternative = Literal["greater", "two-sided"]

_ROUNDING = 100 * np.finfo(np.float64).eps
_ENTRIES = 1 << 20


@dataclass(frozen=True)
class PermutationTest:
    """A statistic among its values on permuted data.

    Law: under the null P(p ≤ α) ≤ α for every α, with (1 + b)/(1 + B). Values that differ from the observed one by
    rounding count as ties, against the effect. Two-sided is twice the smaller tail, at most 1.

    Attributes:
        observed: The statistic of the data as they are.
        null_B: The statistic after each of B permutations.
        p: Share of the permutations, the identity counted as one more, that give as much; at least 1/(1 + B).
    """

    observed: float
    null_B: Float
    p: float


def rank_agreement(
    x_N: ArrayLike,
    y_N: ArrayLike,
    *,
    permutations: int = 9_999,
    alternative: Alternative = "two-sided",
    generator: np.random.Generator,
) -> PermutationTest:
    """Spearman's rank correlation ρ of two variables, tested by permuting one of them.

    Definition: Pearson's correlation of the ranks, ties at the mean of their ranks.
    Null: the pairing of x and y is arbitrary. Law: any increasing map of x or y changes nothing.

    Args:
        x_N: One variable.
        y_N: The other, of the same observations (of seeds or runs, where the claim is about those).
        permutations: Number of permutations, B. Default 9,999 (ours): p down to 1e-4.
        alternative: "greater" expects x and y to rise together; "two-sided" expects either.
        generator: Source of randomness.

    Returns:
        ρ, its values under the null, and the p-value.

    Raises:
        InputError: if the variables are not two lists of equal length, at least 2, are constant, or hold NaN, the
            alternative is another one, or there are no permutations.

    Cost: O(B·N) time.
    """
    check_permutations(permutations, alternative)
    x, y = np.asarray(x_N, dtype=np.float64), np.asarray(y_N, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise InputError(f"rank agreement needs two lists of equal length, at least 2, got {x.shape} and {y.shape}")
    if np.isnan(x).any() or np.isnan(y).any():
        raise InputError("rank agreement needs numbers, got NaN: leave out what could not be measured")
    ranks_x, ranks_y = centred_ranks(x), centred_ranks(y)
    size = np.sqrt(np.square(ranks_x).sum() * np.square(ranks_y).sum())
    if size == 0.0:
        raise InputError("rank agreement needs two variables that vary, got a constant one")
    rows = max(1, _ENTRIES // len(x))
    products = [
        generator.permuted(np.tile(ranks_x, (min(rows, permutations - start), 1)), axis=1) @ ranks_y
        for start in range(0, permutations, rows)
    ]
    return _ranked(float(ranks_x @ ranks_y / size), np.concatenate([np.empty(0), *products]) / size, alternative)


def check_permutations(permutations: int, alternative: Alternative) -> None:
    """Check what a permutation test is asked for; raises `InputError` where it is no test."""
    if alternative not in get_args(Alternative):
        raise InputError(f"unknown alternative {alternative!r}: expected 'greater' or 'two-sided'")
    if permutations < 1:
        raise InputError(f"a p-value needs at least one null value, got {permutations} permutations")


def centred_ranks(values: Float) -> Float:
    """Twice the midrank less its mean: whole numbers, so that sums, and ties between them, are exact."""
    ranks: Float = 2 * scipy.stats.rankdata(values) - (len(values) + 1)
    return ranks


def _ranked(observed: float, null: Float, alternative: Alternative) -> PermutationTest:
    values = np.abs(np.append(null, observed))
    slack = _ROUNDING * values.max(initial=0.0, where=np.isfinite(values))
    p = empirical_p(observed - slack, null)
    if alternative == "two-sided":
        p = min(1.0, 2 * min(p, empirical_p(-observed - slack, -null)))
    return PermutationTest(observed, null, p)
