"""What is done in C on a CPU: a network's answers and gradient, a step of Adam, responses, and surrogates' Grams.

Beside every call stands PyTorch's way.
"""

import ctypes
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from spectraledge.native import INT, LONG, POINTER, load

_FLOAT = ctypes.c_float


class Inputs(ctypes.Structure):
    """Pairs of tokens as `layers.h` has them."""

    _fields_ = [("rows", POINTER), ("gap", LONG), ("base", LONG)]


_GRADIENT: list[type] = [*[POINTER] * 4, Inputs, POINTER, LONG, INT, _FLOAT, POINTER]
_LOGITS: list[type] = [*[POINTER] * 3, Inputs, LONG, POINTER]
_TANGENTS: list[type] = [*[POINTER] * 5, LONG, LONG, POINTER, LONG]

ARGUMENTS: dict[str, list[type]] = {
    "adam": [POINTER, LONG, *[_FLOAT] * 7, *[POINTER] * 5],
    **{f"{kind}_room": [POINTER, INT] for kind in ("pair", "perceptron")},
    **{f"{kind}_gradient": _GRADIENT for kind in ("pair", "perceptron")},
    **{f"{kind}_logits": _LOGITS for kind in ("pair", "perceptron")},
    **{f"pair_tangents_room_{precision}": [POINTER] for precision in ("float32", "float64")},
    **{
        f"pair_tangents_{precision}": [*[POINTER] * 5, LONG, LONG, POINTER, LONG]
        for precision in ("float32", "float64")
    },
    "add_surrogates": [POINTER, LONG, LONG, LONG, POINTER, POINTER],
}
"""Types of what each function takes."""

FUNCTIONS: dict[str, Callable[..., int] | None] = {name: load(name, types) for name, types in ARGUMENTS.items()}
"""By name, if the package was compiled."""


def can_take(tensor: Tensor, *dtypes: torch.dtype) -> bool:
    """Tell whether these functions are for such a tensor, now: within `torch.compile` the compiler makes its own.

    Args:
        tensor: One of those that they are to take.
        dtypes: Types that they are for; float32 where nothing is said.

    Returns:
        Whether they are.
    """
    if torch.compiler.is_compiling() or tensor.device.type != "cpu" or tensor.dtype not in (dtypes or (torch.float32,)):
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


def addresses(tensors: Iterable[Tensor | None]) -> object:
    """Return where tensors begin, as an array of C; nothing for those that are missing."""
    found = [None if tensor is None else tensor.data_ptr() for tensor in tensors]
    return (POINTER * len(found))(*found)
