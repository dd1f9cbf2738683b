"""Shares of a response's energy in the subspaces of a basis, and the frequencies that stand out of noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.modes.basis import Basis

_TOGETHER = 16
"""Permutations whose sums are taken in one product."""


@dataclass(frozen=True)
class Shares:
    """How the energy of responses, without their mean, divides among the subspaces of a basis.

    Null: a response whose values are permuted among the inputs has, on average, its `chance_S` in every subspace.

    Attributes:
        basis: The basis.
        share_KS: Raw shares, shape (K, S), summing to 1; 0 for "mean", and everywhere for a response without variation.
    """

    basis: Basis
    share_KS: Float

    @property
    def chance_S(self) -> Float:
        """Share that noise has in every subspace: dimension / (n − 1); 0 for "mean"."""
        chance_S: Float = self.basis.dimensions_S / max(self.basis.size - 1, 1)
        chance_S[0] = 0.0
        return chance_S

    def corrected(self, *names: str) -> Float:
        """Share in the union of subspaces, corrected for chance: (share − c) / (1 − c), c the union's chance.

        Laws: 1 for a response inside the union, 0 on average for permuted values (so it can be negative); for all
        frequencies of a grouping it is `energy_share`.

        Args:
            names: Names of subspaces or parts of the basis.

        Returns:
            Shape (K,); 0 for a response without variation.

        Raises:
            InputError: if the union holds every function without mean, so that nothing can be tested.
        """
        indices = self.basis.indices(*names)
        chance = self.chance_S[indices].sum()
        if 1 - chance < 1 / (2 * self.basis.size):
            raise InputError(
                f"{', '.join(names)} of basis {self.basis.name!r} holds every function on its {self.basis.size} "
                "inputs: nothing can be tested in it"
            )
        varies_K = self.share_KS.any(axis=1)
        corrected_K: Float = np.where(varies_K, (self.share_KS[:, indices].sum(axis=1) - chance) / (1 - chance), 0.0)
        return corrected_K


def shares(energies_KS: Float, basis: Basis) -> Shares:
    """Divide the energies of every response by their sum without the mean.

    Args:
        energies_KS: Energies in the subspaces of the basis (`Basis.energies`), shape (K, S).
        basis: The basis.

    Returns:
        The shares.
    """
    varying_KS = energies_KS.copy()
    varying_KS[:, 0] = 0.0
    total_K1 = varying_KS.sum(axis=1, keepdims=True)
    return Shares(basis, np.divide(varying_KS, total_K1, out=np.zeros_like(varying_KS), where=total_K1 > 0))


@dataclass(frozen=True)
class KeyFrequencies:
    """Which subspaces of a basis hold more of each response than any would of noise.

    Attributes:
        subspaces: The F subspaces that were compared: one family.
        share_KF: Raw share of every response in each.
        p_KF: Family-wise p-value: (1 + permutations whose largest share is at least this) / (1 + permutations).
        level: Confidence; a subspace is key where p ≤ 1 − level.
    """

    subspaces: tuple[str, ...]
    share_KF: Float
    p_KF: Float
    level: float

    @property
    def found(self) -> list[tuple[str, ...]]:
        """Names of the key subspaces of every response, largest share first."""
        names = []
        for share_F, p_F in zip(self.share_KF, self.p_KF, strict=True):
            ranked = [int(index) for index in np.argsort(-share_F, kind="stable")]
            names.append(tuple(self.subspaces[f] for f in ranked if p_F[f] <= 1 - self.level + 1e-12))
        return names


def key_frequencies(
    response_KND: NDArray[np.floating],
    basis: Basis,
    *,
    generator: np.random.Generator,
    permutations: int = 199,
    level: float = 0.95,
) -> KeyFrequencies:
    """Find the frequencies whose share exceeds the 95 % point of the largest share among permuted responses.

    Null: values are exchangeable among the covered inputs; whole vectors are permuted, so what coordinates share stays.
    Law: with no relation between input and response, at most 1 − level of the responses have any key frequency.
    A trained network's response along a random direction is no such noise: compare with the frequencies found there.

    Args:
        response_KND: Responses over the domain, shape (K, N, D).
        basis: The basis; all its subspaces but "mean" and "rest" are one family.
        generator: Source of the permutations, which all K responses share.
        permutations: How many. Default 199 (our choice: the 95 % point is then exactly a rank).
        level: Confidence. Default 0.95.

    Returns:
        Shares and p-values.

    Raises:
        InputError: if the level cannot be reached with so few permutations, or the basis has no frequencies.

    Cost: permutations·K sums over groups, about half a millisecond each for 9,409 inputs and width 128, and the
    responses once more.
    """
    if not 0 < level < 1 or (1 + permutations) * (1 - level) < 1 - 1e-9:
        raise InputError(
            f"level {level} with {permutations} permutations: the level must be in (0, 1) and p-values are at least "
            f"1/{1 + permutations}; use more permutations or a lower level"
        )
    family = slice(1, len(basis.subspaces) - 1)
    if len(basis.subspaces) < 3:
        raise InputError(f"basis {basis.name!r} has no frequencies: use a grouping of order 2 or more")
    energies_KS = basis.energies(response_KND)
    share_KF, least_KF = shares(energies_KS, basis).share_KS[:, family], energies_KS[:, family]
    # All responses side by side: a permutation deals them out together.
    beside_NX = np.hstack(list(response_KND))
    inner_FR = basis.subspace_R == np.arange(1, len(basis.subspaces) - 1)[:, None]
    exceeded_KF = np.zeros(share_KF.shape)
    for start in range(0, permutations, _TOGETHER):
        orders = [generator.permutation(basis.size) for _ in range(start, min(start + _TOGETHER, permutations))]
        held_BRX = basis.coefficients_GR.T @ basis.dealt_sums(beside_NX, np.stack(orders))
        energy_BRK = np.square(held_BRX).reshape(*held_BRX.shape[:2], *response_KND.shape[::2]).sum(3)
        largest_BK1 = (inner_FR @ energy_BRK).max(1)[:, :, None]
        # A tie up to rounding counts against the finding.
        exceeded_KF += (largest_BK1 >= least_KF * (1 - 1e-12)).sum(0)
    return KeyFrequencies(basis.subspaces[family], share_KF, (1 + exceeded_KF) / (1 + permutations), level)
