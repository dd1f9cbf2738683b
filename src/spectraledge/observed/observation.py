"""One pass over all directions at a step: responses are taken once, and what every table needs is read off them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.arrays import Bools, Float
from spectraledge.devices import check_room, host
from spectraledge.memory import check_memory
from spectraledge.models import ReadoutName
from spectraledge.modes import (
    Basis,
    Wave,
    chance_share,
    energies_in,
    field,
    grouping_basis,
    joint_basis,
    pair_basis,
    wave,
)
from spectraledge.observed.labelled_directions import LabelledDirections, collect_directions
from spectraledge.observed.network import Network, check_readout
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.observed.view import View
from spectraledge.tasks import Grouping, default_groupings, grouping, why_not

KEPT_KINDS = ("edge", "random")
"""Kinds whose responses are kept for the tables that need more of them than energies."""

JOINED = ("sum", "dlog_sum")
"""Groupings of which the second is also read beyond the first (Xu 2026, §6.3, contrasts them)."""

_CHUNK = 20
"""Directions whose responses are held at a time: a window's (Xu 2026, §2.3), and as many others beside them."""

_OUTSIDE = 1e-9
"""Length of a unit direction outside the window's span up to which its response is mixed from the window's."""


@dataclass(frozen=True)
class Observation:
    """Directions at a step, and what is kept of their responses over the whole domain.

    Attributes:
        run: The run.
        window: The window of updates that ends at the step.
        network: The network at the step.
        directions: All directions, K of them.
        readout: What responds.
        groupings: Groupings asked for, by name.
        bases: Bases by name, see `make_bases`; the task's own first.
        energies: Energy of each response in the subspaces of each basis, shape (K, S).
        field_KN: ‖R‖².
        waves: The response as a picture, in the run's `wave_basis`.
        kept: Responses of `KEPT_KINDS`, by row of the directions.
    """

    run: RecordedRun
    window: Window
    network: Network
    directions: LabelledDirections
    readout: ReadoutName
    groupings: Mapping[str, Grouping]
    bases: Mapping[str, Basis]
    energies: Mapping[str, Float]
    field_KN: Float
    waves: tuple[Wave, ...]
    kept: Mapping[int, NDArray[np.floating]]

    @property
    def step(self) -> int:
        """The step."""
        return self.window.step

    @property
    def own(self) -> str:
        """Name of the task's own grouping."""
        return self.run.task.structure

    @property
    def own_grouping(self) -> Grouping:
        """The task's own grouping."""
        return grouping(self.run.task, self.own)

    def responses(self, kind: str, count: int | None = None) -> NDArray[np.floating]:
        """Kept responses of the first directions of a kind, shape (K, N, D)."""
        return np.stack([self.kept[row] for row in self.directions.places(kind)[:count]])


def make_bases(run: RecordedRun, groupings: Mapping[str, Grouping], kept_N: Bools | None = None) -> dict[str, Basis]:
    """Make the bases in which energies are taken, over all pairs or some of them.

    Subspaces of a part of the domain are what each adds there to those before it.

    Returns:
        A basis for each grouping, the task's own and that of waves included, one of the pairs in the task's own
        coordinates (residues where it has none), and one of `JOINED`, where those apply to the task.
    """

    def covered(group: Grouping) -> Grouping:
        return group if kept_N is None else group.covering(kept_N)

    always = {name: grouping(run.task, name) for name in (run.task.structure, run.wave_basis)}
    bases = {name: grouping_basis(covered(group)) for name, group in (always | dict(groupings)).items()}
    pairs = pair_basis(covered(grouping(run.task, run.pair_basis)))
    bases[pairs.name] = pairs
    if not any(why_not(run.task, name) for name in JOINED):
        joint = joint_basis([covered(grouping(run.task, name)) for name in JOINED])
        bases[joint.name] = joint
    return bases


def each_response(
    network: Network, directions: LabelledDirections, readout: ReadoutName
) -> Iterator[tuple[range, Tensor]]:
    """Take responses a few directions at a time.

    Responses are linear in the direction: those of directions in a window's span are mixed from the window's.

    Yields:
        Rows of the directions, and their responses, shape (rows, N, D), on the network's device.
    """
    vectors_KP, window = directions.vectors_KP, directions.places("edge", "bulk")
    count = len(window) if "span" in directions.kinds and len(window) <= _CHUNK else 0
    assert window[:count] == list(range(count)), "the window's directions come first"
    window_KND = network.responses(vectors_KP[:count], readout) if count else None
    if window_KND is not None:
        yield range(count), window_KND
    span = directions.places("span")
    weights_BW = vectors_KP[span] @ vectors_KP[:count].T
    outside_B = (vectors_KP[span] - weights_BW @ vectors_KP[:count]).norm(dim=1).tolist()
    weights = {row: one for row, one, outside in zip(span, weights_BW, outside_B, strict=True) if outside <= _OUTSIDE}
    for is_mixed, alike in groupby(range(count, len(vectors_KP)), key=weights.__contains__):
        stretch = list(alike)
        for start in stretch[::_CHUNK]:
            rows = range(start, min(start + _CHUNK, stretch[-1] + 1))
            if is_mixed and window_KND is not None:
                yield rows, _mixed(torch.stack([weights[row] for row in rows]).to(network.dtype), window_KND)
            else:
                yield rows, network.responses(vectors_KP[start : rows.stop], readout)


def _mixed(mixing_BW: Tensor, window_KND: Tensor) -> Tensor:
    """Mix responses; on the CPU by NumPy, which rounds in its own way."""
    if window_KND.device.type != "cpu":
        mixed_KND: Tensor = torch.tensordot(mixing_BW.to(window_KND.device), window_KND, 1)
        return mixed_KND
    return torch.from_numpy(np.tensordot(mixing_BW.numpy(), window_KND.numpy(), 1))


def _check_memory(run: RecordedRun, view: View, readout: ReadoutName) -> None:
    """Refuse directions and responses that cannot be in memory together: those that are kept, and one chunk."""
    model, directions = run.config.model, view.window + view.nulls
    sizes = [getattr(model, name) for name in ("width", "hidden") if hasattr(model, name)]
    width = model.tokens if readout == "logits" else min(sizes, default=1)
    numbers = len(run.task) * width * (view.edge + view.nulls + min(2 * _CHUNK, directions))
    needed = view.dtype.itemsize * (numbers + run.series.layout.size * directions)
    instead = "take fewer null directions, or a machine with more"
    what = f"measuring {directions} directions on {len(run.task):,} pairs"
    check_memory(needed, what, instead)
    check_room(run.device, view.dtype.itemsize * len(run.task) * width * min(2 * _CHUNK, directions), what)


def observe_run(folder: Path, view: View) -> Observation:
    """Return what every table of a step is made from: responses of a recorded run along directions of every kind.

    Raises:
        InputError: if the folder is no run, the step has no snapshot or too few before it, a basis or read-out is
            unknown, or the weights did not move.

    Cost: a response per direction, and a hundredth of a second for its energies in all bases; the responses of the
    edge and of random directions stay in memory.
    """
    readout = check_readout(view.readout)
    run = RecordedRun.open(folder, view.params, device=view.device)
    groupings = {name: grouping(run.task, name) for name in view.bases or default_groupings(run.task)}
    for group in groupings.values():
        chance_share(group)  # Refuses what cannot be tested, before anything is computed.
    _check_memory(run, view, readout)
    step = run.chosen_step(view.step)
    window = run.window(step, window=view.window, center=view.center)
    network = Network.at(run, step, dtype=view.dtype)
    directions = collect_directions(run, window, network, view)
    bases = make_bases(run, groupings)
    wave_grouping = grouping(run.task, run.wave_basis)
    energies: dict[str, list[Float]] = {name: [] for name in bases}
    fields: list[Float] = []
    waves: list[Wave] = []
    kept: dict[int, NDArray[np.floating]] = {}
    kept_rows = set(directions.places(*KEPT_KINDS))
    for rows, response_KND in each_response(network, directions, readout):
        for name, found in zip(bases, energies_in(list(bases.values()), response_KND), strict=True):
            energies[name].append(found)
        fields.append(field(response_KND))
        here_KND = host(response_KND)
        waves += [wave(response_ND, wave_grouping) for response_ND in here_KND]
        kept |= {row: response_ND for row, response_ND in zip(rows, here_KND, strict=True) if row in kept_rows}
    return Observation(
        run,
        window,
        network,
        directions,
        readout,
        groupings,
        bases,
        {name: np.vstack(parts) for name, parts in energies.items()},
        np.vstack(fields),
        tuple(waves),
        kept,
    )
