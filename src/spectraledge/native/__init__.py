"""Inner loops in C, compiled once per instruction set when the package is built (`hatch_build.py`).

Each has a caller that does the same with PyTorch where there was no compiler.
"""

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

LONG, INT, POINTER = ctypes.c_long, ctypes.c_int, ctypes.c_void_p


def instruction_set() -> str:
    """Return which of the compiled variants this processor runs: avx512, avx2 or default."""
    found = torch.backends.cpu.get_cpu_capability().lower()
    return found if found in {"avx2", "avx512"} else "default"


def load(name: str, arguments: Sequence[type] = (), variant: str | None = None) -> Callable[..., int] | None:
    """Return a C function, or None where the package was built without a compiler, or before there was this function.

    Args:
        name: Of the function.
        arguments: Types of its arguments: `LONG`, `INT`, `POINTER`.
        variant: An instruction set; that of this processor where none is given.
    """
    try:
        function = ctypes.CDLL(str(Path(__file__).with_name(f"{variant or instruction_set()}.so")))[name]
    except (OSError, AttributeError):
        return None
    function.argtypes = list(arguments)
    return function
