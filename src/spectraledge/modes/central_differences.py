"""Central differences of a module's read-out: what exact derivatives are held against, and what stands in for them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from spectraledge.modes.reading import FEW, Reading
from spectraledge.modes.tensor_sizes import Roundings

SIZES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
"""Steps over the norm of the watched parameters: large ones for modules that round to single precision inside, small
ones for those with kinks, as of a ReLU."""

CLOSE = 1e-5
"""Difference from central differences, over the largest row, up to which a derivative in double precision is right."""

_NOISIEST = 1e-2
"""Difference between central differences, over the largest row, above which they confirm nothing."""

_FEW_ROWS = 1e-3
"""The same as `CLOSE` for one row in a hundred: a kink that is nearer than the smallest step."""

_KINK = 0.05
"""Second difference over size and largest row that does not vanish with the size: there is no derivative."""


@dataclass(frozen=True)
class Moved:
    """A module whose watched parameters are moved in place, so that whatever holds them sees it.

    Attributes:
        reading: The module and its inputs.
        watched: Its own parameters by its own names.
        still: Their values.
        still_ND: The read-out there.
        norm: Norm of the values; 1 where they are all 0.
    """

    reading: Reading
    watched: Mapping[str, Tensor]
    still: Mapping[str, Tensor]
    still_ND: Tensor
    norm: float

    @classmethod
    def of(cls, reading: Reading, watched: Mapping[str, Tensor], still_ND: Tensor) -> "Moved":
        """Start from the values that the parameters have."""
        still = {name: parameter.detach().clone() for name, parameter in watched.items()}
        norm = float(sum(value.double().square().sum() for value in still.values()) ** 0.5)
        return cls(reading, watched, still, still_ND.double(), norm or 1.0)

    def rows(self, direction: Mapping[str, Tensor], size: float) -> Tensor:
        """Read out with the parameters moved along a direction, and put them back."""
        try:
            for name, parameter in self.watched.items():
                parameter.data.copy_(self.still[name]).add_(direction[name], alpha=size)
            return self.reading.rows().double()
        finally:
            for name, parameter in self.watched.items():
                parameter.data.copy_(self.still[name])

    def rounded(self, direction: Mapping[str, Tensor]) -> torch.dtype | None:
        """Find the lower precision to which the module rounds what depends on the watched parameters; None for none."""
        few = self.reading if self.reading.together else self.reading.first(FEW)
        dtype = next(iter(self.still.values())).dtype
        seen: list[list[tuple[torch.dtype, Tensor]]] = []
        for size in (0.0, CLOSE * self.norm):
            with Roundings(dtype) as roundings:
                replace(self, reading=few).rows(direction, size)
            seen.append(roundings.seen)
        pairs = zip(*seen, strict=False)
        return next((coarse for (coarse, still), (_, gone) in pairs if not torch.equal(still, gone)), None)

    def difference(self, direction: Mapping[str, Tensor], size: float) -> tuple[Tensor, Tensor]:
        """Central difference along a direction, (N, D), and the length of the second difference in each row, (N,)."""
        step = size * self.norm
        forth_ND, back_ND = self.rows(direction, step), self.rows(direction, -step)
        bent_ND = (forth_ND - 2 * self.still_ND + back_ND) / step
        return (forth_ND - back_ND) / (2 * step), bent_ND.norm(dim=1)


class Ladder:
    """Central differences along one direction at several sizes, each made when it is asked for."""

    def __init__(self, moved: Moved, direction: Mapping[str, Tensor]) -> None:
        self._moved = moved
        self._direction = direction
        self._made: dict[float, tuple[Tensor, Tensor]] = {}

    def at(self, size: float) -> Tensor:
        """Central difference at one size, (N, D)."""
        if size not in self._made:
            self._made[size] = self._moved.difference(self._direction, size)
        return self._made[size][0]

    def distance(self, response_ND: Tensor) -> float | None:
        """How far a derivative is from central differences.

        Each row counts at the size that agrees best with it, since kinks and rounding want different ones. What differs
        no more than central differences do among each other is not too far.

        Returns:
            The distance over the largest row; None if it is too far to be right.
        """
        largest = _largest(response_ND)
        least_N = torch.full((len(response_ND),), torch.inf, dtype=torch.float64, device=response_ND.device)
        for size in sorted(SIZES, key=lambda size: (size > CLOSE, abs(size - CLOSE))):
            found_ND = self.at(size)
            scale = largest or _largest(found_ND) or 1.0
            least_N = torch.minimum(least_N, (found_ND - response_ND).norm(dim=1) / scale)
            if _most(least_N) <= CLOSE and float(least_N.max()) <= _FEW_ROWS:
                return float(least_N.max())
        noise = min(_most(spread_N) for spread_N in self._spreads(scale).values())
        tolerance = min(10 * noise, _NOISIEST)
        if noise <= _NOISIEST and _most(least_N) <= tolerance and float(least_N.max()) <= 3 * tolerance:
            return float(least_N.max())
        return None

    def best(self) -> tuple[float, ...]:
        """Three sizes or more, from the one on at which differences agree best with those at the next smaller one."""
        spreads = self._spreads(_largest(self.at(CLOSE)) or 1.0)
        first = SIZES.index(min(spreads, key=lambda size: _most(spreads[size])))
        return SIZES[min(first, len(SIZES) - 3) :]

    def kinks(self) -> list[int]:
        """Rows of the read-out that have a kink just here: second differences do not vanish with the step."""
        scale = _largest(self.at(CLOSE)) or 1.0
        kinked_N = self._made[CLOSE][1] > _KINK * scale
        for size in SIZES if kinked_N.any() else ():
            self.at(size)
            kinked_N &= self._made[size][1] > _KINK * scale
        return torch.nonzero(kinked_N).flatten().tolist()

    def _spreads(self, scale: float) -> dict[float, Tensor]:
        """By the larger size, how far each row is from the one at the next smaller size, over a scale."""
        return {larger: (self.at(larger) - self.at(smaller)).norm(dim=1) / scale for larger, smaller in pairwise(SIZES)}


def central_responses(
    moved: Moved, directions: Iterable[Mapping[str, Tensor]], sizes: Sequence[float]
) -> tuple[Tensor, float, int]:
    """Responses along every direction by central differences, with their error.

    Definition: each row is the difference at the size that is least far from the next larger one, which is its error.

    Args:
        moved: The module.
        directions: One at a time, by the module's own names, shapes (1, *parameter shape).
        sizes: Three or more steps over the norm of the parameters, largest first. Those after the third are taken only
            where a row still has too large an error, as beside a kink.

    Returns:
        Responses (K, N, D); the largest error of a direction over its largest row, and the row where it is.
    """
    rows, worst, place = [], -1.0, 0
    for direction in directions:
        single = {name: value[0] for name, value in direction.items()}
        found_ND = larger_ND = moved.difference(single, sizes[0])[0]
        error_N = torch.full_like(found_ND[:, 0], torch.inf)
        for tried, size in enumerate(sizes[1:], start=2):
            smaller_ND = moved.difference(single, size)[0]
            apart_N = (smaller_ND - larger_ND).norm(dim=1)
            found_ND = torch.where((apart_N < error_N).unsqueeze(1), smaller_ND, found_ND)
            error_N, larger_ND = torch.minimum(apart_N, error_N), smaller_ND
            error = float(error_N.max()) / (_largest(found_ND) or 1.0)
            if tried >= 3 and error <= CLOSE:
                break
        if error > worst:
            worst, place = error, int(error_N.argmax())
        rows.append(found_ND)
    return torch.stack(rows), worst, place


def _largest(rows_ND: Tensor) -> float:
    return float(rows_ND.norm(dim=1).max())


def _most(values_N: Tensor) -> float:
    """The value that 99 of a hundred do not exceed."""
    return float(torch.sort(values_N).values[int(0.99 * (len(values_N) - 1))])
