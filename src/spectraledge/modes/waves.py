"""The wave itself: one direction's response as a picture over (a, b), ordered so that its character is broad."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import character_shares, without_rounding
from spectraledge.modes.measures import group_means
from spectraledge.tasks import Grouping

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Wave:
    """A scalar picture of a vector response.

    Attributes:
        values_N: The response projected on one residual direction, for every pair of the domain, unit root mean square.
        frequency: Dominant frequency ω of its group means in the basis; 0 if they do not vary.
        phases_N2: Position of a and of b on the wave, ω·coordinate mod M, in 0..M − 1; −1 for a pair outside the basis.
            Sorting rows and columns by it is re-ordering by the inverse of ω wherever ω has one.
        character_frequencies: The 2-D character (ω_a, ω_b) that holds most of the picture's energy, ω_a in 0..⌊M/2⌋.
        character_share: Share of the picture's energy, mean removed, that it holds (with its conjugate: one real plane
            wave).
    """

    values_N: Float
    frequency: int
    phases_N2: NDArray[np.int64]
    character_frequencies: tuple[int, int]
    character_share: float


def wave(response_ND: Float, grouping: Grouping) -> Wave:
    """Project a response on the residual direction along which its group means vary most, and find its character.

    Null: a direction chosen for its group means shows some wave on noise as well; compare with random directions.

    Args:
        response_ND: Response of one direction over the domain, shape (N, D).
        grouping: A basis with coordinates; those that combine none ("output", "product") give the residues' own.

    Returns:
        The wave.
    """
    inner = response_ND[grouping.groups_N >= 0]
    response_ND = without_rounding((response_ND - inner.mean(axis=0)).T, response_ND.T).T
    values = response_ND @ widest_axis(response_ND, grouping)
    size = np.sqrt(np.mean(np.square(values)))
    values = values / size if size > 0 else values
    power = grouping.power(group_means(values[None], grouping))[0]
    frequency = int(power.argmax()) + 1 if power.max() > 0 else 0
    coordinates = grouping.coordinates_N2
    covered = coordinates.min(axis=1) >= 0
    picture = np.full((grouping.order, grouping.order), np.nan)
    picture[coordinates[covered, 0], coordinates[covered, 1]] = values[covered]
    shares = character_shares(picture)
    half = shares[: grouping.order // 2 + 1]
    best = tuple(int(i) for i in np.unravel_index(half.argmax(), half.shape))
    phases = np.where(covered[:, None], frequency * coordinates % grouping.order, -1)
    return Wave(values, frequency, phases, (best[0], best[1]), float(half.max()))


def widest_axis(values_ND: Float, grouping: Grouping) -> Float:
    """The unit vector of the read-out along which a function's group means vary most, shape (D,).

    Args:
        values_ND: A function of every input, shape (N, D).
        grouping: The groups; inputs in none do not count.

    Returns:
        The first right singular vector of the group means, each as often as its group has inputs, mean removed.
    """
    inside = grouping.groups_N >= 0
    means_DM = group_means(values_ND.T, grouping)
    filled = np.unique(grouping.groups_N[inside])
    counts = np.bincount(grouping.groups_N[inside], minlength=grouping.order)[filled]
    means = means_DM[:, filled].T
    weighted = (means - np.average(means, axis=0, weights=counts)) * np.sqrt(counts)[:, None]
    axis_D: Float = np.linalg.svd(weighted, full_matrices=False)[2][0]
    return axis_D
