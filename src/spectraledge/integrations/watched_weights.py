"""The watched weights as they are now, and whether they are where the last step left them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from spectraledge.integrations.shards import local_part

_SAMPLED = 16
"""Numbers of each parameter that are compared at every step (our choice: what moves weights moves most of them)."""


def drifted(now: Tensor, then: Tensor) -> Tensor:
    """Tell whether numbers have moved by more than it takes to move them away and back, as a 0-dimensional bool.

    Definition: by more than four roundings of the largest of their row. Law: not finite numbers count as unmoved.

    Args:
        now: Numbers, in rows.
        then: As they were, of the same shape and type.

    Returns:
        Whether any has moved, on their device.
    """
    if now.device.type == "cpu" and torch.equal(now, then):
        return torch.zeros((), dtype=torch.bool, device="cpu")
    least = 4 * torch.finfo(then.dtype).eps * then.abs().amax(-1, keepdim=True)
    return ((now - then).abs() > least).any()


def drifted_apart(now: Sequence[Tensor], then: Sequence[Tensor]) -> Tensor:
    """Tell whether two samples of weights differ by more than that; those of other shapes or types always do."""
    if [(part.shape, part.dtype) for part in now] != [(part.shape, part.dtype) for part in then]:
        return torch.ones((), dtype=torch.bool, device="cpu")
    verdicts = [drifted(part, before.to(part.device)) for part, before in zip(now, then, strict=True)]
    return torch.stack(verdicts).any() if verdicts else torch.zeros((), dtype=torch.bool, device="cpu")


class WatchedWeights:
    """The watched parameters of a model, as far as this process counts them.

    Args:
        counted: By name.
    """

    def __init__(self, counted: Mapping[str, Tensor]) -> None:
        self._counted = dict(counted)
        self._shapes = [part.shape for part in self.parts()]
        self._pointers: list[int] = []
        self._views: list[Tensor] = []
        self._left: list[Tensor] = []

    def parts(self) -> list[Tensor]:
        """Return the numbers of each parameter that lie here, as views; complex ones as pairs."""
        return [local_part(parameter) for parameter in self._counted.values()]

    @property
    def device(self) -> torch.device:
        """Where they lie."""
        return next((part.device for part in self.parts()), torch.device("cpu"))

    def lost(self, model: nn.Module | None) -> str:
        """Say why updates of these parameters are no longer those of the model; nothing where they are.

        Args:
            model: The model, unless its parameters come and go, as those of sharded ones do.

        Returns:
            Which parameter it is, and what has happened to it.
        """
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
        return drifted_apart(self.sample(), self._left)

    def sample(self) -> list[Tensor]:
        """Return a copy of up to 16 numbers of every parameter, in a matrix for each type and length."""
        pointers = [parameter.data_ptr() for parameter in self._counted.values()]
        # Those of sharded parameters say nothing of where their shards lie.
        if pointers != self._pointers or 0 in pointers:
            self._pointers, self._views = pointers, [_spread(part) for part in self.parts() if part.numel()]
        groups: dict[str, list[Tensor]] = {}
        for view in self._views:
            groups.setdefault(f"{view.dtype} {len(view)}", []).append(view)
        return [torch.cat(groups[key]).reshape(len(groups[key]), -1) for key in sorted(groups)]

    @property
    def left(self) -> Sequence[Tensor]:
        """What `settle` has remembered."""
        return self._left

    @left.setter
    def left(self, sample: Sequence[Tensor]) -> None:
        self._left = list(sample)


def _spread(part: Tensor) -> Tensor:
    """Return a view of numbers all over a tensor."""
    count = min(_SAMPLED, part.numel() if part.is_contiguous() else max(part.shape))
    if part.is_contiguous():
        stride = max(1, (part.numel() - 1) // count)
    else:
        stride = sum(size // count * step for size, step in zip(part.shape, part.stride(), strict=True))
    return part.as_strided((count,), (stride,), part.storage_offset())
