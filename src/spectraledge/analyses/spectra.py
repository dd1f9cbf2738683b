"""The spectrum of a folder of snapshots, as tables."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import Analysis, Column, Table
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.devices import CPU, check_room, usable_device
from spectraledge.display import Displayed
from spectraledge.errors import InputError
from spectraledge.memory import check_memory
from spectraledge.spectrum import (
    BandedGram,
    NoiseFloor,
    Spectrum,
    band_windows,
    block_windows,
    noise_floor,
    window_eigenvalues,
)
from spectraledge.spectrum.windows import check_window, exact_eigenvalues
from spectraledge.streams import torch_generator
from spectraledge.training import RunConfig
from spectraledge.trajectory import (
    Manifest,
    RecordedGram,
    Selection,
    Series,
    Spacing,
    edge_table,
    select_parameters,
    spectrum_table,
)


@dataclass(frozen=True)
class SpectrumTables(Displayed):
    """Spectrum of every full trailing window of a run.

    Attributes:
        spectrum: See `EIGENVALUES`.
        edge: See `EDGE`; the last two columns with surrogates.
        selection: Which tensors were watched.
        parameters: How many numbers they hold, P.
    """

    kind = "spectrum"

    spectrum: pd.DataFrame
    edge: pd.DataFrame
    selection: Selection
    parameters: int


def analyze_folder(
    folder: Path,
    *,
    patterns: Sequence[str] = ("*",),
    window: int = 20,
    center: bool = False,
    surrogates: int = 0,
    seed: int = 42,
    block: int | None = None,
    spacing: Spacing = "keep",
    key: str | None = None,
    step: str | None = None,
    device: str = "cpu",
) -> SpectrumTables:
    """Analyse any folder of snapshots; it is read once, as a stream, with one window in memory.

    Snapshots in double precision are read once more for a window whose Gram matrix loses small eigenvalues (see
    `exact_eigenvalues`).

    A run that recorded its own Gram for these tensors is not read at all, unless a noise floor is asked for; that is
    all that can be done with a run whose snapshots were thinned.

    Args:
        folder: See `find_snapshots`.
        patterns: Name patterns of the tensors to watch.
        window: Updates per window. Default 20 (Xu 2026, §2.3).
        center: Remove each window's mean update. Default no (Xu 2026, §2.3; the functional scripts do).
        surrogates: Surrogates of each window for its noise floor (see `noise_floor`); 0 leaves it out.
        seed: Root seed of the surrogates.
        block: Parameters to read at a time, for snapshots of which a window does not fit in memory; the files are
            then passed over once per block. Default all.
        spacing: What is done where intervals between snapshots differ; see `Series.open`.
        key: Where in the files the weights lie; see `Series.open`.
        step: A regular expression for the step in names; see `find_snapshots`.
        device: Where updates are multiplied, and windows held: "cpu", "cuda" or "cuda:N".

    Returns:
        The tables.

    Raises:
        InputError: if the folder has no usable snapshots or fewer than window + 1, a pattern matches nothing, a noise
            floor is asked for in blocks, snapshots that are needed were thinned, or the device cannot be used.
    """
    if surrogates and block:
        raise InputError("a noise floor needs whole windows in memory: leave out either the surrogates or the block")
    place = usable_device(device)
    series = Series.open(folder, patterns, spacing=spacing, key=key, step=step)
    thinned = Manifest.read(folder).thinned if Manifest.present(folder) else []
    steps = sorted([*(snapshot.step for snapshot in series.snapshots), *thinned])[1:]
    check_window(window, len(steps) + 1)
    floors: list[NoiseFloor] = []
    recorded = None if surrogates or block or series.interval else _recorded(folder, series, steps, window)
    if thinned and not recorded:
        raise InputError(
            f"{len(thinned)} snapshots of {folder} were thinned, so that it has a spectrum only of its own watched "
            "parameters in windows that its Gram spans, without surrogates, blocks or scaling: ask for that"
        )
    if recorded:
        gram_NWW, noise = band_windows(recorded.band_TW, window), recorded.noise_T.numpy()
    elif block:
        blocks = series.blocks(block)
        noise = np.zeros(len(steps))
        gram_NWW = block_windows((_counting(part, noise, place) for part in blocks), window)
    else:
        instead = "read it in blocks (analyze --block), or a machine with more"
        needed, what = 8 * series.layout.size * (window + 1), f"a window of {window} updates"
        check_memory(needed if place.type == "cpu" else 0, what, instead)
        check_room(place, needed, what)
        gram, noise = BandedGram(window), np.zeros(len(steps))
        recent: deque[Tensor] = deque(maxlen=window)
        for index, update in enumerate(series.updates()):
            noise[index] = update.storage_noise
            update_P = update.update_P.to(place)
            gram.append(update_P)
            recent.append(update_P)
            if surrogates and len(recent) == window:
                generator = torch_generator(seed, "surrogates", update.step)
                rounding = float(noise[index + 1 - window : index + 1].sum())
                floors.append(
                    noise_floor(
                        torch.stack(list(recent)), surrogates=surrogates, generator=generator, storage_noise=rounding
                    )
                )
        gram_NWW = gram.windows()
    noise_N1 = torch.from_numpy(noise).unfold(0, window, 1).sum(-1, keepdim=True)
    gram_NWW = gram_NWW.to(CPU)
    eigenvalues = window_eigenvalues(gram_NWW, center=center, storage_noise=noise_N1)
    ends = steps[window - 1 :]
    if not recorded:
        eigenvalues = exact_eigenvalues(
            eigenvalues,
            gram_NWW,
            lambda at: _window_blocks(series.until(ends[at]).last(window + 1), block),
            center=center,
            storage_noise=noise_N1,
        )
    spectrum = Spectrum(eigenvalues, window, center)
    above = [(floor.count, float(floor.ratio_W[0])) for floor in floors]
    floors_N2 = torch.tensor(above, dtype=torch.float64, device="cpu")
    return SpectrumTables(
        spectrum_table(ends, spectrum), edge_table(ends, spectrum, floors_N2), series.selection, series.layout.size
    )


def _recorded(folder: Path, series: Series, steps: list[int], window: int) -> RecordedGram | None:
    """Return the Gram that was kept while the run was recorded, if it is of these snapshots, tensors and window."""
    recorded = RecordedGram.read(folder)
    if recorded is None or recorded.band_TW.shape[1] < window or not Manifest.present(folder):
        return None
    watched = select_parameters(series.selection.matched + series.selection.others, RunConfig.of_run(folder).watched)
    return recorded if recorded.steps == steps and set(watched.matched) == set(series.selection.matched) else None


def _counting(series: Series, noise_T: Float, place: torch.device) -> Iterator[Tensor]:
    """Yield the updates of one block of parameters, adding up their storage noise."""
    for index, update in enumerate(series.updates()):
        noise_T[index] += update.storage_noise
        yield update.update_P.to(place)


def _window_blocks(series: Series, block: int | None) -> Iterator[Tensor]:
    """Yield all updates of a series, (W, size) of a block of parameters at a time."""
    for part in series.blocks(block or series.layout.size):
        yield torch.stack([update.update_P for update in part.updates()])


def _measure(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    found = analyze_folder(
        folder,
        patterns=settings.params or RunConfig.of_run(folder).watched,
        window=settings.window,
        center=settings.center_spectrum,
        surrogates=settings.surrogates,
        seed=settings.seed,
        device=settings.device,
    )
    return {EIGENVALUES.name: found.spectrum, EDGE.name: found.edge}


_END = Column("of the window's last snapshot", "step")

EIGENVALUES = Table(
    "spectrum",
    "window and eigenvalue",
    {
        "step": _END,
        "k": Column("1-based, the largest first"),
        "eigenvalue": Column("of the W×W Gram of updates; exactly 0 where it cannot be told from rounding", "weight²"),
        "singular_value": Column("its square root", "weight"),
        "share": Column("of the trace", "share"),
    },
)
EDGE = Table(
    "edge",
    "window",
    {
        "step": _END,
        "k_star": Column(
            "edge position, 1-based; missing where the spectrum is zero; the last that is not 0 where one of the first "
            "11 is"
        ),
        "g12": Column("gap between the first two eigenvalues", "weight²"),
        "g23": Column("gap between the second and the third", "weight²"),
        "trace": Column("sum of the eigenvalues", "weight²"),
        "effective_dimension": Column("(Σλ)²/Σλ²", "dimensions"),
        "above_floor": Column(
            "with surrogates: leading eigenvalues of the centred window above its noise floor", optional=True
        ),
        "floor_ratio": Column("with surrogates: the first of them over its floor", "ratio", optional=True),
    },
)

SPECTRUM = Analysis(
    "spectrum",
    _measure,
    (EIGENVALUES, EDGE),
    settings=("window", "center_spectrum", "surrogates", "seed", "params"),
    thinned=True,
)
