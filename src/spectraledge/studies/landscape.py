"""The runs of `landscape`: addition, and runs of its weight decay that have nothing to learn."""

from typing import Any

from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.studies.paper import CONTROL_STEPS
from spectraledge.studies.study_config import Budget, StudyConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig

TASK = "add"

CONTROLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("permuted_add", {}),
    (TASK, {"train_fraction": 0.1}),
)
"""Task and settings of the runs that set thresholds: answers without a rule, and too few pairs to find it."""


def landscape(*, seeds: tuple[int, ...], budget: Budget) -> StudyConfig:
    """Return runs on addition and their controls, alike in all but the answers or the training pairs.

    Args:
        seeds: Root seeds.
        budget: "small" is 160 steps of small networks mod 11.

    Returns:
        The study: curvature over every run; windows of gradients of those that can learn.

    Raises:
        InputError: if the published budget is asked for.
    """
    if budget == "published":
        raise InputError("landscape has no published budget: take --budget matched")
    runs: list[RunConfig] = []
    measured: dict[str, tuple[str, ...]] = {}
    for seed in seeds:
        controls = [_run(task, seed, budget, steps=CONTROL_STEPS, **own) for task, own in CONTROLS]
        runs += [_run(TASK, seed, budget, steps=20_000), *controls]
        measured |= {run.run_id: ("curvature",) for run in controls}
    small = budget == "small"
    analysis = AnalysisConfig(
        analyses=("gradients", "curvature"),
        window=6 if small else 20,
        nulls=4 if small else 10,
        precision="single",
        seed=seeds[0],
    )
    return StudyConfig(
        name="landscape",
        questions="landscape",
        runs=tuple(runs),
        analysis=analysis,
        other_analyses=measured,
        keep="window",
    )


def _run(task: str, seed: int, budget: Budget, **settings: Any) -> RunConfig:
    if budget == "small":
        settings |= {"steps": 160, "every": 20, "batch_size": 64}
        sizes = {"width": 16, "heads": 2, "hidden": 32}
        return RunConfig.for_task(named_task(task, modulus=11), sizes, protocol="paper", seed=seed, **settings)
    return RunConfig.for_task(named_task(task), protocol="paper", seed=seed, engine="compiled", **settings)
