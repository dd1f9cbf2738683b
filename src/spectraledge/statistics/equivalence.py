"""Two conditions compared over seeds: shown to differ, shown to be as good as equal, or neither."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from spectraledge.errors import InputError
from spectraledge.statistics.seed_estimates import seed_values

Verdict = Literal["different", "equivalent", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """What seeds say about the difference of two conditions.

    Attributes:
        verdict: "equivalent" if the difference is shown to be within the margin; else "different" if it is shown not to
            be zero; else "inconclusive".
        difference: Mean of the first condition less that of the second.
        p_different: Two-sided p-value against a difference of zero.
        p_equivalent: p-value against a difference of at least the margin.
        margin: The largest difference that does not matter.
        alpha: Chance of each of the two errors, α.
    """

    verdict: Verdict
    difference: float
    p_different: float
    p_equivalent: float
    margin: float
    alpha: float


def equivalence_p(x_S: ArrayLike, y_S: ArrayLike | None = None, *, margin: float) -> float:
    """p-value for "no difference that matters": two one-sided t-tests against ±margin, the larger of their p-values.

    Definition: Schuirmann 1987. With one list, of paired differences, by Student's t; with two, by Welch's.
    Null: the true difference is the margin or more, one way or the other. A large p-value of an ordinary test supports
    nothing of the kind.
    Assumes means of seeds that are about normal. Values without any spread tell nothing of the spread over other seeds
    (a ceiling, or rounding): p = 1.

    Args:
        x_S: One value per seed, or one difference per seed if the conditions share seeds.
        y_S: One value per seed of the other condition, or None.
        margin: The largest difference that does not matter, positive, chosen before looking.

    Returns:
        The p-value.

    Raises:
        InputError: if the margin is not positive, or a condition has fewer than two seeds or a value that is missing.
    """
    return compare(x_S, y_S, margin=margin).p_equivalent


def compare(x_S: ArrayLike, y_S: ArrayLike | None = None, *, margin: float, alpha: float = 0.05) -> Comparison:
    """Decide between "different", "equivalent" and "inconclusive".

    Law: conditions with equal means are called different with probability at most α; conditions whose means differ by
    the margin or more are called equivalent with probability at most α. A difference shown to be both real and within
    the margin is called equivalent, because the margin says that it does not matter.

    Args:
        x_S: As in `equivalence_p`.
        y_S: As in `equivalence_p`.
        margin: As in `equivalence_p`.
        alpha: α, below one half.

    Returns:
        The verdict and what it rests on.

    Raises:
        InputError: if the margin is not positive, α is out of range, or a condition has fewer than two seeds or a value
            that is missing.
    """
    if not 0 < margin < np.inf:
        raise InputError(
            f"the margin of equivalence must be positive, got {margin}: give the largest harmless difference"
        )
    if not 0 < alpha < 0.5:
        raise InputError(f"alpha is the chance of an error, strictly between 0 and .5, got {alpha}")
    groups = [seed_values(x_S, "the first condition")]
    if y_S is not None:
        groups.append(seed_values(y_S, "the second condition"))
    difference = float(groups[0].mean() - (groups[1].mean() if len(groups) == 2 else 0.0))
    parts = np.array([group.var(ddof=1) / len(group) for group in groups])
    error = float(np.sqrt(parts.sum()))
    largest = max(margin, *(float(np.abs(group).max()) for group in groups))
    if error <= 4 * max(map(len, groups)) * np.finfo(np.float64).eps * largest:
        return Comparison("inconclusive", difference, 1.0, 1.0, margin, alpha)
    freedom = parts.sum() ** 2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, groups, strict=True))
    p_different = float(2 * scipy.stats.t.sf(abs(difference) / error, freedom))
    p_equivalent = float(scipy.stats.t.sf((margin - abs(difference)) / error, freedom))
    verdict: Verdict = "inconclusive"
    if p_equivalent <= alpha:
        verdict = "equivalent"
    elif p_different <= alpha:
        verdict = "different"
    return Comparison(verdict, difference, p_different, p_equivalent, margin, alpha)
