"""Bases of pairs: exact splits of the functions on a task's domain into named, mutually orthogonal subspaces.

All are made in one way: of an ordered list of maps from inputs to finite groups every frequency of every map is a
subspace, orthogonal to those before it. One grouping, the lines of a grid of pairs and several groupings are its cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from spectraledge.algebra import FREQUENCY, Characters, cyclic_characters
from spectraledge.arrays import Bools, Ints
from spectraledge.errors import InputError
from spectraledge.modes.basis import Basis, Family, added_functions
from spectraledge.tasks import GROUPINGS, Grouping

_UNUSED = 1e-10
"""Squared length over the largest, below which a sum of functions of the maps is 0 on the inputs, up to rounding."""


@dataclass(frozen=True)
class _Map:
    """A map from the covered inputs to a group, whose functions are a part of a basis."""

    part: str
    groups_n: Ints
    functions: Characters

    def subspace(self, frequency: int) -> str:
        """What a subspace is called: by its name in the group, behind the part's where there are several parts."""
        name = self.functions.name(frequency)
        return name if self.part == FREQUENCY else f"{self.part} {name.removeprefix(f'{FREQUENCY} ')}"


def grouping_basis(grouping: Grouping) -> Basis:
    """Basis of a grouping: the mean, one subspace "frequency ω" for each ω = 1, 2, … of functions of q, the rest.

    Subspaces of a group that is not cyclic have the names of its representations (`subspace_names`).

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
    maps = [_Map(FREQUENCY, grouping.groups_N[covered_N], grouping.functions)]
    return _ordered(grouping.name, "grouping", covered_N, maps, {FREQUENCY: grouping.name})


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


def _require_cover(covered_N: Bools, what: str) -> None:
    if not covered_N.any():
        raise InputError(f"the {what} cover no pair: choose others")


def _ordered(name: str, family: Family, covered_N: Bools, maps: Sequence[_Map], groupings: Mapping[str, str]) -> Basis:
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
            kept_UC = added_functions(raw_UC, functions_UR[:, : len(subspace_R)])
            functions_UR[:, len(subspace_R) : len(subspace_R) + kept_UC.shape[1]] = kept_UC
            subspace_R += [len(subspaces)] * kept_UC.shape[1]
            subspaces.append(each.subspace(frequency))
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
