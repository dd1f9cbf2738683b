"""How named tensors lie one after another in one flat vector."""

import functools
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Names and shapes of tensors in the order in which a flat vector holds them.

    Attributes:
        shapes: Shape of each tensor by name, in order.
    """

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def size(self) -> int:
        """Length P of the flat vector."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the named tensors into one vector of shape (P,)."""
        return torch.cat([tensors[name].reshape(-1) for name in self.shapes])

    def join_rows(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate S stacked networks' tensors, shapes (S, *shape), into one row each, shape (S, P)."""
        sizes = {name: math.prod(shape) for name, shape in self.shapes.items()}
        return torch.cat([tensors[name].reshape(len(tensors[name]), size) for name, size in sizes.items()], 1)

    def take(self, flat_P: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """Cut some of the named views out of a vector of shape (P,)."""
        return {name: flat_P[self._places[name]].view(self.shapes[name]) for name in names}

    @functools.cached_property
    def _places(self) -> dict[str, slice]:
        ends = itertools.accumulate(map(math.prod, self.shapes.values()))
        return {
            name: slice(end - math.prod(shape), end)
            for (name, shape), end in zip(self.shapes.items(), ends, strict=True)
        }

    def split(self, flat_P: Tensor) -> dict[str, Tensor]:
        """Cut vectors of shape (..., P) into named views of shape (..., *shape)."""
        parts = torch.split_with_sizes(flat_P, [math.prod(shape) for shape in self.shapes.values()], dim=-1)
        return {
            name: part.reshape((*flat_P.shape[:-1], *shape))
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
