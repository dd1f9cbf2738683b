"""When a training takes its steps: hooks on its optimisers, of which several may take turns."""

from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from spectraledge.integrations.optimizers import in_optimizers, is_running, present_call, with_inner

STALLED = 50
"""Steps within one round that are worth a warning (our choice; five critic steps per generator step are usual)."""


class Rounds:
    """Hears the steps of optimisers: a round is over once each watched parameter has been stepped.

    Definition: with one optimiser every step is a round, whatever that optimiser calls on the way; so it is for one of
    two that share their parameters. With one optimiser per network, or per parameter, a round is a step of each, and
    further steps of some of them before the last one's belong to it. Optimisers that others hold are heard too: they
    may be stepped by themselves (SAM), and while the outer one steps they count as part of it. Steps that a gradient
    scaler skips are none.

    Args:
        optimizers: Whose steps.
        watched: The watched parameters by name; optimisers of none of them are not heard.
        begin: Called before the first step of a round.
        end: Called after the last one.
        stalled: Called once, with the names of parameters that no optimiser steps, where a round does not end.
    """

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        watched: Mapping[str, Tensor],
        *,
        begin: Callable[[], None],
        end: Callable[[], None],
        stalled: Callable[[list[str]], None],
    ) -> None:
        self._given, self._begin, self._end, self._stalled = list(optimizers), begin, end, stalled
        self._names = {id(parameter): name for name, parameter in watched.items()}
        self._on_gpu = any(parameter.is_cuda for parameter in watched.values())
        self._handles: list[RemovableHandle] = []
        self._running: list[FrameType | None] = []
        self._missing: set[int] = set()
        self._steps = 0
        self.refresh()

    def __bool__(self) -> bool:
        """Return whether there is an optimiser to hear."""
        return bool(self._given)

    @property
    def open(self) -> bool:
        """Whether a round has begun and is not over."""
        return bool(self._steps)

    @property
    def unstepped(self) -> list[str]:
        """Names of the parameters that the open round still waits for."""
        return [name for parameter, name in self._names.items() if parameter in self._missing]

    @property
    def resting(self) -> bool:
        """Whether an optimiser has put other weights in the place of those it trains (`eval` of schedule-free)."""
        return any(group.get("train_mode") is False for one in self._heard for group in one.param_groups)

    def refresh(self) -> None:
        """Look again which parameters each optimiser steps."""
        parameters = {one: frozenset(in_optimizers([one])) & set(self._names) for one in with_inner(self._given)}
        self._heard = {one: stepped for one, stepped in parameters.items() if stepped}
        self._wanted = frozenset().union(*self._heard.values())
        self._missing &= self._wanted

    def attach(self) -> None:
        """Begin to hear."""
        # A compiled step would trace them. The compiler is there already: optimisers import it.
        before, after = (
            torch.compiler.disable(hook)  # type: ignore[no-untyped-call]
            for hook in (self._before, self._after)
        )
        for optimizer in self._heard:
            self._handles.append(optimizer.register_step_pre_hook(before))
            self._handles.append(optimizer.register_step_post_hook(after))

    def detach(self) -> None:
        """Hear no more; an open round is forgotten."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._running, self._steps = [], 0

    def _before(self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if self._captured():
            return
        self._running = [call for call in self._running if is_running(call)]
        if not self._running and not self._steps:
            self._begin()
        self._running.append(present_call())

    def _after(self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        call = present_call()
        if call in self._running:
            del self._running[self._running.index(call) :]
        # Fused optimisers are called by a gradient scaler even for steps that they then skip.
        skipped = getattr(optimizer, "found_inf", None)
        if self._running or self._captured() or (skipped is not None and bool(skipped)):
            return
        if not self._steps:
            self._missing = set(self._wanted)
        self._missing -= self._heard.get(optimizer, frozenset())
        self._steps += 1
        if not self._missing:
            self._steps = 0
            self._end()
        elif self._steps == STALLED * len(self._heard):
            self._stalled(self.unstepped)

    def _captured(self) -> bool:
        """Return whether a step is only recorded into a CUDA graph, which moves nothing and must not be waited for."""
        return self._on_gpu and torch.cuda.is_current_stream_capturing()
