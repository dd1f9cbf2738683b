"""How a recorded run is analysed, as data."""

from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spectraledge.errors import InputError
from spectraledge.models import ReadoutName
from spectraledge.observed.view import View


def _enough(surrogates: int) -> int:
    if surrogates and surrogates < 19:
        raise ValueError(f"a noise floor at 5 % needs at least 19 surrogates, or 0 for none, got {surrogates}")
    return surrogates


MOST_NULLS = 10_000
"""Of one kind: p-values to 10⁻⁴ (our choice; each takes as long as a direction)."""

_Surrogates = Annotated[int, Field(ge=0, le=MOST_NULLS), AfterValidator(_enough)]


class AnalysisConfig(BaseModel):
    """How every run of a study is analysed.

    Attributes:
        analyses: Names of what is measured, in order; see `ANALYSES`.
        window: Updates per window (Xu 2026, §2.3).
        center_spectrum: Whether the spectrum over time is of centred windows (Xu 2026, §2.3: no).
        center_modes: Whether directions are taken from a centred window (Xu 2026, functional scripts: yes).
        edge: How many directions count as edge (Xu 2026, §3).
        nulls: Directions of each null.
        surrogates: Surrogates of every window for its noise floor, at least 19 for one at 5 %; 0 leaves it out.
        readout: What responds (Xu 2026, §2.4: the residual stream).
        precision: Of responses at a step; "single" takes half the time.
        leave_out: Tables of a step that are not made; see `STEP_TABLES`.
        stride: Snapshots from one measured in the course of a run to the next; see `follow_course` for the default.
        seed: Root seed of the null directions.
        step: Snapshot at which a step is measured; see `View` for the default, like the next two.
        bases: Names of groupings at that step.
        params: Patterns of the watched parameters.
        device: Where networks compute, see `usable_device`. It is of a moment and a machine: no part of hashes or of
            what is written, since tables are the same everywhere but for rounding; their stamps say where that was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    analyses: tuple[str, ...] = ("spectrum", "step", "course")
    window: int = Field(default=20, ge=2)
    center_spectrum: bool = False
    center_modes: bool = True
    edge: int = Field(default=3, ge=2)
    nulls: int = Field(default=20, ge=2, le=MOST_NULLS)
    surrogates: _Surrogates = 39
    readout: ReadoutName = "residual"
    precision: Literal["double", "single"] = "double"
    leave_out: tuple[str, ...] = ()
    stride: int | None = Field(default=None, ge=1)
    seed: int = 42
    step: int | None = None
    bases: tuple[str, ...] | None = None
    params: tuple[str, ...] | None = None
    device: str = Field(default="cpu", exclude=True)

    @classmethod
    def checked(cls, **values: object) -> "AnalysisConfig":
        """Make settings of what a person gave, by name; raise `InputError` for one that is not allowed."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise InputError(f"{name}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}") from error

    def values(self, *names: str) -> dict[str, object]:
        """Return settings by name as JSON; those that came later, `step`, `bases` and `params`, only where set."""
        later = {name for name in ("step", "bases", "params") if getattr(self, name) is None}
        return self.model_dump(mode="json", include=set(names), exclude=later)

    @property
    def view(self) -> View:
        """How a run is looked at where a whole step is measured."""
        precision = torch.float64 if self.precision == "double" else torch.float32
        return replace(self.residual_view, readout=self.readout, bases=self.bases, dtype=precision)

    @property
    def residual_view(self) -> View:
        """How it is looked at for the residual stream alone, in single precision: statistics agree to 1e-4."""
        return View(
            step=self.step,
            window=self.window,
            center=self.center_modes,
            edge=self.edge,
            nulls=self.nulls,
            params=self.params,
            seed=self.seed,
            dtype=torch.float32,
            device=self.device,
        )
