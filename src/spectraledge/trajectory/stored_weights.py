"""The weights of an open snapshot: plain names, pairs of reals for complex numbers, and which names are tied."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from spectraledge.trajectory.formats.stored import COMPLEX, StoredFile, StoredTensor, ties_of
from spectraledge.trajectory.names import TensorKind, may_be_tied, no_weights, plain_names
from spectraledge.trajectory.selection import Selection, matches, matches_any, select_parameters

_PIECE = 1 << 20
"""Numbers compared at a time."""


@dataclass(frozen=True)
class RealPairs:
    """A complex tensor as pairs of reals, so that inner products are Re⟨·, ·⟩.

    Attributes:
        stored: The complex tensor.
    """

    stored: StoredTensor

    def get_shape(self) -> list[int]:
        """Return its shape: that of the complex tensor, and 2."""
        return [*self.stored.get_shape(), 2]

    def get_dtype(self) -> str:
        """Return the type of the reals."""
        return f"F{int(self.stored.get_dtype()[1:]) // 2}"

    def __getitem__(self, index: Any, /) -> Tensor:
        """Read a part."""
        places = index if isinstance(index, tuple) else (index,)
        depth = len(self.stored.get_shape())
        pairs = torch.view_as_real(self.stored[places[:depth]].resolve_conj())
        return pairs[(..., *places[depth:])]


@dataclass(frozen=True)
class Weights:
    """The tensors of an open snapshot by plain name, see `plain_names`.

    Attributes:
        file: The open file.
        stored: The name in the file by plain name, in the order of the file.
    """

    file: StoredFile
    stored: Mapping[str, str]

    @classmethod
    def of(cls, file: StoredFile) -> "Weights":
        """Look at an open file."""
        return cls(file, plain_names(file.keys()))

    def kinds(self) -> dict[str, TensorKind]:
        """Return shape and type of every tensor, as stored, by plain name."""
        slices = {name: self.file.get_slice(stored) for name, stored in self.stored.items()}
        return {name: TensorKind(tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}

    def get(self, name: str) -> StoredTensor:
        """Return a tensor that reads what is indexed, a complex one as pairs of reals."""
        stored = self.file.get_slice(self.stored[name])
        return RealPairs(stored) if stored.get_dtype() in COMPLEX else stored

    def ties(self, kinds: Mapping[str, TensorKind]) -> dict[str, str]:
        """Find names that stand for numbers which another name stands for, too.

        They share storage, or they are matrices under names of embeddings and hold equal numbers.

        Args:
            kinds: The tensors to look at, weights all of them, those to be kept before others.

        Returns:
            The other name by name.
        """
        found = self.shared(list(kinds))
        rest = [name for name in kinds if name not in found and len(kinds[name].shape) == 2 and may_be_tied(name)]
        for name, other in combinations(rest, 2):
            if not {name, other} & found.keys() and kinds[name] == kinds[other] and self.equal(name, other):
                found[other] = name
        return found

    def shared(self, names: Sequence[str]) -> dict[str, str]:
        """Return by name the other one of these names that holds all of its numbers in the file."""
        plain = {self.stored[name]: name for name in names}
        return {plain[name]: plain[other] for name, other in ties_of(self.file, list(plain)).items()}

    def still_tied(self, ties: Mapping[str, str]) -> dict[str, str]:
        """Keep those ties of another snapshot that this one has, too; one of whose names it lacks was tied away.

        Args:
            ties: As `ties` gives them.

        Returns:
            What remains of them.
        """
        found = {}
        for name, other in ties.items():
            both = [one for one in (other, name) if one in self.stored]
            if both == [other] or (len(both) == 2 and (self.shared(both) or self.equal(name, other))):
                found[name] = other
        return found

    def equal(self, name: str, other: str, of: "Weights | None" = None) -> bool:
        """Tell whether two tensors are equal number by number; a first row that differs is all that is read.

        Args:
            name: The one.
            other: The other, which must have an axis.
            of: The snapshot that it is in. Default this one.

        Returns:
            Whether they are.
        """
        first, second = self.get(name), (of or self).get(other)
        shape = first.get_shape()
        if shape != second.get_shape() or first.get_dtype() != second.get_dtype():
            return False
        rows = max(1, _PIECE // max(math.prod(shape[1:]), 1))
        bounds = [(0, 1), *((start, start + rows) for start in range(1, shape[0], rows))]
        return all(torch.equal(first[begin:end], second[begin:end]) for begin, end in bounds)


def select_weights(kinds: Mapping[str, TensorKind], patterns: Sequence[str]) -> Selection:
    """Choose among the tensors of a snapshot those that are weights and match a pattern.

    A tensor that only its name makes no weight is chosen all the same by a pattern that matches no other and is more
    than a star: whoever asks for 'ema.*' means it.

    Args:
        kinds: Shape and type of every tensor by plain name.
        patterns: See `select_parameters`.

    Returns:
        What matched, what did not, and what is no weight.
    """
    reasons = no_weights(kinds)
    asked = [p for p in patterns if p.strip("*") and not matches_any((n for n in kinds if n not in reasons), [p])]
    reasons = {n: reason for n, reason in reasons.items() if reason.certain or not matches(n, asked)}
    return select_parameters(
        (name for name in kinds if name not in reasons),
        patterns,
        left_out={name: reason.text for name, reason in reasons.items()},
    )
