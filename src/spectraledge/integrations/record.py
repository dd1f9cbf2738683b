"""What a tracker has measured so far, and what follows from it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from spectraledge.integrations.alarms import Alarms
from spectraledge.integrations.tables import (
    Overhead,
    Products,
    TrackerResults,
    gram_table,
    rotation_of,
    rotation_table,
    spectrum_of,
)
from spectraledge.integrations.tracker_settings import TrackerSettings
from spectraledge.trajectory import edge_table, spectrum_table


@dataclass(frozen=True)
class Reading:
    """The window that ends at the last snapshot.

    Attributes:
        step: Of that snapshot.
        eigenvalues_W: float64, descending, squared units of the parameters.
        k_star: Edge position, 1-based; 0 where the spectrum is zero.
        trace: Sum of the eigenvalues.
        above_floor: Leading eigenvalues of the centred window above its noise floor; None where none was asked for.
        rotation_K: Cosines between its leading directions and those of the window before (see `window_rotation`); NaN
            for the first window.
        alarms: Whether each alert stands, by quantity and change ("spike_high").
    """

    step: int
    eigenvalues_W: Tensor
    k_star: int
    trace: float
    above_floor: int | None
    rotation_K: Tensor
    alarms: Mapping[str, bool] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        """Return what a logger wants, by name: the leading eigenvalues and how far their directions turned, and so on.

        Names begin with `spectral_edge/`; what does not exist is left out.
        """
        values: dict[str, float] = {"k_star": self.k_star, "trace": self.trace}
        if self.above_floor is not None:
            values["above_floor"] = self.above_floor
        for index, cosine in enumerate(self.rotation_K.tolist()):
            values[f"eigenvalue_{index + 1}"] = float(self.eigenvalues_W[index])
            if not math.isnan(cosine):
                values[f"rotation_{index + 1}"] = cosine
        values |= {f"alarm_{name}": float(stands) for name, stands in self.alarms.items()}
        return {f"spectral_edge/{name}": value for name, value in values.items()}


class Record:
    """Inner products of updates as they come in, and readings and tables of their windows."""

    def __init__(self, settings: TrackerSettings) -> None:
        self._window, self._center, self._top = settings.window, settings.center, min(settings.top, settings.window)
        self._steps: list[int] = []
        self._band: list[Tensor] = []
        self._noise: list[float] = []
        self._floors: list[Tensor] = []
        self._alarms = Alarms(settings.alerts, settings.window)

    def __len__(self) -> int:
        """Return the number of updates."""
        return len(self._steps)

    @property
    def window_noise(self) -> float:
        """Largest squared length that rounding alone can give the last window."""
        return sum(self._noise[-self._window :])

    @property
    def explained_by_rounding(self) -> bool:
        """Whether the last window, which must be full, moved, and all its eigenvalues are set to 0 as rounding."""
        trace = sum(float(band_V[0]) for band_V in self._band[-self._window :])
        # No eigenvalue is larger than the trace, and the first not smaller than the mean.
        if not 0 < trace <= self._window * self.window_noise:
            return False
        return not bool(self.reading().eigenvalues_W.any())

    def append(self, step: int, band_V: Tensor, noise: float) -> None:
        """Add an update: its inner products with itself and the W before it, and the most that rounding can give it."""
        self._steps.append(step)
        self._band.append(band_V)
        self._noise.append(noise)
        if self._alarms.detectors:
            self._alarms.append(self._products(self._window + 1))

    def append_floor(self, above: int, ratio: float) -> None:
        """Add how many leading eigenvalues of the last window are above its noise floor, and the first over its."""
        self._floors.append(torch.tensor([above, ratio], dtype=torch.float64, device="cpu"))

    def reading(self) -> Reading:
        """Return the reading of the last window, which must be full."""
        recent = self._products(self._window + 1)
        spectrum = spectrum_of(recent, self._window, center=self._center)
        cosines_NK = rotation_of(recent, self._window, top=self._top, center=self._center)
        return Reading(
            self._steps[-1],
            spectrum.eigenvalues_TW[-1],
            int(spectrum.k_star_T[-1]),
            float(spectrum.trace_T[-1]),
            int(self._floors[-1][0]) if self._floors else None,
            cosines_NK[-1] if len(cosines_NK) else cosines_NK.new_full((self._top,), torch.nan),
            self._alarms.standing(),
        )

    def results(self, selection: pd.DataFrame, overhead: Overhead) -> TrackerResults:
        """Return tables of all windows; without a full window they are empty."""
        products = self._products()
        spectrum = spectrum_of(products, self._window, center=self._center)
        cosines_NK = rotation_of(products, self._window, top=self._top, center=self._center)
        steps = self._steps[self._window - 1 :]
        return TrackerResults(
            spectrum_table(steps, spectrum),
            edge_table(steps, spectrum, products.floors_N2),
            rotation_table(steps[1:], cosines_NK),
            gram_table(products),
            self._alarms.table(),
            selection,
            overhead,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as plain values and tensors."""
        products = self._products()
        return {
            "steps": products.steps,
            "band": products.band_TV,
            "noise": products.noise_T,
            "floors": products.floors_N2,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._steps = list(state["steps"])
        self._band = list(state["band"])
        self._noise = state["noise"].tolist()
        self._floors = list(state["floors"])
        if self._alarms.detectors and self._steps:
            self._alarms.load(self._products())

    def _products(self, last: int = 0) -> Products:
        """Return what was measured of the last updates, default all of them."""
        band = self._band[-last:]
        return Products(
            self._steps[-last:],
            torch.stack(band) if band else torch.empty(0, self._window + 1, dtype=torch.float64, device="cpu"),
            torch.tensor(self._noise[-last:], dtype=torch.float64, device="cpu"),
            torch.stack(self._floors) if self._floors else torch.empty(0, 2, dtype=torch.float64, device="cpu"),
        )
