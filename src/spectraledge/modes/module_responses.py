"""Responses of anybody's module: the exact derivative where it has one, confirmed by differences, else those."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.models import ModuleTensors, differentiable_kernels
from spectraledge.modes.central_differences import Ladder, Moved, central_responses
from spectraledge.modes.reading import Inputs, ModuleFailedError, Reading, reading
from spectraledge.modes.responses import double_backward_responses, dual_responses, jvp_responses
from spectraledge.trajectory import Layout

Method = Literal["forward", "double backward", "central difference"]
"""How derivatives were taken: the first two are exact."""

_LARGEST_ERROR = 1e-3
"""Error of responses by differences, over the largest row, above which they are refused."""

_BACKWARD_SHARE = 4
"""How many times fewer inputs fit a pass that keeps everything for differentiating it twice."""


@dataclass(frozen=True)
class ModuleResponses:
    """Responses of a module along directions.

    Attributes:
        response_KND: Responses, float64.
        method: How derivatives were taken.
        error: Relative error, over the largest row: of exact derivatives, how far central differences along a mixture
            of all directions are from them (an upper bound); of central differences, how far those at two sizes are
            from each other, along the worst direction.
        remarks: Sentences for people: why it is not an earlier method, and what else there is to know.
    """

    response_KND: Tensor
    method: Method
    error: float
    remarks: tuple[str, ...]


def responses_of_module(
    tensors: ModuleTensors,
    state: Mapping[str, Tensor],
    inputs: Inputs,
    directions: Sequence[Tensor],
    *,
    layout: Layout,
    select: Callable[[object], Tensor],
    signs_K: Tensor,
    dtype: torch.dtype = torch.float64,
) -> ModuleResponses:
    """Differentiate a module's read-out along every direction, by the first method that central differences confirm.

    All inputs are confirmed along one mixture of all directions, on which responses depend linearly: a wrong response
    to any input along any direction shows there. Differences move the module's own parameters in place, so that they
    see every use of them. Afterwards the module is as it was.

    Args:
        tensors: The module's.
        state: Their values where responses are wanted; those left out keep the module's own.
        inputs: All inputs.
        directions: Matrices with a direction in each row, of the length of the layout; K rows in all.
        layout: How the watched parameters lie in a direction, by plain name.
        select: Picks the (N, D) tensor out of what the module returns.
        signs_K: ±1, the mixture.
        dtype: Precision of the calculation, float64 or float32.

    Returns:
        The responses.

    Raises:
        InputError: if the module does not run on the inputs in this precision, answers differ from call to call, the
            read-out is no finite real matrix, or no method gives responses with an error of at most a thousandth.
    """
    if dtype not in (torch.float64, torch.float32):
        raise InputError(f"dtype must be torch.float64 or torch.float32, got {dtype}")
    tensors = tensors.in_memory(set(state))
    watched = {tensors.own[name]: tensors.tensors[name] for name in layout.shapes}
    with differentiable_kernels(tensors.device):
        try:
            with tensors.placed(state, dtype):
                found, still_ND = reading(
                    tensors.module, inputs, select, dtype=dtype, device=tensors.device, directions=len(signs_K)
                )
                along = _Along(directions, layout, watched)
                return _confirmed(found, Moved.of(found, watched, still_ND), along, signs_K)
        except ModuleFailedError as failed:
            advice = _advice(failed, tensors, state, inputs, select, dtype)
            raise InputError(advice) from failed.__cause__


def readouts_of_module(
    tensors: ModuleTensors,
    states: Sequence[Mapping[str, Tensor]],
    inputs: Inputs,
    *,
    select: Callable[[object], Tensor],
    dtype: torch.dtype = torch.float64,
) -> list[Tensor]:
    """Read a module out at several states; afterwards it is as it was.

    Args:
        tensors: The module's.
        states: Their values; those left out keep the module's own.
        inputs: All inputs.
        select: Picks the (N, D) tensor out of what the module returns.
        dtype: Precision of the calculation.

    Returns:
        The read-outs, (N, D) each, float64.

    Raises:
        InputError: if the module does not run on the inputs, answers differ from call to call, or the read-out is no
            finite real matrix.
    """
    found = []
    for state in states:
        there = tensors.in_memory(set(state))
        with differentiable_kernels(there.device):
            try:
                with there.placed(state, dtype):
                    values_ND = reading(there.module, inputs, select, dtype=dtype, device=there.device, directions=1)[1]
            except ModuleFailedError as failed:
                raise InputError(_advice(failed, there, state, inputs, select, dtype)) from failed.__cause__
        found.append(values_ND.detach().double())
    return found


@dataclass(frozen=True)
class _Along:
    """Directions, a few at a time, by the module's own names."""

    rows: Sequence[Tensor]
    layout: Layout
    watched: Mapping[str, Tensor]

    def few(self, count: int) -> Iterator[dict[str, Tensor]]:
        for rows_KP in self.rows:
            for part_kP in torch.split(rows_KP, count):
                yield self._named(part_kP)

    def mixture(self, weights_K: Tensor) -> dict[str, Tensor]:
        weights = torch.split(weights_K, [len(rows_KP) for rows_KP in self.rows])
        parts = [self._named(w_K.to(rows_KP) @ rows_KP) for w_K, rows_KP in zip(weights, self.rows, strict=True)]
        return {name: torch.stack([part[name] for part in parts]).sum(0) for name in self.watched}

    def _named(self, flat: Tensor) -> dict[str, Tensor]:
        values = self.layout.split(flat).values()
        return {name: value.to(own) for (name, own), value in zip(self.watched.items(), values, strict=True)}


def _advice(
    failed: ModuleFailedError,
    tensors: ModuleTensors,
    state: Mapping[str, Tensor],
    inputs: Inputs,
    select: Callable[[object], Tensor],
    dtype: torch.dtype,
) -> str:
    """Say whether the module would run in another precision."""
    said = _first_line(failed.__cause__)
    for other in {torch.float32, torch.float64, *(tensor.dtype for tensor in tensors.tensors.values())} - {dtype}:
        if not other.is_floating_point:
            continue
        try:
            with tensors.placed(state, other):
                reading(tensors.module, inputs, select, dtype=other, device=tensors.device, directions=1)
        except (ModuleFailedError, InputError):
            continue
        good = f"pass dtype={other}" if other in (torch.float64, torch.float32) else "too coarse for responses"
        return f"the module runs in {other} only, not in {dtype} ({said}): it makes {other} tensors of its own; {good}"
    return f"the module fails on these inputs: {said}"


def _confirmed(found: Reading, moved: Moved, along: _Along, signs_K: Tensor) -> ModuleResponses:
    weights_K = signs_K / len(signs_K) ** 0.5
    mixture = along.mixture(weights_K)
    if coarse := moved.rounded(mixture):
        good = "pass dtype=torch.float32" if coarse == torch.float32 else "too coarse for responses"
        raise InputError(f"the module rounds to {coarse} inside, so that it does not run in double precision: {good}")
    ladder = Ladder(moved, mixture)
    if rows := ladder.kinks():
        raise InputError(
            f"the read-out has a kink at these very weights, so no derivative, in {len(rows)} rows, the first is row "
            f"{rows[0]}: leave these inputs out, or take another snapshot"
        )
    together = ("an answer depends on the other inputs: all were given at once",) if found.together else ()
    reasons: dict[Method, str] = {}
    for method, respond in _EXACT:
        try:
            response_KND = respond(found, moved.still, along, len(signs_K)).detach().double()
        except Exception as failed:
            reasons[method] = f"not by {method}: {_first_line(failed)}"
            continue
        distance = ladder.distance(torch.tensordot(weights_K.to(response_KND), response_KND, dims=1))
        if distance is not None:
            reasons.pop(method, None)
            return ModuleResponses(response_KND, method, distance, (*together, *reasons.values()))
        reasons[method] = (
            f"not by {method}: central differences give something else, as where a module cuts derivatives"
        )
    remarks = (*together, *reasons.values())
    response_KND, error, row = central_responses(moved, along.few(1), ladder.best())
    if not error <= _LARGEST_ERROR:
        raise InputError(
            f"no derivative of the read-out can be confirmed; {'; '.join(remarks)}; central differences of two sizes "
            f"differ by {error:.1g} of the largest row, most in row {row}: the module moves in jumps there (rounding, "
            "argmax), or computes in lower precision inside"
        )
    return ModuleResponses(response_KND, "central difference", error, remarks)


def _forward(found: Reading, still: Mapping[str, Tensor], along: _Along, count: int) -> Tensor:
    fit = found.directions(count)
    inputs_N = found.index_N
    parts = [jvp_responses(found.at, still, few, inputs_N, entries=found.batch(fit) * fit) for few in along.few(fit)]
    return torch.cat(parts)


def _forward_singly(found: Reading, still: Mapping[str, Tensor], along: _Along, count: int) -> Tensor:
    parts = [dual_responses(found.at, still, few, found.index_N, entries=found.batch(1)) for few in along.few(1)]
    return torch.cat(parts)


def _double_backward(found: Reading, still: Mapping[str, Tensor], along: _Along, count: int) -> Tensor:
    batch = found.batch(_BACKWARD_SHARE)
    parts = [double_backward_responses(found.at, still, few, found.index_N, entries=batch) for few in along.few(count)]
    return torch.cat(parts)


_EXACT: tuple[tuple[Method, Callable[[Reading, Mapping[str, Tensor], _Along, int], Tensor]], ...] = (
    ("forward", _forward),
    ("forward", _forward_singly),
    ("double backward", _double_backward),
)


def _first_line(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0][:200]}"
