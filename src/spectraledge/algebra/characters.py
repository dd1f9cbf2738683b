"""Functions on a finite set of elements, split by frequency: Fourier analysis on groups that are not cyclic."""

from dataclasses import dataclass

import numpy as np

from spectraledge.algebra.finite_groups import Group, group_from_table
from spectraledge.algebra.fourier import real_characters, without_rounding
from spectraledge.algebra.isotypic import isotypic_kernels, real_rows
from spectraledge.algebra.named_groups import units
from spectraledge.algebra.representations import CharacterTable, character_table
from spectraledge.algebra.subspace_names import SIGN, subspace_names
from spectraledge.algebra.walsh import cube, parity
from spectraledge.arrays import Float, Ints

FREQUENCY = "frequency"
"""Before the number of a subspace that has no name of its own."""


@dataclass(frozen=True)
class Characters:
    """All functions on M elements, split into the constants and one subspace per frequency 1, 2, ...

    Laws: the columns are orthonormal, and together they are all functions.

    Attributes:
        functions_MM: A function of the element in each column, the constant first.
        frequency_M: Frequency of every column, ascending; 0 for the constant alone.
        names: What the subspaces of frequencies 1, 2, … are called; empty where that is their frequency.
        group: The group, where these are the functions of its irreducible representations.
    """

    functions_MM: Float
    frequency_M: Ints
    names: tuple[str, ...] = ()
    group: Group | None = None

    def name(self, frequency: int) -> str:
        """What the subspace of a frequency from 1 is called: "frequency 26", or its own name; "" for 0."""
        if frequency < 1:
            return ""
        return self.names[frequency - 1] if self.names else f"{FREQUENCY} {frequency}"

    def power(self, means_KM: Float) -> Float:
        """Energy of functions at each frequency, their means removed.

        Args:
            means_KM: Values at the elements; NaN where undefined, which is left out of the mean and of the sum.

        Returns:
            Shape (K, F); entry i belongs to frequency i + 1. All zero for a constant function.
        """
        defined = ~np.isnan(means_KM)
        values = np.where(defined, means_KM, 0.0)
        mean = values.sum(axis=1, keepdims=True) / np.maximum(defined.sum(axis=1, keepdims=True), 1)
        centred = without_rounding(np.where(defined, values - mean, 0.0), values)
        energy_KM = np.square(centred @ self.functions_MM)
        starts = np.searchsorted(self.frequency_M, np.arange(1, self.frequency_M[-1] + 1))
        power_KF: Float = np.add.reduceat(energy_KM, starts, axis=1) if len(starts) else energy_KM[:, :0]
        return power_KF


def cyclic_characters(order: int) -> Characters:
    """Functions on Z_M: see `real_characters`."""
    return Characters(real_characters(order), (np.arange(order) + 1) // 2)


def walsh_characters(bits: int) -> Characters:
    """Functions of n bits, the elements of Z_2ⁿ: frequency s is the parity of the bits that are set in s.

    Args:
        bits: Number of bits n; an element is the number whose binary digits they are.

    Returns:
        The split, of 2ⁿ − 1 frequencies.
    """
    elements_Mn = cube(bits)
    functions_MM = np.stack([parity(elements_Mn, tuple(np.flatnonzero(s))) for s in elements_Mn], axis=1)
    return Characters(functions_MM / np.sqrt(len(functions_MM)), np.arange(len(functions_MM)))


def unit_characters(modulus: int) -> Characters:
    """Functions on the residues mod n, split by how the residues with an inverse act on them by multiplication.

    Definition: the subspace of a character χ of the units, and of its conjugate, holds the functions with
    f(u·q) = χ(u)·f(q). Of χ = 1 these are the functions of the greatest common divisor of q and n, "gcd"; the others
    are named as by `subspace_names`. Law: multiplication by a unit maps each subspace to itself.

    Args:
        modulus: The modulus n, at least 2.

    Returns:
        The split, those of the divisors first.

    Cost: O(n³).
    """
    group = units(modulus)
    characters = character_table(group)
    residues_n = np.arange(modulus)
    units_M = residues_n[np.gcd(residues_n, modulus) == 1]
    weights_M = np.arange(1, 1 + len(real_rows(characters))) @ isotypic_kernels(characters)
    numbered_nn = np.zeros((modulus, modulus))
    np.add.at(numbered_nn, (units_M[:, None] * residues_n % modulus, residues_n), weights_M[:, None])
    # The constants are taken out of the functions of the divisor.
    eigenvalues_n, functions_nn = np.linalg.eigh((numbered_nn + numbered_nn.T) / 2 - 1 / modulus)
    names = ("gcd", *(name.replace(SIGN, "character of order 2") for name in subspace_names(group, characters)))
    return Characters(functions_nn, np.rint(eigenvalues_n).astype(np.int64), names)


def unit_turns(modulus: int, frequency: int) -> Float:
    """How far along a character of the units the residues mod n lie, each from its divisor.

    Definition: the angle of χ(u) of the residue q = u·d, where d is the greatest common divisor of q and n. Law: of a
    function in the subspace of χ it is the phase of its values at the residues of one divisor, up to a constant.

    Args:
        modulus: The modulus n, at least 2.
        frequency: Of the subspace, from 1, in `unit_characters`; of two conjugate characters χ is the first.

    Returns:
        In turns, at least 0 and below 1, shape (n,); 0 where χ takes several values at the units with the same u·d, so
        that functions in its subspace are 0 there.
    """
    group = units(modulus)
    characters = character_table(group)
    values_M = characters.on_elements_CM[real_rows(characters)[frequency - 1][0]]
    residues_n = np.arange(modulus)
    units_M = residues_n[np.gcd(residues_n, modulus) == 1]
    sums_n = np.zeros(modulus, dtype=np.complex128)
    for divisor in np.unique(np.gcd(residues_n, modulus)):
        np.add.at(sums_n, units_M * divisor % modulus, values_M)
    # Sums are 0 or at least 1 long, and turns are whole parts of the number of units.
    steps_n = np.rint(np.angle(np.where(np.abs(sums_n) > 0.5, sums_n, 1.0)) / (2 * np.pi) * len(units_M))
    turns_n: Float = steps_n % len(units_M) / len(units_M)
    return turns_n


def irreducible_characters(table: Ints | Group) -> Characters:
    """Functions on any finite group, split into those of each irreducible representation, smallest first.

    Definition: the matrix entries of an irreducible representation of dimension d span d² functions; a representation
    and its conjugate share a subspace, since functions are real. Found as the eigenspaces of Σ_k k·P_k, where P_k
    projects on the k-th subspace (`isotypic_kernels`). Law: left and right translations map each subspace to itself.

    Args:
        table: The group, or its table: entry (x, y) is x·y, in 0..M − 1.

    Returns:
        The split. Subspaces are named by `subspace_names`; those of a cyclic group are its frequencies, as of
        `cyclic_characters` where its first generator stands for 1.

    Raises:
        InputError: if the table is not that of a group.
    """
    group = table if isinstance(table, Group) else group_from_table(table)
    characters = character_table(group)
    kernels_FM = isotypic_kernels(characters)
    generators = np.flatnonzero(group.orders_M == len(group))
    names: tuple[str, ...] = ()
    if len(generators):
        kernels_FM = kernels_FM[np.argsort(_frequencies(characters, int(generators[0])))]
    else:
        names = subspace_names(group, characters)
    numbered_M = np.arange(len(kernels_FM)) @ kernels_FM
    eigenvalues_M, functions_MM = np.linalg.eigh(numbered_M[group.quotients_MM])
    return Characters(functions_MM, np.rint(eigenvalues_M).astype(np.int64), names, group)


def _frequencies(characters: CharacterTable, generator: int) -> Ints:
    """By how many parts of a turn each character of a cyclic group, or its conjugate, turns a generator."""
    on_elements_CM = characters.on_elements_CM[[rows[0] for rows in real_rows(characters)]]
    turns_F = np.abs(np.angle(on_elements_CM[:, generator])) / (2 * np.pi)
    frequencies_F: Ints = np.rint(turns_F * on_elements_CM.shape[1]).astype(np.int64)
    return frequencies_F
