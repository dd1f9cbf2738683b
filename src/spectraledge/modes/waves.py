"""The wave itself: one direction's response as a picture over (a, b), ordered so that its character is broad."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import character_shares, exceeds_rounding
from spectraledge.arrays import Bools, Float, Ints
from spectraledge.modes.element_order import ElementOrder, coset_order, divisor_order
from spectraledge.modes.group_sums import Varying, varying_sums
from spectraledge.modes.measures import group_means
from spectraledge.tasks import Grouping


@dataclass(frozen=True)
class Wave:
    """A scalar picture of a vector response.

    Attributes:
        values_N: The response projected on one residual direction, for every pair of the domain, unit root mean square.
        grouping: The basis.
        frequency: Dominant frequency ω of its group means in the basis; 0 if they do not vary.
        character_frequencies: The 2-D character (ω_a, ω_b) that holds most of the picture's energy, ω_a in 0..⌊M/2⌋. In
            a basis with `orders`: twice the number of the dominant subspace.
        character_share: Share of the picture's energy, mean removed, that it holds (with its conjugate: one real plane
            wave). With `orders`: that functions of the dominant subspace hold.
    """

    values_N: Float
    grouping: Grouping
    frequency: int
    character_frequencies: tuple[int, int]
    character_share: float

    @property
    def subspace(self) -> str:
        """Name of the dominant frequency or representation."""
        return self.grouping.functions.name(self.frequency)

    @property
    def phases_N2(self) -> Ints:
        """Position of a and of b on the wave, ω·coordinate mod M, in 0..M − 1; −1 for a pair outside the basis.

        Sorting rows and columns by it is re-ordering by the inverse of ω wherever ω has one. With `orders` they are
        places in these.
        """
        coordinates_N2 = self.grouping.coordinates_N2
        covered_N1 = (coordinates_N2 >= 0).all(axis=1, keepdims=True)
        if self.orders:
            phases_N2 = np.stack(
                [order.places_M[along_N] for order, along_N in zip(self.orders, coordinates_N2.T, strict=True)], axis=1
            )
        else:
            phases_N2 = self.frequency * coordinates_N2 % self.grouping.order
        return np.where(covered_N1, phases_N2, -1)

    @property
    def places_N2(self) -> Ints:
        """Rank of a and of b among all by their position on the wave; −1 for a pair outside the basis."""
        phases_N2, coordinates_N2 = self.phases_N2, self.grouping.coordinates_N2
        if self.orders:
            return phases_N2
        covered_N = (phases_N2 >= 0).all(axis=1)
        # Positions coincide where ω divides the order: then by coordinate.
        keys_n2 = phases_N2[covered_N] * self.grouping.order + coordinates_N2[covered_N]
        places_N2 = np.full(phases_N2.shape, -1)
        places_N2[covered_N] = np.unique(keys_n2, return_inverse=True)[1].reshape(-1, 2)
        return places_N2

    @cached_property
    def orders(self) -> tuple[ElementOrder, ...]:
        """How a and b are ordered: elements of a group by `coset_order`, residues by `divisor_order`; else none."""
        if not self.grouping.is_ordered:
            return ()
        group = self.grouping.functions.group
        picture_MM = _picture(self.values_N, self.grouping)
        if group is None:
            frequency = max(self.frequency, 1)
            return divisor_order(picture_MM, frequency), divisor_order(picture_MM.T, frequency)
        picture_MM = np.nan_to_num(picture_MM)
        return coset_order(picture_MM, group), coset_order(picture_MM.T, group)


def wave(response_ND: NDArray[np.floating], grouping: Grouping) -> Wave:
    """Project a response on the residual direction along which its group means vary most, and find its character.

    Null: a direction chosen for its group means shows some wave on noise as well; compare with random directions.

    Args:
        response_ND: Response of one direction over the domain, shape (N, D).
        grouping: A basis with coordinates; those that combine none ("output", "product") give the residues' own.

    Returns:
        The wave.
    """
    varying = _in_groups(response_ND, grouping)
    varies_D = _varies(response_ND, varying.mean_D)
    axis_D = _widest(varying.sums_GD * varies_D, grouping) * varies_D
    values = response_ND @ axis_D - varying.mean_D @ axis_D
    size = np.sqrt(np.mean(np.square(values)))
    values = values / size if size > 0 else values
    power = grouping.power(group_means(values[None], grouping))[0]
    frequency = int(power.argmax()) + 1 if power.max(initial=0.0) > 0 else 0
    if grouping.is_ordered:
        return Wave(values, grouping, frequency, (frequency, frequency), _share(values, grouping, frequency))
    shares = character_shares(_picture(values, grouping))
    half = shares[: grouping.order // 2 + 1]
    best = tuple(int(i) for i in np.unravel_index(half.argmax(), half.shape))
    return Wave(values, grouping, frequency, (best[0], best[1]), float(half.max()))


def _picture(values_N: Float, grouping: Grouping) -> Float:
    """Values by the coordinates of a and b, NaN where there are none."""
    coordinates_N2 = grouping.coordinates_N2
    covered_N = coordinates_N2.min(axis=1) >= 0
    picture_MM = np.full((grouping.order, grouping.order), np.nan)
    picture_MM[tuple(coordinates_N2[covered_N].T)] = values_N[covered_N]
    return picture_MM


def _share(values_N: Float, grouping: Grouping, frequency: int) -> float:
    """Share of the energy of values without mean, at the pairs of a basis, that functions of one subspace explain."""
    inside_N = grouping.groups_N >= 0
    centred_n = values_N[inside_N] - values_N[inside_N].mean()
    functions_MR = grouping.functions.functions_MM[:, grouping.functions.frequency_M == frequency]
    functions_nR = functions_MR[grouping.groups_N[inside_N]]
    # On a domain where some elements have more pairs than others they are not without mean, as the values are.
    frame_nR = np.linalg.qr(functions_nR - functions_nR.mean(axis=0).round(12))[0]
    total = float(centred_n @ centred_n)
    return float(np.square(frame_nR.T @ centred_n).sum()) / total if frequency and total > 0 else 0.0


def widest_axis(response_ND: NDArray[np.floating], grouping: Grouping) -> Float:
    """The unit vector, (D,), along which a function's group means, each as often as it has inputs, vary most."""
    return _widest(_in_groups(response_ND, grouping).sums_GD, grouping)


def _in_groups(response_ND: NDArray[np.floating], grouping: Grouping) -> Varying:
    places_n = np.flatnonzero(grouping.groups_N >= 0)
    return varying_sums(response_ND, places_n, grouping.groups_N[places_n, None], grouping.order)


def _varies(response_ND: NDArray[np.floating], mean_D: Float) -> Bools:
    """Which coordinates vary about a mean by more than rounding."""
    lowest_D, highest_D = response_ND.min(axis=0), response_ND.max(axis=0)
    furthest_D = np.maximum(highest_D - mean_D, mean_D - lowest_D)
    return exceeds_rounding(furthest_D, np.maximum(np.abs(lowest_D), np.abs(highest_D)), len(response_ND))


def _widest(sums_MD: Float, grouping: Grouping) -> Float:
    counts_M = np.bincount(grouping.groups_N[grouping.groups_N >= 0], minlength=grouping.order)
    filled_M = counts_M > 0
    weighted = sums_MD[filled_M] / np.sqrt(counts_M[filled_M])[:, None]
    axis_D: Float = np.linalg.svd(weighted, full_matrices=False)[2][0]
    return axis_D
