"""The passes of `step_passes.c`, which training makes in float32 on a CPU; beside every call stands PyTorch's way."""

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from spectraledge.native import LONG, POINTER, load

_FLOAT = ctypes.c_float

ARGUMENTS: dict[str, list[type]] = {
    "gelu_and_slope": [POINTER, POINTER, LONG, LONG, LONG, POINTER, POINTER],
    "add_and_normalise": [POINTER, POINTER, POINTER, LONG, LONG, LONG, POINTER, POINTER, POINTER],
    "add_normalised_back": [POINTER, POINTER, POINTER, LONG, LONG, POINTER],
    "attend": [*[POINTER] * 3, *[LONG] * 5, *[POINTER] * 3],
    "attend_back": [*[POINTER] * 5, *[LONG] * 5, *[POINTER] * 3],
    "attend_rows": [*[POINTER] * 2, *[LONG] * 5, *[POINTER] * 5],
    "attend_rows_back": [*[POINTER] * 6, *[LONG] * 5, *[POINTER] * 2],
    "turn_and_sum": [POINTER, LONG, LONG, POINTER, POINTER],
    "adam": [POINTER, LONG, *[_FLOAT] * 7, *[POINTER] * 5],
}
"""Types of what each function takes."""

FUNCTIONS: dict[str, Callable[..., int] | None] = {name: load(name, types) for name, types in ARGUMENTS.items()}
"""By name, if the package was compiled."""


def can_take(tensor: Tensor) -> bool:
    """Tell whether these passes are for such a tensor, now: within `torch.compile` the compiler makes its own."""
    if torch.compiler.is_compiling() or tensor.device.type != "cpu" or tensor.dtype != torch.float32:
        return False
    return None not in FUNCTIONS.values()


def call(name: str, *operands: Tensor | float) -> None:
    """Run a pass.

    Args:
        name: Of the function.
        operands: What it takes; tensors are dense, in order, as it expects them.
    """
    function = FUNCTIONS[name]
    assert function is not None
    function(*(operand.data_ptr() if isinstance(operand, Tensor) else operand for operand in operands))
