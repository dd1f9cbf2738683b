"""Kernels that have every derivative, for the length of a `with` block: fused ones have no forward derivative."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


class _Switches:
    """Switches of the whole process: the first of several blocks sets them, the last puts back what was there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._undo = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._set()
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._undo.close()

    def _set(self) -> None:
        with ExitStack() as undo:
            undo.enter_context(sdpa_kernel(SDPBackend.MATH))
            undo.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
            torch.backends.mha.set_fastpath_enabled(False)
            # What is not imported has compiled nothing, and takes a second to import.
            if "torch._dynamo" in sys.modules:
                undo.enter_context(torch.compiler.set_stance("force_eager"))
            self._undo = undo.pop_all()


_switches = _Switches()


@contextmanager
def differentiable_kernels(device: torch.device) -> Iterator[None]:
    """Run attention by plain products, encoders without their fast path, and compiled modules as they were written.

    All of it is put back after the block, whatever happens in it. Switches of the whole process are shared by threads:
    another thread's attention is slower while one is inside, never wrong. Automatic mixed precision and inference mode
    are off inside; where a module turns the former on itself, no cast of weights is kept from one call to the next.

    Args:
        device: Where the module computes.

    Yields:
        Nothing.
    """
    with _switches, torch.inference_mode(False), torch.autocast(device.type, enabled=False, cache_enabled=False):
        yield
