"""Interventions on the steps of anybody's optimizer, while a loop trains with it."""

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Self, cast

import pandas as pd
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from spectraledge.errors import InputError
from spectraledge.integrations.optimizers import Optimizers, in_optimizers, is_running, present_call, unwrapped
from spectraledge.integrations.shards import whole_sizes
from spectraledge.integrations.watched_weights import WatchedWeights
from spectraledge.integrations.watching import TRAINED_LATER, Changes, Watched, plain_names, watch
from spectraledge.interventions import Intervening, Intervention

_TAKEN: "weakref.WeakSet[Optimizer]" = weakref.WeakSet()
"""Optimizers whose steps are changed."""


class Intervened:
    """Changes the steps of any `torch.optim` optimizer: keeps, removes or scales a subspace of gradients or updates.

        with Intervened(model, optimizer, "remove:edge:3"):
            train()

    Definition: see `Intervention`; a step is a call of the optimizer's `step`, so gradients that are accumulated count
    as one, and steps that a gradient scaler skips as none. Of gradients, what the optimizer finds in `.grad` is
    changed: scaled back, clipped and reduced if the loop does that before. An update is all that the call moves the
    weights by.
    Names are those of the model without wrappers. Tied parameters count once; frozen ones and those of other optimizers
    are left alone; complex ones are pairs of real numbers. A missing gradient counts as zero, and gets one where the
    change gives it some. A closure's gradients are changed whenever the optimizer evaluates it; the first of a step
    counts for the window. Trackers of the same optimizer see the changed weights, whoever came first.
    Parameters that are trained later (thawed, or added to the optimizer) move as the optimizer says, and a warning says
    so; where a chosen one is replaced, or gets another shape, type or device, the next step is an error.
    Replicas (DistributedDataParallel) make one in each process, which all do the same.

    Args:
        model: The model, wrapped or not.
        optimizer: The one whose `step` the loop calls, wrapped by Accelerate or Lightning or not.
        *interventions: As `Intervention.of` reads them, or made already, in the order in which they act.
        params: Name patterns of the parameters of interventions that name none. Default all.
        given: Vectors of those that are of a "given" subspace: (K, *shape) for each parameter by its name, or (K, P) in
            the order of the chosen parameters.
        step: Steps that were taken before.

    Raises:
        InputError: if an intervention cannot be read or is of other parameters, nothing that it is of is trained, or
            parameters cannot be changed rightly: sharded, not in memory, of less than single precision, whose
            rounding is as large as an update, or, of gradients, two that share their memory without being one.

    Cost: that of `TrailingWindow` and `weigh`; memory for W vectors of each window.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizers,
        *interventions: str | Intervention,
        params: str | tuple[str, ...] = "*",
        given: Tensor | Mapping[str, Tensor] | None = None,
        step: int = 0,
    ) -> None:
        if not interventions:
            raise InputError("expected at least one intervention, such as 'remove:edge:3'")
        optimizers = unwrapped(optimizer)
        if len(optimizers) != 1:
            raise InputError(f"expected one optimizer, got {len(optimizers)}: make one Intervened for each")
        (self._optimizer,) = optimizers
        what = [Intervention.of(one) if isinstance(one, str) else one for one in interventions]
        usual = (params,) if isinstance(params, str) else tuple(params)
        named = {pattern for one in what for pattern in one.params or (("*",) if one.source else usual)}
        moved = in_optimizers(optimizers)
        watched = watch(model, moved, sorted(named), step)
        self._model, self._parameters = model, watched.parameters
        _check(self._parameters, whole_sizes(model))
        self._chosen, self._kinds = WatchedWeights(self._parameters), self._kinds_now()
        self._changes = Changes(model, sorted(named), self._parameters, moved)
        handed = {place: given for place, one in enumerate(what) if one.subspace == "given" and given is not None}
        if given is not None and not handed:
            raise InputError("vectors were handed over, and no intervention is of a given subspace: write ACTION:given")
        self._what = [str(one) for one in what]
        self._intervening = Intervening(what, self._weights(), usual, step=step, given=handed)
        if self._intervening.needs_gradients:
            _check_twins(model, watched, moved)
        self._handles: list[RemovableHandle] = []
        self._heard = False
        self._call: FrameType | None = None

    def __enter__(self) -> Self:
        """Attach."""
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach, also after an exception."""
        self.detach()
        if error is None and not self._heard:
            warnings.warn(
                f"no step() of {type(self._optimizer).__name__} was heard, so nothing was changed: pass the optimizer "
                "whose step() the loop calls",
                stacklevel=2,
            )

    @property
    def step(self) -> int:
        """Steps that were taken."""
        return self._intervening.step

    def attach(self) -> None:
        """Begin to change steps.

        Raises:
            InputError: if the optimizer's steps are changed already.
        """
        if self._optimizer in _TAKEN:
            raise InputError("the steps of this optimizer are changed already: give all interventions at once")
        _TAKEN.add(self._optimizer)
        # A compiled step would trace them.
        before, after = (
            torch.compiler.disable(hook)  # type: ignore[no-untyped-call]
            for hook in (self._before, self._after)
        )
        first = self._optimizer.register_step_post_hook(after)
        # What others do after a step, such as a tracker, is done with the weights as they are in the end.
        cast(OrderedDict[int, Any], self._optimizer._optimizer_step_post_hooks).move_to_end(first.id, last=False)
        self._handles = [self._optimizer.register_step_pre_hook(before), first]

    def detach(self) -> None:
        """Change no more steps, if attached; nothing is forgotten, and it may be attached again."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        self._call = None
        _TAKEN.discard(self._optimizer)

    def account(self) -> pd.DataFrame:
        """Return one row per intervention: see `Manifest.interventions`."""
        return pd.DataFrame(self._intervening.account())

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of all that later steps depend on, as plain values and tensors."""
        tensors, text = self._intervening.state()
        return {"what": self._what, "text": text, "tensors": {name: part.clone() for name, part in tensors.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Args:
            state: Of the same interventions.

        Raises:
            InputError: if it is of others, or of other parameters.
        """
        if list(state["what"]) != self._what:
            raise InputError(f"the state is of {', '.join(state['what'])}, expected {', '.join(self._what)}")
        self._intervening.restore(state["tensors"], state["text"])

    def _look(self) -> None:
        """Before a step: find out whether what is changed is still what is trained."""
        lost, kinds = self._chosen.lost(self._model), self._kinds_now()
        if not lost and kinds != self._kinds:
            lost = f"chosen parameters are {' and '.join(sorted(kinds))} now, and were {' and '.join(self._kinds)}"
        if lost:
            raise InputError(f"{lost}: from here on make a new Intervened, with step={self.step}")
        rows = self._changes.since(in_optimizers([self._optimizer]), self.step)
        later = [str(entry["name"]) for entry in rows if entry["reason"] in TRAINED_LATER]
        if later:
            warnings.warn(
                f"{', '.join(later)} is trained since step {self.step}, and its part of the steps is not changed: for "
                f"all parameters make a new Intervened, with step={self.step}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _kinds_now(self) -> set[str]:
        return {f"{parameter.dtype} on {parameter.device}" for parameter in self._parameters.values()}

    def _weights(self) -> dict[str, Tensor]:
        return {name: _real(parameter.detach()) for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def _before(
        self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if is_running(self._call):
            return None
        self._heard, self._call = True, present_call()
        closure = arguments[1] if len(arguments) > 1 else named.get("closure")
        if any(part.is_cuda for part in self._parameters.values()) and torch.cuda.is_current_stream_capturing():
            raise InputError("a step that is recorded into a CUDA graph cannot be changed: do not capture it")
        self._look()
        self._intervening.before_step(self._weights())
        if not self._intervening.needs_gradients or _skipped(optimizer):
            return None
        if getattr(optimizer, "grad_scale", None) is not None:
            raise InputError(
                "a fused optimizer scales its gradients back inside of its step, where they cannot be changed: call "
                "scaler.unscale_(optimizer) before, or make the optimizer with fused=False"
            )
        if closure is None:
            self._change_gradients()
            return None
        positional = (arguments[0], self._changing(closure), *arguments[2:]) if len(arguments) > 1 else arguments
        return positional, named if len(arguments) > 1 else {**named, "closure": self._changing(closure)}

    def _changing(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def evaluate() -> Any:
            loss = closure()
            with torch.no_grad():
                self._change_gradients()
            return loss

        return evaluate

    def _change_gradients(self) -> None:
        gradients, missing = {}, []
        for name, parameter in self._parameters.items():
            found = parameter.grad
            if found is None:
                missing.append(name)
                found = torch.zeros_like(parameter)
            elif found.layout != torch.strided or found.dtype != parameter.dtype:
                raise InputError(
                    f"the gradient of {name} is {found.layout}, {found.dtype}, expected numbers like the parameter's: "
                    "choose other parameters by their names"
                )
            elif found.is_conj():
                found = parameter.grad = found.resolve_conj()
            gradients[name] = _real(found)
        self._finite(gradients, "gradient")
        self._intervening.change_gradients(gradients)
        for name in missing:
            if bool(gradients[name].any()):
                parameter = self._parameters[name]
                parameter.grad = torch.view_as_complex(gradients[name]) if parameter.is_complex() else gradients[name]

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if present_call() is not self._call:
            return
        self._call = None
        if _skipped(optimizer):
            return
        weights = self._weights()
        self._finite(weights, "weight")
        self._intervening.after_step(weights)

    def _finite(self, tensors: Mapping[str, Tensor], what: str) -> None:
        sums = torch.stack([part.sum() for part in tensors.values()])
        if not bool(torch.isfinite(sums).all()):
            name = next(name for name, total in zip(tensors, sums, strict=True) if not bool(torch.isfinite(total)))
            raise InputError(
                f"a {what} of {name} is not finite at step {self.step + 1}: the training has diverged, and the change "
                "would spread that over all chosen parameters"
            )


def _real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _skipped(optimizer: Optimizer) -> bool:
    """Whether a gradient scaler calls a fused optimizer for a step that it then skips."""
    found = getattr(optimizer, "found_inf", None)
    return found is not None and bool(found)


def _check(parameters: Mapping[str, Tensor], sharded: Mapping[int, int]) -> None:
    for name, parameter in parameters.items():
        if isinstance(parameter, DTensor) or id(parameter) in sharded:
            raise InputError(f"{name} is spread over processes, none of which has the whole of it: choose others")
        if _real(parameter).dtype not in (torch.float32, torch.float64):
            raise InputError(
                f"{name} has numbers of type {parameter.dtype}, whose rounding is as large as an update: keep weights "
                "in float32 (under autocast they are), or choose other parameters by their names"
            )
    kinds = {_real(parameter).dtype for parameter in parameters.values()}
    if len(kinds) > 1:
        raise InputError(f"the chosen parameters are of {len(kinds)} precisions: choose those of one by their names")


def _check_twins(model: nn.Module, watched: Watched, moved: Mapping[int, Tensor]) -> None:
    by_name, chosen = dict(plain_names(model)), {id(parameter) for parameter in watched.parameters.values()}
    for entry in watched.rows:
        name, reason = str(entry["name"]), str(entry["reason"])
        if reason.startswith("tied") and id(by_name[name]) in moved.keys() - chosen:
            raise InputError(
                f"{name} is {reason} by its memory alone, and its own gradient would move both unchanged: make them "
                "one parameter, or change updates"
            )
