"""The watched weights as they are now, and whether they are where the last step left them."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from spectraledge.integrations.shards import local_part

_SAMPLED = 16
"""Numbers of each parameter that are compared at every step (our choice: what moves weights moves most of them)."""


UNMOVED = torch.zeros((), dtype=torch.bool, device="cpu")
"""What `drifted` says where it need not compute."""


def drifted(pairs: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """Tell whether numbers, in rows, have moved by more than it takes to move them away and back, as a 0-d bool.

    Definition: by more than four roundings of the largest of their row. Laws: not finite numbers count as unmoved;
    those of another shape or type as moved. It is `UNMOVED` where none has and that is known at once.

    Returns:
        Whether any has moved, on their device.
    """
    verdicts = []
    for now, then in pairs:
        if now.is_cpu and then.is_cpu and torch.equal(now, then):
            continue
        if (now.shape, now.dtype) != (then.shape, then.dtype):
            return torch.ones((), dtype=torch.bool, device="cpu")
        before = then.to(now.device)
        least = 4 * torch.finfo(now.dtype).eps * before.abs().amax(-1, keepdim=True)
        verdicts.append(((now - before).abs() > least).any())
    return torch.stack(verdicts).any() if verdicts else UNMOVED


class WatchedWeights:
    """The watched parameters of a model, as far as this process counts them, by name."""

    def __init__(self, counted: Mapping[str, Tensor]) -> None:
        self._counted = dict(counted)
        self._parameters = list(self._counted.values())
        self._shapes = [part.shape for part in self.parts()]
        self._places: list[tuple[int, tuple[int, ...]]] = []
        self._groups: list[tuple[int, list[Tensor]]] = []
        self._left: list[Tensor] = []

    def parts(self) -> list[Tensor]:
        """Return the numbers of each parameter that lie here, as views; complex ones as pairs."""
        return [local_part(parameter) for parameter in self._parameters]

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return next((part.device for part in self.parts()), torch.device("cpu"))

    def lost(self, model: nn.Module | None) -> str:
        """Say why updates are no longer of the model's parameters (None where those come and go), else nothing."""
        for name, shape, part in zip(self._counted, self._shapes, self.parts(), strict=True):
            if part.shape != shape:
                return f"{name} has changed its shape from {tuple(shape)} to {tuple(part.shape)}"
        present = {id(parameter) for parameter in model.parameters()} if model is not None else set()
        for name, parameter in self._counted.items():
            if model is not None and id(parameter) not in present:
                return f"{name} has been replaced by another parameter"
        return ""

    def settle(self) -> None:
        """Remember some numbers of every parameter as they are now."""
        self._left = self.sample()

    def moved(self) -> Tensor:
        """Tell whether these numbers have moved since, as a 0-dimensional bool."""
        return self.differ_from(self._left)

    def differ_from(self, sample: Sequence[Tensor]) -> Tensor:
        """Tell whether these numbers are others than in a sample, as a 0-dimensional bool."""
        now = self.sample()
        if len(now) != len(sample):
            return torch.ones((), dtype=torch.bool, device="cpu")
        return drifted(zip(now, sample, strict=True))

    def sample(self) -> list[Tensor]:
        """Return a copy of up to 16 numbers of every parameter, in a matrix for each type and length."""
        places = [(parameter.data_ptr(), parameter.stride()) for parameter in self._parameters]
        # Those of sharded parameters say nothing of where their shards lie.
        if places != self._places or any(not pointer for pointer, _ in places):
            groups: dict[str, tuple[int, list[Tensor]]] = {}
            for part in self.parts():
                if count := min(_SAMPLED, part.numel()):
                    groups.setdefault(f"{part.dtype} {count}", (count, []))[1].extend(_spread(part, count))
            self._places, self._groups = places, [groups[key] for key in sorted(groups)]
        return [torch.cat(views).view(-1, count) for count, views in self._groups]

    @property
    def left(self) -> Sequence[Tensor]:
        """What `settle` has remembered."""
        return self._left

    @left.setter
    def left(self, sample: Sequence[Tensor]) -> None:
        self._left = list(sample)


def _spread(part: Tensor, count: int) -> list[Tensor]:
    """Return views of so many numbers all over a tensor, the same in whatever order it lies in memory."""
    stride, begin = max(1, (part.numel() - 1) // count), part.storage_offset()
    if part.is_contiguous():
        return [part.as_strided((count,), (stride,), begin)]
    places_DC = np.stack(np.unravel_index(stride * np.arange(count), part.shape))
    offsets = np.array(part.stride()) @ places_DC
    return [part.as_strided((1,), (1,), begin + offset) for offset in offsets.tolist()]
