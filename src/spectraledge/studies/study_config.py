"""A study as data: which runs, and how they are analysed."""

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.claims.questions import QUESTIONS
from spectraledge.errors import InputError
from spectraledge.files import digest
from spectraledge.training import RunConfig

Keep = Literal["all", "window"]
"""Which snapshots of a run stay when it is analysed: all, or whole windows and one in ten of the others."""


Budget = Literal["small", "matched", "published"]
"""What a study may cost: the same code on tasks and networks that take seconds; controls trained as long as the runs
that generalise take; or the step budgets of the author's scripts."""


class StudyConfig(BaseModel):
    """A whole study.

    Attributes:
        name: Its recipe's; folders are named after it.
        runs: Its runs, in the order in which reports list them.
        analysis: How each is analysed.
        other_analyses: Names of the analyses of runs, by run id, that do not have those of `analysis`.
        keep: Which snapshots stay; see `thin`.
        questions: What is asked of the finished runs, a key of `QUESTIONS`. It decides which report there is, and not
            which study it is: folders from before it was kept are asked by the name of their recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    runs: tuple[RunConfig, ...]
    analysis: AnalysisConfig = AnalysisConfig()
    other_analyses: dict[str, tuple[str, ...]] = {}
    keep: Keep = "all"
    questions: str = "runs"

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_questions(cls, given: Any) -> Any:
        known = isinstance(given, dict) and given.get("name") in QUESTIONS and "questions" not in given
        return {**given, "questions": given["name"]} if known else given

    @field_validator("questions")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in QUESTIONS:
            raise ValueError(f"unknown questions {name!r}: known are {', '.join(QUESTIONS)}")
        return name

    @model_validator(mode="after")
    def _of_its_runs(self) -> "StudyConfig":
        if unknown := set(self.other_analyses) - {run.run_id for run in self.runs}:
            raise ValueError(f"other_analyses names no run of the study: {', '.join(sorted(unknown))}")
        return self

    def checked(self) -> "StudyConfig":
        """Return the study with all of it checked: `model_copy` checks nothing, and folders bear names in it.

        Returns:
            The same study.

        Raises:
            InputError: if a value is not allowed.
        """
        try:
            return type(self).model_validate(self)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise InputError(f"study {self.name!r}, {where}: {first['msg']}, got {first['input']!r}") from error

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the configuration."""
        analysis = self.analysis.values(*AnalysisConfig.model_fields)
        return digest({**self.model_dump(mode="json", exclude={"questions"}), "analysis": analysis})

    def of(self, runs: Iterable[RunConfig]) -> "StudyConfig":
        """Return the study with these of its runs alone."""
        kept = {run.run_id: run for run in runs}
        others = {name: analyses for name, analyses in self.other_analyses.items() if name in kept}
        return self.model_copy(update={"runs": tuple(kept.values()), "other_analyses": others})

    def like(self, other: "StudyConfig") -> bool:
        """Tell whether the other study is of the same recipe and settings, whatever its runs and their analyses."""

        def settings(study: StudyConfig) -> dict[str, object]:
            return study.analysis.model_dump(exclude={"analyses"})

        return self.name == other.name and settings(self) == settings(other)

    def grows(self, other: "StudyConfig") -> bool:
        """Tell whether this study is the other one with the same or more runs, whatever is analysed of each."""
        return self.like(other) and {run.hash for run in other.runs} <= {run.hash for run in self.runs}


def analyses_of(study: StudyConfig, run: RunConfig) -> list[Analysis]:
    """Return the analyses of one run of a study, in order; unknown ones are an `InputError`."""
    names = study.other_analyses.get(run.run_id, study.analysis.analyses)
    if unknown := [name for name in names if name not in ANALYSES]:
        raise InputError(f"unknown analysis {unknown[0]!r}: known analyses are {', '.join(ANALYSES)}")
    return [ANALYSES[name] for name in names]
