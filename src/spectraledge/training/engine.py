"""The two engines of a step: PyTorch as it is, and compiled for the sizes at hand."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from spectraledge.errors import InputError
from spectraledge.training.config import Engine

_SIZES = 200
"""Sizes of stacks and networks that one process may compile for; PyTorch ends at 256 in all."""


@functools.cache
def compiled_if(function: Callable[..., Any], engine: Engine, device_type: str) -> Callable[..., Any]:
    """Return a function of tensors as the engine runs it; compiled for each of the shapes that it is called with.

    Raises:
        InputError: when called, if the compiler cannot be used here.
    """
    if engine == "eager":
        return function
    # A process may train stacks of more sizes than the compiler's eight.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _SIZES)
    # On the CPU a step's 60 kernels take so little time each that calling them from Python would be a twelfth of it.
    options: dict[str, Any] = {"cpp_wrapper": device_type == "cpu"}
    compiled = torch.compile(function, fullgraph=True, dynamic=False, options=options)

    def run(*operands: object) -> object:
        try:
            return compiled(*operands)
        except (torch._dynamo.exc.TorchDynamoException, torch._inductor.exc.InductorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"engine 'compiled' cannot be built here ({reason}): install a C++ compiler and Python's headers, "
                "or use engine 'eager'"
            ) from error

    return run


def keep_freed_memory() -> None:
    """Make the allocator keep the buffers of a step for the next one.

    GNU's gives them back to the system and faults them in again, an eighth of a step's time, until a large block has
    been freed once: from then on it keeps what is smaller.
    """
    torch.empty(31 << 20, dtype=torch.uint8, device="cpu")
