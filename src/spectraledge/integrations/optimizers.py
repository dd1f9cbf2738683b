"""What a loop calls its optimiser, as the optimisers of PyTorch whose steps can be heard."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType

from torch import Tensor
from torch.optim import Optimizer

from spectraledge.errors import InputError

_WRAPPERS = {"AcceleratedOptimizer", "LightningOptimizer", "_FabricOptimizer"}
"""Classes of Accelerate and Lightning that take real steps with their `optimizer`, and nothing else."""

_OF_PYTORCH = {"state", "param_groups", "defaults"}

_HOOKED = "torch.optim.optimizer"
"""Module of PyTorch in which `step` is wrapped so that it calls hooks."""

Optimizers = Optimizer | Iterable[Optimizer] | Mapping[object, Optimizer]
"""One optimiser, or several: a list, or the values of a dictionary."""


def unwrapped(given: object) -> list[Optimizer]:
    """Return the optimisers that take a loop's steps.

    Args:
        given: An optimiser, wrapped or not by Accelerate or Lightning, or any nesting of lists and dictionaries of
            them; None for none.

    Returns:
        Each of them once, in order.

    Raises:
        InputError: if something is no optimiser whose steps can be heard, or there is nothing in a list; it says what
            to give instead.
    """
    found = {} if given is None else {id(optimizer): optimizer for optimizer in _leaves(given)}
    if not found and given is not None:
        raise InputError(f"expected a torch.optim.Optimizer, or several, got an empty {type(given).__name__}")
    return list(found.values())


def with_inner(optimizers: Iterable[Optimizer]) -> list[Optimizer]:
    """Return optimisers with those that they hold, each once: SAM steps with its `base_optimizer` alone."""
    found: dict[int, Optimizer] = {}
    waiting = list(optimizers)
    while waiting:
        optimizer = waiting.pop(0)
        if id(optimizer) not in found:
            found[id(optimizer)] = optimizer
            waiting += [inner for held in _held(optimizer).values() for inner in held if _can_be_heard(inner)]
    return list(found.values())


def in_optimizers(optimizers: Iterable[Optimizer]) -> dict[int, Tensor]:
    """Return the parameters of optimisers by identity."""
    return {
        id(parameter): parameter
        for optimizer in optimizers
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def present_call() -> FrameType | None:
    """Return the call of `step` that has called a hook, as the frame in which PyTorch does.

    A class that extends `step` and calls that of its base class fires its hooks for both, once the base class has been
    used by itself in the same program; and a step that ends in an exception fires none at its end.
    """
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


def _leaves(given: object) -> Iterator[Optimizer]:
    given = _inner(given)
    if isinstance(given, Optimizer) and _can_be_heard(given):
        yield given
    elif isinstance(given, Mapping):
        yield from _leaves(list(given.values()))
    elif isinstance(given, Iterable) and not isinstance(given, str | Tensor):
        for part in given:
            yield from _leaves(part)
    else:
        raise InputError(f"expected a torch.optim.Optimizer, or several, got {_described(given)}")


def _inner(given: object) -> object:
    while any(
        base.__name__ in _WRAPPERS and base.__module__.startswith(("accelerate", "lightning", "pytorch_lightning"))
        for base in type(given).__mro__
    ):
        given = given.optimizer  # type: ignore[attr-defined]
    return given


def _can_be_heard(optimizer: Optimizer) -> bool:
    # A class of optimisers may leave out PyTorch's constructor, which makes room for hooks and has `step` call them.
    return hasattr(optimizer, "_optimizer_step_post_hooks") and hasattr(type(optimizer).step, "hooked")


def _held(holder: object) -> dict[str, list[Optimizer]]:
    """Return the optimisers among the attributes of something, and in lists and dictionaries there."""
    found = {}
    for name, value in getattr(holder, "__dict__", {}).items():
        values: Iterable[object] = [value]
        if isinstance(value, list | tuple):
            values = value
        elif isinstance(value, dict):
            values = value.values()
        held = [inner for inner in map(_inner, values) if isinstance(inner, Optimizer)]
        if held and name not in _OF_PYTORCH:
            found[name] = held
    return found


def _described(given: object) -> str:
    name = type(given).__name__
    if hasattr(given, "get_last_lr"):
        return f"{name}, which schedules learning rates: pass the optimizer whose rate it sets"
    manual = "make the tracker with optimizer=None and call tracker.record() after each of its steps"
    held = _held(given)
    if held:
        return (
            f"{name}, whose own steps cannot be heard: pass the optimizer that it holds (.{', .'.join(held)}) if "
            f"nothing moves the weights after that one's step, or {manual}"
        )
    return f"{name}: pass the optimizer whose step() moves the weights, or {manual}"
