"""A study as data: which runs, and how they are analysed."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from spectraledge.files import digest
from spectraledge.studies.network import ReadoutName
from spectraledge.training import RunConfig

Keep = Literal["all", "window"]
"""Which snapshots of a run stay when it is analysed: all, or whole windows and one in ten of the others."""


Budget = Literal["small", "matched", "published"]
"""What a study may cost: the same code on tasks and networks that take seconds; controls trained as long as the runs
that generalise take; or the step budgets of the author's scripts."""


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


class StudyConfig(BaseModel):
    """A whole study.

    Attributes:
        name: Its recipe.
        runs: Its runs, in the order in which reports list them.
        analysis: How each is analysed.
        other_analyses: Names of the analyses of runs, by run id, that do not have those of `analysis`.
        keep: Which snapshots stay; see `thin`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    runs: tuple[RunConfig, ...]
    analysis: AnalysisConfig = AnalysisConfig()
    other_analyses: dict[str, tuple[str, ...]] = {}
    keep: Keep = "all"

    @model_validator(mode="after")
    def _of_its_runs(self) -> "StudyConfig":
        if unknown := set(self.other_analyses) - {run.run_id for run in self.runs}:
            raise ValueError(f"other_analyses names no run of the study: {', '.join(sorted(unknown))}")
        return self

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the configuration."""
        return digest(self.model_dump(mode="json"))

    def grows(self, other: "StudyConfig") -> bool:
        """Tell whether this study is the other one with the same or more runs, whatever is analysed of each."""

        def settings(study: StudyConfig) -> dict[str, object]:
            return study.analysis.model_dump(exclude={"analyses"})

        same = self.name == other.name and settings(self) == settings(other)
        return same and {run.hash for run in other.runs} <= {run.hash for run in self.runs}
