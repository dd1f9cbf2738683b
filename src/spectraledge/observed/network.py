"""The network of a recorded run at one step: its read-outs, their responses along directions, and its gradient."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spectraledge.errors import InputError
from spectraledge.models import (
    HeadOutputs,
    Readout,
    Transformer,
    TransformerConfig,
    Weights,
    forward_pairs,
    has_tangents,
    loss_and_gradient,
    residual_tangents,
    rows_of,
)
from spectraledge.modes import (
    centred_logit_response,
    difference_responses,
    jvp_responses,
    module_readout,
    normed_response,
)
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.trajectory import Layout, read_snapshot, snapshot_path

Float = NDArray[np.floating]

ReadoutName = Literal["residual", "normed", "logits"]
"""Residual stream before the final LayerNorm (Xu 2026, §2.4), after it, and the logits without their mean."""

READOUTS: tuple[ReadoutName, ...] = get_args(ReadoutName)

DIFFERENCE_SIZE = 0.005
"""Size of the finite difference over the norm of the watched parameters (Xu 2026, scripts)."""

_PICK: dict[ReadoutName, Callable[[Transformer, Readout], Tensor]] = {
    "residual": lambda model, out: out.residual_ND,
    "normed": lambda model, out: model.norm(out.residual_ND),
    "logits": lambda model, out: out.logits_NC - out.logits_NC.mean(-1, keepdim=True),
}


def check_readout(name: str) -> ReadoutName:
    """Check the name of a read-out.

    Args:
        name: The name.

    Returns:
        The same.

    Raises:
        InputError: if it is unknown.
    """
    for known in READOUTS:
        if name == known:
            return known
    raise InputError(f"unknown read-out {name!r}: known are {', '.join(READOUTS)}")


class Still(NamedTuple):
    """What a network computes on every input as its weights are.

    Attributes:
        residual_ND: The residual stream at position 0 before the final LayerNorm.
        neurons_NH: Activations of the last feed-forward layer.
        logits_NC: Logits.
    """

    residual_ND: Tensor
    neurons_NH: Tensor
    logits_NC: Tensor


@dataclass(frozen=True)
class Network:
    """A network at one step, over its task's whole domain; of a joint task's heads, that of the run's part.

    Attributes:
        config: Sizes.
        parameters: All of them by name, in the precision that everything is computed in.
        layout: How the watched ones lie in a direction.
        inputs_N2: The domain.
        labels_N: The right answers.
    """

    config: TransformerConfig
    parameters: dict[str, Tensor]
    layout: Layout
    inputs_N2: Tensor
    labels_N: Tensor

    @classmethod
    def at(cls, run: RecordedRun, step: int, *, dtype: torch.dtype = torch.float64) -> "Network":
        """Read the network of a run at a step that has a snapshot."""
        stored = read_snapshot(snapshot_path(run.folder, step))
        own = slice(run.head * run.config.model.tokens, (run.head + 1) * run.config.model.tokens)
        return cls(
            run.config.model.model_copy(update={"answers": 1}),
            {name: (value[own] if name.startswith("head.") else value).to(dtype) for name, value in stored.items()},
            run.series.layout,
            torch.from_numpy(run.task.pairs_N2),
            torch.from_numpy(run.task.labels_N),
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of responses."""
        return self.parameters["norm.weight"].dtype

    @property
    def weights_P(self) -> Tensor:
        """The watched parameters as one vector."""
        return self.layout.join(self.parameters)

    @cached_property
    def still(self) -> Still:
        """What it computes on the whole domain."""
        weights = Weights.of(self.config, {name: value.unsqueeze(0) for name, value in self.parameters.items()})
        seen = []
        with torch.no_grad():
            # In parts, because a trace keeps all that derivatives need.
            for inputs in torch.split(self.inputs_N2, 1024):
                trace = forward_pairs(weights, rows_of(self.config, inputs[None]))
                seen.append((trace.norm.x[0], trace.layers[-1].active[0], trace.logits[0, :, 0]))
        return Still(*(torch.cat(parts) for parts in zip(*seen, strict=True)))

    def gradient(self, kept_N: NDArray[np.bool_], labels_N: Tensor | None = None) -> Tensor:
        """Gradient of the mean cross-entropy over some pairs, with respect to the watched parameters.

        Args:
            kept_N: Which pairs of the domain.
            labels_N: Answers to every pair of the domain instead of the right ones.

        Returns:
            Shape (P,).
        """
        kept = torch.from_numpy(kept_N)
        labels = self.labels_N if labels_N is None else labels_N
        stacked = {name: value.unsqueeze(0) for name, value in self.parameters.items()}
        with torch.no_grad():
            rows = rows_of(self.config, self.inputs_N2[kept][None])
            _, gradients = loss_and_gradient(self.config, stacked, rows, labels[kept][None, :, None])
        return self.layout.join_rows(gradients)[0]

    def responses(self, vectors_KP: Tensor, readout: ReadoutName = "residual") -> Float:
        """Exact responses of every input along directions.

        Args:
            vectors_KP: The directions.
            readout: What responds.

        Returns:
            Shape (K, N, D), or (K, N, classes) of the logits.
        """
        if not self._by_hand:
            return self._jvp(Transformer, vectors_KP, _PICK[readout])
        residual_KND = residual_tangents(self.config, self.parameters, self._split(vectors_KP), self.inputs_N2)
        return self._chained(residual_KND, readout).numpy()

    def later(self, residual_ND: Float, vector_1P: Tensor, readout: ReadoutName) -> Float:
        """Response of a later read-out where the residual's is known: by the chain rule where that is exact.

        Args:
            residual_ND: Response of the residual along a direction.
            vector_1P: The direction.
            readout: What responds.

        Returns:
            Its response, shape (N, D).
        """
        if self._by_hand:
            return np.asarray(self._chained(torch.from_numpy(residual_ND)[None], readout)[0])
        return np.asarray(self._jvp(Transformer, vector_1P, _PICK[readout])[0])

    def head_responses(self, vectors_KP: Tensor) -> Float:
        """Responses of what every head adds to the stream at position 0, shape (layers, heads, K, N, D)."""
        flat_KNX = self._jvp(HeadOutputs, vectors_KP, lambda model, out: out)
        shape = (*flat_KNX.shape[:2], self.config.depth, self.config.heads, self.config.width)
        return flat_KNX.reshape(shape).transpose(2, 3, 0, 1, 4)

    def differences(self, vectors_KP: Tensor, kept_N: NDArray[np.bool_]) -> Float:
        """Published responses of the residual, by a one-sided finite difference, on some pairs (Xu 2026, scripts)."""
        inputs = self.inputs_N2[torch.from_numpy(kept_N)]
        size = DIFFERENCE_SIZE * float(self.weights_P.norm())
        return difference_responses(self._residual, self.parameters, self._split(vectors_KP), inputs, size=size).numpy()

    @property
    def _by_hand(self) -> bool:
        return has_tangents(self.config, self.layout.shapes)

    def _chained(self, residual_KND: Tensor, readout: ReadoutName) -> Tensor:
        if readout == "residual":
            return residual_KND
        normed_KND = normed_response(self.still.residual_ND, residual_KND, self.parameters["norm.weight"])
        return normed_KND if readout == "normed" else centred_logit_response(normed_KND, self.parameters["head.weight"])

    def _split(self, vectors_KP: Tensor) -> dict[str, Tensor]:
        return self.layout.split(vectors_KP.to(self.dtype))

    def _residual(self, parameters: Mapping[str, Tensor], inputs_N2: Tensor) -> Tensor:
        """The residual as a read-out: faster than by the module, to the same rounding."""
        weights = Weights.of(self.config, {name: value.unsqueeze(0) for name, value in parameters.items()})
        return forward_pairs(weights, rows_of(self.config, inputs_N2[None])).norm.x[0]

    def _module(self, kind: type[Transformer]) -> Transformer:
        with torch.device("meta"):
            return kind(self.config)

    def _jvp(self, kind: type[Transformer], vectors_KP: Tensor, pick: Callable[..., Tensor]) -> Float:
        readout = module_readout(_Picked(self._module(kind), pick), _only)
        inside = {f"network.{name}": value for name, value in self.parameters.items()}
        along = {f"network.{name}": value for name, value in self._split(vectors_KP).items()}
        return jvp_responses(readout, inside, along, self.inputs_N2).numpy()


class _Picked(nn.Module):
    """A network with one read-out as its only output."""

    def __init__(self, network: Transformer, pick: Callable[..., Tensor]) -> None:
        super().__init__()
        self.network = network
        self._pick = pick

    def forward(self, tokens_NL: Tensor) -> Tensor:
        return self._pick(self.network, self.network(tokens_NL))


def _only(out: object) -> Tensor:
    assert isinstance(out, Tensor)
    return out
