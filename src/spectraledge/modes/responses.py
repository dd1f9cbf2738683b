"""Responses: how the read-out of every input moves when the weights move along a direction."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from spectraledge.errors import InputError

ReadOut = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""Maps parameters by name and N inputs to the read-out, shape (N, D)."""

_ENTRIES = 1 << 12
"""Inputs times directions per pass: larger passes leave the cache, smaller ones pay more for each call."""


def module_readout(module: nn.Module, select: Callable[[object], Tensor]) -> ReadOut:
    """Make a read-out of a module.

    Args:
        module: The network; its own parameters are used where none are given.
        select: Picks the (N, D) tensor out of what the module returns, for instance the residual stream.

    Returns:
        The read-out.
    """

    def read(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        return select(torch.func.functional_call(module, dict(parameters), (inputs,)))

    return read


def jvp_responses(
    readout: ReadOut, parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor], inputs_N: Tensor
) -> Tensor:
    """Exact response of every input along every direction: R_k(x) = d/dε h(x; θ + ε v_k) at ε = 0.

    Definition: Xu 2026, §2.4, by forward-mode differentiation. The network itself is evaluated once for all directions.
    Law: linear in the direction.

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: The directions by parameter name, shapes (K, *parameter shape); names left out do not move.
        inputs_N: Inputs, first axis N.

    Returns:
        Tensor (K, N, D), units of the read-out per unit of the parameters.

    Raises:
        InputError: if a direction names a parameter that the network lacks, or has another shape.
    """
    count = _check(parameters, directions)
    fixed = {name: value for name, value in parameters.items() if name not in directions}
    moving = {name: parameters[name] for name in directions}

    def along(tangent: dict[str, Tensor], inputs: Tensor) -> Tensor:
        def read(watched: dict[str, Tensor]) -> Tensor:
            return readout({**fixed, **watched}, inputs)

        derivative: Tensor = torch.func.jvp(read, (moving,), (tangent,))[1]
        return derivative

    every_direction = torch.func.vmap(along, in_dims=(0, None))
    batch = max(1, _ENTRIES // count)
    with torch.no_grad():
        parts = [every_direction(dict(directions), part) for part in torch.split(inputs_N, batch)]
    return torch.cat(parts, dim=1)


def difference_responses(
    readout: ReadOut,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    inputs_N: Tensor,
    *,
    size: float,
) -> Tensor:
    """Published response: h(x; θ + ε v_k) − h(x; θ), one-sided and not divided by ε (Xu 2026, scripts).

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: As in `jvp_responses`.
        inputs_N: Inputs, first axis N. The author uses the test pairs.
        size: ε. The author uses 0.005 times the norm of the watched parameters.

    Returns:
        Tensor (K, N, D), units of the read-out.

    Raises:
        InputError: if a direction names a parameter that the network lacks, or has another shape.
    """
    count = _check(parameters, directions)
    rows = []
    with torch.no_grad():
        for inputs in torch.split(inputs_N, 512):
            still = readout(parameters, inputs)
            moved = [
                readout({**parameters, **{n: parameters[n] + size * v[k] for n, v in directions.items()}}, inputs)
                for k in range(count)
            ]
            rows.append(torch.stack(moved) - still)
    return torch.cat(rows, dim=1)


def _check(parameters: Mapping[str, Tensor], directions: Mapping[str, Tensor]) -> int:
    for name, value in directions.items():
        if name not in parameters:
            raise InputError(
                f"direction along {name!r}, which the network does not have: it has {', '.join(parameters)}"
            )
        if value.shape[1:] != parameters[name].shape:
            raise InputError(
                f"direction along {name!r} has shape {tuple(value.shape[1:])}, "
                f"the parameter has {tuple(parameters[name].shape)}"
            )
    counts = {len(value) for value in directions.values()}
    if len(counts) != 1 or 0 in counts:
        raise InputError("directions must hold the same number, at least one, for every parameter they name")
    return counts.pop()
