"""What a tracker found, as tables: the columns of `spectraledge analyze`, and rotation."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.display import Displayed
from spectraledge.files import write_json, write_table
from spectraledge.spectrum import Spectrum, band_windows, window_eigenvalues, window_rotation


@dataclass(frozen=True)
class Overhead:
    """What tracking cost.

    Attributes:
        seconds: Spent in the tracker.
        training_seconds: Spent while it was attached, without those.
        share: The former over the latter; 0 before any training.
        snapshots: Updates taken.
        memory_bytes: Held between snapshots: for P counted parameters of b bytes each, W·P·s + P·b, with s = 4
            (float32) or 2 (bfloat16); with a sketch of d numbers W·d·s + 8·d, and 4·P if places are kept. While a
            snapshot is taken, an update more and a float64 copy of the largest parameter.
    """

    seconds: float
    training_seconds: float
    share: float
    snapshots: int
    memory_bytes: int


@dataclass(frozen=True)
class Products:
    """Everything that a tracker measured; all of its tables follow from it.

    Attributes:
        steps: Step at which each update ends.
        band_TV: ⟨δθ_t, δθ_(t−lag)⟩ by update and lag = 0..W, float64; 0 before the first update.
        noise_T: Largest squared length that rounding alone can give each update.
        floors_N2: Of each window, where a noise floor was asked for: leading eigenvalues above it, and the ratio of the
            first to its floor.
    """

    steps: list[int]
    band_TV: Tensor
    noise_T: Tensor
    floors_N2: Tensor


@dataclass(frozen=True)
class TrackerResults(Displayed):
    """Tidy tables of a tracked training, and what they cost.

    Attributes:
        spectrum: As spectrum.parquet: one row per window and eigenvalue.
        edge: As edge.parquet: one row per window.
        rotation: One row per window, from the second on, and principal angle: step, k (1-based), cosine (between the
            leading directions of the window and those of the window before it; see `window_rotation`).
        gram: As gram.parquet: one row per update and lag; products with updates before a break are missing.
        alerts: One row per alarm: step (at which it begins), quantity, change, threshold.
        selection: One row per parameter name: name, parameters, watched, reason, step.
        overhead: Seconds, share and memory.
        score: As score.parquet: one row per snapshot, basis and subspace of the function that is watched; empty
            without one.
    """

    kind = "tracked"

    spectrum: pd.DataFrame
    edge: pd.DataFrame
    rotation: pd.DataFrame
    gram: pd.DataFrame
    alerts: pd.DataFrame
    selection: pd.DataFrame
    overhead: Overhead
    score: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def joined(cls, parts: Sequence["TrackerResults"]) -> "TrackerResults":
        """Join results of one training whose series began anew: windows of each part, none, and no products, across."""
        if len(parts) == 1:
            return parts[0]
        tables = {name: [getattr(part, name) for part in parts] for name in ("spectrum", "edge", "rotation", "alerts")}
        grams = [parts[0].gram, *(_without_products_across(part.gram) for part in parts[1:])]
        return cls(
            **{name: pd.concat(several, ignore_index=True) for name, several in tables.items()},
            gram=pd.concat(grams, ignore_index=True),
            selection=parts[0].selection,
            overhead=parts[0].overhead,
        )

    def save(self, folder: Path) -> None:
        """Write each table as <name>.parquet and the overhead as overhead.json into a folder, which is made."""
        for name in ("spectrum", "edge", "rotation", "gram", "alerts", "selection"):
            write_table(folder / f"{name}.parquet", getattr(self, name))
        if len(self.score):
            write_table(folder / "score.parquet", self.score)
        write_json(folder / "overhead.json", asdict(self.overhead))


def spectrum_of(products: Products, window: int, *, center: bool) -> Spectrum:
    """Return the spectrum of every full window; none where there are fewer updates than that."""
    if len(products.steps) < window:
        return Spectrum(torch.empty(0, window, dtype=torch.float64, device="cpu"), window, center)
    gram_NWW = band_windows(products.band_TV, window)
    noise_N1 = products.noise_T.unfold(0, window, 1).sum(-1, keepdim=True)
    return Spectrum(window_eigenvalues(gram_NWW, center=center, storage_noise=noise_N1), window, center)


def rotation_of(products: Products, window: int, *, top: int, center: bool) -> Tensor:
    """Return the cosines of every full window but the first, shape (N − 1, top); see `window_rotation`."""
    if len(products.steps) <= window:
        return torch.empty(0, top, dtype=torch.float64, device="cpu")
    gram_NVV = band_windows(products.band_TV, window + 1)
    noise_N1 = products.noise_T.unfold(0, window + 1, 1).sum(-1, keepdim=True)
    return window_rotation(gram_NVV, top=top, center=center, storage_noise=noise_N1)


def rotation_table(steps: Sequence[int], cosines_NK: Tensor) -> pd.DataFrame:
    """Return the table of rotations of windows that end at these steps."""
    windows, top = cosines_NK.shape
    return pd.DataFrame(
        {
            "step": np.repeat(np.array(steps, dtype=np.int64), top),
            "k": np.tile(np.arange(1, top + 1), windows),
            "cosine": cosines_NK.flatten().numpy(),
        }
    )


def gram_table(products: Products) -> pd.DataFrame:
    """Return gram.parquet."""
    updates, lags = products.band_TV.shape
    return pd.DataFrame(
        {
            "step": np.repeat(np.array(products.steps, dtype=np.int64), lags),
            "lag": np.tile(np.arange(lags), updates),
            "product": products.band_TV.flatten().numpy(),
            "storage_noise": products.noise_T.repeat_interleave(lags).numpy(),
        }
    )


def _without_products_across(gram: pd.DataFrame) -> pd.DataFrame:
    """Return the Gram of a series that follows another one, without the zeros that stand for updates before it."""
    place = np.arange(len(gram)) // (gram["lag"].max() + 1)
    return gram.assign(product=gram["product"].mask(gram["lag"] > place))
