"""Bases: exact splits of the functions on a task's domain into named, mutually orthogonal subspaces.

All are made in one way: of an ordered list of maps from inputs to finite groups every frequency of every map is a
subspace, orthogonal to those before it. One grouping, the lines of a grid of pairs and several groupings are its cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from spectraledge.algebra import Characters, cyclic_characters
from spectraledge.errors import InputError
from spectraledge.tasks import GROUPINGS, Grouping, basis_formula

Float = NDArray[np.float64]
Ints = NDArray[np.int64]

VANISHES = 1e-6
"""What is left of a function after those before it, over its length, below which it adds no dimension of its own."""

_UNUSED = 1e-10
"""Squared length over the largest, below which a sum of functions of the maps is 0 on the inputs, up to rounding."""

Family = Literal["grouping", "pairs", "joint", "features"]
"""How a basis is made: of one grouping, of the lines of a grid of pairs, of several groupings, of any functions."""


@dataclass(frozen=True)
class Basis:
    """A partition of the functions on the covered inputs into named subspaces.

    The first subspace is "mean" (the constant functions), the last "rest" (all that no other one holds).
    Laws: subspaces are orthogonal, dimensions sum to the number of covered inputs, energies to the energy there.

    Attributes:
        name: What it is a basis of.
        family: How it is made.
        covered_N: Which inputs it covers, bool (N,); functions on them have n dimensions.
        subspaces: Names of the subspaces, S of them: "mean", "frequency 26", ..., "rest".
        parts: The part that each belongs to: "mean", a map's name ("frequency" for a single one), "rest".
        groupings: Name of the grouping whose functions a part holds, by part; only parts that have one.
        frequencies_S: Frequency of each subspace; 0 for "mean", "rest" and whole parts.
        dimensions_S: Dimension of each subspace; 0 where those before it already hold its functions.
        indicator_nG: Sparse, 1 where the covered input is in the group; the G groups of all maps side by side.
        coefficients_GR: Orthonormal functions, without mean and rest: column r is a function of each map, summed.
        subspace_R: The subspace of every column.
    """

    name: str
    family: Family
    covered_N: NDArray[np.bool_]
    subspaces: tuple[str, ...]
    parts: tuple[str, ...]
    groupings: Mapping[str, str]
    frequencies_S: Ints
    dimensions_S: Ints
    indicator_nG: scipy.sparse.csr_array
    coefficients_GR: Float
    subspace_R: Ints

    @property
    def size(self) -> int:
        """Number of covered inputs, n."""
        return int(self.covered_N.sum())

    @property
    def coarse(self) -> "Basis":
        """The basis whose subspaces are the parts of this one: every map's frequencies together."""
        names = tuple(dict.fromkeys(self.parts))
        place_S = np.array([names.index(part) for part in self.parts])
        return replace(
            self,
            subspaces=names,
            parts=names,
            frequencies_S=np.zeros(len(names), dtype=np.int64),
            dimensions_S=np.bincount(place_S, weights=self.dimensions_S).astype(np.int64),
            subspace_R=place_S[self.subspace_R],
        )

    @property
    def labels(self) -> dict[str, str]:
        """Which functions every part holds, as a person writes it, by part."""
        return part_labels(self.family, tuple(dict.fromkeys(self.parts)), self.groupings)

    def indices(self, *names: str) -> Ints:
        """Places of subspaces, each once.

        Args:
            names: Names of subspaces, or of parts (all their subspaces).

        Returns:
            Indices into `subspaces`, ascending.

        Raises:
            InputError: if a name is neither.
        """
        for name in names:
            if name not in self.subspaces and name not in self.parts:
                known = ", ".join(dict.fromkeys(self.parts))
                raise InputError(
                    f"basis {self.name!r} has no subspace {name!r}: it has {known}, or one frequency of them"
                )
        pairs = enumerate(zip(self.subspaces, self.parts, strict=True))
        return np.array([index for index, either in pairs if not set(either).isdisjoint(names)], dtype=np.int64)

    def energies(self, response_KND: NDArray[np.floating]) -> Float:
        """Energy of vector responses in every subspace: Σ over coordinates of ‖projection‖².

        A variation that is only rounding, up to 4·n·ε of the response, counts as none.

        Args:
            response_KND: Responses over the domain, shape (K, N, D), of any precision.

        Returns:
            float64, shape (K, S), squared units of the response; a row sums to the energy on the covered inputs.

        Cost: two passes over the responses and one product of sparse with dense per map; nothing of size N².
        """
        self._check(response_KND.shape[1])
        energies_KS = np.zeros((len(response_KND), len(self.subspaces)))
        for energies_S, response_ND in zip(energies_KS, response_KND, strict=True):
            energies_S[:] = self._energies(*self._taken(response_ND))
        return energies_KS

    def products(self, first_ND: NDArray[np.floating], second_KND: NDArray[np.floating]) -> Float:
        """Inner products of the projections of one function with those of others: ⟨P_ρ f, P_ρ g_k⟩.

        Laws: of a function with itself they are its `energies`; a row sums to ⟨f, g_k⟩ on the covered inputs.

        Args:
            first_ND: The one function f, shape (N, D).
            second_KND: The others, shape (K, N, D).

        Returns:
            float64, shape (K, S), units of the two multiplied.
        """
        return self.products_and_energies(first_ND, second_KND)[0]

    def products_and_energies(
        self, first_ND: NDArray[np.floating], second_KND: NDArray[np.floating]
    ) -> tuple[Float, Float]:
        """Take `products` of one function with others, and the `energies` of these, in one pass over them.

        Args:
            first_ND: The one function, shape (N, D).
            second_KND: The others, shape (K, N, D).

        Returns:
            Both, shape (K, S).
        """
        self._check(len(first_ND))
        mean_D, centred_nD, first_RD = self._taken(first_ND)
        products_KS, energies_KS = (np.zeros((len(second_KND), len(self.subspaces))) for _ in range(2))
        for products_S, energies_S, second_ND in zip(products_KS, energies_KS, second_KND, strict=True):
            second_mean_D, second_nD, second_RD = self._taken(second_ND)
            inner_R = (first_RD * second_RD).sum(axis=1)
            products_S[:] = np.bincount(self.subspace_R, weights=inner_R, minlength=len(products_S))
            products_S[0] = self.size * float(mean_D @ second_mean_D)
            if self.dimensions_S[-1] > 0:
                products_S[-1] = float(np.vdot(centred_nD, second_nD)) - inner_R.sum()
            energies_S[:] = self._energies(second_mean_D, second_nD, second_RD)
        return products_KS, energies_KS

    def projection(self, response_ND: NDArray[np.floating], *names: str) -> Float:
        """Project a function into a union of subspaces.

        Args:
            response_ND: The function, shape (N, D).
            names: Names of subspaces or parts, other than "mean" and "rest".

        Returns:
            float64, shape (N, D); 0 at inputs that are not covered.
        """
        self._check(len(response_ND))
        coefficients_GR = self.coefficients_GR[:, np.isin(self.subspace_R, self.indices(*names))]
        held_RD = coefficients_GR.T @ self.group_sums(self.centred(response_ND)[1])
        projected_ND = np.zeros(response_ND.shape)
        projected_ND[self.covered_N] = self.indicator_nG @ (coefficients_GR @ held_RD)
        return projected_ND

    def centred(self, response_ND: NDArray[np.floating]) -> tuple[Float, Float]:
        """Mean of a response over the covered inputs, (D,), and what varies about it there, (n, D); float64."""
        kept_nD = np.asarray(response_ND if self.covered_N.all() else response_ND[self.covered_N], dtype=np.float64)
        mean_D = kept_nD.mean(axis=0)
        return mean_D, kept_nD - mean_D

    def group_sums(self, values_nD: Float, order_n: Ints | None = None) -> Float:
        """Sums over every group of values at covered inputs, (G, D); input i in the groups of input order_n[i]."""
        place_nG = self.indicator_nG if order_n is None else self.indicator_nG[order_n]
        sums_GD: Float = place_nG.T @ values_nD
        return sums_GD

    def inner_energies(self, sums_GD: Float) -> Float:
        """Energies from the sums of a centred response over every group, shape (S,); 0 for "mean" and "rest"."""
        return self._inner(self.coefficients_GR.T @ sums_GD)

    def _taken(self, response_ND: NDArray[np.floating]) -> tuple[Float, Float, Float]:
        """Mean of a response, what varies about it, and that in coefficients of the basis."""
        mean_D, centred_nD = self.centred(response_ND)
        return mean_D, centred_nD, self.coefficients_GR.T @ self.group_sums(centred_nD)

    def _energies(self, mean_D: Float, centred_nD: Float, held_RD: Float) -> Float:
        energies_S = np.zeros(len(self.subspaces))
        total = float(np.vdot(centred_nD, centred_nD))
        energies_S[0] = self.size * float(mean_D @ mean_D)
        if total > (4 * self.size * np.finfo(np.float64).eps) ** 2 * (total + energies_S[0]):
            inner_S = self._inner(held_RD)
            energies_S[1:] = inner_S[1:]
            if self.dimensions_S[-1] > 0:
                energies_S[-1] = max(total - inner_S.sum(), 0.0)
        return energies_S

    def _inner(self, held_RD: Float) -> Float:
        energies_R = np.square(held_RD).sum(axis=1)
        return np.bincount(self.subspace_R, weights=energies_R, minlength=len(self.subspaces)).astype(np.float64)

    def _check(self, count: int) -> None:
        if count != len(self.covered_N):
            raise InputError(
                f"basis {self.name!r} is over {len(self.covered_N)} inputs, got responses of {count}: "
                "take responses over the whole domain"
            )


@dataclass(frozen=True)
class _Map:
    """A map from the covered inputs to a group, whose functions are a part of a basis."""

    part: str
    groups_n: Ints
    functions: Characters


def grouping_basis(grouping: Grouping) -> Basis:
    """Basis of a grouping: the mean, one subspace "frequency ω" for each ω = 1, 2, … of functions of q, the rest.

    Where groups differ in size, characters are not orthogonal over the inputs; each frequency is then what it adds to
    the frequencies below it (our choice, because then all functions of q are covered once). With equal groups the
    energies are those of the Fourier transform of the group means.

    Args:
        grouping: The grouping; pairs outside it are not covered.

    Returns:
        The basis. Of a cyclic group: dimension 2 for each frequency up to ⌊M/2⌋, 1 for the Nyquist frequency M/2. Fewer
        where groups are empty.

    Raises:
        InputError: if no pair is in a group.
    """
    covered_N = grouping.groups_N >= 0
    _require_cover(covered_N, f"groups of grouping {grouping.name!r}")
    maps = [_Map("frequency", grouping.groups_N[covered_N], grouping.functions)]
    return _ordered(grouping.name, "grouping", covered_N, maps, {"frequency": grouping.name})


def pair_basis(grouping: Grouping) -> Basis:
    """Basis of a grid of pairs Z_M × Z_M: mean, lines "a", "b", "sum" (ω, ω) and "difference" (ω, −ω), the rest.

    Definition: the split of the 2-D Fourier transform over (a, b) (Xu 2026, §6.5) that keeps both axes and both
    diagonals; `coarse` gives whole lines. On the full grid they are orthogonal, but for the Nyquist frequency of an
    even M, where (M/2, M/2) and (M/2, −M/2) are the same function, which "sum" has. On a grid with holes each line is
    what it adds to those before it, in the order above.
    Null: a line takes (its dimension)/(n − 1) of the energy of noise, 1/98 on the full grid of 97.

    Args:
        grouping: A grouping whose coordinates are the pairs: residues, or logarithms; pairs without are not covered.

    Returns:
        The basis.

    Raises:
        InputError: if no pair has coordinates.
    """
    covered_N = grouping.coordinates_N2.min(axis=1) >= 0
    _require_cover(covered_N, f"coordinates of grouping {grouping.name!r}")
    a, b = grouping.coordinates_N2[covered_N].T
    lines = {"a": a, "b": b, "sum": (a + b) % grouping.order, "difference": (a - b) % grouping.order}
    functions = cyclic_characters(grouping.order)
    maps = [_Map(part, groups_n, functions) for part, groups_n in lines.items()]
    return _ordered(f"pairs of {grouping.name}", "pairs", covered_N, maps, line_groupings(grouping.name))


def line_groupings(name: str) -> dict[str, str]:
    """The groupings whose functions lie on the diagonals of the pairs in another one's coordinates, by part."""
    rule = GROUPINGS.get(name)
    found = {"sum": rule.line((1, 1)), "difference": rule.line((1, -1))} if rule else {}
    return {part: line for part, line in found.items() if line}


def joint_basis(groupings: Sequence[Grouping]) -> Basis:
    """Basis of several groupings in order: each subspace, "dlog_sum 26", is what it adds to all those before it.

    The order matters wherever functions of one grouping are nearly functions of another: what both can hold goes to the
    one that comes first. Make the basis in both orders to see how much that is.

    Args:
        groupings: Groupings of one domain, different names; pairs outside any of them are not covered.

    Returns:
        The basis; its parts are the groupings' names.

    Raises:
        InputError: if there is no grouping, two have one name, domains differ, or no pair is in all of them.
    """
    names = [grouping.name for grouping in groupings]
    sizes = {len(grouping.groups_N) for grouping in groupings}
    if len(set(names)) < len(names) or len(sizes) != 1:
        raise InputError(
            f"a joint basis needs groupings of different names over one domain, got {', '.join(names) or 'none'} "
            f"over {', '.join(map(str, sorted(sizes))) or 'no'} pairs"
        )
    covered_N = np.stack([grouping.groups_N for grouping in groupings]).min(axis=0) >= 0
    _require_cover(covered_N, f"groupings {', '.join(names)} together")
    maps = [_Map(grouping.name, grouping.groups_N[covered_N], grouping.functions) for grouping in groupings]
    return _ordered(" then ".join(names), "joint", covered_N, maps, {name: name for name in names})


def part_labels(family: Family, parts: Sequence[str], groupings: Mapping[str, str]) -> dict[str, str]:
    """Which functions the parts of a basis hold, as a person writes it.

    Args:
        family: How the basis is made.
        parts: Names of its parts, in their order.
        groupings: The grouping whose functions each holds, where it is one.

    Returns:
        Words by part.
    """
    labels = {"mean": "the mean", "rest": "the rest"}
    earlier: list[str] = []
    for part in parts:
        name = groupings.get(part, "")
        formula = basis_formula(name) if name else part
        if family == "pairs" and not name:
            formula = f"{part} alone"
        beyond = f", beyond {' and '.join(earlier)}" if family == "joint" and earlier else ""
        labels.setdefault(part, formula + beyond)
        if name:
            earlier.append(formula)
    return labels


def _require_cover(covered_N: NDArray[np.bool_], what: str) -> None:
    if not covered_N.any():
        raise InputError(f"the {what} cover no pair: choose others")


def _ordered(
    name: str, family: Family, covered_N: NDArray[np.bool_], maps: Sequence[_Map], groupings: Mapping[str, str]
) -> Basis:
    """Make a basis of maps by Gram–Schmidt in the order given."""
    size = int(covered_N.sum())
    starts = np.cumsum([0, *(len(each.functions.frequency_M) for each in maps)])
    columns_nL = np.column_stack([each.groups_n + start for each, start in zip(maps, starts, strict=False)])
    indicator_nG = scipy.sparse.csr_array(
        (np.ones(columns_nL.size), columns_nL.ravel(), np.arange(size + 1) * len(maps)), shape=(size, starts[-1])
    )
    # A function is a sum of functions of the maps: G numbers for n values. They are ambiguous (a constant can move
    # between maps, an empty group can have any value), so they are turned into coordinates that keep lengths.
    squares, axes_GG = np.linalg.eigh((indicator_nG.T @ indicator_nG).toarray())
    used = squares > _UNUSED * squares[-1]
    scale_UG = np.sqrt(squares[used])[:, None] * axes_GG[:, used].T
    constant_G = np.zeros(starts[-1])
    constant_G[: starts[1]] = 1 / np.sqrt(size)
    functions_UR = np.zeros((used.sum(), used.sum() + 1))
    functions_UR[:, 0] = scale_UG @ constant_G
    subspaces, parts, frequencies, subspace_R = ["mean"], ["mean"], [0], [0]
    for each, start in zip(maps, starts, strict=False):
        functions_MM, frequency_M = each.functions.functions_MM, each.functions.frequency_M
        characters_UM = scale_UG[:, start : start + len(frequency_M)] @ functions_MM
        for frequency in range(1, int(frequency_M[-1]) + 1):
            raw_UC = characters_UM[:, slice(*np.searchsorted(frequency_M, (frequency, frequency + 1)))]
            before_UR = functions_UR[:, : len(subspace_R)]
            new_UC = raw_UC - before_UR @ (before_UR.T @ raw_UC)
            new_UC -= before_UR @ (before_UR.T @ new_UC)  # Once leaves rounding over what remains; twice is enough.
            left_UC, lengths, _ = np.linalg.svd(new_UC, full_matrices=False)
            kept = lengths > VANISHES * np.linalg.norm(raw_UC)
            place, count = len(subspace_R), int(kept.sum())
            functions_UR[:, place : place + count] = left_UC[:, kept]
            subspace_R += [len(subspaces)] * count
            subspaces.append(f"{each.part} {frequency}")
            parts.append(each.part)
            frequencies.append(frequency)
    coefficients_GR = axes_GG[:, used] @ (functions_UR[:, 1 : len(subspace_R)] / np.sqrt(squares[used])[:, None])
    dimensions_S = np.bincount(subspace_R, minlength=len(subspaces) + 1)
    dimensions_S[-1] = size - len(subspace_R)
    return Basis(
        name,
        family,
        covered_N,
        (*subspaces, "rest"),
        (*parts, "rest"),
        groupings,
        np.array([*frequencies, 0], dtype=np.int64),
        dimensions_S.astype(np.int64),
        indicator_nG,
        coefficients_GR,
        np.array(subspace_R[1:], dtype=np.int64),
    )
