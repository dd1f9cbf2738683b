"""Snapshots that a program holds in memory, under the names of a module, and the updates between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.models.module_tensors import ModuleTensors, listed
from spectraledge.trajectory import Layout, select_parameters


@dataclass(frozen=True)
class ModuleWindow:
    """The last updates of a module's watched parameters.

    Attributes:
        layout: How the watched parameters lie in a vector.
        updates_WP: The updates, oldest first, float64.
        state: All tensors of the last snapshot, by the module's plain names.
        first: The same of the snapshot at which the window begins.
        unmoved: Parameters that patterns match and that do not change in the window, so that they are not watched.
        remarks: Sentences for people on what snapshots lack.
    """

    layout: Layout
    updates_WP: Tensor
    state: Mapping[str, Tensor]
    first: Mapping[str, Tensor]
    unmoved: tuple[str, ...]
    remarks: tuple[str, ...]

    @classmethod
    def of(
        cls, snapshots: Sequence[Mapping[str, Tensor]], tensors: ModuleTensors, *, patterns: Sequence[str], window: int
    ) -> "ModuleWindow":
        """Read a window of updates.

        Args:
            snapshots: Parameters by name, oldest first. Names may be with or without the parts that wrappers of the
                module put into them; tied tensors may have any of their names.
            tensors: The module's.
            patterns: Name patterns of the watched parameters.
            window: Updates in the window.

        Returns:
            The window.

        Raises:
            InputError: if there are too few snapshots, names match nothing, a snapshot has tensors that the module
                lacks, lacks tensors, has others shapes or shares memory with another one, snapshots lack trained
                parameters that the module has of another moment, or no weight moves.
        """
        if isinstance(snapshots, Mapping):
            raise InputError("snapshots must be a list, oldest first, got tensors or snapshots by name")
        snapshots = list(snapshots)
        if len(snapshots) < window + 1:
            raise InputError(f"a window of {window} updates needs {window + 1} snapshots, got {len(snapshots)}")
        first = len(snapshots) - window - 1
        read = [_read(snapshot, tensors, first + i) for i, snapshot in enumerate(snapshots[first:])]
        state = read[-1]
        known = {alias for alias, name in tensors.aliases.items() if name in state and name in tensors.parameters}
        plain = [tensors.plain(pattern) for pattern in patterns]
        matched = select_parameters([alias for alias in tensors.aliases if alias in known], plain).matched
        watched = tuple(dict.fromkeys(tensors.aliases[alias] for alias in matched))
        for i, snapshot in enumerate(read):
            if missing := [name for name in watched if name not in snapshot]:
                raise InputError(f"snapshot {first + i} lacks {listed(missing)}, which the last one has: record them")
            if missing := [name for name in snapshot if name not in state]:
                raise InputError(f"the last snapshot lacks {listed(missing)}, which snapshot {first + i} has")
        for name in watched:
            if not state[name].is_floating_point():
                raise InputError(
                    f"parameter {name!r} is {state[name].dtype}: only real floating-point parameters can be watched; "
                    "choose others with params="
                )
        remarks = _of_another_moment(tensors, state)
        moving = [name for name in watched if _moves([snapshot[name] for snapshot in read])]
        shared = [name for name in watched if _share_memory([snapshot[name] for snapshot in read])]
        # Frozen tensors may well be one and the same in all snapshots.
        if aliased := [n for n in shared if not moving or n in moving or tensors.tensors[n].requires_grad]:
            raise InputError(
                f"snapshots hold one and the same memory for {listed(aliased)}: state_dict() returns references, which "
                "training overwrites; keep value.detach().clone() of every tensor"
            )
        if not moving:
            raise InputError("the watched parameters do not move in the window: choose others, or an earlier window")
        layout = Layout({name: tuple(state[name].shape) for name in moving})
        device = state[moving[0]].device
        moved = [{name: one[name].detach().to(device, torch.float64) for name in moving} for one in read]
        theta_TP = torch.stack([layout.join(values) for values in moved])
        unmoved = tuple(name for name in watched if name not in moving)
        return cls(layout, theta_TP.diff(dim=0), state, read[0], unmoved, remarks)


def _read(snapshot: Mapping[str, Tensor], tensors: ModuleTensors, place: int) -> dict[str, Tensor]:
    """Return a snapshot's tensors by the module's plain names."""
    if not isinstance(snapshot, Mapping):
        raise InputError(f"snapshot {place} is a {type(snapshot).__name__}: give tensors by name, as of a state_dict()")
    found: dict[str, Tensor] = {}
    keys: dict[str, str] = {}
    extra = []
    for key, value in snapshot.items():
        name = tensors.aliases.get(tensors.plain(str(key)))
        if name is None:
            # What modules put there by `get_extra_state` is none of their tensors.
            extra += [] if str(key).endswith("_extra_state") else [str(key)]
            continue
        if not isinstance(value, Tensor):
            raise InputError(f"snapshot {place} holds a {type(value).__name__} as {key!r}: give tensors by name")
        if value.shape != tensors.tensors[name].shape:
            raise InputError(
                f"{key!r} has shape {tuple(value.shape)} in snapshot {place} and "
                f"{tuple(tensors.tensors[name].shape)} in the module: give the module that was trained"
            )
        if name in found and not torch.equal(found[name].to(value), value):
            raise InputError(
                f"the module ties {key!r} to {keys[name]!r}, and snapshot {place} holds different values for them: "
                "give the module that was trained"
            )
        found.setdefault(name, value)
        keys.setdefault(name, str(key))
    if extra:
        raise InputError(
            f"snapshot {place} holds {listed(extra)}, which the module does not have: give the module that was "
            "trained, or leave them out of the snapshots"
        )
    return found


def _of_another_moment(tensors: ModuleTensors, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Look at what the last snapshot lacks and training changes: it is of the moment at which the module stands.

    Returns:
        A sentence for people where running statistics are of another moment than the snapshot.

    Raises:
        InputError: if trained parameters are.
    """
    missing = [name for name in tensors.tensors if name not in state]
    trained = [n for n in missing if n in tensors.parameters and tensors.tensors[n].requires_grad]
    statistics = [name for name in missing if name.rpartition(".")[2] in ("running_mean", "running_var")]
    if not (trained or statistics) or any(tensor.is_meta for tensor in tensors.tensors.values()):
        return ()
    moved = next((n for n, v in state.items() if not torch.equal(tensors.tensors[n].detach().to(v), v)), "")
    if trained and moved:
        raise InputError(
            f"snapshots lack {listed(trained)}, and the module is of another moment: its {moved} is not that of the "
            "last snapshot. Keep all tensors in snapshots; or, where the others are as they were then, call "
            "module.load_state_dict(snapshots[-1], strict=False) first"
        )
    if not moved:
        return ()
    lacking = listed(statistics)
    return (f"snapshots lack {lacking}: the module's own were taken, though its {moved} is of another moment",)


def _moves(values: Sequence[Tensor]) -> bool:
    return any(not torch.equal(value.to(values[0]), values[0]) for value in values[1:])


def _share_memory(values: Sequence[Tensor]) -> bool:
    places = [value.data_ptr() for value in values if value.numel()]
    return len(set(places)) < len(places)
