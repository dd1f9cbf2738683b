"""The functional modes of a recorded run at one step: directions of four kinds, their responses, and their bases."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.models import Readout, Transformer, TransformerConfig, has_tangents, residual_tangents
from spectraledge.modes import (
    ReadOut,
    chance_share,
    difference_responses,
    energy_share,
    field,
    jvp_responses,
    module_readout,
    peak,
    wave,
)
from spectraledge.spectrum import window_directions
from spectraledge.statistics import random_directions, span_directions
from spectraledge.streams import torch_generator
from spectraledge.studies.spectra import check_window
from spectraledge.tasks import OPERATIONS, Grouping, Task, grouping, named_task
from spectraledge.tasks.groupings import default_groupings
from spectraledge.training import RunConfig
from spectraledge.training.loop import GROKKED
from spectraledge.trajectory import Series, read_snapshot

DIFFERENCE_SIZE = 0.005
"""Size of the finite difference over the norm of the watched parameters (Xu 2026, scripts)."""


@dataclass(frozen=True)
class ModesResult:
    """Functional modes of a run at one step.

    Attributes:
        step: The snapshot at which responses were taken; the window ends there.
        table: One row per kind of direction, direction, basis and method: step, kind (edge, bulk, span, random),
            direction (1-based), basis, frequency, concentration (of ‖R‖²), energy_share (of the vector response,
            corrected for chance), method (jvp: whole domain; difference: test pairs), pairs (used), excluded (pairs
            outside the basis), chance (share that noise would have, before the correction).
        waves: The pictures of v_1 and v_2: direction, a, b, value, phase_a, phase_b.
        characters: One row per direction: kind, direction, basis, frequency, character_a, character_b, character_share.
    """

    step: int
    table: pd.DataFrame
    waves: pd.DataFrame
    characters: pd.DataFrame


@dataclass(frozen=True)
class _Run:
    """A recorded run as its folder describes it."""

    config: RunConfig
    task: Task
    test: NDArray[np.bool_]


def measure_modes(
    folder: Path,
    *,
    step: int | None = None,
    window: int = 20,
    center: bool = True,
    edge: int = 3,
    nulls: int = 20,
    bases: Sequence[str] | None = None,
    seed: int = 42,
    patterns: Sequence[str] | None = None,
) -> ModesResult:
    """Measure what the directions of a run's window do to every input, beside what null directions do.

    Args:
        folder: A run folder that this package wrote.
        step: Snapshot at which to measure. Default: the last one with test accuracy above 0.95, else the last.
        window: Updates in the window, which ends at that snapshot. Default 20 (Xu 2026, §2.3).
        center: Remove the window's mean update. Default yes (Xu 2026, functional scripts).
        edge: How many directions count as edge; the rest are bulk. Default 3 (Xu 2026, §3).
        nulls: Directions of each null: random in the window's span, random in parameter space.
        bases: Names of groupings. Default: the paper's five and the task's own.
        seed: Root seed of the null directions.
        patterns: Watched parameters. Default: those the run was configured with.

    Returns:
        The tables.

    Raises:
        InputError: if the folder is no run, the step has no snapshot or too few before it, a basis is unknown, or the
            weights did not move.
    """
    run = _read_run(folder)
    groupings = [grouping(run.task, name) for name in (bases or default_groupings(run.task))]
    series = Series.open(folder, patterns or run.config.watched)
    at = _chosen_step(folder, step, [snapshot.step for snapshot in series.snapshots])
    trailing = series.until(at)
    check_window(window, len(trailing.snapshots))
    trailing = trailing.last(window + 1)
    updates = list(trailing.updates())
    noise = sum(update.storage_noise for update in updates)
    found = window_directions(torch.stack([update.update_P for update in updates]), center=center, storage_noise=noise)
    if not len(found.eigenvalues_K):
        raise InputError(
            f"the weights do not move in the {window} updates up to step {at}: there is no edge to measure"
        )
    vectors_KP = torch.cat(
        [
            found.vectors_KP,
            span_directions(found.vectors_KP, nulls, torch_generator(seed, "span")),
            random_directions(nulls, series.layout.size, torch_generator(seed, "random")),
        ]
    )
    window_kinds = [("edge" if k < edge else "bulk", k + 1) for k in range(len(found.eigenvalues_K))]
    labels = [*window_kinds, *((kind, k + 1) for kind in ("span", "random") for k in range(nulls))]
    return _measure(run, trailing, at, vectors_KP, labels, groupings)


def _measure(
    run: _Run,
    series: Series,
    step: int,
    vectors_KP: Tensor,
    labels: list[tuple[str, int]],
    groupings: list[Grouping],
) -> ModesResult:
    sizes = run.config.model
    parameters, readout = _network(sizes, series.snapshots[-1].path)
    directions = series.layout.split(vectors_KP)
    inputs = torch.from_numpy(run.task.pairs_N2)
    if has_tangents(sizes, directions):
        exact_KND = residual_tangents(sizes, parameters, directions, inputs).numpy()
    else:
        exact_KND = jvp_responses(readout, parameters, directions, inputs).numpy()
    watched = series.layout.join(parameters)
    test = torch.from_numpy(run.test)
    difference_KND = difference_responses(
        readout, parameters, directions, inputs[test], size=DIFFERENCE_SIZE * float(watched.norm())
    ).numpy()
    rows = [_rows(exact_KND, g, labels, "jvp") for g in groupings]
    rows += [_rows(difference_KND, _restricted(g, run.test), labels, "difference") for g in groupings]
    table = pd.concat(rows, ignore_index=True)
    table.insert(0, "step", step)
    return ModesResult(step, table, *_waves(run.task, exact_KND, labels))


def _network(config: TransformerConfig, snapshot: Path) -> tuple[dict[str, Tensor], ReadOut]:
    model = Transformer(config).double()
    model.load_state_dict({name: value.double() for name, value in read_snapshot(snapshot).items()})

    def residual(output: object) -> Tensor:
        assert isinstance(output, Readout)
        return output.residual_ND

    return {name: value.detach() for name, value in model.named_parameters()}, module_readout(model, residual)


def _restricted(basis: Grouping, kept: NDArray[np.bool_]) -> Grouping:
    return Grouping(
        basis.name, basis.formula, basis.order, basis.groups_N[kept], basis.coordinates_N2[kept], basis.signs
    )


def _rows(
    response_KND: NDArray[np.float64], basis: Grouping, labels: list[tuple[str, int]], method: str
) -> pd.DataFrame:
    peaks = peak(field(response_KND), basis)
    return pd.DataFrame(
        {
            "kind": [kind for kind, _ in labels],
            "direction": [direction for _, direction in labels],
            "basis": basis.name,
            "frequency": peaks.frequency_K,
            "concentration": peaks.concentration_K,
            "energy_share": energy_share(response_KND, basis),
            "method": method,
            "pairs": len(basis.groups_N) - basis.excluded,
            "excluded": basis.excluded,
            "chance": chance_share(basis),
        }
    )


def wave_basis(task: Task) -> str:
    """Name of the basis in which a task's waves are drawn: its own, or the sum where it has no group."""
    return "sum" if task.structure == "output" else task.structure


def _waves(
    task: Task, response_KND: NDArray[np.float64], labels: list[tuple[str, int]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    basis = grouping(task, wave_basis(task))
    pictures, characters = [], []
    for response_ND, (kind, direction) in zip(response_KND, labels, strict=True):
        seen = wave(response_ND, basis)
        characters.append(
            (kind, direction, basis.name, seen.frequency, *seen.character_frequencies, seen.character_share)
        )
        if kind == "edge" and direction <= 2:
            picture = pd.DataFrame(task.pairs_N2, columns=["a", "b"])
            picture.insert(0, "direction", direction)
            picture["value"] = seen.values_N
            picture[["phase_a", "phase_b"]] = seen.phases_N2
            pictures.append(picture)
    columns = ["kind", "direction", "basis", "frequency", "character_a", "character_b", "character_share"]
    return pd.concat(pictures, ignore_index=True), pd.DataFrame(characters, columns=columns)


def _read_run(folder: Path) -> _Run:
    config = RunConfig.of_run(folder)
    domain = read_table(folder / "domain.parquet")
    pairs = domain[["a", "b"]].to_numpy(np.int64, copy=True)
    labels = domain["label"].to_numpy(np.int64, copy=True)
    task = Task(config.task, config.task, config.model.tokens, pairs, labels)
    if config.task in OPERATIONS:
        known = named_task(config.task, modulus=config.model.tokens)
        task = known if known.digest == task.digest else task
    return _Run(config, task, np.array(domain["split"] == "test"))


def _chosen_step(folder: Path, step: int | None, available: list[int]) -> int:
    if step is not None:
        if step not in available:
            nearest = min(available, key=lambda known: abs(known - step))
            raise InputError(f"no snapshot at step {step} in {folder}: the nearest is at step {nearest}")
        return step
    metrics = read_table(folder / "metrics.parquet")
    good = metrics.loc[(metrics["test_accuracy"] > GROKKED) & metrics["step"].isin(available), "step"]
    return int(good.max()) if len(good) else max(available)
