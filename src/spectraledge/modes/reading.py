"""Reading a module out: calling it on some of its inputs, with its own parameters or with others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from spectraledge.errors import InputError
from spectraledge.models.module_tensors import attributes_kept, in_precision, listed, substituted
from spectraledge.modes.responses import ENTRIES
from spectraledge.modes.tensor_sizes import Sizes

Inputs = Tensor | Mapping[str, object]
"""All inputs of a module: one tensor, or arguments by name, each tensor among them with one row per input."""

_NUMBERS = 1 << 26
"""Numbers in all tensors that a pass makes, 512 MB in double precision; forward mode keeps a good part of them."""

_AT_ONCE = 4
"""Directions in a pass where not all fit with enough inputs: more would share one evaluation, but crowd inputs out."""

_ENOUGH = 16
"""Inputs in a pass that make good use of the weights that are read for it."""

FEW = 4
"""Inputs on which it is seen how a module computes."""

_ALIKE = 1e-5
"""Difference of answers, over the largest answer, that is rounding: many modules use single precision inside."""


class ModuleFailedError(Exception):
    """A module, or the choice of a read-out, failed on the inputs; its cause says how."""


@dataclass(frozen=True)
class Reading:
    """A module, its inputs, and what is read out of its answers.

    Attributes:
        module: The module.
        inputs: Its inputs, on its device and in the precision of the calculation.
        select: Picks the read-out out of what the module returns.
        entries: Inputs times directions in a pass.
        together: Whether the answer to an input depends on the others, so that all must go in one pass.
        afresh: Whether a call begins with the attributes that the module had before the last one, so that what it keeps
            of its weights in attributes is made anew.
    """

    module: nn.Module
    inputs: Inputs
    select: Callable[[object], Tensor]
    entries: int = ENTRIES
    together: bool = False
    afresh: bool = False

    @property
    def index_N(self) -> Tensor:
        """Places of all inputs, for `at`."""
        first = next(iter(_tensors(self.inputs).values()))
        return torch.arange(len(first), device=first.device)

    def batch(self, directions: int) -> int:
        """Inputs in a pass with so many directions."""
        return len(self.index_N) if self.together else max(1, self.entries // directions)

    def directions(self, count: int) -> int:
        """Directions in a pass, of so many in all."""
        if self.together:
            return min(count, max(1, self.entries // len(self.index_N)))
        return count if self.entries >= _ENOUGH * count else min(count, _AT_ONCE, self.entries)

    def first(self, count: int) -> "Reading":
        """Return the reading of the first few inputs only."""
        if isinstance(self.inputs, Tensor):
            return replace(self, inputs=self.inputs[:count])
        return replace(self, inputs={k: v[:count] if isinstance(v, Tensor) else v for k, v in self.inputs.items()})

    def at(self, parameters: Mapping[str, Tensor], index_n: Tensor) -> Tensor:
        """Read out some inputs: a `ReadOut` whose inputs are places of the module's.

        Args:
            parameters: By the module's own names; it has its own where none are given.
            index_n: Places of the inputs.

        Returns:
            The read-out, one or several rows per input.
        """
        args: tuple[object, ...] = ()
        kwargs: dict[str, object] = {}
        if isinstance(self.inputs, Tensor):
            args = (self.inputs[index_n],)
        else:
            kwargs = {k: v[index_n] if isinstance(v, Tensor) else v for k, v in self.inputs.items()}
        kept = attributes_kept(self.module) if self.afresh else nullcontext()
        with kept, substituted(self.module, parameters) if parameters else nullcontext():
            output = self.module(*args, **kwargs)
            return _matrix(output, self.select(output), len(self.index_N) / max(len(index_n), 1))

    def rows(self, *, directions: int = 1) -> Tensor:
        """Read out all inputs at the module's own parameters, as many in a pass as fit beside so many directions."""
        try:
            with torch.no_grad():
                passes = torch.split(self.index_N, self.batch(directions))
                return torch.cat([self.at({}, index_n).detach() for index_n in passes])
        except InputError:
            raise
        except Exception as error:
            raise ModuleFailedError from error


def reading(
    module: nn.Module,
    inputs: Inputs,
    select: Callable[[object], Tensor],
    *,
    dtype: torch.dtype,
    device: torch.device,
    directions: int,
) -> tuple[Reading, Tensor]:
    """Find out how a module is to be read: how many inputs fit a pass, and whether they may be parted at all.

    Args:
        module: The module, its tensors as they are to be read.
        inputs: As the user gives them.
        select: Picks the (N, D) tensor out of what the module returns.
        dtype: Precision of floating-point inputs.
        device: Where to put them.
        directions: How many directions responses are wanted along.

    Returns:
        The reading, and the read-out of all inputs.

    Raises:
        InputError: if inputs do not fit, the read-out is no finite real matrix, answers differ from call to call, or
            calls change the weights.
        ModuleFailedError: if the module fails.
    """
    whole = Reading(module, _prepared(inputs, dtype, device), select, together=True, afresh=True)
    with weights_left_alone(module):
        found = _fitting(whole)
        if not found.together and not _independent(found, found.directions(directions)):
            found = replace(found, together=True)
        # Call after call as its user makes them, so that what is kept from one for the next shows.
        plain = replace(found, afresh=False)
        with attributes_kept(module):
            answers_ND = plain.rows()
            if not torch.isfinite(answers_ND).all():
                rows = torch.nonzero(~torch.isfinite(answers_ND).all(1)).flatten().tolist()
                raise InputError(
                    f"the read-out is not finite in {len(rows)} rows, the first is row {rows[0]}: leave it out"
                )
            if not _same(plain.rows(), answers_ND):
                raise InputError(
                    f"two calls on the same inputs differ: {_restless(plain)} draws random numbers or keeps something "
                    "from one call for the next; responses need a module that answers alike each time"
                )
    return found, answers_ND


@contextmanager
def weights_left_alone(module: nn.Module) -> Iterator[None]:
    """Refuse a module whose weights are others after a `with` block in which it is called; they are put back.

    Yields:
        Nothing.

    Raises:
        InputError: if they are.
    """
    plain = {name: part for name, part in module.named_parameters() if type(part) is nn.Parameter}
    kept = {name: (part.data, part.detach().clone()) for name, part in plain.items() if not _is_flat(part)}
    yield
    with torch.no_grad():
        changed = [name for name, (_, value) in kept.items() if not _alike(plain[name].detach(), value)]
        for name in changed:
            plain[name].data, value = kept[name]
            plain[name].data.copy_(value)
    if changed:
        raise InputError(
            f"the module changes {listed(changed)} when it is called, as Embedding(max_norm=...) does, so that what it "
            "computes is no function of its weights: let it use changed copies of them"
        )


def check_inputs(inputs: object) -> None:
    """Check that inputs are as `Inputs` says."""
    if not isinstance(inputs, Tensor | Mapping):
        raise InputError(f"inputs must be a tensor, or tensors by argument name, got {type(inputs).__name__}")
    tensors = _tensors(inputs)
    for name, value in tensors.items():
        if value.layout != torch.strided or value.is_nested:
            raise InputError(f"{name or 'inputs'} must be a dense tensor, got {value.layout}: convert it first")
    lengths = {len(value) if value.dim() else 0 for value in tensors.values()}
    if len(lengths) != 1 or 0 in lengths:
        shapes = ", ".join(f"{name} {tuple(value.shape)}".strip() for name, value in tensors.items()) or "none"
        raise InputError(f"inputs must be tensors with one row for every input, got shapes {shapes}")


def _prepared(inputs: Inputs, dtype: torch.dtype, device: torch.device) -> Inputs:
    check_inputs(inputs)
    moved = {n: in_precision(value.detach(), dtype, device).clone() for n, value in _tensors(inputs).items()}
    return moved[""] if isinstance(inputs, Tensor) else {**inputs, **moved}


def _tensors(inputs: Inputs) -> dict[str, Tensor]:
    if isinstance(inputs, Tensor):
        return {"": inputs}
    return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}


def _matrix(output: object, found: object, scale: float) -> Tensor:
    """Check what was picked out of the output for some of the inputs, of all of which there are so many times more."""
    if not isinstance(found, Tensor):
        kind, given = type(found).__name__, type(output).__name__
        raise InputError(f"the read-out must pick a tensor out of what the module returns ({given}), got {kind}")
    if not found.is_floating_point():
        raise InputError(f"the read-out must be real and floating-point to have a derivative, got {found.dtype}")
    if found.dim() != 2:
        shape = (round(size * scale) if axis == 0 else size for axis, size in enumerate(found.shape))
        raise InputError(f"the read-out must have shape (N, D), got {tuple(shape)}: add or pick an axis")
    return found


def _fitting(whole: Reading) -> Reading:
    """Return the reading with as many inputs, times directions, in a pass as fit; all if they cannot be parted."""
    index_N = whole.index_N
    count = min(FEW, len(index_N))
    few, half, rest = index_N[:count], index_N[: count // 2], index_N[count // 2 : count]
    try:
        (answers, numbers), (first, fewer), (last, _) = (_measured(whole, part) for part in (few, half, rest))
        parted = _same(torch.cat([first, last]), answers)
        per_input = (numbers - fewer) / len(rest)
    except ModuleFailedError:
        parted = False
        per_input = _measured(whole, index_N)[1] / len(index_N)
    return replace(whole, together=not parted, entries=int(max(1, min(ENTRIES, _NUMBERS / max(per_input, 1)))))


def _measured(whole: Reading, index_n: Tensor) -> tuple[Tensor, int]:
    """Read out some inputs, and count the numbers in all that is made on the way."""
    try:
        with torch.no_grad(), Sizes() as sizes:
            return whole.at({}, index_n).detach(), sum(sizes.seen)
    except InputError:
        raise
    except Exception as error:
        raise ModuleFailedError from error


def _independent(found: Reading, directions: int) -> bool:
    """Whether inputs have the same answers in passes of two sizes."""
    try:
        return _same(found.rows(directions=directions), found.rows())
    except ModuleFailedError:
        return False


def _is_flat(parameter: nn.Parameter) -> bool:
    """Tell whether a parameter is a view of one process's flat shard, which comes and goes (FSDP1)."""
    return hasattr(parameter, "_fsdp_flattened")


def _alike(one: Tensor, other: Tensor) -> bool:
    """Tell whether all numbers are equal; those that are none are equal to each other."""
    return torch.equal(one, other) or torch.equal(one.nan_to_num(), other.nan_to_num())


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool(((one - other).abs() <= _ALIKE * other.abs().max()).all()) or bool(torch.equal(one, other))


def _restless(found: Reading) -> str:
    """Name the first part of a module that answers the same inputs differently in two calls."""
    runs = []
    for _ in range(2):
        calls: list[tuple[str, list[Tensor], list[Tensor]]] = []
        hooks = [
            part.register_forward_hook(
                lambda _, args, kwargs, output, name=name, calls=calls: calls.append(
                    (name, _copies((args, kwargs)), _copies(output))
                ),
                with_kwargs=True,
            )
            for name, part in found.module.named_modules()
        ]
        try:
            found.rows()
        finally:
            for hook in hooks:
                hook.remove()
        runs.append(calls)
    for (name, inputs, output), (_, inputs_again, output_again) in zip(*runs, strict=False):
        if _equal(inputs, inputs_again) and not _equal(output, output_again):
            return repr(name) if name else "the module itself"
    return "the module"


def _copies(tree: object) -> list[Tensor]:
    return [leaf.clone() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
