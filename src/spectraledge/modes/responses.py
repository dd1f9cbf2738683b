"""Responses: how the read-out of every input moves when the weights move along a direction."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from spectraledge.errors import InputError
from spectraledge.models.module_tensors import substituted

ReadOut = Callable[[Mapping[str, Tensor], Tensor], Tensor]
"""Maps parameters by name and N inputs to the read-out, shape (N, D)."""

ENTRIES = 1 << 12
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
        with substituted(module, parameters):
            return select(module(inputs))

    return read


def jvp_responses(
    readout: ReadOut,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    inputs_N: Tensor,
    *,
    entries: int = ENTRIES,
) -> Tensor:
    """Exact response of every input along every direction: R_k(x) = d/dε h(x; θ + ε v_k) at ε = 0.

    Definition: Xu 2026, §2.4, by forward-mode differentiation. The network itself is evaluated once for all directions.
    Law: linear in the direction.

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: The directions by parameter name, shapes (K, *parameter shape); names left out do not move.
        inputs_N: Inputs, first axis N.
        entries: Inputs times directions per pass.

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
    batch = max(1, entries // count)
    with torch.no_grad():
        parts = [every_direction(dict(directions), part) for part in torch.split(inputs_N, batch)]
    return torch.cat(parts, dim=1)


def dual_responses(
    readout: ReadOut,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    inputs_N: Tensor,
    *,
    entries: int = ENTRIES,
) -> Tensor:
    """The same as `jvp_responses`, by forward-mode differentiation along one direction at a time.

    For networks that take no batch of directions: those that branch on values, or write into tensors in place.

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: As in `jvp_responses`.
        inputs_N: Inputs, first axis N.
        entries: Inputs per pass.

    Returns:
        Tensor (K, N, D), units of the read-out per unit of the parameters.

    Raises:
        InputError: if a direction names a parameter that the network lacks, or has another shape.
    """
    count = _check(parameters, directions)
    rows = []
    for k in range(count):
        parts = []
        for inputs in torch.split(inputs_N, entries):
            with torch.no_grad(), forward_ad.dual_level():
                moving = {n: forward_ad.make_dual(parameters[n], v_K[k]) for n, v_K in directions.items()}  # type: ignore[no-untyped-call]
                still, tangent = forward_ad.unpack_dual(readout({**parameters, **moving}, inputs))  # type: ignore[no-untyped-call]
                parts.append(torch.zeros_like(still) if tangent is None else tangent)
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def double_backward_responses(
    readout: ReadOut,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    inputs_N: Tensor,
    *,
    entries: int = ENTRIES,
) -> Tensor:
    """The same as `jvp_responses`, by differentiating twice in reverse mode.

    Definition: the gradient g(u) of u·h is linear in u, and the gradient of g(u)·v by u is the response along v. For
    networks with operations that have a derivative in reverse mode only.

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: As in `jvp_responses`.
        inputs_N: Inputs, first axis N.
        entries: Inputs per pass.

    Returns:
        Tensor (K, N, D), units of the read-out per unit of the parameters.

    Raises:
        InputError: if a direction names a parameter that the network lacks, or has another shape.
    """
    count = _check(parameters, directions)
    parts = []
    for inputs in torch.split(inputs_N, entries):
        with torch.enable_grad():
            moving = {name: parameters[name].detach().requires_grad_() for name in directions}
            read = readout({**parameters, **moving}, inputs)
            along = torch.zeros_like(read, requires_grad=True)
            gradients = (
                torch.autograd.grad(read, list(moving.values()), along, create_graph=True, allow_unused=True)
                if read.requires_grad
                else ()
            )
            used = [(g, directions[n]) for n, g in zip(moving, gradients, strict=False) if g is not None]
            rows = [_gradient(sum((gradient * v_K[k]).sum() for gradient, v_K in used), along) for k in range(count)]
        parts.append(torch.stack(rows))
    return torch.cat(parts, dim=1)


def _gradient(value: Tensor | int, along: Tensor) -> Tensor:
    """Gradient of a number, zeros where it does not depend on the variable."""
    if not isinstance(value, Tensor) or not value.requires_grad:
        return torch.zeros_like(along)
    return torch.autograd.grad(value, along, retain_graph=True, allow_unused=True, materialize_grads=True)[0].detach()


def difference_responses(
    readout: ReadOut,
    parameters: Mapping[str, Tensor],
    directions: Mapping[str, Tensor],
    inputs_N: Tensor,
    *,
    size: float,
    entries: int = 512,
) -> Tensor:
    """Published response: h(x; θ + ε v_k) − h(x; θ), one-sided and not divided by ε (Xu 2026, scripts).

    Args:
        readout: The read-out h.
        parameters: All parameters by name, θ.
        directions: As in `jvp_responses`.
        inputs_N: Inputs, first axis N. The author uses the test pairs.
        size: ε. The author uses 0.005 times the norm of the watched parameters.
        entries: Inputs per pass.

    Returns:
        Tensor (K, N, D), units of the read-out.

    Raises:
        InputError: if a direction names a parameter that the network lacks, or has another shape.
    """
    count = _check(parameters, directions)

    def read(moved: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([readout(moved, inputs) for inputs in torch.split(inputs_N, entries)])

    with torch.no_grad():
        still = read(parameters)
        found = still.new_empty(count, *still.shape)
        for k in range(count):
            moved = {name: parameters[name] + size * value[k] for name, value in directions.items()}
            torch.sub(read({**parameters, **moved}), still, out=found[k])
    return found


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
