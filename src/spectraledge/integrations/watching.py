"""Which parameters of a model are watched while an optimiser moves them, and why the others are not."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from torch import Tensor, nn
from torch.optim import Optimizer

from spectraledge.errors import InputError
from spectraledge.trajectory import select_parameters

_WRAPPERS = {"_orig_mod", "_checkpoint_wrapped_module"}
"""Parts that torch.compile and activation checkpointing put into names."""


@dataclass(frozen=True)
class Watched:
    """The outcome of choosing parameters.

    Attributes:
        parameters: The watched ones by name.
        rows: For every name of the model: name, parameters (how many numbers), watched, reason (why it is not), step
            (when that was found).
    """

    parameters: dict[str, Tensor]
    rows: list[dict[str, str | int | bool]]


def plain_names(model: nn.Module) -> list[tuple[str, Tensor]]:
    """List the parameters of a model under the names they have without wrappers, tied ones under each of theirs.

    Args:
        model: May be wrapped by torch.compile, DistributedDataParallel or DataParallel, in any order.

    Returns:
        Names and parameters in the order of the model.
    """
    inner = model
    while True:
        if isinstance(inner, nn.parallel.DistributedDataParallel | nn.DataParallel):
            inner = inner.module
        elif isinstance(compiled := getattr(inner, "_orig_mod", None), nn.Module):
            inner = compiled
        else:
            break
    return [
        (".".join(part for part in name.split(".") if part not in _WRAPPERS), parameter)
        for name, parameter in inner.named_parameters(remove_duplicate=False)
    ]


def in_optimizer(optimizer: Optimizer) -> dict[int, Tensor]:
    """Return the parameters of an optimiser by identity."""
    return {id(parameter): parameter for group in optimizer.param_groups for parameter in group["params"]}


def watch(model: nn.Module, optimizer: Optimizer, patterns: Sequence[str], step: int) -> Watched:
    """Choose the parameters that patterns match and the optimiser moves; tied ones once, under their first such name.

    Args:
        model: The model.
        optimizer: The optimiser.
        patterns: See `select_parameters`; matched against names without wrappers.
        step: Recorded beside each reason.

    Returns:
        The watched parameters and a row for every name.

    Raises:
        InputError: if a pattern matches nothing, or nothing that it matches is moved by the optimiser.
    """
    names = plain_names(model)
    matched = set(select_parameters([name for name, _ in names], patterns).matched)
    moved = in_optimizer(optimizer)
    watched: dict[str, Tensor] = {}
    first_name: dict[int, str] = {}
    rows: list[dict[str, str | int | bool]] = []
    for name, parameter in names:
        if name not in matched:
            reason = "no pattern matches"
        elif id(parameter) in first_name:
            reason = f"tied to {first_name[id(parameter)]}"
        elif not parameter.requires_grad:
            reason = "frozen"
        elif id(parameter) not in moved:
            reason = "not in this optimizer"
        else:
            reason = ""
            watched[name] = parameter
            first_name[id(parameter)] = name
        rows.append(row(name, parameter, reason, step))
    if not watched:
        found = ", ".join(f"{entry['name']} ({entry['reason']})" for entry in rows if entry["name"] in matched)
        raise InputError(f"nothing that the patterns match is trained by this optimizer: {found}")
    return Watched(watched, rows)


def row(name: str, parameter: Tensor, reason: str, step: int) -> dict[str, str | int | bool]:
    """Return one row of the table of choices."""
    return {"name": name, "parameters": parameter.numel(), "watched": not reason, "reason": reason, "step": step}


def describe(selection: pd.DataFrame) -> str:
    """Say in lines of text what is watched and what is not."""
    watched, skipped = selection[selection["watched"]], selection[~selection["watched"]]
    lines = [
        f"watching {len(watched)} tensors, {watched['parameters'].sum():,} parameters: {', '.join(watched['name'])}"
    ]
    lines += [f"skipped, {reason}: {', '.join(part['name'])}" for reason, part in skipped.groupby("reason", sort=False)]
    return "\n".join(lines)
