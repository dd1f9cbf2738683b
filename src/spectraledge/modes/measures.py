"""How much of a response is a function of a grouping variable, and at which frequency it varies."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spectraledge.arrays import Float, Ints
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.modes.basis import Response
from spectraledge.modes.decompositions import grouping_basis
from spectraledge.modes.shares import shares
from spectraledge.tasks import Grouping


@dataclass(frozen=True)
class Peak:
    """The largest frequency of a field's group means.

    Attributes:
        frequency_K: ω of the largest power, from 1 (to ⌊M/2⌋ in a cyclic group); 0 for a field without variation.
        concentration_K: F, its share of the power over all frequencies; 0 for a field without variation.
    """

    frequency_K: Ints
    concentration_K: Float


def field(response_KND: Response) -> Float:
    """Field f_k(x) = ‖R_k(x)‖² (Xu 2026, §2.4), shape (K, N)."""
    if isinstance(response_KND, Tensor) and response_KND.device.type != "cpu":
        return np.stack([host(response_ND.double().square().sum(-1)) for response_ND in response_KND])
    response_KND = host(response_KND)
    values: Float = np.einsum("knd,knd->kn", response_KND, response_KND, dtype=np.float64)
    return values


def group_means(values_KN: Float, grouping: Grouping) -> Float:
    """Means of K functions within groups, shape (K, M); NaN for a group without members."""
    inside = grouping.groups_N >= 0
    groups = grouping.groups_N[inside]
    counts = np.bincount(groups, minlength=grouping.order)
    sums = np.stack([np.bincount(groups, weights=row[inside], minlength=grouping.order) for row in values_KN])
    means: Float = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def peak(field_KN: Float, grouping: Grouping) -> Peak:
    """Peak frequency and concentration of fields in a basis: F = max_ω power(ω) / Σ_ω power(ω), ω = 1..⌊M/2⌋.

    Definition: Xu 2026, §2.5, with empty groups masked (see `spectrum_of_means`).
    Null: for white noise over 48 frequencies F is .093 on average and .136 at its 95 % point, not 1/48. And F is not
    specific to the edge: on a trained network random directions give the same. It is kept for comparison with the
    paper; `energy_share` is the statistic to trust. In a group that is not cyclic the power is `Characters.power`.

    Args:
        field_KN: Fields over the domain, shape (K, N).
        grouping: The basis; pairs outside it are left out.

    Returns:
        Frequency and concentration of each.

    Raises:
        InputError: if a field has a value inside the basis that is not finite.
    """
    if not np.isfinite(field_KN[:, grouping.groups_N >= 0]).all():
        raise InputError(f"fields need finite values on all pairs of basis {grouping.name!r}, got NaN or infinity")
    power = grouping.power(group_means(field_KN, grouping))
    if power.shape[-1] == 0:
        return Peak(np.zeros(len(power), dtype=np.int64), np.zeros(len(power)))
    total = power.sum(axis=-1)
    varies = total > 0
    share = np.where(varies, power.max(axis=-1) / np.where(varies, total, 1.0), 0.0)
    return Peak(np.where(varies, power.argmax(axis=-1) + 1, 0), share)


def chance_share(grouping: Grouping) -> float:
    """Share of energy that a function of the group takes from noise: (non-empty groups − 1) / (pairs − 1).

    Args:
        grouping: The basis.

    Returns:
        The expected share of a response whose values are permuted among the pairs.

    Raises:
        InputError: if every pair is a group of its own, so that any response is a function of the group.
    """
    inside = grouping.groups_N[grouping.groups_N >= 0]
    groups = len(np.unique(inside))
    if grouping.separates:
        raise InputError(
            f"basis {grouping.name!r} puts every pair into a group of its own, so that any response is a function of "
            f"the group: expected more pairs than groups, got {len(inside)} pairs in {groups}. Train on a larger "
            "modulus or on a smaller share of the pairs, or choose another basis"
        )
    return (groups - 1) / (len(inside) - 1)


def energy_share(response_KND: Response, grouping: Grouping) -> Float:
    """Share of a vector response's energy that is a function of the grouping variable, corrected for chance.

    Definition: with total = Σ_x ‖R(x) − R̄‖² and between = Σ_q n_q ‖R̄_q − R̄‖² over the pairs inside the basis, and c
    the `chance_share`, (between/total − c) / (1 − c). Our choice over F of ‖R‖², because squaring moves frequencies.
    Laws: 1 for a function of q alone, 0 on average for values permuted among the pairs (so it can be negative);
    scaling, shifting or rotating the response changes nothing.

    Args:
        response_KND: Responses over the domain, shape (K, N, D).
        grouping: The basis; pairs outside it are left out.

    Returns:
        The shares, shape (K,); 0 for a response without variation.

    Raises:
        InputError: if every pair is a group of its own.
    """
    chance_share(grouping)  # Refuses what cannot be tested.
    basis = grouping_basis(grouping)
    return shares(basis.energies(response_KND), basis).corrected(*basis.subspaces[1:-1])
