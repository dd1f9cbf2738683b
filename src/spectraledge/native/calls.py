"""What training does in C, in float32 on a CPU: a network's answers and gradient, and a step of Adam.

Beside every call stands PyTorch's way.
"""

import ctypes
from collections.abc import Callable

import torch
from torch import Tensor

from spectraledge.native import INT, LONG, POINTER, load

_FLOAT = ctypes.c_float


class Inputs(ctypes.Structure):
    """Pairs of tokens as `layers.h` has them."""

    _fields_ = [("rows", POINTER), ("gap", LONG), ("base", LONG)]


_GRADIENT: list[type] = [*[POINTER] * 4, Inputs, POINTER, LONG, INT, _FLOAT, POINTER]
_LOGITS: list[type] = [*[POINTER] * 3, Inputs, LONG, POINTER]

ARGUMENTS: dict[str, list[type]] = {
    "adam": [POINTER, LONG, *[_FLOAT] * 7, *[POINTER] * 5],
    **{f"{kind}_room": [POINTER, INT] for kind in ("pair", "perceptron")},
    **{f"{kind}_gradient": _GRADIENT for kind in ("pair", "perceptron")},
    **{f"{kind}_logits": _LOGITS for kind in ("pair", "perceptron")},
}
"""Types of what each function takes."""

FUNCTIONS: dict[str, Callable[..., int] | None] = {name: load(name, types) for name, types in ARGUMENTS.items()}
"""By name, if the package was compiled."""


def can_take(tensor: Tensor) -> bool:
    """Tell whether these functions are for such a tensor, now: within `torch.compile` the compiler makes its own."""
    if torch.compiler.is_compiling() or tensor.device.type != "cpu" or tensor.dtype != torch.float32:
        return False
    return None not in FUNCTIONS.values()


def call(name: str, *operands: object) -> int:
    """Run a function.

    Args:
        name: Of the function.
        operands: What it takes; tensors are dense, in order, as it expects them.

    Returns:
        What it returns.
    """
    function = FUNCTIONS[name]
    assert function is not None
    return function(*(operand.data_ptr() if isinstance(operand, Tensor) else operand for operand in operands))
