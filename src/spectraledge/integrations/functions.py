"""The function that a model computes, read from inside its training: one forward pass each time, nothing is changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from spectraledge.analyses.score import WATCHED, score_table
from spectraledge.analyses.score_findings import WatchedCourse
from spectraledge.arrays import Float
from spectraledge.display import Displayed
from spectraledge.errors import InputError
from spectraledge.models.module_tensors import unwrapped
from spectraledge.modes import Basis, Inputs, shares
from spectraledge.modes.reading import ModuleFailedError, Reading, check_inputs, weights_left_alone


class WatchedFunction(Displayed):
    """The energies of a model's read-out in some bases, at every step at which it was read.

    The model is called in evaluation mode, without automatic mixed precision; modes, buffers and PyTorch's random
    streams are afterwards as they were before, and weights are never written.

    Args:
        model: The model, wrapped or not.
        inputs_N: Inputs on the model's device, first axis N: one tensor, or arguments by name.
        readout: Picks the (N, D) tensor out of what the model returns.
        bases: Bases over the inputs.

    Raises:
        InputError: if inputs are none, the model fails on them or changes its own weights when called, the read-out is
            no finite real matrix, there is no basis, two have one name, or one is over other inputs.
    """

    kind = "score"

    def __init__(
        self, model: nn.Module, inputs_N: Inputs, readout: Callable[[object], Tensor], bases: Sequence[Basis]
    ) -> None:
        names = [basis.name for basis in bases]
        if not names or len(set(names)) < len(names):
            raise InputError(f"a function is read in bases of different names, got {', '.join(names) or 'none'}")
        check_inputs(inputs_N)
        if isinstance(inputs_N, Tensor):
            inputs_N = inputs_N.detach().clone()
        else:
            inputs_N = {k: v.detach().clone() if isinstance(v, Tensor) else v for k, v in inputs_N.items()}
        self.bases = tuple(bases)
        self.steps: list[int] = []
        self._reading = Reading(unwrapped(model), inputs_N, readout, together=True)
        self._energies: list[list[Float]] = [[] for _ in bases]
        try:
            with weights_left_alone(self._reading.module):
                values_ND = self._values()
        except ModuleFailedError as error:
            cause = error.__cause__
            raise InputError(f"the model fails on these inputs: {type(cause).__name__}: {cause}") from error
        if not np.isfinite(values_ND).all():
            raise InputError("the read-out is not finite on these inputs: choose others")
        for basis in bases:
            basis.energies(values_ND[None])

    def read(self, step: int) -> None:
        """Read the function as it is now, unless it was read at this step; it is missing where it is not finite."""
        if self.steps[-1:] == [step]:
            return
        values_ND = self._values()
        finite = bool(np.isfinite(values_ND).all())
        self.steps.append(step)
        for basis, rows in zip(self.bases, self._energies, strict=True):
            rows.append(basis.energies(values_ND[None])[0] if finite else np.full(len(basis.subspaces), np.nan))

    @property
    def score(self) -> pd.DataFrame:
        """Its shares at every step, as `SCORE`; the read-out is called function."""
        found = []
        for basis, rows in zip(self.bases, self._energies, strict=True):
            if rows:
                energies_TS = np.stack(rows)
                divided = shares(energies_TS, basis)
                missing_T1 = np.isnan(energies_TS).any(axis=1, keepdims=True)
                share_TS = np.where(missing_T1, np.nan, divided.share_KS)
                found.append((WATCHED, "all", replace(divided, share_KS=share_TS)))
        return score_table(self.steps, found)

    @property
    def course(self) -> WatchedCourse:
        """What it computes at every step, those functions that end furthest above chance first."""
        return WatchedCourse.of(self.score)

    def state_dict(self) -> dict[str, Any]:
        """Return what was read, as tensors by the name of the basis."""
        found = zip(self.bases, self._energies, strict=True)
        return {"steps": list(self.steps), **{b.name: torch.from_numpy(np.array(rows)) for b, rows in found}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the one of a `state_dict` was; of other bases it is an `InputError`."""
        missing = [basis.name for basis in self.bases if basis.name not in state]
        if missing or len(state) != 1 + len(self.bases):
            known = ", ".join(name for name in state if name != "steps")
            raise InputError(f"the state is of a function read in {known}: watch it in the bases of the run resumed")
        self.steps = list(state["steps"])
        self._energies = [list(state[basis.name].numpy()) for basis in self.bases]

    def _values(self) -> Float:
        with _as_it_is(self._reading.module):
            values: Float = self._reading.rows().double().cpu().numpy()
        return values


@contextmanager
def _as_it_is(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and put back its modes, buffers and the random streams, whatever happens."""
    parts = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    on_gpus = [device for device in devices if device.type == "cuda"]
    kind = next(iter(devices)).type if devices else "cpu"
    # Without its cache of casts, which are of the weights before the step while an outer block lasts.
    no_autocast = torch.autocast(kind, enabled=False, cache_enabled=False)
    with torch.random.fork_rng(devices=on_gpus), no_autocast, torch.inference_mode(False):
        try:
            for part, _ in parts:
                part.training = False
            yield
        finally:
            for part, training in parts:
                part.training = training
            with torch.no_grad():
                for buffer, value in buffers:
                    buffer.copy_(value)
