"""Which parameters of a model are watched while optimisers move them, why the others are not, and what changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from spectraledge.errors import InputError
from spectraledge.integrations.shards import whole_sizes
from spectraledge.models.module_tensors import plain_name, unwrapped
from spectraledge.trajectory import select_parameters
from spectraledge.trajectory.formats.shared import shared_numbers
from spectraledge.trajectory.selection import matches

Row = dict[str, str | int | bool]
"""One row of the table of choices."""

TRAINED_LATER = ("unfrozen later", "came to the optimizer later")
"""Reasons of parameters that are not watched although they are trained now."""


@dataclass(frozen=True)
class Watched:
    """The watched parameters by name, and a `row` for every name of the model."""

    parameters: dict[str, Tensor]
    rows: list[Row]


def plain_names(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters of a model under the names they have without wrappers, in order, tied ones under each of theirs."""
    named = unwrapped(model).named_parameters(remove_duplicate=False)
    return [(plain_name(name), parameter) for name, parameter in named]


def watch(model: nn.Module, moved: Mapping[int, Tensor] | None, patterns: Sequence[str], step: int) -> Watched:
    """Choose the parameters that patterns match and optimisers move; tied ones once, under their first such name.

    Args:
        model: The model.
        moved: Parameters of the optimisers by identity; None where there is no optimiser and all are moved.
        patterns: See `select_parameters`; matched against names without wrappers.
        step: Recorded beside each reason.

    Returns:
        The watched parameters and a row for every name.

    Raises:
        InputError: if a pattern matches nothing, or nothing that it matches is moved, or what would be watched lies on
            several devices, has no plain numbers to subtract, or two have some of their numbers in common.
    """
    names, sizes = plain_names(model), whole_sizes(model)
    matched = set(select_parameters([name for name, _ in names], patterns).matched)
    reasons = {
        name: "no pattern matches" if name not in matched else _not_moved(parameter, moved) for name, parameter in names
    }
    ties = _ties({name: parameter for name, parameter in names if not reasons[name]})
    reasons |= {name: f"tied to {other}" for name, other in ties.items()}
    watched = {name: parameter for name, parameter in names if not reasons[name]}
    rows: list[Row] = []
    for name, parameter in names:
        whole: dict[str, str | int | bool] = {"parameters": sizes[id(parameter)]} if id(parameter) in sizes else {}
        rows.append(row(name, parameter, reasons[name], step) | whole)
    if not watched:
        by = "" if moved is None else " by this optimizer"
        found = ", ".join(f"{entry['name']} ({entry['reason']})" for entry in rows if entry["name"] in matched)
        raise InputError(f"nothing that the patterns match is trained{by}: {found}")
    devices = {parameter.device for parameter in watched.values()}
    if len(devices) > 1:
        raise InputError(f"watched parameters lie on {len(devices)} devices: choose those of one by their names")
    unread = [f"{name} {reason}" for name, parameter in watched.items() if (reason := _unreadable(parameter))]
    if unread:
        raise InputError(f"a tracker cannot subtract {'; '.join(unread)}: choose other parameters by their names")
    return Watched(watched, rows)


def _not_moved(parameter: Tensor, moved: Mapping[int, Tensor] | None) -> str:
    """Say why no optimiser moves a parameter; nothing where one does."""
    if not parameter.requires_grad:
        return "frozen"
    return "not in this optimizer" if moved is not None and id(parameter) not in moved else ""


def _ties(parameters: Mapping[str, Tensor]) -> dict[str, str]:
    """Return by name the other one of these names whose parameter holds all of its numbers, in whatever order."""
    first: dict[int, str] = {}
    ties = {name: first.setdefault(id(parameter), name) for name, parameter in parameters.items()}
    ties = {name: other for name, other in ties.items() if name != other}
    in_memory = {name: part for name, part in parameters.items() if name not in ties and _in_memory(part)}
    shared = shared_numbers(in_memory, "the model", "choose one of them by its name")
    return {**{name: shared.get(other, other) for name, other in ties.items()}, **shared}


def _in_memory(parameter: Tensor) -> bool:
    """Tell whether the numbers of a parameter lie in a memory that others may share."""
    if type(parameter) is not nn.Parameter or is_lazy(parameter) or parameter.layout != torch.strided:
        return False
    return not (parameter.is_meta or not parameter.numel() or is_traceable_wrapper_subclass(parameter))


def _unreadable(parameter: Tensor) -> str:
    """Say why the numbers of a parameter cannot be read and subtracted; nothing where they can."""
    if is_lazy(parameter):
        return "(it has no numbers before the first forward pass)"
    if hasattr(parameter, "ds_id"):
        return "(DeepSpeed spreads it over processes)"
    if getattr(parameter, "tensor_model_parallel", False) and dist.is_initialized() and dist.get_world_size() > 1:
        return "(it is one process's part of a tensor-parallel weight of Megatron)"
    if not isinstance(parameter, DTensor) and is_traceable_wrapper_subclass(parameter):
        return f"(it is a {type(parameter).__name__})"
    if parameter.is_meta:
        return "(it is on the meta device)"
    if parameter.layout != torch.strided:
        return f"(it is sparse: {parameter.layout})"
    numbers = parameter.is_complex() or parameter.is_floating_point()
    if parameter.is_quantized or not numbers or parameter.dtype.itemsize < 2:
        return f"(its numbers are {parameter.dtype})"
    return ""


def row(name: str, parameter: Tensor, reason: str, step: int) -> Row:
    """Return one row of the table of choices; a complex number counts as two."""
    numbers = 0 if is_lazy(parameter) else parameter.numel() * (2 if parameter.is_complex() else 1)
    return {"name": name, "parameters": numbers, "watched": not reason, "reason": reason, "step": step}


def describe(selection: pd.DataFrame) -> str:
    """Say in lines of text what is watched and what is not."""
    watched, skipped = selection[selection["watched"]].drop_duplicates("name"), selection[~selection["watched"]]
    lines = [
        f"watching {len(watched)} tensors, {watched['parameters'].sum():,} parameters: {', '.join(watched['name'])}"
    ]
    lines += [f"skipped, {reason}: {', '.join(part['name'])}" for reason, part in skipped.groupby("reason", sort=False)]
    return "\n".join(lines)


class Changes:
    """Finds which of the parameters that patterns match come and go: to be watched, and to the optimisers."""

    def __init__(
        self, model: nn.Module, patterns: Sequence[str], watched: Mapping[str, Tensor], moved: Mapping[int, Tensor]
    ) -> None:
        self._model, self._patterns, self._watched, self._moved = model, patterns, watched, set(moved)
        self._matched = self._there()
        self._frozen = {name for name, parameter in self._matched.items() if not parameter.requires_grad}
        self._trained = self._now()

    def since(self, moved: Mapping[int, Tensor], step: int) -> list[Row]:
        """Rows of parameters trained now that were not, or the other way; a watched one that is back has no reason."""
        if set(moved) - self._moved:
            self._matched |= self._there()
        self._moved = set(moved)
        before, self._trained = self._trained, self._now()
        rows = []
        for name, parameter in self._matched.items():
            if name in self._trained and name not in before:
                later = TRAINED_LATER[0 if name in self._frozen else 1]
                rows.append(row(name, parameter, "" if name in self._watched else later, step))
        for name, parameter in self._watched.items():
            if name in before and name not in self._trained:
                gone = "left the optimizer" if parameter.requires_grad else "frozen later"
                rows.append(row(name, parameter, gone, step))
        self._frozen = {name for name, parameter in self._matched.items() if not parameter.requires_grad}
        return rows

    def _there(self) -> dict[str, Tensor]:
        """Return what patterns match of the model, tied ones under the first of their names."""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, parameter in plain_names(self._model):
            if matches(name, self._patterns):
                found.setdefault(id(parameter), (name, parameter))
        return dict(found.values())

    def _now(self) -> set[str]:
        """Return the names of those that an optimiser moves now."""
        pairs = self._matched.items()
        return {name for name, parameter in pairs if parameter.requires_grad and id(parameter) in self._moved}
