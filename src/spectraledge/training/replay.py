"""A step recorded once on a GPU and launched whole."""

from collections.abc import Callable

import torch
from torch import Tensor


class Replay:
    """A function of tensors as one CUDA graph: its kernels take less time than launching them one by one would.

    The first call runs the function as it is, which compiles and loads what it needs; the second records it.

    Args:
        function: Takes tensors on a GPU, of the same shapes at every call, and returns tensors. What it changes in
            place beyond its operands must stay where it is in memory.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        self._function = function
        self._operands: tuple[Tensor, ...] = ()
        self._results: tuple[Tensor, ...] = ()
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, *operands: Tensor) -> tuple[Tensor, ...]:
        """Call the function."""
        if not self._operands:
            self._operands = tuple(operand.clone() for operand in operands)
            return self._function(*self._operands)
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._results = self._function(*self._operands)
        for held, operand in zip(self._operands, operands, strict=True):
            held.copy_(operand)
        self._graph.replay()
        return tuple(result.clone() for result in self._results)
