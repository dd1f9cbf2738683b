"""How many dimensions of the residual stream a response takes up, and how sharp one frequency stands in the first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.arrays import Float, Ints


@dataclass(frozen=True)
class ResponseRanks:
    """Singular values of responses, and what the largest belongs to.

    Attributes:
        singular_values_KD: Of each N×D response, descending.
        projection_KN: Every input's response on the first right singular vector. It has no sign; ours has its largest
            coordinate positive.
    """

    singular_values_KD: Float
    projection_KN: Float

    @property
    def effective_rank_K(self) -> Float:
        """Effective rank: exp of the entropy of the squared singular values as shares of their sum, in [1, D].

        Definition: Xu 2026, §5; 0 for a response that is zero.
        Laws: r for r equal singular values and zeros; scaling changes nothing.
        Null: random directions' responses; the network's Jacobian alone decides most of it.
        """
        energy_KD = np.square(self.singular_values_KD)
        total_K1 = energy_KD.sum(axis=1, keepdims=True)
        share_KD = np.divide(energy_KD, total_K1, out=np.zeros_like(energy_KD), where=total_K1 > 0)
        logs = np.log(share_KD, out=np.zeros_like(share_KD), where=share_KD > 0)
        rank_K: Float = np.where(total_K1[:, 0] > 0, np.exp(-(share_KD * logs).sum(axis=1)), 0.0)
        return rank_K


def response_ranks(response_KND: NDArray[np.floating], *, center: bool = False) -> ResponseRanks:
    """Singular values of each response matrix, and its projection on the first right singular vector.

    Through the D×D Gram matrix in double precision: N is much larger than D. Singular values below about 1e-8 of the
    largest are lost in rounding, which the entropy does not see.

    Args:
        response_KND: Responses, shape (K, N, D).
        center: Remove each response's mean over the inputs first. Default no: the paper speaks of the response matrix
            itself.

    Returns:
        The singular values and projections.

    Cost: O(K·N·D²) time.
    """
    values, projections = [], []
    for response_ND in response_KND:
        rows_ND = response_ND.astype(np.float64)
        if center:
            rows_ND -= rows_ND.mean(axis=0)
        eigenvalues_D, axes_DD = np.linalg.eigh(rows_ND.T @ rows_ND)
        first_D = axes_DD[:, -1]
        values.append(np.sqrt(np.maximum(eigenvalues_D[::-1], 0.0)))
        projections.append(rows_ND @ (first_D * np.sign(first_D[np.abs(first_D).argmax()])))
    return ResponseRanks(np.stack(values), np.stack(projections))


@dataclass(frozen=True)
class Peakedness:
    """How far the largest frequency of a function on a group stands above the mean of all.

    Attributes:
        frequency_K: Its ω, from 1; 0 for a constant function.
        peakedness_K: Its power over the mean power, from 1 to the number of frequencies; 0 for a constant function.
    """

    frequency_K: Ints
    peakedness_K: Float


def peakedness(power_KF: Float) -> Peakedness:
    """Fourier peakedness: the largest power over the mean power, ω = 1..⌊M/2⌋.

    Definition: Xu 2026, §5, of the power of the group means (`Grouping.power`) of the `projection_KN` of a response.
    Null: for white noise over F frequencies 1 + 1/2 + … + 1/F on average, 4.46 for 48, not 1; and random directions'.
    Law: peakedness over F is the share of the power at the peak.

    Args:
        power_KF: Power at each frequency, of F ≥ 1; entry i belongs to frequency i + 1.

    Returns:
        Frequency and peakedness of each.
    """
    mean_K = power_KF.mean(axis=1)
    varies = mean_K > 0
    ratio_K = np.divide(power_KF.max(axis=1), mean_K, out=np.zeros(len(mean_K)), where=varies)
    return Peakedness(np.where(varies, power_KF.argmax(axis=1) + 1, 0), ratio_K)
