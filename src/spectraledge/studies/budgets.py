"""What a budget makes of a study: how large its runs of the published transformer are, and the windows read of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import JointTask, Task, any_task
from spectraledge.training import RunConfig


@dataclass(frozen=True)
class PaperRuns:
    """Runs of the published transformer; where the budget is "small", on small tasks, networks and settings."""

    small_modulus: int = 11
    small_sizes: Mapping[str, int] = field(default_factory=lambda: {"width": 16, "heads": 2, "hidden": 32})
    small_settings: Mapping[str, Any] = field(default_factory=lambda: {"steps": 160, "every": 20, "batch_size": 64})

    def task(self, name: str, budget: Budget) -> Task | JointTask:
        """Make a task by its name, see `any_task`, as large as the budget has it."""
        return any_task(name, modulus=self.small_modulus) if budget == "small" else any_task(name)

    def run(self, task: str, seed: int, budget: Budget, **settings: Any) -> RunConfig:
        """Return a run as the paper draws it: small where the budget is, else of published sizes and compiled."""
        sizes = dict(self.small_sizes) if budget == "small" else None
        made = settings | dict(self.small_settings) if budget == "small" else {"engine": "compiled", **settings}
        return RunConfig.for_task(self.task(task, budget), sizes, protocol="paper", seed=seed, **made)


PAPER_RUNS = PaperRuns()
"""As most studies have it."""


def window_of(budget: Budget) -> int:
    """Return how many updates a window has: fewer where runs are small."""
    return 6 if budget == "small" else AnalysisConfig().window


def not_published(make: Callable[..., StudyConfig]) -> Callable[..., StudyConfig]:
    """Have a recipe refuse the published budget, of which it has none."""

    @wraps(make)
    def made(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
        if budget == "published":
            raise InputError(
                f"{make.__name__} has no published budget: take --budget matched, or `study run paper --budget "
                "published`"
            )
        return make(seeds=seeds, budget=budget)

    return made
