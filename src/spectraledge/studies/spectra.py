"""The spectrum of a folder of snapshots, as tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from spectraledge.errors import InputError
from spectraledge.spectrum import BandedGram, Spectrum, window_eigenvalues
from spectraledge.trajectory import Selection, Series


@dataclass(frozen=True)
class SpectrumTables:
    """Spectrum of every full trailing window of a run.

    Attributes:
        spectrum: One row per window and eigenvalue: step (of the window's last snapshot), k (1-based), eigenvalue,
            singular_value, share (of the trace).
        edge: One row per window: step, k_star (1-based; missing where the spectrum is zero), g12, g23, trace.
        selection: Which tensors were watched.
        parameters: How many numbers they hold, P.
    """

    spectrum: pd.DataFrame
    edge: pd.DataFrame
    selection: Selection
    parameters: int


def check_window(window: int, snapshots: int) -> None:
    """Check that a window fits a run.

    Args:
        window: Updates per window.
        snapshots: Snapshots there are; the updates are one fewer.

    Raises:
        InputError: if it does not.
    """
    if not 2 <= window < snapshots:
        raise InputError(
            f"window must be in [2, {snapshots - 1}] for {snapshots} snapshots, got {window}: "
            "record more snapshots or pass a smaller window"
        )


def analyze_folder(
    folder: Path, *, patterns: Sequence[str] = ("*",), window: int = 20, center: bool = False
) -> SpectrumTables:
    """Analyse any folder of snapshots; it is read once, as a stream, with one window in memory.

    Args:
        folder: See `find_snapshots`.
        patterns: Name patterns of the tensors to watch.
        window: Updates per window. Default 20 (Xu 2026, §2.3).
        center: Remove each window's mean update. Default no (Xu 2026, §2.3; the functional scripts do).

    Returns:
        The tables.

    Raises:
        InputError: if the folder has no usable snapshots or fewer than window + 1, or a pattern matches nothing.
    """
    series = Series.open(folder, patterns)
    check_window(window, len(series.snapshots))
    gram = BandedGram(window)
    steps, noise = [], []
    for update in series.updates():
        steps.append(update.step)
        noise.append(update.storage_noise)
        gram.append(update.update_P)
    noise_N1 = torch.tensor(noise, dtype=torch.float64).unfold(0, window, 1).sum(-1, keepdim=True)
    eigenvalues = window_eigenvalues(gram.windows(), center=center, storage_noise=noise_N1)
    spectrum = Spectrum(eigenvalues, window, center)
    return SpectrumTables(*_tables(steps[window - 1 :], spectrum), series.selection, series.layout.size)


def _tables(steps: list[int], spectrum: Spectrum) -> tuple[pd.DataFrame, pd.DataFrame]:
    windows, width = spectrum.eigenvalues_TW.shape
    long = pd.DataFrame(
        {
            "step": np.repeat(steps, width),
            "k": np.tile(np.arange(1, width + 1), windows),
            "eigenvalue": spectrum.eigenvalues_TW.flatten().numpy(),
            "singular_value": spectrum.singular_values_TW.flatten().numpy(),
            "share": spectrum.shares_TW.flatten().numpy(),
        }
    )
    gaps = spectrum.gaps_TW.numpy()
    k_star = pd.Series(spectrum.k_star_T.numpy(), dtype="Int64")
    edge = pd.DataFrame(
        {
            "step": steps,
            "k_star": k_star.mask(k_star == 0),
            "g12": gaps[:, 0],
            "g23": gaps[:, 1] if width > 2 else np.nan,
            "trace": spectrum.trace_T.numpy(),
        }
    )
    return long, edge
