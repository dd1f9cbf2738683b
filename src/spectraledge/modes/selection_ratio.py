"""The selection ratio: how much more a window's updates move each kind of function than any update would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.modes.basis import Basis


@dataclass(frozen=True)
class SelectionRatio:
    """Selection ratio of every subspace of a basis, then of its parts, then of the unions asked for.

    Attributes:
        subspaces: Their names, without "mean".
        ratio: S of each; 1 is no selection. NaN where no direction at all reaches the subspace.
        low: Lower end of its confidence interval.
        high: Upper end.
        numerator_share: Share of the window's response energy, mean left out, in each; exact.
        denominator_share: Share of the energy of isotropic directions; the estimate that the interval is about.
    """

    subspaces: tuple[str, ...]
    ratio: Float
    low: Float
    high: Float
    numerator_share: Float
    denominator_share: Float


def selection_ratio_of_energies(
    window_energies_KS: Float,
    eigenvalues_K: Float,
    random_energies_BS: Float,
    basis: Basis,
    *,
    level: float = 0.95,
    unions: Mapping[str, Sequence[str]] | None = None,
) -> SelectionRatio:
    """Selection ratio S = [tr(P J C Jᵀ)/tr(J C Jᵀ)] / [tr(P J Jᵀ)/tr(J Jᵀ)] of every subspace, P its projector.

    Definition: J is the Jacobian of the response over the covered inputs and C = Σ_k λ_k v_k v_kᵀ the second moment of
    the window's updates, or their covariance where the window was centred. The energies along v_k, weighted by λ_k, sum
    to the energies along the updates themselves, so the numerator is exact. The denominator is Hutchinson's estimate:
    energies along random directions, summed before they are divided. Traces leave out the subspace "mean": a shift of
    all answers alike is no function of the input. Our choice over comparing single directions with a null, because no
    edge position enters, nor how near-equal directions happen to be rotated.
    Null: 1, whatever the network, if the updates are isotropic.
    Laws: averaged over subspaces with the denominator's shares as weights it is 1; scaling the eigenvalues, or the
    random directions all alike, changes nothing; exact if those are an orthonormal basis of all parameters.
    Interval: Student's t with B − 1 degrees of freedom on log S, with the delta method's standard error of the log of a
    ratio of means. Where exact traces are known it covers 93–95 % at a level of 95 %, with B from 8 to 40; for a
    subspace that few random directions reach it is too narrow. It is about this window's own C: a window of few
    isotropic directions is off 1 by chance, for which `selection_p_values` is the test.

    Args:
        window_energies_KS: Energies (`Basis.energies`) of the responses along the window's directions, shape (K, S).
        eigenvalues_K: Their eigenvalues, shape (K,), not negative. With one response per update: ones.
        random_energies_BS: Energies along B ≥ 2 isotropic random directions of one length, shape (B, S).
        basis: The basis.
        level: Confidence of the intervals. Default 0.95.
        unions: Further unions by name, each a list of subspaces or parts.

    Returns:
        The ratios.

    Raises:
        InputError: if the level is not in (0, 1), shapes do not fit, an eigenvalue is negative, a union has the name of
            a subspace, or the directions of either kind do not change any response.
    """
    names, belongs_SU = _members(window_energies_KS, eigenvalues_K, random_energies_BS, basis, unions)
    if not 0 < level < 1:
        raise InputError(f"level must be in (0, 1), got {level}")
    window_S = eigenvalues_K @ window_energies_KS
    numerator_U = window_S @ belongs_SU / window_S[1:].sum()
    random_BU = random_energies_BS @ belongs_SU
    total_B1 = random_energies_BS[:, 1:].sum(axis=1, keepdims=True)
    denominator_U = random_BU.sum(axis=0) / total_B1.sum()
    reached_U = np.where(denominator_U > 0, denominator_U, np.nan)
    draws = len(random_BU)
    influence_BU = _influences(random_energies_BS, belongs_SU)
    error_U = np.sqrt(draws / (draws - 1) * np.square(influence_BU).sum(axis=0))
    factor_U = np.exp(scipy.stats.t.ppf((1 + level) / 2, draws - 1) * error_U)
    ratio_U = numerator_U / reached_U
    return SelectionRatio(names, ratio_U, ratio_U / factor_U, ratio_U * factor_U, numerator_U, denominator_U)


def selection_p_values(
    window_energies_KS: Float,
    eigenvalues_K: Float,
    random_energies_BS: Float,
    basis: Basis,
    *,
    generator: np.random.Generator,
    permutations: int = 999,
    unions: Mapping[str, Sequence[str]] | None = None,
) -> Float:
    """One-sided p-value of every selection ratio: how often chance gives one as large.

    Null: the window's directions are isotropic, whatever their eigenvalues; they and the random ones are then
    exchangeable, so all are dealt out anew to the eigenvalues and to the denominator. Exact but for the orthogonality
    of the window's directions, which does not matter where parameters far outnumber directions. Each p-value is for one
    subspace: control false discovery over those that are looked at.

    Args:
        window_energies_KS: Energies along the window's directions, of the same length as the random ones, shape (K, S).
        eigenvalues_K: As in `selection_ratio_of_energies`.
        random_energies_BS: Energies along the random directions, shape (B, S).
        basis: The basis.
        generator: Source of the permutations.
        permutations: How many. Default 999.
        unions: Further unions by name, each a list of subspaces or parts.

    Returns:
        p-values in the order of `SelectionRatio.subspaces`, in [1/(1 + permutations), 1]; NaN where no direction
        reaches the subspace.

    Raises:
        InputError: as `selection_ratio_of_energies` does.
    """
    _, belongs_SU = _members(window_energies_KS, eigenvalues_K, random_energies_BS, basis, unions)
    pooled_ES = np.vstack([window_energies_KS, random_energies_BS])
    pooled_EU = pooled_ES @ belongs_SU
    total_E = pooled_ES[:, 1:].sum(axis=1)
    count, drawn = len(eigenvalues_K), len(pooled_EU)
    orders_RE = generator.permuted(np.tile(np.arange(drawn), (permutations, 1)), axis=1)
    orders_RE = np.vstack([np.arange(drawn), orders_RE])
    weights_RE = np.zeros(orders_RE.shape)
    np.put_along_axis(weights_RE, orders_RE[:, :count], eigenvalues_K[None], axis=1)
    others_RE = np.ones(orders_RE.shape)
    np.put_along_axis(others_RE, orders_RE[:, :count], 0.0, axis=1)
    # Cross-multiplied: a subspace that only one direction reaches is no division by zero.
    window_RU = (weights_RE @ pooled_EU) * (others_RE @ total_E)[:, None]
    random_RU = (others_RE @ pooled_EU) * (weights_RE @ total_E)[:, None]
    as_large_RU = window_RU[1:] * random_RU[0] >= window_RU[0] * random_RU[1:] * (1 - 1e-12)
    p_U = (1 + as_large_RU.sum(axis=0)) / (1 + permutations)
    return np.where(pooled_EU.any(axis=0), p_U, np.nan)


def isotropy_p_values(
    window_energies_KS: Float,
    eigenvalues_K: Float,
    random_energies_BS: Float,
    basis: Basis,
    *,
    unions: Mapping[str, Sequence[str]] | None = None,
) -> Float:
    """One-sided p-value of every selection ratio, from how much isotropic directions differ among each other.

    Null: the window's directions are isotropic, whatever their eigenvalues. To first order log S is then a mean of the
    influences of the window's directions, weighted by eigenvalue, less the mean of those of the random ones, so that
    log S / (s·√(Σ_k w_k² + 1/B)) has Student's t distribution with B − 1 degrees of freedom, w_k = λ_k/Σλ and s the
    standard deviation of the random directions' influences.
    Assumes that influences are nearly normal, as energies over many parameters and read-out coordinates are: p is right
    for whole parts, and too small for a subspace that few parameters reach. Our choice beside `selection_p_values`,
    which assumes nothing but cannot go far below (directions that hold most of Σλ)/(K + B).

    Args:
        window_energies_KS: Energies along the window's directions, of the same length as the random ones, shape (K, S).
        eigenvalues_K: As in `selection_ratio_of_energies`.
        random_energies_BS: Energies along the random directions, shape (B, S).
        basis: The basis.
        unions: Further unions by name, each a list of subspaces or parts.

    Returns:
        p-values in the order of `SelectionRatio.subspaces`, in [0, 1]; NaN where no random direction reaches the
        subspace.

    Raises:
        InputError: as `selection_ratio_of_energies` does.
    """
    ratio = selection_ratio_of_energies(window_energies_KS, eigenvalues_K, random_energies_BS, basis, unions=unions)
    _, belongs_SU = _members(window_energies_KS, eigenvalues_K, random_energies_BS, basis, unions)
    influence_BU = _influences(random_energies_BS, belongs_SU)
    draws = len(influence_BU)
    weights_K = eigenvalues_K / eigenvalues_K.sum()
    error_U = influence_BU.std(axis=0, ddof=1) * draws * np.sqrt(np.square(weights_K).sum() + 1 / draws)
    # Up to rounding no larger than at random counts against a finding, as does a subspace that is not reached.
    selected_U = ratio.ratio > 1 + 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        t_U = np.log(ratio.ratio) / error_U
    t_U = np.where(error_U == 0, np.where(selected_U, np.inf, -np.inf), t_U)
    p_U: Float = scipy.stats.t.sf(t_U, draws - 1)
    return p_U


def _influences(random_energies_BS: Float, belongs_SU: Float) -> Float:
    """Influence of every draw on log Σ_b E_bs − log Σ_b E_b, shape (B, U); NaN where no draw reaches a subspace."""
    random_BU = random_energies_BS @ belongs_SU
    total_B1 = random_energies_BS[:, 1:].sum(axis=1, keepdims=True)
    reached_U = np.where(random_BU.any(axis=0), random_BU.sum(axis=0), np.nan)
    influence_BU: Float = random_BU / reached_U - total_B1 / total_B1.sum()
    return influence_BU


def _members(
    window_energies_KS: Float,
    eigenvalues_K: Float,
    random_energies_BS: Float,
    basis: Basis,
    unions: Mapping[str, Sequence[str]] | None,
) -> tuple[tuple[str, ...], Float]:
    """Check the energies; return the names of subspaces, parts and unions, and which subspaces each holds, S × U."""
    count = len(basis.subspaces)
    if window_energies_KS.shape != (len(eigenvalues_K), count) or random_energies_BS.shape[1:] != (count,):
        raise InputError(
            f"energies must have shapes ({len(eigenvalues_K)}, {count}) and (B, {count}) for {len(eigenvalues_K)} "
            f"eigenvalues and {count} subspaces, got {window_energies_KS.shape} and {random_energies_BS.shape}"
        )
    if len(random_energies_BS) < 2 or (eigenvalues_K < 0).any():
        raise InputError(
            "expected at least 2 random directions and eigenvalues that are not negative, got "
            f"{len(random_energies_BS)} and {eigenvalues_K.min(initial=0.0)}"
        )
    if (eigenvalues_K @ window_energies_KS)[1:].sum() == 0 or random_energies_BS[:, 1:].sum() == 0:
        raise InputError(
            "no response changes along the window's directions, or along the random ones: choose a step where the "
            "weights move, and inputs that the parameters act on"
        )
    members = {name: basis.indices(name) for name in basis.subspaces[1:]}
    members |= {part: basis.indices(part) for part in basis.parts[1:]}
    for name, union in (unions or {}).items():
        if name in members:
            raise InputError(f"basis {basis.name!r} has a subspace {name!r} already: give the union another name")
        members[name] = basis.indices(*union)
    belongs_SU = np.zeros((count, len(members)))
    for column, indices in enumerate(members.values()):
        belongs_SU[indices, column] = 1.0
    belongs_SU[0] = 0.0
    return tuple(members), belongs_SU
