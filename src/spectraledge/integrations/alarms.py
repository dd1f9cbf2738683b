"""Alarms of a tracked training: the series that detectors follow, as they grow."""

from collections.abc import Sequence

import pandas as pd
import torch

from spectraledge.errors import InputError
from spectraledge.integrations.tables import Products
from spectraledge.spectrum import Detector, gram_series


class Alarms:
    """Follows detectors over the windows of a training.

    Args:
        detectors: What to follow; thresholds must have been set with windows of the same size.
        window: Updates per window.

    Raises:
        InputError: if a detector follows what inner products of updates do not tell, or two have one name.
    """

    def __init__(self, detectors: Sequence[Detector], window: int) -> None:
        self.detectors, self._window = list(detectors), window
        known: list[str] = []
        if self.detectors:
            gram = torch.eye(window + 1, dtype=torch.float64, device="cpu")
            known += gram_series(range(window + 1), gram, gram.new_zeros(window + 1), window=window)
        for detector in self.detectors:
            if detector.quantity not in known:
                raise InputError(
                    f"a tracker cannot follow {detector.quantity!r}: it knows {', '.join(sorted(known))}; "
                    "give the series of other numbers to Detector.alarm_steps yourself"
                )
        names = [detector.name for detector in self.detectors]
        if len(set(names)) < len(names):
            raise InputError(f"every alert needs a quantity and change of its own, got {', '.join(names)}")
        self._steps: dict[str, list[int]] = {name: [] for name in known}
        self._values: dict[str, list[float]] = {name: [] for name in known}

    def append(self, recent: Products) -> None:
        """Add the last update, given what was measured of the last W + 1, or of all where there are fewer."""
        for name, (steps, values) in self._series(recent).items():
            self._steps[name].append(steps[-1])
            self._values[name].append(float(values[-1]))

    def load(self, products: Products) -> None:
        """Start anew from all that was measured."""
        for name, (steps, values) in self._series(products).items():
            self._steps[name], self._values[name] = steps, values.tolist()

    def standing(self) -> dict[str, bool]:
        """Return whether each alarm stands at the last update, by the detector's name."""
        return {detector.name: detector.stands(self._values_of(detector)) for detector in self.detectors}

    def table(self) -> pd.DataFrame:
        """Return one row per alarm, at the step at which it begins: step, quantity, change, threshold."""
        rows = [
            (step, detector.quantity, detector.change, detector.threshold)
            for detector in self.detectors
            for step in detector.alarm_steps(self._steps[detector.quantity], self._values_of(detector))
        ]
        table = pd.DataFrame(rows, columns=["step", "quantity", "change", "threshold"])
        return table.astype({"step": "int64", "threshold": "float64"}).sort_values("step", ignore_index=True)

    def _values_of(self, detector: Detector) -> torch.Tensor:
        return torch.tensor(self._values[detector.quantity], dtype=torch.float64, device="cpu")

    def _series(self, products: Products) -> dict[str, tuple[list[int], torch.Tensor]]:
        return gram_series(products.steps, products.band_TV, products.noise_T, window=self._window)
