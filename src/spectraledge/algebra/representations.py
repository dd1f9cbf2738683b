"""Irreducible representations of any finite group, their characters, and the Fourier transform that they make."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra.finite_groups import Classes, Group, conjugacy_classes
from spectraledge.arrays import Float, Ints
from spectraledge.streams import numpy_generator

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """The irreducible characters of a group, the trivial one first, then by dimension.

    Attributes:
        classes: The classes on which they are constant.
        values_CC: A character in each row, a class in each column.
        dimensions_C: Dimension of every representation.
        indicators_C: Frobenius–Schur indicator (1/M) Σ_x χ(x²): 1 where the representation can be written in real
            numbers, 0 where its character is not real, −1 where only the character is.
        conjugates_C: The row of the complex conjugate character.
    """

    classes: Classes
    values_CC: Complex
    dimensions_C: Ints
    indicators_C: Ints
    conjugates_C: Ints

    @property
    def on_elements_CM(self) -> Complex:
        """The characters as functions of the element."""
        return self.values_CC[:, self.classes.class_M]

    def name(self, row: int) -> str:
        """What the representation of a row is called: "ρ(d,i)", number i among those of dimension d, from 0."""
        dimension = self.dimensions_C[row]
        return f"ρ({dimension},{row - np.searchsorted(self.dimensions_C, dimension)})"


def character_table(group: Group) -> CharacterTable:
    """The characters of all irreducible representations.

    Definition: the functions constant on classes that are eigenfunctions of every convolution with such a function
    (Burnside 1911, §223). A random Hermitian one tells them apart. What it gives is rounded to the exact sums of roots
    of unity that characters are: χ(x) = Σ_k m_k exp(2πik/m) for x of order m, with whole m_k that count eigenvalues.
    Laws: rows are orthonormal under (1/M) Σ_x χ·χ̄', Σ d² = M, and there are as many as classes.

    Args:
        group: The group.

    Returns:
        The table. Rows are in the order of dimension, then of real ones first, then of their values by class.

    Cost: O(C·M + C³).
    """
    classes = conjugacy_classes(group)
    class_M, sizes_C, representatives_C = classes.class_M, classes.sizes_C, classes.representatives_C
    count = len(classes)
    generator = numpy_generator(0, "irreducible characters")
    weights_C = generator.normal(size=count) + 1j * generator.normal(size=count)
    weights_C = weights_C + weights_C[class_M[group.inverses_M[representatives_C]]].conj()
    kernel_CM = weights_C[class_M[group.quotients_MM[representatives_C]]]
    sums_CC = np.stack([kernel_CM[:, class_M == c].sum(axis=1) for c in range(count)], axis=1)
    lengths_C = np.sqrt(sizes_C)
    _, vectors_CC = np.linalg.eigh(sums_CC * lengths_C[:, None] / lengths_C)
    ratios_CC = (vectors_CC / lengths_C[:, None] / vectors_CC[0]).T
    dimensions_C = np.rint(np.sqrt(len(group) / (np.abs(ratios_CC) ** 2 @ sizes_C)))
    values_CC = _exact(group, classes, dimensions_C[:, None] * ratios_CC)
    # Ties of rounding are none: values are made from whole numbers, and 12 digits tell any two apart.
    keys = np.round(np.concatenate([-values_CC.real, values_CC.imag], axis=1), 12) + 0.0
    trivial_C = np.abs(values_CC - 1).max(axis=1) < 1e-6
    is_real_C = np.abs(values_CC.imag).max(axis=1) < 1e-9
    order_C = np.lexsort([*keys.T[::-1], ~is_real_C, dimensions_C, ~trivial_C])
    values_CC, dimensions_C = values_CC[order_C], dimensions_C[order_C].astype(np.int64)
    squares_C = class_M[group.table_MM[representatives_C, representatives_C]]
    indicators_C = np.rint((values_CC[:, squares_C] @ sizes_C).real / len(group)).astype(np.int64)
    conjugates_C = np.argmin(np.abs(values_CC[:, None] - values_CC.conj()).max(axis=2), axis=1)
    return CharacterTable(classes, values_CC, dimensions_C, indicators_C, conjugates_C)


def _exact(group: Group, classes: Classes, values_CC: Complex) -> Complex:
    exact_CC = np.empty_like(values_CC)
    for place, x in enumerate(classes.representatives_C.tolist()):
        powers = group.powers(x)
        order = len(powers)
        counts_CO = np.fft.fft(values_CC[:, classes.class_M[powers]], axis=1) / order
        whole_CO = np.rint(counts_CO.real)
        assert np.abs(counts_CO - whole_CO).max() < 1e-3, f"characters of {group.name} came out inexact"
        exact_CC[:, place] = whole_CO @ _roots(order)
    return exact_CC


def _roots(order: int) -> Complex:
    """The roots of unity exp(2πik/m), exact where real or imaginary part is 0 or ±1."""
    turns = np.arange(order) / order
    roots: Complex = np.exp(2j * np.pi * turns)
    exact = (4 * np.arange(order)) % order == 0
    roots[exact] = np.round(roots[exact])
    return roots


@dataclass(frozen=True, eq=False)
class Representation:
    """An irreducible unitary representation.

    Attributes:
        name: See `CharacterTable.name`; "ρ(1,0)" is the trivial one.
        matrices_Mdd: Its matrix at every element; real (float64) where the indicator is 1.
        character_M: Its trace at every element.
        indicator: See `CharacterTable`.
    """

    name: str
    matrices_Mdd: Complex | Float
    character_M: Complex
    indicator: int

    @property
    def dimension(self) -> int:
        """Its dimension d."""
        return int(self.matrices_Mdd.shape[1])


def irreducible_representations(group: Group) -> list[Representation]:
    """All irreducible representations of a group, unitary, real where that is possible; in the order of characters.

    Definition: inside the functions that a character's projector keeps, the eigenspaces of the convolution from the
    right with a random Hermitian function are d copies of one representation, on which the group acts from the left.
    Laws: ρ(x)ρ(y) = ρ(x·y); (1/M) Σ_x ρ_ij(x)·conj ρ'_kl(x) is 1/d where all agree, else 0 (Schur).

    Args:
        group: The group.

    Returns:
        One for each class of conjugates.

    Cost: O(M³).
    """
    table = character_table(group)
    characters_CM = table.on_elements_CM
    found: list[Representation] = []
    for number, dimension in enumerate(table.dimensions_C.tolist()):
        indicator = int(table.indicators_C[number])
        character_M = characters_CM[number]
        matrices_Mdd = character_M[:, None, None]
        if dimension > 1:
            matrices_Mdd = _matrices(group, character_M, dimension, is_real=indicator == 1)
        elif indicator == 1:
            matrices_Mdd = matrices_Mdd.real
        found.append(Representation(table.name(number), matrices_Mdd, character_M, indicator))
    return found


def _matrices(group: Group, character_M: Complex, dimension: int, *, is_real: bool) -> Complex | Float:
    generator = numpy_generator(0, "irreducible representations")

    def random(*shape: int) -> Complex | Float:
        values = generator.normal(size=shape)
        return values if is_real else values + 1j * generator.normal(size=shape)

    kernel_M = character_M.real if is_real else character_M.conj()
    projector_MM = dimension / len(group) * kernel_M[group.quotients_MM]
    kept_MD, _ = np.linalg.qr(projector_MM @ random(len(group), dimension**2))
    weights_M = random(len(group))
    weights_M = weights_M + weights_M[group.inverses_M].conj()
    mixed_MD = weights_M[group.table_MM[group.inverses_M]] @ kept_MD
    eigenvalues_D, axes_DD = np.linalg.eigh(kept_MD.conj().T @ mixed_MD)
    # d eigenvalues, each d times; the copy that lies furthest from the others is the most exact.
    middles_d = eigenvalues_D.reshape(dimension, dimension).mean(axis=1)
    gaps = np.diff(middles_d, prepend=-np.inf, append=np.inf)
    best = int(np.argmax(np.minimum(gaps[:-1], gaps[1:])))
    basis_Md = kept_MD @ axes_DD[:, best * dimension : (best + 1) * dimension]
    moved_MMd = basis_Md[group.table_MM[group.inverses_M]]
    matrices_Mdd: Complex | Float = np.einsum("xi,gxj->gij", basis_Md.conj(), moved_MMd, optimize=True)
    return matrices_Mdd


def fourier_transform(values_M: NDArray[np.number], representations: Sequence[Representation]) -> list[Complex]:
    """Fourier transform of a function on a group: f̂(ρ) = Σ_x f(x) ρ(x).

    Law (Plancherel): Σ_x |f(x)|² = (1/M) Σ_ρ d ‖f̂(ρ)‖².

    Args:
        values_M: The function.
        representations: All irreducible ones.

    Returns:
        A matrix for each representation.
    """
    return [np.einsum("x,xij->ij", values_M, rho.matrices_Mdd).astype(np.complex128) for rho in representations]


def inverse_fourier_transform(transform: Sequence[Complex], representations: Sequence[Representation]) -> Complex:
    """The function of a transform: f(x) = (1/M) Σ_ρ d tr(ρ(x)* f̂(ρ)).

    Args:
        transform: A matrix for each representation.
        representations: All irreducible ones.

    Returns:
        Its values, complex (M,).
    """
    parts = [
        rho.dimension * np.einsum("xji,ji->x", rho.matrices_Mdd.conj(), matrix_dd)
        for rho, matrix_dd in zip(representations, transform, strict=True)
    ]
    values_M: Complex = np.sum(parts, axis=0) / len(parts[0])
    return values_M
