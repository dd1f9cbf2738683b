"""What a basis is: functions on a domain split exactly into named, orthogonal subspaces, and the energies in them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Bools, Float, Ints
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.modes.device_basis import DeviceBasis
from spectraledge.modes.group_sums import varying_sums
from spectraledge.tasks import basis_formula

Response = NDArray[np.floating] | Tensor
"""Values over a domain; of a tensor on a GPU what is large is computed there."""

_Inner = tuple[float, float, Float]
"""Of two functions: inner product of their means, of what varies about these, and of every coefficient of a basis."""

VANISHES = 1e-6
"""What is left of a function after those before it, over its length, below which it adds no dimension of its own."""

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
    covered_N: Bools
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

    def energies(self, response_KND: Response) -> Float:
        """Energy of vector responses in every subspace: Σ over coordinates of ‖projection‖².

        A variation that is only rounding, up to 4·n·ε of the response, counts as none.

        Args:
            response_KND: Responses over the domain, shape (K, N, D), of any precision.

        Returns:
            float64, shape (K, S), squared units of the response; a row sums to the energy on the covered inputs.

        Raises:
            InputError: if responses are over other inputs, or have no finite energy on the covered ones.

        Cost: two passes over the responses and one product of their sums over groups; nothing of size N².
        """
        return energies_in([self], response_KND)[0]

    def products(self, first_ND: Response, second_KND: Response) -> Float:
        """Inner products of the projections of one function with those of others: ⟨P_ρ f, P_ρ g_k⟩.

        Laws: of a function with itself they are its `energies`; a row sums to ⟨f, g_k⟩ on the covered inputs.

        Args:
            first_ND: The one function f, shape (N, D).
            second_KND: The others, shape (K, N, D).

        Returns:
            float64, shape (K, S), units of the two multiplied.
        """
        return self.products_and_energies(first_ND, second_KND)[0]

    def products_and_energies(self, first_ND: Response, second_KND: Response) -> tuple[Float, Float]:
        """Take `products` of one function with others, and the `energies` of these, in one pass over them.

        Args:
            first_ND: The one function, shape (N, D); a tensor where the others are, on their device.
            second_KND: The others, shape (K, N, D).

        Returns:
            Both, shape (K, S).
        """
        self._check(len(first_ND))
        products_KS, energies_KS = (np.zeros((len(second_KND), len(self.subspaces))) for _ in range(2))
        inner = self._inner_there if _is_elsewhere(second_KND) else self._inner_here
        for k, (product, energy) in enumerate(inner(first_ND, second_KND)):
            products_KS[k], energies_KS[k] = self._products(*product), self._energies(*energy)
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

    def group_sums(self, values_nD: Float) -> Float:
        """Sums over every group of values at covered inputs, (G, D)."""
        sums_GD: Float = self._groups_Gn @ values_nD
        return sums_GD

    def dealt_sums(self, response_ND: NDArray[np.floating], orders_Bn: Ints) -> Float:
        """What varies, summed after B permutations: input i is in the groups of input orders_Bn[b, i]; (B, G, D)."""
        draws, count = len(orders_Bn), self.indicator_nG.shape[1]
        groups_nBM = self.groups_nM[orders_Bn.T] + count * np.arange(draws)[:, None]
        sums = varying_sums(response_ND, self.places_n, groups_nBM.reshape(self.size, -1), draws * count).sums_GD
        return sums.reshape(draws, count, -1)

    @cached_property
    def groups_nM(self) -> Ints:
        """Groups that every covered input is in, one of each map."""
        return self.indicator_nG.indices.reshape(self.size, -1).astype(np.int64)

    @cached_property
    def places_n(self) -> Ints | None:
        """Places of the covered inputs; none where it covers all."""
        return None if self.covered_N.all() else np.flatnonzero(self.covered_N)

    @cached_property
    def _groups_Gn(self) -> scipy.sparse.csr_array:
        return self.indicator_nG.T.tocsr()

    def _inner_here(self, first_ND: Response, second_KND: Response) -> Iterator[tuple[_Inner, _Inner]]:
        """Inner products of one function with each of the others, and of each with itself."""
        mean_D, centred_nD = self.centred(host(first_ND))
        held_RD = self._held(centred_nD)
        for second_ND in host(second_KND):
            second_mean_D, second_nD = self.centred(second_ND)
            second_RD = self._held(second_nD)
            product = float(mean_D @ second_mean_D), float(np.vdot(centred_nD, second_nD)), (held_RD * second_RD).sum(1)
            yield product, _with_itself(second_mean_D, _square(second_nD), second_RD)

    def _inner_there(self, first_ND: Response, second_KND: Response) -> Iterator[tuple[_Inner, _Inner]]:
        """The same on a device."""
        assert isinstance(first_ND, Tensor)
        assert isinstance(second_KND, Tensor)
        there = self._on(second_KND.device)
        first, rows = there.taken(*there.centred(first_ND)), []
        for second_ND in second_KND:
            second = there.taken(*there.centred(second_ND))
            rows.append(torch.stack([first.inner(second), second.inner(second)]))
        for product, energy in host(torch.stack(rows)):
            yield _cut(product), _cut(energy)

    def _held(self, centred_nD: Float) -> Float:
        held_RD: Float = self.coefficients_GR.T @ self.group_sums(centred_nD)
        return held_RD

    def _on(self, device: torch.device) -> DeviceBasis:
        return DeviceBasis.of(self.covered_N, self._groups_Gn, self.coefficients_GR, device)

    def _products(self, means: float, total: float, inner_R: Float) -> Float:
        products_S = np.bincount(self.subspace_R, weights=inner_R, minlength=len(self.subspaces)).astype(np.float64)
        products_S[0] = self.size * means
        if self.dimensions_S[-1] > 0:
            products_S[-1] = total - inner_R.sum()
        return products_S

    def _energies(self, mean: float, total: float, energies_R: Float) -> Float:
        if not np.isfinite(mean + total):
            raise InputError(
                f"responses need finite values, and finite squares, on all inputs of basis {self.name!r}: leave out "
                "what was not measured, or scale them down"
            )
        energies_S = np.zeros(len(self.subspaces))
        energies_S[0] = self.size * mean
        if total > (4 * self.size * np.finfo(np.float64).eps) ** 2 * (total + energies_S[0]):
            inner_S = np.bincount(self.subspace_R, weights=energies_R, minlength=len(self.subspaces))
            energies_S[1:] = inner_S[1:]
            if self.dimensions_S[-1] > 0:
                energies_S[-1] = max(total - inner_S.sum(), 0.0)
        return energies_S

    def _check(self, count: int) -> None:
        if count != len(self.covered_N):
            raise InputError(
                f"basis {self.name!r} is over {len(self.covered_N)} inputs, got responses of {count}: "
                "take responses over the whole domain"
            )


def added_functions(raw_NF: Float, before_NR: Float, *, rounding: float = 0.0) -> Float:
    """What functions add to orthonormal ones, as orthonormal columns; lengths up to `rounding` are nothing."""
    new_NF = raw_NF - before_NR @ (before_NR.T @ raw_NF)
    new_NF -= before_NR @ (before_NR.T @ new_NF)  # Once leaves rounding over what remains; twice is enough.
    left_NF, lengths_F, _ = np.linalg.svd(new_NF, full_matrices=False)
    return left_NF[:, lengths_F > max(rounding, VANISHES * np.linalg.norm(raw_NF))]


def energies_in(bases: Sequence[Basis], response_KND: Response) -> list[Float]:
    """Take `Basis.energies` in several bases: what varies about the mean is taken once for all that cover the same.

    Args:
        bases: The bases, over one domain.
        response_KND: Responses over the domain, shape (K, N, D), of any precision.

    Returns:
        The energies in each, (K, S), in their order.

    Cost: two passes over the responses for every set of covered inputs, and one product for every basis.
    """
    alike: dict[bytes, list[tuple[Basis, Float]]] = {}
    found = []
    for basis in bases:
        basis._check(response_KND.shape[1])
        found.append(np.zeros((len(response_KND), len(basis.subspaces))))
        alike.setdefault(basis.covered_N.tobytes(), []).append((basis, found[-1]))
    inner = _inner_there if _is_elsewhere(response_KND) else _inner_here
    for covering in alike.values():
        for k, each in enumerate(inner([basis for basis, _ in covering], response_KND)):
            for (basis, energies_KS), numbers in zip(covering, each, strict=True):
                energies_KS[k] = basis._energies(*numbers)
    return found


def _inner_here(bases: Sequence[Basis], response_KND: Response) -> Iterator[list[_Inner]]:
    """Inner products of each response with itself in bases that cover the same inputs."""
    starts = np.cumsum([0, *(basis.indicator_nG.shape[1] for basis in bases)])
    groups_nM = np.hstack([basis.groups_nM + start for basis, start in zip(bases, starts[:-1], strict=True)])
    for response_ND in host(response_KND):
        mean_D, total, sums_GD = varying_sums(response_ND, bases[0].places_n, groups_nM, starts[-1])
        parts = zip(bases, np.split(sums_GD, starts[1:-1]), strict=True)
        yield [_with_itself(mean_D, total, basis.coefficients_GR.T @ part_GD) for basis, part_GD in parts]


def _inner_there(bases: Sequence[Basis], response_KND: Response) -> Iterator[list[_Inner]]:
    """The same on a device, from which all of them come back together."""
    assert isinstance(response_KND, Tensor)
    there, rows = [basis._on(response_KND.device) for basis in bases], []
    for response_ND in response_KND:
        mean_D, centred_nD = there[0].centred(response_ND)
        taken = (basis.taken(mean_D, centred_nD) for basis in there)
        rows.append(torch.cat([one.inner(one) for one in taken]))
    ends = np.cumsum([2 + len(basis.subspace_R) for basis in bases])[:-1]
    for numbers in host(torch.stack(rows)) if rows else ():
        yield [_cut(part) for part in np.split(numbers, ends)]


def _with_itself(mean_D: Float, total: float, held_RD: Float) -> _Inner:
    return float(mean_D @ mean_D), total, np.square(held_RD).sum(axis=1)


def _cut(numbers: Float) -> _Inner:
    return float(numbers[0]), float(numbers[1]), numbers[2:]


def _is_elsewhere(values: Response) -> bool:
    return isinstance(values, Tensor) and values.device.type != "cpu"


def _square(values_nD: Float) -> float:
    return float(np.vdot(values_nD, values_nD))


def part_labels(family: Family, parts: Sequence[str], groupings: Mapping[str, str]) -> dict[str, str]:
    """Which functions the parts of a basis hold, as a person writes it, by part."""
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
