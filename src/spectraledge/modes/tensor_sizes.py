"""Looking on while a module computes: how large its tensors are, and where it rounds."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Sizes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Numbers in what each operation makes, in their order: `seen`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[int] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and note the size of its result."""
        out = func(*args, **(kwargs or {}))
        self.seen.append(sum(tensor.numel() for tensor in _floats(out)))
        return out


class Roundings(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What operations round from one precision to a lower one, in their order: `seen`, the lower one and the input."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dtype = dtype
        self.seen: list[tuple[torch.dtype, Tensor]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation and note what it rounds."""
        fine = [tensor.clone() for tensor in _floats((args, kwargs)) if tensor.dtype == self._dtype]
        out = func(*args, **(kwargs or {}))
        coarse = [tensor.dtype for tensor in _floats(out) if tensor.dtype.itemsize < self._dtype.itemsize]
        if coarse:
            self.seen += [(coarse[0], tensor) for tensor in fine]
        return out


def _floats(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.is_floating_point())
