"""What a tracker is told to measure, and what of that is refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import torch

from spectraledge.errors import InputError
from spectraledge.spectrum import Detector, Sketch, noise_floor
from spectraledge.streams import torch_generator

STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""Types in which updates can be kept."""


@dataclass(frozen=True, kw_only=True)
class TrackerSettings:
    """Settings of a tracker that do not depend on the model, checked; `SpectralEdgeTracker` says what each means."""

    window: int
    every: int
    sketch: Sketch | None
    keep_places: bool
    store: Literal["float32", "bfloat16"]
    device: Literal["cpu"] | None
    center: bool
    top: int
    alerts: Sequence[Detector]
    surrogates: int
    seed: int
    step: int

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("window", 2), ("top", 1), ("step", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"expected {name} ≥ {least}, a whole number, got {name}={value!r}")
            # Compiled products take no integers of NumPy.
            object.__setattr__(self, name, int(value))
        if self.sketch is not None and not isinstance(self.sketch, Sketch):
            raise InputError(f"sketch must be a Sketch, such as Sketch(256), got {self.sketch!r}")
        if self.device is not None and str(self.device) != "cpu":
            raise InputError(
                f"updates are kept where the weights are (device=None) or on 'cpu', got device={self.device!r}"
            )
        if self.store not in STORED:
            raise InputError(f"store must be one of {', '.join(STORED)}, got {self.store!r}")
        if self.surrogates:
            # A mistake in these numbers is better found now than in the first full window.
            noise_floor(
                torch.eye(self.window, dtype=torch.float64, device="cpu"),
                surrogates=self.surrogates,
                generator=torch_generator(self.seed),
            )

    def shared(self) -> dict[str, Any]:
        """Return what a state must share with the tracker that loads it."""
        return {
            "window": self.window,
            "every": self.every,
            "sketch": [self.sketch.size, self.sketch.seed] if self.sketch else None,
            "store": self.store,
            "surrogates": self.surrogates,
            "seed": self.seed,
        }
