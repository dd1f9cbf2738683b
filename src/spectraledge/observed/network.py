"""The network of a recorded run at one step: its read-outs, their responses along directions, and its gradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Bools, Ints
from spectraledge.devices import CPU
from spectraledge.errors import DeviceError, InputError
from spectraledge.models import (
    READOUTS,
    Architecture,
    HasAttention,
    HasTangents,
    LossName,
    Parameters,
    ReadoutName,
    architecture_of,
)
from spectraledge.modes import difference_responses, jvp_responses
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.streams import torch_generator
from spectraledge.trajectory import Layout, read_snapshot, snapshot_path

_PULLED = 1024
"""Inputs per pass backwards."""

_COMPARED = 64
"""Inputs, at most, of which a GPU's results are compared with the CPU's."""

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest difference between devices, over the largest number, that rounding can make of responses (our choice)."""

DIFFERENCE_SIZE = 0.005
"""Size of the finite difference over the norm of the watched parameters (Xu 2026, scripts)."""


def check_readout(name: str) -> ReadoutName:
    """Check the name of a read-out."""
    for known in READOUTS:
        if name == known:
            return known
    raise InputError(f"unknown read-out {name!r}: known are {', '.join(READOUTS)}")


@dataclass(frozen=True)
class Network:
    """A network at one step, over its task's whole domain; of a joint task's heads, that of the run's part, or all.

    It computes where its parameters are. What it takes may be on any device; values over the domain are left on its
    own, and vectors of the parameters come back to the CPU.

    Attributes:
        architecture: What can be computed of it.
        parameters: All of them by name, in the precision that everything is computed in.
        layout: How the watched ones lie in a direction.
        inputs_N2: The domain.
        labels_N: The right answers; with all heads of a joint task those of every part, (N, parts), and there are no
            read-outs.
        loss: What it was trained on.
    """

    architecture: Architecture
    parameters: dict[str, Tensor]
    layout: Layout
    inputs_N2: Tensor
    labels_N: Tensor
    loss: LossName

    @classmethod
    def at(cls, run: RecordedRun, step: int, *, dtype: torch.dtype = torch.float64) -> "Network":
        """Read the network of a run at a step that has a snapshot; heads of a joint run cannot be watched."""
        return cls._read([run], step, dtype)

    @classmethod
    def with_all_heads(cls, parts: Sequence[RecordedRun], step: int) -> "Network":
        """Read the network with the heads of all parts, in double precision; its loss is the sum of theirs."""
        return cls._read(parts, step, torch.float64)

    @classmethod
    def _read(cls, parts: Sequence[RecordedRun], step: int, dtype: torch.dtype) -> "Network":
        run, joint = parts[0], len(parts) > 1
        run.check_heads()
        stored = read_snapshot(snapshot_path(run.folder, step))
        labels_N = np.stack([part.task.labels_N for part in parts], 1) if joint else run.task.labels_N

        def on(device: torch.device) -> "Network":
            whole = architecture_of(run.config.model, device=device)
            architecture, parameters = (whole, stored) if joint else whole.part(stored, run.head)
            return cls(
                architecture,
                {name: value.to(device, dtype) for name, value in parameters.items()},
                run.series.layout,
                torch.from_numpy(run.task.pairs_N2).to(device),
                torch.from_numpy(labels_N).to(device),
                run.config.loss,
            )

        network = on(run.device)
        if run.device != CPU:
            network.check_against(on(CPU))
        return network

    def check_against(self, other: "Network") -> None:
        """Refuse a device on which the network is not what it is elsewhere.

        Raises:
            DeviceError: if read-outs, responses along a direction, or the gradient, of some inputs differ by more than
                rounding.
        """
        chosen = slice(None, None, ceil(len(self.inputs_N2) / _COMPARED))
        few, same = (
            replace(one, inputs_N2=one.inputs_N2[chosen], labels_N=one.labels_N[chosen]) for one in (self, other)
        )
        generator = torch_generator(0, "device")
        vector_1P = torch.randn(1, self.layout.size, dtype=torch.float64, device="cpu", generator=generator)
        for (what, there), (_, here) in zip(few._seen(vector_1P), same._seen(vector_1P), strict=True):
            gap, size = float((there.to(CPU) - here.to(CPU)).abs().max()), float(here.abs().max())
            if not gap <= _ROUNDING[self.dtype] * size:
                raise DeviceError(
                    f"{what} of this network: {self.device} and {other.device} differ by "
                    f"{gap / size if size else gap:.1g} of the largest number, and {_ROUNDING[self.dtype]:g} would be "
                    "rounding: take cpu, and please report it"
                )

    def _seen(self, vector_1P: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Everything that is computed of a network, in words."""
        # Towards answers of other inputs: towards its own what is left may be all rounding.
        yield "the gradient", self.gradient(np.arange(len(self.inputs_N2)), self.labels_N.flip(0))
        labels_NO = self.labels_N.view(len(self.labels_N), -1)
        for (architecture, parameters), labels_N in zip(self.heads(self.parameters), labels_NO.T, strict=True):
            one = replace(self, architecture=architecture, parameters=dict(parameters), labels_N=labels_N)
            for name in architecture.readouts:
                yield f"the {name}", one.readout(name)
                yield f"responses of the {name}", one.responses(vector_1P, name)
            if isinstance(architecture, HasAttention):
                yield "responses of heads", one.head_responses(vector_1P)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of responses."""
        return next(iter(self.parameters.values())).dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.inputs_N2.device

    @property
    def weights_P(self) -> Tensor:
        """The watched parameters as one vector."""
        return self.layout.join(self.parameters).to(CPU)

    @property
    def whole(self) -> "Network":
        """The same with all its parameters watched."""
        return replace(self, layout=Layout({name: tuple(value.shape) for name, value in self.parameters.items()}))

    @cached_property
    def still(self) -> dict[str, Tensor]:
        """What it computes on the whole domain as its weights are; see `Architecture.still`."""
        with torch.no_grad():
            parts = torch.split(self.inputs_N2, self._entries)
            seen = [self.architecture.still(self.parameters, inputs) for inputs in parts]
        return {name: torch.cat([part[name] for part in seen]) for name in seen[0]}

    def heads(self, parameters: Parameters) -> list[tuple[Architecture, Parameters]]:
        """Return what gives each of its answers, and the part of some parameters that it takes."""
        if self.labels_N.dim() == 1:
            return [(self.architecture, parameters)]
        return [self.architecture.part(parameters, number) for number in range(self.labels_N.shape[1])]

    @property
    def residual_ND(self) -> Tensor:
        """The residual on the whole domain; `InputError` where the network has none."""
        if "residual" not in self.still:
            self.architecture.read("residual")  # Says why, and what to do.
        return self.still["residual"]

    def moved(self, vector_P: Tensor) -> "Network":
        """Return the network with its watched parameters moved by a vector."""
        parts = self._split(vector_P)
        return replace(self, parameters={**self.parameters, **{n: self.parameters[n] + v for n, v in parts.items()}})

    def between(self, other: "Network") -> "Network":
        """Return the network whose weights are half-way to those of another."""
        middle = {name: (value + other.parameters[name]) / 2 for name, value in self.parameters.items()}
        return replace(self, parameters=middle)

    def readout(self, name: ReadoutName) -> Tensor:
        """What it computes of every input: the read-out itself, shape (N, D)."""
        if name == "residual":
            return self.residual_ND
        if name == "logits":
            logits_NC = self.still["logits"]
            return logits_NC - logits_NC.mean(-1, keepdim=True)
        with torch.no_grad():
            return self.architecture.read(name)(self.parameters, self.inputs_N2)

    def pulled_back(self, cotangent_ND: NDArray[np.floating], readout: ReadoutName) -> Tensor:
        """Gradient of ⟨cotangent, read-out⟩ with respect to the watched parameters, Jᵀ·cotangent, shape (P,)."""
        read = self.architecture.read(readout)
        watched = {name: self.parameters[name].detach().requires_grad_() for name in self.layout.shapes}
        found_P = torch.zeros(self.layout.size, dtype=self.dtype, device=self.device)
        cotangent = torch.from_numpy(cotangent_ND).to(self.device, self.dtype)
        for inputs, weights in zip(torch.split(self.inputs_N2, _PULLED), torch.split(cotangent, _PULLED), strict=True):
            read_ND = read({**self.parameters, **watched}, inputs)
            found = torch.autograd.grad(read_ND, list(watched.values()), weights, allow_unused=True)
            parts = {
                name: torch.zeros_like(value) if part is None else part
                for (name, value), part in zip(watched.items(), found, strict=True)
            }
            found_P += self.layout.join(parts)
        return found_P.to(CPU)

    def gradient(self, kept_N: Bools | Ints, labels_N: Tensor | None = None) -> Tensor:
        """Gradient of the mean loss over some pairs, summed over answers, with respect to the watched parameters.

        Args:
            kept_N: Which pairs of the domain, or their places, which may repeat.
            labels_N: Answers to every pair of the domain instead of the right ones.

        Returns:
            Shape (P,).
        """
        kept = torch.from_numpy(kept_N).to(self.device)
        labels_N = self.labels_N if labels_N is None else labels_N.to(self.device)
        stacked = {name: value.unsqueeze(0) for name, value in self.parameters.items()}
        with torch.no_grad():
            inputs = self.architecture.encode(self.inputs_N2[kept][None])
            labels_1nO = labels_N.view(len(labels_N), -1)[kept][None]
            _, gradients = self.architecture.loss_and_gradient(stacked, inputs, labels_1nO, self.loss)
        return self.layout.join_rows(gradients)[0].to(CPU)

    def responses(self, vectors_KP: Tensor, readout: ReadoutName = "residual") -> Tensor:
        """Return exact responses of every input along directions, (K, N, D), or (K, N, classes) of the logits."""
        directions = self._split(vectors_KP)
        if isinstance(self.architecture, HasTangents):
            if self._follows:
                residual_KND = self.architecture.residual_tangents(self.parameters, directions, self.inputs_N2)
                return self._following(residual_KND, readout)
            return self.architecture.whole_tangents(self.parameters, directions, self.inputs_N2, readout)
        read = self.architecture.read(readout)
        return jvp_responses(read, self.parameters, directions, self.inputs_N2)

    def later(self, residual_ND: Tensor, vector_1P: Tensor, readout: ReadoutName) -> Tensor:
        """Response of a later read-out, (N, D), from the residual's: by the chain rule where that is exact."""
        if self._follows:
            return self._following(residual_ND[None].to(self.device), readout)[0]
        return self.responses(vector_1P, readout)[0]

    def head_responses(self, vectors_KP: Tensor) -> Tensor:
        """Responses of what every attention head adds to the stream at position 0, shape (layers, heads, K, N, D)."""
        assert isinstance(self.architecture, HasAttention)
        attention, directions = self.architecture.attention, self._split(vectors_KP)
        if self._follows:
            flat_KNX = self.architecture.head_tangents(self.parameters, directions, self.inputs_N2)
        else:
            flat_KNX = jvp_responses(self.architecture.read_heads(), self.parameters, directions, self.inputs_N2)
        shape = (*flat_KNX.shape[:2], len(attention.qkv), attention.heads, attention.width)
        return flat_KNX.reshape(shape).permute(2, 3, 0, 1, 4)

    def differences(self, vectors_KP: Tensor, kept_N: Bools) -> Tensor:
        """Published responses of the residual, by a one-sided finite difference, on some pairs (Xu 2026, scripts)."""
        inputs = self.inputs_N2[torch.from_numpy(kept_N).to(self.device)]
        size = DIFFERENCE_SIZE * float(self.weights_P.norm())

        def residual(parameters: Parameters, inputs_N2: Tensor) -> Tensor:
            return self.architecture.still(parameters, inputs_N2)["residual"]

        directions = self._split(vectors_KP)
        return difference_responses(residual, self.parameters, directions, inputs, size=size, entries=self._entries)

    @property
    def _entries(self) -> int:
        """Inputs per pass: a transformer's by PyTorch keeps all that derivatives need, one in C prepares weights."""
        return 8192 if self.architecture.is_in_c(next(iter(self.parameters.values()))) else 1024

    @property
    def _follows(self) -> bool:
        return self.architecture.follows(self.layout.shapes)

    def _following(self, residual_KND: Tensor, readout: ReadoutName) -> Tensor:
        if readout == "residual":
            return residual_KND
        return self.architecture.follow(self.parameters, self.residual_ND, residual_KND, readout)

    def _split(self, vectors_KP: Tensor) -> dict[str, Tensor]:
        return self.layout.split(vectors_KP.to(self.device, self.dtype))
