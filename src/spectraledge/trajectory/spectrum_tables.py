"""`spectrum.parquet` and `edge.parquet`: the spectra of a run's windows as tables, whoever computed them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from spectraledge.spectrum import Spectrum, effective_dimension


def spectrum_table(steps: Sequence[int], spectrum: Spectrum) -> pd.DataFrame:
    """Return one row per window and eigenvalue.

    Args:
        steps: Step of each window's last snapshot.
        spectrum: Of the same windows.

    Returns:
        step, k (1-based), eigenvalue (squared units of the parameters), singular_value, share (of the trace).
    """
    windows, width = spectrum.eigenvalues_TW.shape
    return pd.DataFrame(
        {
            "step": np.repeat(np.array(steps, dtype=np.int64), width),
            "k": np.tile(np.arange(1, width + 1), windows),
            "eigenvalue": spectrum.eigenvalues_TW.flatten().numpy(),
            "singular_value": spectrum.singular_values_TW.flatten().numpy(),
            "share": spectrum.shares_TW.flatten().numpy(),
        }
    )


def edge_table(steps: Sequence[int], spectrum: Spectrum, floors_N2: Tensor) -> pd.DataFrame:
    """Return one row per window.

    Args:
        steps: Step of each window's last snapshot.
        spectrum: Of the same windows.
        floors_N2: Of each window, leading eigenvalues above its noise floor and the first over its floor; empty where
            no floor was asked for.

    Returns:
        step, k_star (1-based; missing where the spectrum is zero), g12, g23, trace (squared units of the parameters),
        effective_dimension; with floors also above_floor and floor_ratio.
    """
    gaps = spectrum.gaps_TW.numpy()
    k_star = pd.Series(spectrum.k_star_T.numpy(), dtype="Int64")
    table = pd.DataFrame(
        {
            "step": np.array(steps, dtype=np.int64),
            "k_star": k_star.mask(k_star == 0),
            "g12": gaps[:, 0],
            "g23": gaps[:, 1] if spectrum.window > 2 else np.nan,
            "trace": spectrum.trace_T.numpy(),
            "effective_dimension": effective_dimension(spectrum.eigenvalues_TW).numpy(),
        }
    )
    if len(floors_N2):
        table["above_floor"] = floors_N2[:, 0].long().numpy()
        table["floor_ratio"] = floors_N2[:, 1].numpy()
    return table
