"""Which call of an optimiser's `step` a hook belongs to.

A class that extends `step` and calls that of its base class fires its hooks for both, once the base class has been used
by itself in the same program; and a step that ends in an exception fires none at its end.
"""

import sys
from types import FrameType

_HOOKED = "torch.optim.optimizer"
"""Module of PyTorch in which `step` is wrapped so that it calls hooks."""


def present_call() -> FrameType | None:
    """Return the call of `step` that has called a hook, as the frame in which PyTorch does."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != _HOOKED:
        frame = frame.f_back
    return frame


def is_running(call: FrameType | None) -> bool:
    """Tell whether a call that `present_call` returned has neither returned nor raised, in any thread."""
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None and frame is not call:
            frame = frame.f_back
        if frame is not None:
            return True
    return False
