"""How a recorded run is analysed, as data."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from spectraledge.models import ReadoutName


def _enough(surrogates: int) -> int:
    if surrogates and surrogates < 19:
        raise ValueError(f"a noise floor at 5 % needs at least 19 surrogates, or 0 for none, got {surrogates}")
    return surrogates


_Surrogates = Annotated[int, Field(ge=0), AfterValidator(_enough)]


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
        leave_out: Tables of a step that are not made; see `analyze_step`.
        stride: Snapshots from one measured in the course of a run to the next; see `follow_course` for the default.
        seed: Root seed of the null directions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    analyses: tuple[str, ...] = ("spectrum", "step", "course")
    window: int = Field(default=20, ge=2)
    center_spectrum: bool = False
    center_modes: bool = True
    edge: int = Field(default=3, ge=2)
    nulls: int = Field(default=20, ge=2)
    surrogates: _Surrogates = 39
    readout: ReadoutName = "residual"
    precision: Literal["double", "single"] = "double"
    leave_out: tuple[str, ...] = ()
    stride: int | None = Field(default=None, ge=1)
    seed: int = 42
