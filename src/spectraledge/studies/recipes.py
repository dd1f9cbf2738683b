"""Recipes: functions that return a whole study."""

from collections.abc import Callable

from spectraledge.errors import InputError
from spectraledge.studies.config import AnalysisConfig, StudyConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig

CONTROL_STEPS = 3_600
"""Budget of runs that never grok: about where the grokking ones of `quick` stop, so that all are read at like steps."""


def quick(seed: int) -> StudyConfig:
    """Return three tasks that grok and two controls that do not: one seed, some minutes on two cores."""
    learned = [_run(name, seed) for name in ("add", "sub", "mul")]
    controls = [_run("cubic", seed, steps=CONTROL_STEPS), _run("add", seed, weight_decay=0.0, steps=CONTROL_STEPS)]
    return StudyConfig(name="quick", runs=(*learned, *controls), analysis=AnalysisConfig(seed=seed))


def _run(task: str, seed: int, *, weight_decay: float = 1.0, steps: int = 20_000) -> RunConfig:
    return RunConfig.for_task(named_task(task), protocol="paper", seed=seed, weight_decay=weight_decay, steps=steps)


RECIPES: dict[str, Callable[[int], StudyConfig]] = {"quick": quick}
"""Every recipe by name; each takes the seed."""


def recipe(name: str, *, seed: int = 42) -> StudyConfig:
    """Make a study by name.

    Args:
        name: A key of `RECIPES`.
        seed: Root seed of its runs and nulls. Default 42 (Xu 2026, §2).

    Returns:
        The study's configuration.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in RECIPES:
        raise InputError(f"unknown study {name!r}: known studies are {', '.join(RECIPES)}")
    return RECIPES[name](seed)
