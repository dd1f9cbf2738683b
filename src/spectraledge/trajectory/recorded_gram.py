"""`gram.parquet`: inner products of updates, kept while a run is recorded; its spectrum then needs no snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spectraledge.arrays import Float
from spectraledge.errors import InputError
from spectraledge.files import Fingerprint, read_table, write_columns
from spectraledge.spectrum import BandedGram
from spectraledge.trajectory.finding import find_snapshots
from spectraledge.trajectory.inventory import whole
from spectraledge.trajectory.selection import select_parameters
from spectraledge.trajectory.series import rounding
from spectraledge.trajectory.snapshots import read_snapshot

FILE_NAME = "gram.parquet"


@dataclass(frozen=True)
class RecordedGram:
    """The banded Gram matrix of a recorded run.

    Attributes:
        steps: Step at which each update ends.
        band_TW: ⟨δθ_t, δθ_(t−lag)⟩ by update and lag, float64; 0 before the first update.
        noise_T: Largest squared length that rounding of the stored parameters alone can give each update.
    """

    steps: list[int]
    band_TW: Tensor
    noise_T: Tensor

    @classmethod
    def read(cls, run_folder: Path) -> "RecordedGram | None":
        """Read a run folder's Gram, None where it has none.

        Args:
            run_folder: The run folder.

        Returns:
            The Gram.

        Raises:
            InputError: if the file is not what was written, or a tracker began its series anew in it.
        """
        path = whole(run_folder / FILE_NAME)
        if not path.is_file():
            return None
        table = read_table(path).sort_values(["step", "lag"])
        lags = int(table["lag"].max()) + 1
        band = table["product"].to_numpy(np.float64, copy=True).reshape(-1, lags)
        first = table[table["lag"] == 0]
        if np.isnan(band).any():
            anew = first["step"].iloc[int(np.isnan(band).any(1).argmax())]
            raise InputError(
                f"the series in {path} begins anew at step {anew}, so that it has no inner products across that: its "
                "windows are in edge.parquet and spectrum.parquet beside it"
            )
        noise = first["storage_noise"].to_numpy(np.float64, copy=True)
        return cls(first["step"].tolist(), torch.from_numpy(band), torch.from_numpy(noise))


class GramRecorder:
    """Forms the Gram of a run folder's snapshots, and writes it as `gram.parquet`.

    Args:
        run_folder: The run folder.
        patterns: Name patterns of the watched parameters.
        window: Lags that are kept. Default 20 (Xu 2026, §2.3).
    """

    def __init__(self, run_folder: Path, patterns: Sequence[str], *, window: int = 20) -> None:
        self._folder = run_folder
        self._patterns = patterns
        self._gram = BandedGram(window)
        self._watched: list[str] = []
        self._before: tuple[Tensor, float] | None = None
        self._steps: list[int] = []
        self._noise: list[float] = []
        self._bands: list[Float] = []

    def resume(self, step: int) -> None:
        """Go on behind the snapshot of a step, from the snapshots alone: the file may be older, newer or damaged.

        Args:
            step: The last recorded step.

        Raises:
            InputError: if a snapshot up to that step cannot be read.
        """
        for snapshot in find_snapshots(self._folder):
            if snapshot.step <= step:
                self.append(snapshot.step, read_snapshot(snapshot.path))

    def append(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Add the update that ends at a step.

        Args:
            step: The step.
            weights: All parameters by name, as the snapshot stores them.
        """
        # By name, as those of a file: sums round as they are ordered.
        self._watched = self._watched or sorted(select_parameters(weights, self._patterns).matched)
        parts = {name: weights[name].detach().cpu() for name in self._watched}
        vector, noise = _by_name(parts), rounding(list(parts.values()))
        if self._before is not None:
            self._gram.append(vector - self._before[0])
            self._steps.append(step)
            self._noise.append((noise + self._before[1]) / 2)
            self._bands.append(self._gram.latest.numpy())
        self._before = vector, noise

    def write(self) -> Fingerprint | None:
        """Write the file, whole, and return its fingerprint; None before the first update."""
        if not self._steps:
            return None
        count, lags = len(self._steps), len(self._bands[0])
        table = {
            "step": np.repeat(self._steps, lags),
            "lag": np.tile(np.arange(lags), count),
            "product": np.concatenate(self._bands),
            "storage_noise": np.repeat(self._noise, lags),
        }
        return write_columns(self._folder / FILE_NAME, table)


def _by_name(tensors: Mapping[str, Tensor]) -> Tensor:
    """Concatenate tensors in float64, by name: files and networks list them in orders of their own."""
    return torch.cat([tensors[name].double().reshape(-1) for name in sorted(tensors)])
