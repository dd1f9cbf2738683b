"""All windows of a tracker: of one series after another, where it had to begin anew."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from spectraledge.integrations.record import Reading, Record
from spectraledge.integrations.tables import Overhead, TrackerResults
from spectraledge.integrations.tracker_settings import TrackerSettings
from spectraledge.integrations.updates import Taken
from spectraledge.spectrum import noise_floor
from spectraledge.streams import torch_generator

MANUALLY = "make the tracker with optimizer=None and call tracker.record()"
"""What to do where steps are not heard."""


class Readings:
    """Records of updates as they come in, one for each series."""

    def __init__(
        self, settings: TrackerSettings, *, on_reading: Callable[[Reading], None] | None, warn: Callable[[str], None]
    ) -> None:
        self._settings, self._on_reading, self._warn = settings, on_reading, warn
        self._records = [Record(settings)]
        self.still = 0
        self.habit = self._coarse = False

    def __len__(self) -> int:
        """Return the number of updates, of all series."""
        return sum(map(len, self._records))

    @property
    def last(self) -> Record:
        """The record of the present series."""
        return self._records[-1]

    @property
    def ready(self) -> bool:
        """Whether a window of the present series is full."""
        return len(self.last) >= self._settings.window

    def begins_anew(self, since: int, step: int) -> bool:
        """Drop an update that something else had a part in, and begin anew; not where that has become a habit."""
        what = f"between steps {since} and {step} something else than the optimizer moved the watched weights"
        if len(self._records) > 1 and not self.ready:
            self.habit = True
            self._warn(
                f"{what}, again: from here the tracker counts such moves into its updates, which end right after an "
                f"optimizer's step; for another moment {MANUALLY} there"
            )
            return False
        self._warn(
            f"{what} (a checkpoint loaded, weights clipped or averaged?): the tracker drops this update and begins its "
            "series anew"
        )
        self._records.append(Record(self._settings))
        return True

    def append(self, step: int, taken: Taken, held: Callable[[], Tensor]) -> None:
        """Count an update."""
        window, record = self._settings.window, self.last
        record.append(step, taken.band_V, taken.noise)
        self.still = 0 if taken.band_V[0] else self.still + 1
        if self.still == window:
            self._warn(f"the watched weights have not moved in {window} updates, the last at step {step}")
        if not self.ready:
            return
        if not self._coarse and record.explained_by_rounding:
            self._coarse = True
            self._warn(
                f"in the {window} updates up to step {step} the watched weights moved by no more than their "
                "rounding can explain, so all eigenvalues are 0: watch weights of more digits, or take snapshots less "
                "often (every=)"
            )
        if self._settings.surrogates:
            floor = noise_floor(
                held(),
                surrogates=self._settings.surrogates,
                generator=torch_generator(self._settings.seed, "surrogates", step),
                storage_noise=record.window_noise,
            )
            record.append_floor(floor.count, float(floor.ratio_W[0]))
        if self._on_reading:
            self._on_reading(record.reading())

    def results(self, selection: pd.DataFrame, overhead: Overhead) -> TrackerResults:
        """Return tables of all windows of all series; see `Record.results`."""
        return TrackerResults.joined([record.results(selection, overhead) for record in self._records])

    def state_dict(self) -> list[dict[str, Any]]:
        """Return all records as plain values and tensors."""
        return [record.state_dict() for record in self._records]

    def load_state_dict(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Take over what `state_dict` returned."""
        self._records = [Record(self._settings) for _ in state]
        for record, saved in zip(self._records, state, strict=True):
            record.load_state_dict(saved)
