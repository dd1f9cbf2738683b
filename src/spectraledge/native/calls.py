"""What is done in C on a CPU: a network's answers and gradient, a step of Adam, responses, and surrogates' Grams.

Beside every call stands PyTorch's way.
"""

import ctypes
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from spectraledge.native import INT, LONG, POINTER, load

_FLOAT, _DOUBLE = ctypes.c_float, ctypes.c_double


class Inputs(ctypes.Structure):
    """Pairs of tokens as `layers.h` has them."""

    _fields_ = [("rows", POINTER), ("gap", LONG), ("base", LONG)]


def _of_networks(number: type) -> dict[str, list[type]]:
    """Types of what each function of networks takes, where it has a version in both precisions."""
    both = "pair", "perceptron"
    return {
        **{f"{kind}_room": [POINTER, INT] for kind in both},
        **{f"{kind}_gradient": [*[POINTER] * 4, Inputs, POINTER, LONG, INT, number, POINTER] for kind in both},
        "pair_still": [*[POINTER] * 3, Inputs, LONG, *[POINTER] * 3],
        "perceptron_logits": [*[POINTER] * 3, Inputs, LONG, POINTER],
        "pair_tangents_room": [POINTER],
        "pair_tangents_panels": [POINTER],
        "pair_tangents_lay_out": [POINTER, POINTER, LONG, POINTER],
        "pair_tangents": [*[POINTER] * 6, LONG, Inputs, LONG, INT, POINTER, LONG],
    }


ARGUMENTS: dict[str, list[type]] = {
    "adam": [POINTER, LONG, *[_FLOAT] * 7, *[POINTER] * 5],
    **{
        f"{name}_{dtype}": types
        for dtype, number in (("float32", _FLOAT), ("float64", _DOUBLE))
        for name, types in _of_networks(number).items()
    },
    "add_surrogates": [POINTER, LONG, LONG, LONG, POINTER, POINTER],
}
"""Types of what each function takes; those in both precisions are called by `in_precision`."""

FUNCTIONS: dict[str, Callable[..., int] | None] = {name: load(name, types) for name, types in ARGUMENTS.items()}
"""By name, if the package was compiled."""


def can_take(tensor: Tensor, *dtypes: torch.dtype) -> bool:
    """Tell whether these functions are for such a tensor, now: within `torch.compile` the compiler makes its own.

    Args:
        tensor: One of those that they are to take.
        dtypes: Types that they are for; both precisions where nothing is said.

    Returns:
        Whether they are.
    """
    if (
        torch.compiler.is_compiling()
        or tensor.device.type != "cpu"
        or tensor.dtype not in (dtypes or (torch.float32, torch.float64))
    ):
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


def in_precision(name: str, dtype: torch.dtype) -> str:
    """Return the name of a function in a precision."""
    return f"{name}_{str(dtype).removeprefix('torch.')}"
